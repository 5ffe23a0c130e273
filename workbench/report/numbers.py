"""Numbers as people read them: as many digits as their error warrants."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def digits(value: float, error: float = math.nan) -> str:
    """Write a number to three digits of its error, or to five of its own.

    Parameters
    ----------
    value : float
        The number.
    error : float
        Its standard error or sd; ``nan`` where it has none.

    Returns
    -------
    str
        ``-`` for what is not a number.

    Examples
    --------
    >>> digits(5.60298, 0.70813), digits(-330.7, 66.424), digits(0.0123456), digits(math.nan)
    ('5.603', '-330.7', '0.012346', '-')
    """
    if not math.isfinite(value):
        return "-" if math.isnan(value) else str(value)
    if not (math.isfinite(error) and error > 0):
        return f"{value:.5g}"
    places = 2 - math.floor(math.log10(error))
    if not -4 <= places <= 9 or abs(value) >= 1e7:
        return f"{value:.5g}"
    return f"{value:.{max(places, 0)}f}"


def interval(lower: float, upper: float, error: float = math.nan) -> str:
    """Write an interval, or ``-`` where it has no ends.

    Examples
    --------
    >>> interval(4.21512, 6.99089, 0.70813)
    '[4.215, 6.991]'
    """
    if math.isnan(lower) or math.isnan(upper):
        return "-"
    return f"[{digits(lower, error)}, {digits(upper, error)}]"


def cells(table: pd.DataFrame) -> list[list[str]]:
    """Write the table of a study, row by row.

    Parameters
    ----------
    table : pandas.DataFrame
        A column ``std_error`` is the error of the column before it and of those after.

    Returns
    -------
    list of list of str
        ``-`` for what is not a number.

    Examples
    --------
    >>> import pandas as pd
    >>> cells(pd.DataFrame({"at": [20], "value": [1.23456], "std_error": [0.01], "why": [""]}))
    [['20', '1.2346', '0.0100', '']]
    """
    names = list(table.columns)
    exact = names.index("std_error") - 1 if "std_error" in names else len(names)
    made = []
    for row in table.to_dict("records"):
        error = row.get("std_error")
        error = math.nan if error is None else float(error)
        made.append([_cell(v, error if k >= exact else math.nan)
                     for k, v in enumerate(row.values())])  # fmt: skip
    return made


def _cell(value: Any, error: float) -> str:
    if value is None:
        return "-"
    if isinstance(value, str | bool | int):
        return str(value)
    return digits(float(value), error)


def percent(share: float) -> str:
    """Write a share as a percentage.

    Examples
    --------
    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{100 * share:.6g}%"
