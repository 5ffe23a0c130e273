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
    >>> import pandas as pd
    >>> axis = pd.DataFrame({"z": [0.0, 1.0], "value": [1.0, 2.7], "jacobian": [1.0, 2.7],
    ...                      "prior": [0.4, 0.2], "likelihood": [0.6, 0.4],
    ...                      "posterior": [0.7, 0.3]})
    >>> parts = {"log_likelihood": [-3.0], "log_prior": [-1.0], "log_jacobian": [0.0],
    ...          "log_evidence": [-4.5], "log_posterior": [0.5]}
    >>> found = Bayes(name="m-d", coordinate="log(a)", table=pd.DataFrame(parts, index=["mode"]),
    ...               axis=axis, updates=pd.DataFrame())
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
