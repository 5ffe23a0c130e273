"""The share of the data and of the prior in each direction of the posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.plot.style import (
    METHOD_COLOURS,
    legend_above,
    name_axes,
    new_axes,
    note,
    shorten,
    tidy,
)
from workbench.study import Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def spectrum(found: Spectrum, *, limit: int = 20, ax: Axes | None = None) -> Axes:
    """A bar for each direction, the data's share of the curvature and the prior's.

    Parameters
    ----------
    found : Spectrum
        From :func:`workbench.study.spectrum`.
    limit : int
        Largest number of directions; of more, the first and the last are shown.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"data_share": [0.97, 0.2], "decided_by": ["data", "both"],
    ...                       "combination": ["a + b", "a - b"]})
    >>> found = Spectrum(name="m-d", table=table, directions=table, standard_errors=table,
    ...                  effective_parameters=1.17, p_loo=float("nan"), condition_number=40.0)
    >>> [t.get_text() for t in spectrum(found).get_yticklabels()]
    ['a + b', 'a - b']
    """
    table = found.table
    size = len(table)
    kept = np.arange(size)
    if size > limit:
        kept = np.concatenate([kept[: limit // 2], kept[size - (limit - limit // 2) :]])
    share = np.clip(table["data_share"].to_numpy()[kept], 0, 1)
    ax = new_axes(ax, 6.4, 1.3 + 0.28 * len(kept))
    y = np.arange(len(kept))
    ax.barh(y, share, color=METHOD_COLOURS["MLE"], height=0.7, label="data")
    ax.barh(y, 1 - share, left=share, color=METHOD_COLOURS["prior"], height=0.7, label="prior")
    ax.set_yticks(y, [shorten(str(c), 34) for c in table["combination"].iloc[kept]])
    ax.set_ylim(len(kept) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    tidy(ax)
    name_axes(ax, x=f"share of the posterior's curvature, {found.name}")
    if size > len(kept):
        note(ax, f"the {len(kept)} of {size} directions at both ends")
    legend_above(ax)
    return ax
