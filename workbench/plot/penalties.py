"""Estimates and scores along the width of a prior."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    legend_above,
    name_axes,
    new_grid,
    shorten,
    tidy,
)
from workbench.study import Penalties

_SCORES = {"log_evidence": ("evidence", "Laplace"), "elpd_loo": ("leave-one-out", "MLE")}


def penalties(found: Penalties, *, limit: int = 8, axes: Any = None) -> np.ndarray:
    """The path of the estimates, the effective parameters, and what each score loses.

    Parameters
    ----------
    found : Penalties
        From :func:`workbench.study.penalties`.
    limit : int
        Largest number of terms in the first panel.
    axes : array of three matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Terms are shares of their largest value along the path, so that units do not matter; dotted
        lines stand at the widths that the scores pick.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"effective_parameters": [0.1, 0.9], "log_evidence": [-5.0, -4.0],
    ...                       "elpd_loo": [-4.5, -4.2], "reason": ["", ""]}, index=[0.1, 1.0])
    >>> found = Penalties(name="m-d", sites=("beta",), table=table,
    ...                   path=pd.DataFrame({"beta": [0.1, 0.5]}, index=[0.1, 1.0]),
    ...                   picks=pd.Series({"log_evidence": 1.0, "elpd_loo": 1.0}))
    >>> penalties(found)[0, 0].get_xscale()
    'log'
    """
    grid = new_grid(axes, 1, 3, 4.4, 3.4)
    first, second, third = grid.ravel()
    width = found.table.index.to_numpy(dtype=float)
    for term in list(found.path.columns)[:limit]:
        value = found.path[term].to_numpy(dtype=float)
        first.plot(width, value / np.nanmax(np.abs(value)), linewidth=1.2,
                   label=shorten(str(term), 16))  # fmt: skip
    name_axes(first, y="MAP, as a share of its largest value")
    second.plot(width, found.table["effective_parameters"], color=METHOD_COLOURS["NUTS"])
    name_axes(second, y="effective number of parameters")
    for score, (label, method) in _SCORES.items():
        value = found.table[score].to_numpy(dtype=float)
        if np.isfinite(value).any():
            third.plot(width, value - np.nanmax(value), color=METHOD_COLOURS[method], label=label)
            third.axvline(found.picks[score], color=METHOD_COLOURS[method], linestyle=":",
                          linewidth=1.0)  # fmt: skip
    third.set_yscale("symlog", linthresh=1.0)
    name_axes(third, y="score below its best (nats)")
    for ax in (first, second, third):
        ax.set_xscale("log")
        ax.axvline(1.0, color=GREY, linewidth=0.7)
        tidy(ax, "y")
        name_axes(ax, x=f"width of the prior of {', '.join(found.sites)} (1: its own)")
    legend_above(first, columns=2)
    legend_above(third)
    return grid
