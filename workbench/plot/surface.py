"""The likelihood over two parameters, and the path that led to its maximum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from workbench.plot.style import GREY, METHOD_COLOURS, legend_above, name_axes, new_grid, tidy
from workbench.study import Surface

_REGIONS = (0.5, 0.9, 0.99)
# as far below the maximum as a region of that probability, for two parameters
_LEVELS = [-0.5 * float(stats.chi2.ppf(p, 2)) for p in _REGIONS]


def surface(found: Surface, *, axes: Any = None) -> np.ndarray:
    """The profile likelihood around the path of L-BFGS, and near the maximum beside the slice.

    Parameters
    ----------
    found : Surface
        From :func:`workbench.study.surface`.
    axes : array of two matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Contours on the right bound confidence regions of 50, 90 and 99 %; on the left their
        depths below the maximum grow by the same factor.

    Examples
    --------
    >>> a, b = (x.ravel() for x in np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]))
    >>> grid = pd.DataFrame({"a": a, "b": b, "log_likelihood": -3 * (a**2 + b**2)})
    >>> table = pd.DataFrame({"estimate": [0.0, 0.0]}, index=["a", "b"])
    >>> found = Surface(name="m-d", table=table, slice=grid, profile=grid, wide=grid,
    ...                 path=grid[4:], covariance=np.eye(2))
    >>> surface(found)[0, 1].get_xlabel()
    'a'
    """
    from matplotlib.lines import Line2D

    grid = new_grid(axes, 1, 2, 5.0, 4.0)
    first, second = grid.ravel()
    one, two = found.table.index
    top = found.table["estimate"].to_numpy(dtype=float)
    lowest = max(-float(found.path["log_likelihood"].min()), 8.0)
    levels = -np.geomspace(2 * lowest, 1.0, int(np.clip(np.log2(lowest) + 1, 4, 12)))
    _contour(first, found.wide, levels, GREY, "-")
    first.plot(found.path[one], found.path[two], "o-", color=METHOD_COLOURS["MLE"], markersize=3.5,
               linewidth=1.2, label="path of L-BFGS")  # fmt: skip
    for ax_of, axis in ((one, "x"), (two, "y")):
        value = np.append(found.path[ax_of], found.profile[ax_of].iloc[[0, -1]])
        room = 0.1 * np.ptp(value)
        first.set(**{f"{axis}lim": (value.min() - room, value.max() + room)})
    _contour(second, found.profile, _LEVELS[::-1], METHOD_COLOURS["MLE"], "-")
    _contour(second, found.slice, _LEVELS[::-1], METHOD_COLOURS["NUTS"], "--")
    for ax in (first, second):
        ax.plot(*top, "+", color="black", markersize=9)
        tidy(ax)
        name_axes(ax, x=str(one), y=str(two))
    legend_above(first)
    legend_above(second, handles=[
        Line2D([], [], color=METHOD_COLOURS["MLE"], label="profile"),
        Line2D([], [], color=METHOD_COLOURS["NUTS"], linestyle="--", label="others held"),
    ])  # fmt: skip
    return grid


def _contour(ax: Any, points: pd.DataFrame, levels: Any, colour: str, style: str) -> None:
    """Contours of a square grid; of one without finite values, nothing."""
    num = round(len(points) ** 0.5)
    a, b, value = (points.iloc[:, k].to_numpy(dtype=float).reshape(num, num) for k in range(3))
    value = np.ma.masked_invalid(value)
    if value.count() > 3:
        ax.contour(a, b, value, levels=levels, colors=colour, linewidths=0.9, linestyles=style)
