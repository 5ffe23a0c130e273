r"""Estimates with their intervals, method beside method.

Terms live on different scales. Unless told otherwise each is therefore drawn as

.. math:: (\theta - \hat\theta_{MLE}) / \mathrm{se}(\hat\theta_{MLE}),

so that the maximum-likelihood interval of a regular term runs from about -2 to 2 and the picture
shows how far, in the data's own unit of doubt, the other answers lie. Where the MLE has no
standard error, or one of over a hundred posterior sds (a likelihood that is all but flat), the
posterior's mean and sd take its place, and the term is marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.comparison import Comparison
from workbench.errors import UsageError
from workbench.plot.select import LIMIT, WIDE, choose_terms
from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    METHOD_MARKERS,
    left_out,
    legend_above,
    make_room,
    name_axes,
    new_axes,
    note,
    short_labels,
    stripes,
    term_label,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How a term is put on the common axis: ``(value - centre) / unit``.

    Attributes
    ----------
    centre, unit : float
        In the term's own unit.
    regular : bool
        Whether they are the MLE's estimate and standard error.
    """

    centre: float
    unit: float
    regular: bool


def common_scale(comparison: Comparison, term: str) -> Scale:
    """Scale of a term: the MLE and its standard error, else the posterior's mean and sd.

    Parameters
    ----------
    comparison : Comparison
        Holds the table.
    term : str
        One of its terms.

    Returns
    -------
    Scale
        With a ``nan`` unit where neither exists.
    """
    rows = comparison.rows(term)
    found = {}
    for method in ("MLE", "NUTS"):
        if method in rows.index:
            centre, unit = (float(rows.loc[method, c]) for c in ("estimate", "std_error"))
            if np.isfinite([centre, unit]).all() and unit > 0:
                found[method] = Scale(centre=centre, unit=unit, regular=method == "MLE")
    nothing = Scale(centre=np.nan, unit=np.nan, regular=False)
    posterior = found.get("NUTS", nothing)
    mle = found.get("MLE", posterior)
    return posterior if mle.unit > WIDE * posterior.unit else mle


def forest(
    comparison: Comparison,
    terms: str | Sequence[str] | None = None,
    *,
    scale: Literal["standardised", "natural"] = "standardised",
    methods: Sequence[str] | None = None,
    limit: int = LIMIT,
    ax: Axes | None = None,
) -> Axes:
    """Estimates with intervals side by side, for each term and method.

    Parameters
    ----------
    comparison : Comparison
        What to show.
    terms : str or sequence of str, optional
        Terms, or arrays for all of their elements; all by default.
    scale : {"standardised", "natural"}
        Distance from the MLE in its standard errors, or the terms' own values.
    methods : sequence of str, optional
        Methods to show; all fitted ones by default.
    limit : int
        Largest number of terms; a note counts those left out.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        An estimate without a standard error is an open marker without whiskers; one outside the
        axis is an open triangle at its edge.

    Raises
    ------
    UsageError
        When a term, method or scale is unknown.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> ax = forest(small_comparison(), ax=Figure().subplots())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['slope']
    """
    if scale not in ("standardised", "natural"):
        raise UsageError(f"scale expects 'standardised' or 'natural'; got '{scale}'")
    chosen = choose_terms(comparison.terms, terms)
    shown = chosen[: max(limit, 1)]
    drawn = _methods(comparison, methods)
    step = 0.8 / max(len(drawn), 1)
    ax = new_axes(ax, 6.8, 1.3 + len(shown) * (0.13 * len(drawn) + 0.12))
    scales = {t: _scale(comparison, t, scale) for t in shown}
    points = {m: _points(comparison, shown, scales, m) for m in drawn}
    low, high = _limits([p[:, 1:] for p in points.values()], [p[:, 0] for p in points.values()])
    for i, method in enumerate(drawn):
        offset = (i - (len(drawn) - 1) / 2) * step
        _draw(ax, method, points[method], offset, (low, high))
    ax.set_xlim(low, high)
    ax.set_ylim(len(shown) - 0.45, -0.55)
    irregular = [t for t in shown if not scales[t].regular]
    labels = short_labels([term_label(comparison.data, t) for t in shown], 34)
    if len(irregular) < len(shown):
        labels = [f"{s} †" if t in irregular else s for s, t in zip(labels, shown, strict=True)]
    ax.set_yticks(range(len(shown)), labels)
    tidy(ax, "x")
    stripes(ax, len(shown))
    regular = len(shown) - len(irregular)
    if scale == "standardised":
        ax.axvline(0.0, color=GREY, linewidth=0.8, zorder=0.5)
    make_room(ax)
    name_axes(ax, x=_axis_label(comparison.level, scale, regular))
    if irregular and regular:
        note(ax, "† no usable MLE standard error: distance from the posterior mean (posterior sds)")
    left_out(ax, len(shown), len(chosen))
    _legend(ax, drawn, points)
    return ax


