"""The ledger as a picture: the steps that lead from maximum likelihood to the posterior.

Each term is a waterfall. It starts at zero, the MLE; each bar is one step, in the ledger's units,
and begins where the one before it ended; the last ends at the posterior, with the Monte Carlo
error of its draws. A step has the colour of the answer it leads to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from workbench.comparison import Comparison
from workbench.errors import UsageError
from workbench.plot.select import LIMIT, choose_terms
from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    left_out,
    legend_above,
    make_room,
    name_axes,
    new_axes,
    note,
    number,
    short_labels,
    shorten,
    stripes,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# a step has the colour of the answer it leads to
STEP_COLOURS = {
    "prior": METHOD_COLOURS["MAP"],
    "coordinates": METHOD_COLOURS["Laplace"],
    "averaging": METHOD_COLOURS["NUTS"],
    "prior information": METHOD_COLOURS["Laplace"],
    "departure from normality": METHOD_COLOURS["NUTS"],
}
_ENDS = {
    "location": ("MLE", "posterior mean"),
    "spread": ("standard error", "posterior sd"),
}


def ledger(
    comparison: Comparison,
    terms: str | Sequence[str] | None = None,
    *,
    quantity: Literal["location", "spread"] = "location",
    limit: int = LIMIT,
    ax: Axes | None = None,
) -> Axes:
    """Waterfall of the ledger's steps, for each term.

    Parameters
    ----------
    comparison : Comparison
        Holds the ledger.
    terms : str or sequence of str, optional
        Terms, or arrays for all of their elements; all by default.
    quantity : {"location", "spread"}
        From the MLE to the posterior mean, or from standard error to posterior sd.
    limit : int
        Largest number of terms; a note counts those left out.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        The bar of a step is as long as its ``change_in_units``; the whiskers of the last step
        are one Monte Carlo standard error each way. A step that does not exist is left out.

    Raises
    ------
    UsageError
        When a term or the quantity is unknown.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> ax = ledger(small_comparison(), ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['prior', 'coordinates', 'averaging']
    """
    if quantity not in _ENDS:
        raise UsageError(f"quantity expects 'location' or 'spread'; got '{quantity}'")
    chosen = choose_terms(comparison.terms, terms)
    shown = chosen[: max(limit, 1)]
    table = comparison.ledger[comparison.ledger["quantity"] == quantity]
    steps = list(dict.fromkeys(table["step"]))
    ax = new_axes(ax, 6.8, 1.3 + len(shown) * (0.12 * len(steps) + 0.12))
    by_term = {t: waterfall(table[table["term"] == t]) for t in shown}
    low, high = _limits(list(by_term.values()))
    for i, term in enumerate(shown):
        _draw(ax, by_term[term], i, (low, high))
    ax.set_xlim(low, high)
    ax.set_ylim(len(shown) - 0.45, -0.55)
    other = {t for t in shown if "MLE" not in str(by_term[t]["unit"].iloc[0])}
    labels = short_labels(shown, 34)
    mark = len(other) < len(shown)
    ax.set_yticks(
        range(len(shown)),
        [f"{s} †" if t in other and mark else s for s, t in zip(labels, shown, strict=True)],
    )
    tidy(ax, "x")
    ax.axvline(0.0, color=GREY, linewidth=0.8, zorder=0.5)
    stripes(ax, len(shown))
    start, end = _ENDS[quantity]
    unit = "MLE standard errors" if mark else "posterior sds"
    backwards = [t for t in shown if not np.isfinite(float(by_term[t]["start"].iloc[0]))]
    make_room(ax)
    if len(backwards) < len(shown):
        name_axes(ax, x=f"from {start} (0) to {end}, in {unit}")
    else:
        name_axes(ax, x=f"to the {end} (0), in {unit}")
    if other and mark:
        ends = f", and 0 is the {end}" if set(backwards) & other else ""
        note(ax, f"† no MLE standard error: in posterior sds{ends}")
    left_out(ax, len(shown), len(chosen))
    _legend(ax, steps)
    return ax


def waterfall(rows: pd.DataFrame) -> pd.DataFrame:
    """Where each step of a term begins and ends, in units from the first one's start.

    Parameters
    ----------
    rows : pandas.DataFrame
        The ledger's rows of one term and quantity.

    Returns
    -------
    pandas.DataFrame
        The rows with ``left`` and ``right``; where the first start does not exist, the last end
        is zero.
    """
    start, end = rows["start"].to_numpy(float), rows["end"].to_numpy(float)
    origin = start[0] if np.isfinite(start[0]) else end[-1]
    unit = rows["unit_value"].to_numpy(float)
    left = (start - origin) / unit
    return rows.assign(left=left, right=left + rows["change_in_units"].to_numpy(float))


def _limits(tables: list[pd.DataFrame]) -> tuple[float, float]:
    """Limits that hold every step, but not those that dwarf all others."""
    ends = np.concatenate([t[["left", "right"]].to_numpy(float).ravel() for t in tables])
    errors = np.concatenate([t["mc_error_in_units"].to_numpy(float) for t in tables])
    ends = ends[np.isfinite(ends)]
    if ends.size == 0:
        return -1.0, 1.0
    per_term = np.array(
        [np.nanmax(np.abs(t[["left", "right"]].to_numpy(float)), initial=0.0) for t in tables]
    )
    typical = max(10 * float(np.median(per_term)), 3.0)
    ends = ends[np.abs(ends) <= typical]
    pad = float(np.nanmax(errors, initial=0.0))
    low, high = min(ends.min(initial=0.0), 0.0) - pad, max(ends.max(initial=0.0), 0.0) + pad
    width = (high - low) or 1.0
    return low - 0.08 * width, high + 0.08 * width


def _draw(ax: Axes, rows: pd.DataFrame, row: int, limits: tuple[float, float]) -> None:
    """One term's bars, connectors and Monte Carlo error."""
    height = 0.8 / len(rows)
    last = None
    for i, step in enumerate(rows.itertuples()):
        y = row - 0.4 + (i + 0.5) * height
        left, right = float(step.left), float(step.right)  # pyright: ignore
        if not np.isfinite([left, right]).all():
            last = None
            continue
        colour = STEP_COLOURS[str(step.step)]
        ax.barh(y, right - left, 0.82 * height, left=left, color=colour, linewidth=0.8,
                edgecolor=colour, label=f"_{step.term} {step.step}")  # fmt: skip
        if last is not None:
            ax.vlines(left, last, y, color=GREY, linewidth=0.8, label="_connector")
        last = y
        error = float(step.mc_error_in_units)  # pyright: ignore
        if error > 0 and np.isfinite(error):
            ax.errorbar(right, y, xerr=error, color="black", linewidth=1.0, capsize=2,
                        capthick=1.0, label="_Monte Carlo error")  # fmt: skip
        if not limits[0] <= right <= limits[1] and limits[0] <= left <= limits[1]:
            edge, side = (limits[1], "right") if right > limits[1] else (limits[0], "left")
            ax.text(edge, y, f" {number(right - left)} ", ha=side, va="center", fontsize=8,
                    color="white", fontweight="bold", clip_on=True)  # fmt: skip
    missing = [str(r) for r in rows.loc[rows["change_in_units"].isna(), "reason"] if r]
    if rows["change_in_units"].isna().all() and missing:
        ax.text(0.01, row, shorten(missing[0], 80), transform=ax.get_yaxis_transform(),
                fontsize=8, color=GREY, va="center")  # fmt: skip


def _legend(ax: Axes, steps: list[str]) -> None:
    from matplotlib.patches import Patch

    legend_above(ax, handles=[Patch(color=STEP_COLOURS[s], label=s) for s in steps])
