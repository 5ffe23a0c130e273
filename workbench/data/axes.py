"""Arrays of one type, and a name and labels for each of their axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.errors import DataError

_RESERVED_DIMS = frozenset({"group", "chain", "draw"})
_ALIGNED = 64  # bytes


def as_input(name: str, given: Any) -> Any:
    """Return an input as a read-only array or, for what is no array, as it is.

    Parameters
    ----------
    name : str
        The name of the input.
    given : Any
        Text, a plain number, a tuple, a mapping or a frame stays as it is; lists, series and
        arrays become arrays, except that an array without axes becomes a plain number.

    Returns
    -------
    Any

    Raises
    ------
    DataError
        For what is neither plain nor an array of numbers or text.
    """
    import pandas as pd

    plain = (str, bytes, bool, int, float, tuple, Mapping, pd.DataFrame)
    if given is None or isinstance(given, plain):
        return given
    array = _array(name, given)
    return array if array.ndim else array.item()


def as_observed(name: str, given: Any) -> np.ndarray:
    """Return observed values as a read-only array of numbers.

    Parameters
    ----------
    name : str
        The name of the observed values.
    given : array
        May hold ``nan`` for values that the model masks.

    Returns
    -------
    ndarray

    Raises
    ------
    DataError
        For text and infinite values.
    """
    array = _array(name, given)
    if array.dtype.kind == "U":
        raise DataError(f"observed '{name}' holds text; expected numbers")
    if np.isinf(array).any():
        raise DataError(f"observed '{name}' has an infinite value; expected finite numbers or nan")
    return array


def _array(name: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise DataError(f"'{name}' has rows of different lengths; expected an array") from error
    kinds = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": _floating(array), "U": array.dtype}
    if array.dtype.kind not in kinds:
        raise DataError(
            f"'{name}' is of type {type(given).__name__} ({array.dtype}); expected numbers"
        )
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise DataError(f"'{name}' holds {array.max()}, beyond the range of int64")
    return _own(array, kinds[array.dtype.kind])


def _own(array: np.ndarray, dtype: Any) -> np.ndarray:
    """A read-only copy, aligned so that JAX can share its memory."""
    dtype = np.dtype(dtype)
    size = array.size * dtype.itemsize
    memory = np.empty(size + _ALIGNED, dtype=np.uint8)
    start = -memory.ctypes.data % _ALIGNED
    made = memory[start : start + size].view(dtype).reshape(array.shape)
    np.copyto(made, array, casting="unsafe")
    made.setflags(write=False)
    return made


def _floating(array: np.ndarray) -> Any:
    """float64, except that float32 stays what it is in a run in float32."""
    if array.dtype != np.float32:
        return np.float64
    import jax

    return np.float64 if jax.config.jax_enable_x64 else np.float32  # pyright: ignore[reportAttributeAccessIssue]


def label_axes(
    arrays: Mapping[str, np.ndarray],
    coords: dict[str, Sequence[Any]],
    dims: dict[str, tuple[str, ...]],
    inputs: set[str],
) -> tuple[dict[str, tuple | range], dict[str, tuple[str, ...]]]:
    """Name every axis, label every dimension, and check that lengths agree.

    Parameters
    ----------
    arrays : Mapping of str to ndarray
        The observed arrays, then the inputs.
    coords : dict
        Labels by dimension, where given.
    dims : dict
        Dimensions by array, where given.
    inputs : set of str
        The names of the inputs.

    Returns
    -------
    coords : dict of str to tuple or range
        Labels of every dimension: 0 to its length less 1 where none are given.
    dims : dict of str to tuple of str
        Dimensions of every array.

    Raises
    ------
    DataError
        If a length differs from another along the same dimension, or a name is taken.
    """
    for key in sorted(set(dims) - set(arrays)):
        raise DataError(f"dims name '{key}', which is not an array of the data")
    rows: tuple[str, int] | None = None
    labelled = {
        key: value if isinstance(value, range) else tuple(_plain(value))
        for key, value in coords.items()
    }
    lengths = {key: (len(value), "its labels") for key, value in labelled.items()}
    named: dict[str, tuple[str, ...]] = {}
    for key, array in arrays.items():
        names = tuple(dims.get(key, _default_dims(key, array, rows)))
        if len(names) != array.ndim:
            raise DataError(
                f"'{key}' has shape {array.shape}; expected {len(names)} axes from its dims {names}"
            )
        for dim, length in zip(names, array.shape, strict=True):
            _check_dim(dim, key, arrays)
            known, source = lengths.setdefault(dim, (length, f"'{key}'"))
            if known != length:
                raise DataError(
                    f"'{key}' has length {length} along '{dim}'; expected {known} as in {source}"
                )
        named[key] = names
        if rows is None and names and key not in inputs:
            rows = (names[0], array.shape[0])
    for dim, (length, _) in lengths.items():
        labelled.setdefault(dim, range(length))
    return labelled, named


def _default_dims(key: str, array: np.ndarray, rows: tuple[str, int] | None) -> tuple[str, ...]:
    names = [f"{key}_dim_{axis}" for axis in range(array.ndim)]
    if array.ndim and rows is None:
        names[0] = "obs"
    elif array.ndim and rows is not None and array.shape[0] == rows[1]:
        names[0] = rows[0]
    return tuple(names)


def _check_dim(dim: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    if dim in _RESERVED_DIMS:
        raise DataError(
            f"'{key}' has a dimension called '{dim}', a name that results use themselves"
        )
    if dim in arrays:
        raise DataError(f"'{dim}' is both an array and a dimension of '{key}'; rename one of them")


def _plain(labels: Sequence[Any]) -> list[Any]:
    return [label.item() if isinstance(label, np.generic) else label for label in labels]