def _methods(comparison: Comparison, methods: Sequence[str] | None) -> list[str]:
    """Methods to draw, in the table's order."""
    known = list(dict.fromkeys(comparison.table["method"]))
    for method in methods or ():
        if method not in known:
            why = comparison.refused.get(method, f"expected some of {known}")
            raise UsageError(f"comparison '{comparison.name}' has no fit by '{method}': {why}")
    return [m for m in METHOD_COLOURS if m in (methods or known) and m in known]


def _scale(comparison: Comparison, term: str, scale: str) -> Scale:
    if scale == "standardised":
        return common_scale(comparison, term)
    return Scale(centre=0.0, unit=1.0, regular=True)


def _points(
    comparison: Comparison, shown: list[str], scales: dict[str, Scale], method: str
) -> np.ndarray:
    """Estimate, lower and upper end of each term on the common axis; nan where absent."""
    out = np.full((len(shown), 3), np.nan)
    for i, term in enumerate(shown):
        rows = comparison.rows(term)
        if method in rows.index:
            values = rows.loc[method, ["estimate", "lower", "upper"]].to_numpy(dtype=float)
            out[i] = (values - scales[term].centre) / scales[term].unit
            if not np.isfinite(float(rows.loc[method, "std_error"])):
                out[i, 1:] = np.nan
    return out


def _limits(whiskers: list[np.ndarray], estimates: list[np.ndarray]) -> tuple[float, float]:
    """Limits that hold every interval, and the estimates without one that are not far away."""
    pairs = np.concatenate(whiskers)
    width = np.abs(pairs[:, 1] - pairs[:, 0])
    known = width[np.isfinite(width)]
    if known.size:
        pairs = pairs[width <= WIDE * np.median(known)]
    ends = pairs[np.isfinite(pairs)]
    lone = np.concatenate(estimates)
    lone = lone[np.isfinite(lone)]
    if ends.size == 0:
        ends = lone if lone.size else np.array([0.0])
    low, high = float(ends.min()), float(ends.max())
    width = (high - low) or max(abs(high), 1.0)
    near = lone[(lone > low - width) & (lone < high + width)]
    low, high = min(low, *near, low), max(high, *near, high)
    return low - 0.05 * (high - low or width), high + 0.05 * (high - low or width)


def _draw(
    ax: Axes, method: str, points: np.ndarray, offset: float, limits: tuple[float, float]
) -> None:
    colour, marker = METHOD_COLOURS[method], METHOD_MARKERS[method]
    y = np.arange(len(points)) + offset
    x, lower, upper = points.T
    whole = np.isfinite(lower) & np.isfinite(upper)
    ax.hlines(y[whole], lower[whole], upper[whole], color=colour, linewidth=1.4, label="_")
    ax.plot(
        x[whole], y[whole], marker, color=colour, markersize=4.5, linestyle="none", label=method
    )
    beyond = np.isfinite(x) & ((x < limits[0]) | (x > limits[1]))
    lone = ~whole & np.isfinite(x)
    inside = lone & (x >= limits[0]) & (x <= limits[1])
    style: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white"}
    style["markeredgecolor"] = colour
    if inside.any():
        ax.plot(
            x[inside], y[inside], marker, markersize=5, **style, label=f"_{method} without error"
        )
    for side, edge, arrow in ((x < limits[0], limits[0], "<"), (x > limits[1], limits[1], ">")):
        away = beyond & side
        if away.any():
            ax.plot(
                np.full(away.sum(), edge), y[away], arrow, markersize=6, clip_on=False, **style,
                label=f"_{method} outside",
            )  # fmt: skip


def _axis_label(level: float, scale: str, regular: int) -> str:
    intervals = f"{100 * level:.4g}% intervals"
    if scale == "natural":
        return f"value, {intervals}"
    if regular:
        return f"distance from the MLE (its standard errors), {intervals}"
    return f"distance from the posterior mean (posterior sds), {intervals}"


def _legend(ax: Axes, drawn: list[str], points: dict[str, np.ndarray]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=METHOD_COLOURS[m], marker=METHOD_MARKERS[m], markersize=4.5,
               linewidth=1.4, label=m)
        for m in drawn
    ]  # fmt: skip
    open_ones = any(
        (np.isfinite(p[:, 0]) & ~np.isfinite(p[:, 1:]).all(axis=1)).any() for p in points.values()
    )
    if open_ones:
        handles.append(
            Line2D([], [], linestyle="none", marker="o", markersize=5, markerfacecolor="white",
                   markeredgecolor=GREY, label="no standard error")
        )  # fmt: skip
    legend_above(ax, handles=handles)
