"""Distances along the three limits, with the slopes that theory gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.plot.style import GREY, METHOD_COLOURS, legend_above, name_axes, new_grid, tidy
from workbench.study import Limits

_PANELS = {
    "data": ("rows n", "posterior from the normal of the MLE", -0.5),
    "prior": ("power of the prior", "MAP from MLE", 1.0),
    "temperature": ("temperature T", "tempered posterior from its normal", 0.5),
}


def limits(found: Limits, *, axes: Any = None) -> np.ndarray:
    """A panel for each limit, both axes logarithmic.

    Parameters
    ----------
    found : Limits
        From :func:`workbench.study.limits`.
    axes : array of three matplotlib.axes.Axes, optional
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
    grid = new_grid(axes, 1, 3, 4.2, 3.4)
    for ax, (limit, (x, y, slope)) in zip(grid.ravel(), _PANELS.items(), strict=True):
        part = found.table[(found.table["limit"] == limit) & (found.table["distance"] > 0)]
        at, distance = (part[c].to_numpy(dtype=float) for c in ("at", "distance"))
        error = 2 * part["std_error"].fillna(0.0).to_numpy(dtype=float)
        low = np.minimum(error, 0.9 * distance)
        ends = np.stack([low, error])
        ax.errorbar(at, distance, yerr=ends, fmt="o-", color=METHOD_COLOURS["NUTS"], markersize=4,
                    linewidth=1.2, label="measured")  # fmt: skip
        if len(part):
            # through the geometric middle, so that only the slopes are compared
            middle = np.exp(np.mean(np.log(distance)) - slope * np.mean(np.log(at)))
            ax.plot(at, middle * at**slope, "--", color=GREY, linewidth=1.0,
                    label=f"slope {slope:g}")  # fmt: skip
        ax.set_xscale("log")
        ax.set_yscale("log")
        if limit != "data":
            ax.invert_xaxis()  # the limit lies to the right
        tidy(ax, "y")
        name_axes(ax, x=x, y=f"{y} (standard errors)")
        legend_above(ax)
    return grid
