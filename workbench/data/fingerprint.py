"""A fingerprint of contents: equal for equal data, on every machine and in every process.

The SHA-256 of a canonical byte string: names in sorted order, arrays as little-endian bytes with
their type and shape, everything else as text with its type. No hash of Python's own enters, since
those change from process to process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from operator import eq
from typing import Any

import numpy as np

from workbench.errors import DataError

_AT_ONCE = 10_000  # labels


def fingerprint(content: Any) -> str:
    """Return the SHA-256 of nested mappings, sequences, arrays, frames and scalars.

    Parameters
    ----------
    content : Any
        What to fingerprint. The order of a mapping's keys does not count; the order of a
        sequence does.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    DataError
        For an object without contents that can be read, such as a function.

    Examples
    --------
    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    >>> fingerprint([1, 2]) == fingerprint([2, 1])
    False
    """
    digest = hashlib.sha256()
    for piece in _pieces(content):
        digest.update(piece)
    return digest.hexdigest()


def _framed(piece: bytes) -> bytes:
    """A piece after its length, so that no two contents share a byte string."""
    return len(piece).to_bytes(8, "little") + piece


def _is_counted(content: tuple[Any, ...] | list[Any] | range) -> bool:
    """Whether a sequence is 0, 1, 2 and so on, the labels of rows that are given none."""
    count = range(len(content))
    if isinstance(content, range):
        return content == count
    return set(map(type, content)) == {int} and all(map(eq, content, count))


@lru_cache(maxsize=8)
def _numbered(start: int, stop: int) -> bytes:
    """The pieces of the whole numbers from one to another."""
    return b"".join(_framed(f"int {i}".encode()) for i in range(start, stop))


def _pieces(content: Any) -> Iterator[bytes | memoryview]:
    if isinstance(content, np.generic):
        content = content.item()
    if content is None or isinstance(content, (bool, int, float, complex, str, bytes)):
        yield _framed(f"{type(content).__name__} {content!r}".encode())
    elif isinstance(content, np.ndarray):
        if content.dtype.kind not in "biufcU":
            raise DataError(
                f"an array of type {content.dtype} has no fingerprint: expected numbers or text"
            )
        plain = np.ascontiguousarray(content.astype(content.dtype.newbyteorder("<"), copy=False))
        yield _framed(f"array {plain.dtype.str} {plain.shape}".encode())
        yield plain.nbytes.to_bytes(8, "little")
        yield plain.reshape(-1).view(np.uint8).data if plain.size else b""
    elif isinstance(content, Mapping):
        yield _framed(f"mapping {len(content)}".encode())
        for key in sorted(content, key=repr):
            yield from _pieces(key)
            yield from _pieces(content[key])
    elif isinstance(content, (tuple, list, range)):
        yield _framed(f"sequence {len(content)}".encode())
        if _is_counted(content):
            for start in range(0, len(content), _AT_ONCE):
                yield _numbered(start, min(start + _AT_ONCE, len(content)))
            return
        for item in content:
            yield from _pieces(item)
    else:
        yield from _frame_pieces(content)


def _frame_pieces(content: Any) -> Iterator[bytes | memoryview]:
    import pandas as pd  # half a second to import, and only frames need it

    if not isinstance(content, (pd.DataFrame, pd.Series)):
        raise DataError(
            f"a value of type {type(content).__name__} has no fingerprint: expected numbers, text, "
            "arrays, frames, or mappings and sequences of them"
        )
    yield _framed(type(content).__name__.encode())
    yield from _pieces(content.to_csv(float_format="%.17g"))
