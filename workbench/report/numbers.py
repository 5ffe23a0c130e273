"""Numbers as people read them: as many digits as their error warrants."""

from __future__ import annotations

import math


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


def percent(share: float) -> str:
    """Write a share as a percentage.

    Examples
    --------
    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{100 * share:.6g}%"
