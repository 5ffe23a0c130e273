"""Plain Python values as JSON text and back, with the types that JSON lacks marked.

Scalars and lists stand as they are; ``{"tuple": [...]}``, ``{"dict": [[key, value], ...]}``,
``{"bytes": base64}``, ``{"count": n}`` (a range from 0) and ``{"range": n}`` (a tuple of it) stand
for the rest. Floats are written with all their digits, ``nan`` and infinities by name.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

_SCALARS = (bool, int, float, str, np.generic)


def is_plain(value: Any) -> bool:
    """Say whether a value is made of scalars, text, tuples, lists and mappings only."""
    if isinstance(value, Mapping):
        return all(is_plain(k) and is_plain(v) for k, v in value.items())
    if isinstance(value, range):
        return value == range(len(value))
    if isinstance(value, tuple | list):
        return all(is_plain(v) for v in value)
    return value is None or isinstance(value, (*_SCALARS, bytes))


def to_text(value: Any) -> str:
    """Write a plain value as JSON.

    Parameters
    ----------
    value : Any
        A value for which :func:`is_plain` holds.

    Returns
    -------
    str

    Examples
    --------
    >>> to_text({"seed": 1, "shape": (2, 3)})
    '{"dict": [["seed", 1], ["shape", {"tuple": [2, 3]}]]}'
    """
    return json.dumps(_mark(value), ensure_ascii=True)


def from_text(text: str) -> Any:
    """Read back what :func:`to_text` wrote.

    Parameters
    ----------
    text : str
        JSON.

    Returns
    -------
    Any
        The value, with its types.

    Examples
    --------
    >>> from_text(to_text({"shape": (2, 3), "level": 0.95}))
    {'shape': (2, 3), 'level': 0.95}
    """
    return _unmark(json.loads(text))


def _mark(value: Any) -> Any:
    if isinstance(value, np.generic):
        return _mark(value.item())
    if isinstance(value, Mapping):
        return {"dict": [[_mark(k), _mark(v)] for k, v in value.items()]}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, range):
        return {"count": len(value)}
    if isinstance(value, tuple):
        counted = len(value) > 8 and all(type(v) is int for v in value)
        if counted and value == tuple(range(len(value))):
            return {"range": len(value)}
        return {"tuple": [_mark(v) for v in value]}
    return [_mark(v) for v in value] if isinstance(value, list) else value


def _unmark(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmark(v) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {_unmark(k): _unmark(v) for k, v in content}
    if kind == "tuple":
        return tuple(_unmark(v) for v in content)
    if kind == "count":
        return range(content)
    return tuple(range(content)) if kind == "range" else base64.b64decode(content)
