"""Estimates, effective parameters and scores along the width of a prior."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    legend_above,
    log_scale,
    name_axes,
    new_grid,
    shorten,
    tidy,
)
from workbench.study import Penalties

_SCORES = {
    "log_evidence": ("evidence", "Laplace"),
    "elpd_loo": ("leave-one-out", "MLE"),
    "elpd_kfold": ("ten folds", "Firth"),
}


def penalties(found: Penalties, *, limit: int = 8, axes: Any = None) -> np.ndarray:
    """The paths of ridge and lasso, the effective parameters, and what each score loses.

    Parameters
    ----------
    found : Penalties
        From :func:`workbench.study.penalties`.
    limit : int
        Largest number of terms in the panels of the paths.
    axes : array of four matplotlib.axes.Axes, optional
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
    ...                       "nonzero": [0.0, 1.0], "reason": ["", ""]}, index=[0.1, 1.0])
    >>> path = pd.DataFrame({"beta": [0.1, 0.5]}, index=[0.1, 1.0])
    >>> found = Penalties(name="m-d", sites=("beta",), table=table, path=path, lasso=path,
    ...                   stopping=pd.DataFrame(), stopping_path=pd.DataFrame(),
    ...                   sensitivity=pd.DataFrame(), picks=pd.Series({"log_evidence": 1.0}),
    ...                   means=path)
    >>> penalties(found)[0, 0].get_xscale()
    'log'
    """
    grid = new_grid(axes, 2, 2, 5.0, 3.3)
    first, second, third, fourth = grid.ravel()
    width = found.table.index.to_numpy(dtype=float)
    for ax, path, name in (
        (first, found.path, "ridge: MAP, mean dotted"),
        (second, found.lasso, "lasso"),
    ):
        for term in list(found.path.columns)[:limit]:
            value = path[term].to_numpy(dtype=float)
            largest = np.nanmax(np.abs(value)) if np.isfinite(value).any() else np.nan
            unit = largest if largest > 0 else 1.0
            (line,) = ax.plot(width, value / unit, linewidth=1.2, label=shorten(str(term), 16))
            if ax is first:
                mean = found.means[term].to_numpy(dtype=float)
                ax.plot(width, mean / unit, ":", color=line.get_color(), linewidth=1.4)
        name_axes(ax, y=f"{name}, share of the largest")
    third.plot(width, found.table["effective_parameters"], color=METHOD_COLOURS["NUTS"],
               label="ridge")  # fmt: skip
    third.step(width, found.table["nonzero"], where="mid", color=METHOD_COLOURS["MAP"],
               label="lasso: not zero")  # fmt: skip
    if len(found.stopping):
        third.plot(found.stopping["width"], found.stopping["effective_parameters"], "--",
                   color=METHOD_COLOURS["prior"], label="early stopping")  # fmt: skip
    name_axes(third, y="effective number of parameters")
    for score, (label, method) in _SCORES.items():
        value = found.table.get(score, found.table["nonzero"] * np.nan).to_numpy(dtype=float)
        if np.isfinite(value).any():
            fourth.plot(width, value - np.nanmax(value), color=METHOD_COLOURS[method], label=label)
            fourth.axvline(found.picks[score], color=METHOD_COLOURS[method], linestyle=":",
                           linewidth=1.0)  # fmt: skip
    log_scale(fourth, "y", linear=1.0)
    name_axes(fourth, y="score below its best (nats)")
    for ax in (first, second, third, fourth):
        log_scale(ax, "x")
        ax.set_xlim(width[0], width[-1])
        ax.axvline(1.0, color=GREY, linewidth=0.7)
        tidy(ax, "y")
        name_axes(ax, x=f"width of the prior of {', '.join(found.sites)} (1: its own)")
    for ax in (first, third, fourth):
        legend_above(ax, columns=4)
    return grid
