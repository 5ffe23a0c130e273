"""The singular directions of a design under the prior's shrinkage, and its leverages."""

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
from workbench.study import Design


def design(found: Design, *, labelled: int = 4, axes: Any = None) -> np.ndarray:
    """The share of each singular direction that the prior leaves, and the leverage of each row.

    Parameters
    ----------
    found : Design
        From :func:`workbench.study.design`.
    labelled : int
        Number of directions named: those that the prior shrinks most.
    axes : array of two matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        The curve is d² / (d² + 1), d in prior sds over the noise.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"singular_value": [3.0, 1.0], "kept": [0.9, 0.5],
    ...                       "combination": ["a + b", "a - b"]})
    >>> rows = pd.DataFrame({"leverage": [1.0, 1.0], "shrunken": [0.7, 0.7]})
    >>> found = Design(name="m-d", table=table, rows=rows, rank=2, null_space=(),
    ...                condition_number=3.0, effective_parameters=1.4, p_loo=float("nan"))
    >>> design(found)[0, 0].get_xscale()
    'log'
    """
    grid = new_grid(axes, 1, 2, 5.2, 3.6)
    first, second = grid.ravel()
    value = found.table["singular_value"].to_numpy(dtype=float)
    kept = found.table["kept"].to_numpy(dtype=float)
    drawn = np.isfinite(value) & (value > 0)
    low, high = (value[drawn].min(), value[drawn].max()) if drawn.any() else (1.0, 1.0)
    d = np.geomspace(min(low, 0.1) / 2, max(high, 10.0) * 2, 200)
    first.plot(d, d**2 / (d**2 + 1), color=GREY, linewidth=1.0)
    first.plot(value[drawn], kept[drawn], "o", color=METHOD_COLOURS["NUTS"], markersize=5)
    order = [k for k in np.argsort(kept) if drawn[k]][:labelled]
    # right of the curve and below its plateau there is room
    lines = [f"{kept[k]:.2f}  {shorten(str(found.table['combination'].iloc[k]), 30)}"
             for k in order]  # fmt: skip
    first.text(0.98, 0.04, "\n".join(["kept the least", *lines]), transform=first.transAxes,
               fontsize=8, color=GREY, ha="right", va="bottom")  # fmt: skip
    log_scale(first, "x")
    first.set_ylim(-0.03, 1.05)
    tidy(first, "y")
    name_axes(first, x="singular value d (prior sds over the noise)", y="share kept, d² / (d² + 1)")
    row = np.arange(len(found.rows))
    second.vlines(row, 0, found.rows["leverage"], color=METHOD_COLOURS["MLE"], linewidth=1.0,
                  label="leverage")  # fmt: skip
    second.plot(row, found.rows["shrunken"], ".", color=METHOD_COLOURS["NUTS"], markersize=4,
                label="under the prior")  # fmt: skip
    second.axhline(2 * found.rank / max(len(row), 1), color=GREY, linewidth=0.8, linestyle=":",
                   label="twice the mean")  # fmt: skip
    second.set_ylim(0, None)
    tidy(second, "y")
    name_axes(second, x=f"row, {found.name}", y="leverage")
    legend_above(second)
    return grid
