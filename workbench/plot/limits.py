"""Distances along the limits, with the slopes that theory gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    legend_above,
    log_scale,
    message,
    name_axes,
    new_grid,
    tidy,
)
from workbench.study import Limits

_PANELS = {
    "data": ("{unit} n", "posterior from the normal of the MLE", -0.5),
    "prior": ("power of the prior", "MAP from MLE", 1.0),
    "temperature": ("temperature T", "tempered posterior from its normal", 0.5),
    "draws": ("draws S", "Monte Carlo error of the mean", -0.5),
}


def limits(found: Limits, *, axes: Any = None) -> np.ndarray:
    """A panel for each limit, both axes logarithmic.

    Parameters
    ----------
    found : Limits
        From :func:`workbench.study.limits`.
    axes : array of four matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Whiskers are two standard errors long; the dashed line has the slope of theory.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"limit": ["data", "data"], "at": [10.0, 40.0],
    ...                       "distance": [0.2, 0.1], "std_error": [0.01, 0.01]})
    >>> rates = pd.Series({"data": -0.5, "prior": 1.0, "temperature": 0.5})
    >>> found = Limits(name="m-d", table=table, rates=rates, agreement=160.0)
    >>> limits(found)[0, 0].get_xscale()
    'log'
    """
    grid = new_grid(axes, 2, 2, 4.8, 3.3)
    for ax, (limit, (x, y, slope)) in zip(grid.ravel(), _PANELS.items(), strict=True):
        part = _part(found, limit)
        if not len(part):
            message(ax, "no draws were made" if limit == "draws" else "no distance is known")
            continue
        at, distance = _draw(ax, part, METHOD_COLOURS["NUTS"], "measured")
        if limit == "data" and len(more := _part(found, "simulated")):
            _draw(ax, more, METHOD_COLOURS["MLE"], "simulated at the estimate")
        # through the geometric middle, so that only the slopes are compared
        middle = np.exp(np.mean(np.log(distance)) - slope * np.mean(np.log(at)))
        ax.plot(at, middle * at**slope, "--", color=GREY, linewidth=1.0, label=f"slope {slope:g}")
        log_scale(ax, "x")
        log_scale(ax, "y")
        if limit in ("prior", "temperature"):
            ax.invert_xaxis()  # the limit lies to the right
        tidy(ax, "y")
        unit = "posterior sds" if limit == "draws" else "standard errors"
        name_axes(ax, x=x.format(unit=found.unit), y=f"{y} ({unit})")
        legend_above(ax)
    return grid


def _part(found: Limits, limit: str) -> Any:
    return found.table[(found.table["limit"] == limit) & (found.table["distance"] > 0)]


def _draw(ax: Any, part: Any, colour: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Distances with whiskers."""
    at, distance = (part[c].to_numpy(dtype=float) for c in ("at", "distance"))
    error = 2 * part["std_error"].fillna(0.0).to_numpy(dtype=float)
    ends = np.stack([np.minimum(error, 0.9 * distance), error])
    ax.errorbar(at, distance, yerr=ends, fmt="o-", color=colour, markersize=4, linewidth=1.2,
                label=label)  # fmt: skip
    return at, distance
