"""Columns of a table made fit for a formula: numbers as float64, int64 or bool, labels as text.

Rows are counted as in the file, where the header is row 1: the first row of data is row 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

HEADER_ROWS = 1


def row_number(position: int) -> int:
    """Return the row of a file in which the data row at a position stands.

    Parameters
    ----------
    position : int
        Position among the data rows, from 0.

    Returns
    -------
    int
        The row, counted from 1 with the header as row 1.

    Examples
    --------
    >>> row_number(0)
    2
    """
    return int(position) + HEADER_ROWS + 1


def first_row(mask: Any) -> int:
    """Return the row of the first true entry of a mask, counted as in the file.

    Parameters
    ----------
    mask : array of bool
        One entry per row of data; at least one is true.

    Returns
    -------
    int
    """
    return row_number(int(np.flatnonzero(np.asarray(mask))[0]))


def check_frame(frame: Any) -> None:
    """Refuse what is not a table with rows and distinct columns.

    Parameters
    ----------
    frame : DataFrame
        The table.

    Raises
    ------
    DataError
        If it is something else, has no rows, or has two columns of one name.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"expected a pandas DataFrame, got {type(frame).__name__}")
    if len(frame) == 0:
        raise DataError("the table has no rows of data")
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise DataError(
            f"two columns of the table are called '{repeated[0]}'; give each its own name"
        )


def clean(frame: pd.DataFrame, names: Iterable[str], *, labels: Iterable[str] = ()) -> pd.DataFrame:
    """Take columns from a table and make them fit for a formula.

    Parameters
    ----------
    frame : DataFrame
        The table; it is not changed.
    names : iterable of str
        The columns to take; all are there.
    labels : iterable of str
        Those among them whose numbers, if they hold any as text, are meant as labels.

    Returns
    -------
    DataFrame
        With columns of float64, int64, bool, text or categories, and the index of the table.

    Raises
    ------
    DataError
        For missing or infinite values, text among numbers, dates, and other contents.
    """
    import pandas as pd

    labels = frozenset(labels)
    columns = {name: _clean(frame[name], name, name in labels) for name in names}
    return pd.DataFrame(columns, index=frame.index)


def _clean(column: pd.Series, name: str, is_label: bool) -> Any:
    import pandas as pd
    from pandas.api import types

    _check_missing(column, name)
    if types.is_bool_dtype(column):
        return column.to_numpy(dtype=bool)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Categorical(column).remove_unused_categories()
    if types.is_complex_dtype(column):
        raise DataError(f"column '{name}' holds complex numbers; a formula needs real ones")
    if types.is_integer_dtype(column):
        return _integers(column)
    if types.is_numeric_dtype(column):
        return _finite(column.to_numpy(dtype=np.float64), name)
    if not (types.is_string_dtype(column) or types.is_object_dtype(column)):
        raise DataError(
            f"column '{name}' holds values of type {column.dtype}, which a formula cannot use; "
            "turn them into numbers or text"
        )
    return _text(column, name, is_label)


def _check_missing(column: pd.Series, name: str) -> None:
    missing = column.isna().to_numpy()
    count = int(missing.sum())
    if count:
        values = "a missing value" if count == 1 else f"{count} missing values, the first"
        raise DataError(
            f"column '{name}' has {values} in row {first_row(missing)}; fill in what is missing or "
            "leave such rows out, as frame.dropna() does"
        )


def _integers(column: pd.Series) -> np.ndarray:
    values = column.to_numpy()
    if values.max() > np.iinfo(np.int64).max:
        return values.astype(np.float64)
    return values.astype(np.int64)


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    infinite = ~np.isfinite(values)
    if infinite.any():
        raise DataError(
            f"column '{name}' has the infinite value {values[infinite][0]} in row "
            f"{first_row(infinite)}; a formula needs finite numbers"
        )
    return values


def _text(column: pd.Series, name: str, is_label: bool) -> Any:
    import pandas as pd

    is_text = np.array([isinstance(value, str) for value in column])
    if not is_text.any():
        numbers = pd.to_numeric(column, errors="coerce")
        unread = numbers.isna().to_numpy()
        if unread.any():
            position = int(np.flatnonzero(unread)[0])
            raise DataError(
                f"column '{name}' holds a value of type {type(column.iloc[position]).__name__} in "
                f"row {row_number(position)}; a formula needs numbers or text"
            )
        return _clean(numbers, name, is_label)
    if not is_text.all():
        _refuse_text(column, name, is_text)
    if not is_label:
        is_number = pd.to_numeric(column, errors="coerce").notna().to_numpy()
        # a column of labels may hold a few numerals; one that is mostly numerals is a column of
        # numbers that a stray entry turned into text, and would become as many levels as rows
        if 2 * is_number.sum() >= len(column):
            _refuse_text(column, name, is_text if is_number.all() else ~is_number)
    return column.astype(object).to_numpy()


def _refuse_text(column: pd.Series, name: str, where: np.ndarray) -> None:
    value = column.iloc[int(np.flatnonzero(where)[0])]
    raise DataError(
        f"column '{name}' has the text '{value}' in row {first_row(where)} where numbers belong; "
        f"correct it, or write C({name}) if the entries are labels"
    )
