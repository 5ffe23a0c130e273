"""The loss of a network about a mode: cuts, the way to another mode, and the Hessian's spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.network import Surface
from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    legend_above,
    log_scale,
    name_axes,
    new_axes,
    new_grid,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RISES = (0.5, 2.0, 4.5, 12.5)  # nats: of a normal at 1, 2, 3 and 5 sds


def loss_plane(found: Surface, *, axes: Any = None) -> np.ndarray:
    """Draw the loss over the two stiffest directions, and over the stiffest and the flattest.

    Parameters
    ----------
    found : Surface
        From :func:`workbench.network.loss_surface`.
    axes : array of two matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Contours at 0.5, 2, 4.5 and 12.5 nats above the mode, of all rows: one, two, three and
        five sds of a normal.

    Examples
    --------
    >>> axis = np.linspace(-1.0, 1.0, 5)
    >>> bowl = pd.DataFrame(axis[:, None] ** 2 + axis**2, index=axis, columns=axis)
    >>> surface = Surface(eigenvalues=np.array([9.0, 0.1]), gauss_newton=np.ones(2), plane=bowl,
    ...     flat=bowl, line=pd.DataFrame(), num_rows=10)
    >>> loss_plane(surface)[0, 0].get_xlabel()
    'stiffest direction (prior sds)'
    """
    grid = new_grid(axes, 1, 2, 4.6, 3.8)
    names = ("next stiffest direction (prior sds)", "flattest direction (prior sds)")
    for ax, plane, name in zip(grid.ravel(), (found.plane, found.flat), names, strict=True):
        _contours(ax, plane, found.num_rows)
        name_axes(ax, x="stiffest direction (prior sds)", y=name)
    return grid


def _contours(ax: Axes, plane: pd.DataFrame, num_rows: int) -> None:
    a, b = plane.index.to_numpy(dtype=float), plane.columns.to_numpy(dtype=float)
    height = num_rows * plane.to_numpy(dtype=float).T
    shade = np.minimum(height, 2 * _RISES[-1])
    ax.pcolormesh(a, b, shade, cmap="Greys", shading="gouraud", vmin=0, vmax=2.5 * _RISES[-1])
    lines = ax.contour(a, b, height, levels=_RISES, colors=METHOD_COLOURS["MAP"], linewidths=1.3)
    ax.clabel(lines, fmt="%g", fontsize=8, colors="black")
    ax.plot([0], [0], "^", color=METHOD_COLOURS["MAP"], markersize=8, markeredgecolor="black")
    tidy(ax)


def loss_line(found: Surface, *, ax: Axes | None = None) -> Axes:
    """Draw the loss on the line between two modes, as found and with their units matched.

    Parameters
    ----------
    found : Surface
        With a line.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> line = pd.DataFrame({"as found": [0.0, 3.0, 0.1], "units matched": [0.0, 0.5, 0.1]},
    ...     index=[0.0, 0.5, 1.0])
    >>> surface = Surface(eigenvalues=np.ones(1), gauss_newton=np.ones(1), plane=line, flat=line,
    ...     line=line, num_rows=9)
    >>> len(loss_line(surface).lines)
    2
    """
    ax = new_axes(ax, 6.0, 3.6)
    looks = {"as found": ("--", GREY), "units matched": ("-", METHOD_COLOURS["MAP"])}
    for name, (dash, colour) in looks.items():
        ax.plot(found.line.index, found.line[name], dash, color=colour, linewidth=2, label=name)
    ax.set_xticks([0, 0.5, 1], ["best mode", "half-way", "another mode"])
    tidy(ax, "y")
    name_axes(ax, x="place on the line", y="loss above the best mode's (nats a row)")
    legend_above(ax)
    return ax


def hessian_spectrum(found: Surface, *, ax: Axes | None = None) -> Axes:
    """Draw the eigenvalues of the Hessian of a network's likelihood, beside the prior's.

    Parameters
    ----------
    found : Surface
        From :func:`workbench.network.loss_surface`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        Sizes on a log scale: of the Hessian (filled, open where negative) and of the Gauss-Newton
        matrix (a line); a pink line at the prior's curvature.

    Examples
    --------
    >>> none = pd.DataFrame()
    >>> surface = Surface(eigenvalues=np.array([9.0, -0.1]), gauss_newton=np.array([8.0, 0.0]),
    ...     plane=none, flat=none, line=none, num_rows=9)
    >>> hessian_spectrum(surface).get_yscale()
    'log'
    """
    ax = new_axes(ax, 6.4, 3.8)
    values = found.eigenvalues
    order = np.argsort(-np.abs(values))
    size, place = np.abs(values)[order], np.arange(1, len(values) + 1)
    floor = 1e-4
    negative = values[order] < 0
    colour = METHOD_COLOURS["MLE"]
    for mask, fill, label in ((~negative, colour, "Hessian"), (negative, "white", "negative")):
        if mask.any():
            ax.plot(
                place[mask], np.maximum(size[mask], floor), "o", color=colour, markersize=5,
                markerfacecolor=fill, label=label,
            )  # fmt: skip
    newton = np.maximum(found.gauss_newton, floor)
    ax.plot(
        place, newton, "-", color=METHOD_COLOURS["Laplace"], linewidth=1.4, label="Gauss-Newton"
    )
    ax.axhline(1.0, color=METHOD_COLOURS["prior"], linewidth=1.4, label="prior")
    log_scale(ax, "y")
    tidy(ax, "y")
    name_axes(
        ax, x="direction of the weights, the stiffest first", y="curvature (1 / squared prior sd)"
    )
    legend_above(ax)
    return ax
