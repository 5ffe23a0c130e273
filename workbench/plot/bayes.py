"""Prior, likelihood and posterior on one axis, in both coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.plot.style import METHOD_COLOURS, legend_above, name_axes, new_grid, tidy
from workbench.study import Bayes

_CURVES = {"prior": "prior", "likelihood": "MLE", "posterior": "NUTS"}


def bayes(found: Bayes, *, axes: Any = None) -> np.ndarray:
    """Three densities along a coordinate, and along its constrained value.

    Parameters
    ----------
    found : Bayes
        From :func:`workbench.study.bayes`.
    axes : array of two matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        On the second, densities are divided by the Jacobian; the likelihood, which is no density,
        keeps its shape.

    Examples
    --------
    >>> from workbench.plot.example import line
    >>> from workbench.study import bayes as apart
    >>> found = apart(line, {"x": np.arange(3.0), "y": np.ones(3)}, quick=True)
    >>> [x.get_label() for x in bayes(found)[0, 0].get_lines()]
    ['prior', 'likelihood', 'posterior']
    """
    grid = new_grid(axes, 1, 2, 5.0, 3.3)
    left, right = grid.ravel()
    axis = found.axis
    for name, method in _CURVES.items():
        colour, density = METHOD_COLOURS[method], axis[name].to_numpy(dtype=float)
        left.plot(axis["z"], density, color=colour, label=name)
        over = density if name == "likelihood" else density / axis["jacobian"].to_numpy(dtype=float)
        if name == "likelihood":
            peak = axis["posterior"] / axis["jacobian"]
            over = density / np.nanmax(density) * float(np.nanmax(peak))
        right.plot(axis["value"], over, color=colour, label=name)
    site = found.coordinate
    inner = site[site.index("(") + 1 : -1] if site.endswith(")") and "(" in site else site
    for ax, x in ((left, site), (right, inner)):
        tidy(ax)
        name_axes(ax, x=x, y="density")
    legend_above(left)
    return grid
