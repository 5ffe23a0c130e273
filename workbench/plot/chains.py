"""The chains: their traces, and whether each visits every part of the posterior equally."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from workbench.comparison import Comparison
from workbench.fit import DrawsFit
from workbench.plot.select import draws_of, one_term
from workbench.plot.style import (
    CHAIN_COLOURS,
    GREY,
    LIGHT,
    legend_above,
    name_axes,
    new_axes,
    shorten,
    term_label,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 20


def trace(
    source: Comparison | DrawsFit, term: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draws of a term in the order they were made, a line per chain; divergences below.

    Parameters
    ----------
    source : Comparison or DrawsFit
        With draws by NUTS.
    term : str, optional
        The term; that of the worst R-hat by default.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UsageError
        When the term is unknown, or there are no draws.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> trace(small_comparison(), "slope", ax=Figure().subplots()).get_ylabel()
    'slope'
    """
    fit = draws_of(source)
    term = worst_term(fit) if term is None else one_term(list(fit.estimands.index), term)
    draws = fit.term(term)
    ax = new_axes(ax, 6.4, 3.0)
    for c, chain in enumerate(draws):
        ax.plot(np.arange(1, len(chain) + 1), chain, linewidth=0.6, alpha=0.8,
                color=CHAIN_COLOURS[c % len(CHAIN_COLOURS)], label=f"chain {c + 1}")  # fmt: skip
    diverging = fit.sample_stats.get("diverging", np.zeros(draws.shape, dtype=bool))
    at = np.flatnonzero(diverging.any(axis=0)) + 1
    if at.size:
        ax.plot(at, np.zeros(at.size), "|", color="black", markersize=8, linestyle="none",
                transform=ax.get_xaxis_transform(), clip_on=False,
                label=f"divergent ({int(diverging.sum())})")  # fmt: skip
    ax.set_xlim(1, max(draws.shape[1], 2))
    name_axes(ax, x="draw", y=_label(source, term))
    tidy(ax, "y")
    legend_above(ax)
    legend = ax.get_legend()
    for handle in legend.get_lines() if legend is not None else ():
        handle.set_linewidth(1.8)
    return ax


def rank(source: Comparison | DrawsFit, term: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Histogram of each chain's ranks among all draws of a term; flat when the chains agree.

    Parameters
    ----------
    source : Comparison or DrawsFit
        With draws by NUTS.
    term : str, optional
        The term; that of the worst R-hat by default.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        The band holds every count of independent draws with probability 0.95 at least
        (binomial, divided over bins and chains).

    Raises
    ------
    UsageError
        When the term is unknown, or there are no draws.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), doi:10.1214/20-BA1221.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> rank(small_comparison(), ax=Figure().subplots()).get_xlabel().split(",")[0]
    'rank of slope among all draws'
    """
    fit = draws_of(source)
    term = worst_term(fit) if term is None else one_term(list(fit.estimands.index), term)
    draws = fit.term(term)
    chains, length = draws.shape
    bins = int(min(_BINS, max(length // 5, 1)))
    ranks = stats.rankdata(draws, method="ordinal").reshape(draws.shape)
    edges = np.linspace(0.5, draws.size + 0.5, bins + 1)
    ax = new_axes(ax, 5.6, 3.0)
    tail = 0.025 / (bins * chains)
    low, high = stats.binom.ppf([tail, 1 - tail], length, 1 / bins)
    ax.axhspan(low, high, color=LIGHT, alpha=0.7, linewidth=0, zorder=0, label="_expected")
    ax.axhline(length / bins, color=GREY, linewidth=0.8, zorder=1, label="_level")
    for c, row in enumerate(ranks):
        counts = np.histogram(row, edges)[0]
        ax.stairs(counts, edges, color=CHAIN_COLOURS[c % len(CHAIN_COLOURS)], linewidth=1.4,
                  baseline=None, label=f"chain {c + 1}")  # fmt: skip
    r_hat = float(fit.estimands.loc[term, "r_hat"])
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(0, max(high, ax.get_ylim()[1]) * 1.05)
    name_axes(ax, x=f"rank of {shorten(term, 34)} among all draws, R-hat {r_hat:.3f}")
    name_axes(ax, y="draws")
    tidy(ax)
    legend_above(ax)
    return ax


def worst_term(fit: DrawsFit) -> str:
    """The term of the largest R-hat (the first where none is known)."""
    r_hat = fit.estimands["r_hat"]
    return str(r_hat.idxmax() if r_hat.notna().any() else fit.estimands.index[0])


def _label(source: Comparison | DrawsFit, term: str) -> str:
    label = term_label(source.data, term) if isinstance(source, Comparison) else term
    return shorten(label, 34)
