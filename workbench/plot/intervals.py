"""Every interval of a term in one panel, kind above kind.

Ends that are infinite run to the edge of the panel and end in an arrow; kinds without an interval
keep their line, empty. Confidence has the colour of the MLE, credible that of NUTS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import UsageError
from workbench.plot.select import WIDE, choose_terms
from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    name_axes,
    new_grid,
    shorten,
    tidy,
)
from workbench.study import Intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_METHOD = {"confidence": "MLE", "credible": "NUTS"}


def intervals(
    found: Intervals,
    terms: str | Sequence[str] | None = None,
    *,
    limit: int = 12,
    axes: Any = None,
) -> np.ndarray:
    """Every interval of several terms, a panel each.

    Parameters
    ----------
    found : Intervals
        From :func:`workbench.study.intervals`.
    terms : str or sequence of str, optional
        Terms, or arrays for all of their elements; the first `limit` by default.
    limit : int
        Largest number of panels.
    axes : array of matplotlib.axes.Axes, optional
        Axes to draw on, at least one per term.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        One per panel; those left over are switched off.

    Raises
    ------
    UsageError
        When a term is unknown, or there are fewer axes than terms.

    Examples
    --------
    >>> from workbench.plot.example import small_comparison
    >>> from workbench.study import intervals as every_interval
    >>> found = every_interval(small_comparison(), kinds=("Wald", "profile", "HDI"))
    >>> ax = intervals(found, "slope")[0, 0]
    >>> [t.get_text() for t in ax.get_yticklabels()]
    ['Wald', 'profile', 'HDI']
    """
    known = list(dict.fromkeys(found.table["term"]))
    chosen = choose_terms(known, terms)[:limit]
    columns = min(2, len(chosen)) or 1
    grid = new_grid(axes, -(-len(chosen) // columns) or 1, columns, 5.2, 2.4)
    panels = grid.ravel()
    if len(panels) < len(chosen):
        raise UsageError(f"intervals expects {len(chosen)} axes, one per term; got {len(panels)}")
    for ax, term in zip(panels, chosen, strict=False):
        _panel(ax, found, term)
    for ax in panels[len(chosen) :]:
        ax.set_axis_off()
    return grid


def _panel(ax: Axes, found: Intervals, term: str) -> None:
    """One term: a whisker for each kind, from the top down in the table's order."""
    rows = found.rows(term)
    ends = rows[["lower", "upper"]].to_numpy(dtype=float)
    low, high = _limits(ends)
    for y, (low_end, high_end) in enumerate(ends):
        if np.isnan([low_end, high_end]).any():
            continue
        method = _METHOD[str(rows["type"].iloc[y])]
        colour = METHOD_COLOURS[method]
        inside = np.clip([low_end, high_end], low, high)
        ax.hlines(y, *inside, color=colour, linewidth=1.6, label=f"_{rows.index[y]}")
        for end, at, arrow in ((low_end, inside[0], "<"), (high_end, inside[1], ">")):
            marker = "|" if end == at else arrow
            ax.plot([at], [y], marker, color=colour, markersize=6, clip_on=False, label="_end")
    ax.set_yticks(range(len(rows)), [str(k) for k in rows.index])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(low, high)
    tidy(ax, "x")
    ax.tick_params(axis="y", labelcolor=GREY)
    name_axes(ax, x=f"{shorten(term)}, {100 * found.level:.4g}% intervals")


def _limits(ends: np.ndarray) -> tuple[float, float]:
    """Limits that hold every finite interval, except those that say "anywhere"."""
    width = ends[:, 1] - ends[:, 0]
    known = width[np.isfinite(width)]
    kept = ends[width <= WIDE * np.median(known)] if known.size else ends
    kept = kept[np.isfinite(kept)]
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (-1.0, 1.0)
    margin = 0.05 * (high - low or max(abs(high), 1.0))
    return low - margin, high + margin
