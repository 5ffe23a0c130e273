"""Covariances of one vector of parameters, side by side."""

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
from workbench.study import Covariance

_COLOURS = {
    "observed": METHOD_COLOURS["MLE"],
    "expected": METHOD_COLOURS["MAP"],
    "sandwich": METHOD_COLOURS["prior"],
    "Laplace": METHOD_COLOURS["Laplace"],
    "posterior": METHOD_COLOURS["NUTS"],
}


def covariance(found: Covariance, *, limit: int = 14, axes: Any = None) -> np.ndarray:
    """A panel of correlations for each kind, and the sds of all kinds over the observed ones.

    Parameters
    ----------
    found : Covariance
        From :func:`workbench.study.covariance`.
    limit : int
        Largest number of coordinates.
    axes : array of matplotlib.axes.Axes, optional
        Axes to draw on, one more than there are kinds.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes

    Examples
    --------
    >>> import pandas as pd
    >>> one = pd.DataFrame([[0.25]], index=["mu"], columns=["mu"])
    >>> table = pd.DataFrame({"estimate": [1.0], "observed": [0.5]}, index=["mu"])
    >>> found = Covariance(name="m-d", table=table, matrices={"observed": one}, reasons={},
    ...                    ratios=pd.DataFrame())
    >>> covariance(found)[0, 0].get_title(loc="left")
    'observed'
    """
    kinds = list(found.matrices)
    grid = new_grid(axes, -(-(len(kinds) + 1) // 3), 3, 3.9, 3.5)
    panels, shown = list(grid.ravel()), None
    labels = [shorten(str(x), 16) for x in found.table.index[:limit]]
    places = np.arange(len(labels))
    for ax, kind in zip(panels, kinds, strict=False):
        matrix = found.matrices[kind].to_numpy()[:limit, :limit]
        sd = np.sqrt(np.diag(matrix))
        shown = ax.imshow(matrix / np.outer(sd, sd), vmin=-1, vmax=1, cmap="PuOr")
        ax.set_yticks(places, labels, fontsize=8)
        ax.set_xticks([])
        ax.set_title(kind, fontsize=10, loc="left")
    used = panels[: len(kinds)]
    used[0].figure.colorbar(shown, ax=used, shrink=0.6, label="correlation")
    last = panels[len(kinds)]
    height = 0.8 / len(kinds)
    for k, kind in enumerate(kinds):
        ratio = found.table[kind].to_numpy(dtype=float) / found.table["observed"].to_numpy(float)
        at = places + (k - (len(kinds) - 1) / 2) * height
        last.plot(ratio[:limit], at, "o", color=_COLOURS[kind], markersize=4, label=kind)
    last.axvline(1.0, color=GREY, linewidth=0.8)
    last.set_yticks(places, labels, fontsize=8)
    last.set_ylim(len(labels) - 0.5, -0.5)
    tidy(last, "x")
    name_axes(last, x="sd over the observed one")
    legend_above(last, columns=3)
    for ax in panels[len(kinds) + 1 :]:
        ax.set_axis_off()
    return grid
