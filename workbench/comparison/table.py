"""The table: every term by every method, with intervals that line up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from workbench.fit import DrawsFit, ModeFit

_INTERVALS = {
    "MLE": "confidence, Wald on the scale of the support",
    "MAP": "credible, normal on the scale of the support",
    "Laplace": "credible, normal on the scale of the support",
    "NUTS": "credible, equal-tailed",
}
COLUMNS = (
    "term", "method", "estimate", "std_error", "lower", "upper", "level", "interval", "status",
    "reason",
)  # fmt: skip


def estimates_table(
    fits: Mapping[str, ModeFit | DrawsFit],
    level: float,
    terms: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row per term and method.

    Parameters
    ----------
    fits : mapping
        Fits by method.
    level : float
        Level of the intervals.
    terms : sequence of str, optional
        Terms to keep, in this order; all by default.

    Returns
    -------
    pandas.DataFrame
        Columns ``term, method, estimate, std_error, lower, upper, level, interval, status,
        reason``. ``std_error`` is a standard error for the MLE, the sd of the normal
        approximation for MAP and Laplace, the posterior sd for NUTS.
    """
    parts = []
    for method, fit in fits.items():
        part = fit.summary(level)
        part["method"] = method
        part["status"] = fit.status.name.lower().replace("_", " ")
        if "reason" not in part:
            part["reason"] = ""
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table["level"] = level
    table["interval"] = table["method"].map(_INTERVALS)
    order = list(terms) if terms is not None else list(dict.fromkeys(table["term"]))
    table = table[table["term"].isin(order)]
    rank = table["term"].map({t: i for i, t in enumerate(order)})
    table = table.assign(rank=rank).sort_values("rank", kind="stable")
    return table[list(COLUMNS)].reset_index(drop=True)
