"""Optimisers side by side: distance against gradients, and their paths over the contour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.plot.style import GREY, legend_above, log_scale, message, name_axes, new_grid, tidy
from workbench.study import Optimisers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "gradient descent": "#000000",
    "momentum": "#D55E00",
    "Nesterov": "#E69F00",
    "Adam": "#CC79A7",
    "L-BFGS": "#0072B2",
    "Newton": "#009E73",
    "leapfrog": "#8A9AA5",
}
_SHOWN = 120  # steps of the leapfrog over the contour
_LEVELS = 0.5 * np.array([0.5, 1.0, 1.5, 2.0, 3.0]) ** 2  # nats: at so many standard errors


def optimisers(found: Optimisers, *, axes: Any = None) -> np.ndarray:
    """Distance to the maximum against iterations and gradients, and paths over the contour.

    Parameters
    ----------
    found : Optimisers
        From :func:`workbench.study.optimisers`.
    axes : array of three matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Contours are where the likelihood has fallen as at 0.5, 1, 1.5, 2 and 3 standard errors.

    Examples
    --------
    >>> import pandas as pd
    >>> from workbench.study.optimisers import Run
    >>> run = Run(distance=np.array([3.0, 1e-9]), gradient_norm=np.array([2.0, 1e-9]),
    ...           gradients=np.array([1, 2]), path=np.array([[3.0], [0.0]]))
    >>> table = pd.DataFrame({"iterations": [1.0]}, index=["Newton"])
    >>> found = Optimisers(name="m-d", table=table, runs={"Newton": run},
    ...                    eigenvalues=np.array([0.5, 2.0]), plane=pd.DataFrame())
    >>> optimisers(found)[0, 0].get_yscale()
    'log'
    """
    grid = new_grid(axes, 1, 3, 4.6, 3.6)
    first, second, third = grid.ravel()
    for method, run in found.runs.items():
        with np.errstate(invalid="ignore"):
            distance = np.where(run.distance > 0, run.distance, np.nan)
        for ax, x in ((first, np.arange(len(distance)) + 1), (second, run.gradients)):
            ax.plot(x, distance, color=COLOURS[method], linewidth=1.4, label=method)
    for ax, x in ((first, "iteration"), (second, "gradients evaluated (a Hessian is P)")):
        ax.axhline(0.01, color=GREY, linewidth=0.8, linestyle=":")
        log_scale(ax, "x")
        log_scale(ax, "y")
        ax.set_ylim(1e-7, 30)
        tidy(ax, "y")
        name_axes(ax, x=x, y="distance to the maximum (standard errors)")
    legend_above(first, columns=3)
    _paths(third, found)
    return grid


def _paths(ax: Axes, found: Optimisers) -> None:
    if found.plane.empty:
        message(ax, "one parameter: there is no plane to draw paths on")
        return
    a, b = found.plane.index.to_numpy(dtype=float), found.plane.columns.to_numpy(dtype=float)
    height = np.ma.masked_invalid(found.plane.to_numpy(dtype=float).T)
    ax.contour(a, b, height, levels=_LEVELS, colors=GREY, linewidths=0.7)
    for method, run in found.runs.items():
        sampled = method == "leapfrog"
        path = run.path[:_SHOWN] if sampled else run.path
        ax.plot(*path.T, "-" if sampled else "o-", color=COLOURS[method], markersize=2.5,
                linewidth=0.8 if sampled else 1.0, zorder=1 if sampled else 2)  # fmt: skip
    ax.set_xlim(a[0], a[-1])
    ax.set_ylim(b[0], b[-1])
    tidy(ax)
    name_axes(ax, x="stiffest direction (standard errors)", y="next stiffest (standard errors)")
