"""Nested mappings of arrays, tables and plain values as groups of a NetCDF file, and back.

A mapping becomes a group: its arrays are variables, its tables and nested mappings are groups
below it, and everything plain stands in the variable ``contents``, a JSON list with one entry for
each key in its order (key, kind, name in the file, value). So a group reads well in plain xarray
and comes back with the types it had.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.store.plain import from_text, is_plain, to_text

CONTENTS = "contents"
_NAME = re.compile(r"[^\W\d][\w\-]*")  # what NetCDF and HDF5 let a name be, and a little less


def to_groups(path: str, content: Mapping[Any, Any]) -> dict[str, xr.Dataset]:
    """Turn a mapping into groups.

    Parameters
    ----------
    path : str
        Where its group stands, such as ``fits/MLE``.
    content : mapping
        Values: arrays, frames, plain values, and mappings, tuples and lists of them.

    Returns
    -------
    dict of str to xarray.Dataset
        Groups by path, the mapping's own first.

    Raises
    ------
    WorkbenchError
        For a value that a file cannot hold, naming it.

    Examples
    --------
    >>> groups = to_groups("fit", {"z": np.zeros(2), "status": "converged"})
    >>> from_groups(xr.DataTree.from_dict(groups)["fit"])["status"]
    'converged'
    """
    variables: dict[str, xr.Variable] = {}
    below: dict[str, xr.Dataset] = {}
    entries: list[tuple[Any, str, str, Any]] = []
    for number, (key, value) in enumerate(content.items()):
        name = key if isinstance(key, str) and _NAME.fullmatch(key) else f"item_{number}"
        name = f"{name}_" if name == CONTENTS else name
        where = f"{path}/{name}"
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
            variables[name] = _variable(name, value, where)
            entries.append((key, "text" if value.dtype.kind == "U" else "array", name, None))
        elif isinstance(value, pd.DataFrame):
            below[where] = _frame_group(value, where)
            entries.append((key, "frame", name, None))
        elif is_plain(value):
            entries.append((key, "plain", "", value))
        elif isinstance(value, Mapping | tuple | list):
            kind = "mapping" if isinstance(value, Mapping) else type(value).__name__
            items = value if isinstance(value, Mapping) else dict(enumerate(value))
            below |= to_groups(where, items)
            entries.append((key, kind, name, None))
        else:
            raise WorkbenchError(
                f"'{key}' is of type {type(value).__name__}, which a file cannot hold; expected "
                "numbers, text, arrays, tables, or mappings and sequences of them"
            )
    variables[CONTENTS] = xr.Variable((), to_text(entries))
    return {path: xr.Dataset(variables), **below}


def from_groups(node: xr.DataTree) -> dict[Any, Any]:
    """Turn a group back into the mapping it was made of.

    Parameters
    ----------
    node : xarray.DataTree
        The group and what stands below it.

    Returns
    -------
    dict
    """
    content: dict[Any, Any] = {}
    for key, kind, name, value in from_text(node[CONTENTS].item()):
        if kind == "array":
            value = node[name].to_numpy()
        elif kind == "text":
            value = node[name].to_numpy().astype("U")
        elif kind == "frame":
            value = _frame(node.children[name])
        elif kind == "mapping":
            value = from_groups(node.children[name])
        elif kind in ("tuple", "list"):
            items = from_groups(node.children[name]).values()
            value = tuple(items) if kind == "tuple" else list(items)
        content[key] = value
    return content


def _variable(name: str, array: np.ndarray, where: str) -> xr.Variable:
    # a group passes its dimensions on to those below it, so one name may have only one length
    dims = [f"{name}_axis_{axis}_of_{size}" for axis, size in enumerate(array.shape)]
    return xr.Variable(dims, _writable(array, where))


def _writable(array: np.ndarray, where: str) -> np.ndarray:
    """An array as it can be written: text as objects, which HDF5 ends at a null character."""
    if array.dtype.kind != "U":
        return array
    if any("\0" in text for text in array.flat):
        raise WorkbenchError(f"'{where}' holds text with a null character; expected none")
    return array.astype(object)


# -- tables ------------------------------------------------------------------------------------


def _frame_group(frame: pd.DataFrame, where: str) -> xr.Dataset:
    """A table as a group: one variable for each column, along a dimension named by the index."""
    index = frame.index
    named = isinstance(index.name, str) and bool(_NAME.fullmatch(index.name))
    dim = str(index.name) if named and index.name not in frame.columns else "row"
    columns = []
    variables: dict[str, xr.Variable] = {}
    rows = tuple(range(len(frame))) if index.nlevels > 1 else tuple(index.tolist())
    if len(rows) and all(isinstance(r, str) for r in rows) and len(set(rows)) == len(rows):
        variables[dim] = xr.Variable((dim,), _writable(np.array(rows), where))
    for number, column in enumerate(frame.columns):
        values = frame[column]
        name = column if isinstance(column, str) and _NAME.fullmatch(column) else f"item_{number}"
        name = f"{name}_" if name in (CONTENTS, dim) else name
        dtype, extra = str(values.dtype), None
        if isinstance(values.dtype, pd.CategoricalDtype):
            extra = (tuple(values.cat.categories.tolist()), bool(values.cat.ordered))
            dtype, array = "category", values.cat.codes.to_numpy().astype(np.int64)
        elif isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
            array = values.to_numpy()
        elif len(values) and all(isinstance(v, str) for v in values):
            array = _writable(np.array(values.tolist(), dtype="U"), where)
        else:
            array, extra = None, tuple(None if v is pd.NA else v for v in values.tolist())
            if not is_plain(extra):
                raise WorkbenchError(
                    f"column '{column}' of '{where}' is of type {dtype}, which a file cannot "
                    "hold; expected numbers or text"
                )
        if array is not None:
            variables[name] = xr.Variable((dim,), array)
        columns.append((column, name if array is not None else "", dtype, extra))
    header = {"columns": columns, "index": rows, "index_name": index.name}
    variables[CONTENTS] = xr.Variable((), to_text(header))
    return xr.Dataset(variables)


def _frame(node: xr.DataTree) -> pd.DataFrame:
    header = from_text(node[CONTENTS].item())
    rows = header["index"]
    counted = rows == tuple(range(len(rows)))
    index = pd.RangeIndex(len(rows)) if counted else pd.Index(rows)
    index = index.rename(header["index_name"])
    columns = {}
    for column, name, dtype, extra in header["columns"]:
        if dtype == "category":
            values: Any = pd.Categorical.from_codes(node[name].to_numpy(), *extra)
        else:
            values = node[name].to_numpy() if name else list(extra)
        kept = None if dtype == "category" else dtype
        columns[column] = pd.Series(values, index=index, dtype=kept)
    return pd.DataFrame(columns, index=index, columns=[c[0] for c in header["columns"]])
