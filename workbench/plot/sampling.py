"""How well the posterior was sampled: effective draws, energy, and the Pareto k of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.comparison import Comparison
from workbench.comparison.scores import leave_one_out
from workbench.errors import UsageError
from workbench.fit import DrawsFit
from workbench.plot.distribution import smooth
from workbench.plot.select import LIMIT, draws_of
from workbench.plot.style import (
    CHAIN_COLOURS,
    GREY,
    METHOD_COLOURS,
    legend_above,
    name_axes,
    new_axes,
    note,
    short_labels,
    stripes,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEEDED = 100  # effective draws per chain, Vehtari et al. (2021)
_BFMI = 0.3  # energy fraction below which the sampler explores poorly, Betancourt (2016)


def ess(source: Comparison | DrawsFit, *, limit: int = LIMIT, ax: Axes | None = None) -> Axes:
    """Effective sample size of every term, in the bulk and in the tails.

    Parameters
    ----------
    source : Comparison or DrawsFit
        With draws by NUTS.
    limit : int
        Largest number of terms; of more, those with the fewest effective draws are shown.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        The dashed line is the 100 per chain that estimates and R-hat need.

    Raises
    ------
    UsageError
        When there are no draws.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), doi:10.1214/20-BA1221.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> ax = ess(small_comparison(), ax=Figure().subplots())
    >>> ax.get_xlabel()
    'effective sample size (200 draws)'
    """
    fit = draws_of(source)
    table = fit.estimands
    if isinstance(source, Comparison):
        table = table.loc[[t for t in source.terms if t in table.index]]
    shown = table
    if len(table) > limit:
        worst = table[["ess_bulk", "ess_tail"]].min(axis=1).nsmallest(max(limit, 1)).index
        shown = table.loc[table.index.isin(worst)]
    ax = new_axes(ax, 6.4, 1.3 + 0.24 * len(shown))
    y = np.arange(len(shown))
    bulk, tail = shown["ess_bulk"].to_numpy(float), shown["ess_tail"].to_numpy(float)
    ax.hlines(y, np.fmin(bulk, tail), np.fmax(bulk, tail), color=GREY, linewidth=0.8, label="_")
    for values, name, marker, colour in (
        (bulk, "bulk", "o", METHOD_COLOURS["NUTS"]),
        (tail, "tail", "s", CHAIN_COLOURS[1]),
    ):
        ax.plot(values, y, marker, color=colour, markersize=5, linestyle="none", label=name)
    chains, draws = fit.estimand_draws.shape[:2]
    ax.axvline(_NEEDED * chains, color="black", linewidth=1.0, linestyle="--",
               label=f"needed ({_NEEDED * chains})")  # fmt: skip
    ax.set_xlim(left=0)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.set_yticks(y, short_labels([str(t) for t in shown.index], 30))
    stripes(ax, len(shown))
    name_axes(ax, x=f"effective sample size ({chains * draws} draws)")
    if len(table) > len(shown):
        note(ax, f"the {len(shown)} of {len(table)} terms with the fewest effective draws")
    tidy(ax, "x")
    legend_above(ax)
    return ax


def energy(source: Comparison | DrawsFit, *, ax: Axes | None = None) -> Axes:
    """Energy of the chains against its change from draw to draw.

    Parameters
    ----------
    source : Comparison or DrawsFit
        With draws by NUTS.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        Where the change is much narrower than the energy (BFMI below 0.3), the sampler moves
        too slowly between energy levels.

    Raises
    ------
    UsageError
        When there are no draws, or their energies were not kept.

    References
    ----------
    Betancourt (2016), Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte
    Carlo. arXiv:1604.00695

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> energy(small_comparison(), ax=Figure().subplots()).get_xlabel().split(",")[0]
    'energy minus its mean (nats)'
    """
    from workbench import az

    fit = draws_of(source)
    if "energy" not in fit.sample_stats:
        raise UsageError("these draws hold no energies: expected 'energy' in their sample_stats")
    values = fit.sample_stats["energy"]
    level = values - values.mean()
    change = np.diff(values, axis=1)
    ax = new_axes(ax, 5.6, 3.2)
    ends = np.quantile(np.concatenate([level.ravel(), change.ravel()]), [0.001, 0.999])
    grid = np.linspace(ends[0], ends[1], 400)
    for x, name, colour, style in (
        (level, "energy", METHOD_COLOURS["NUTS"], "-"),
        (change, "change per draw", CHAIN_COLOURS[2], "--"),
    ):
        f = smooth(x, grid, -np.inf, np.inf)
        ax.fill_between(grid, f, color=colour, alpha=0.15, linewidth=0)
        ax.plot(grid, f, style, color=colour, linewidth=1.6, label=name)
    bfmi = np.atleast_1d(az.array_stats.bfmi(values))
    worst = float(np.min(bfmi))
    verdict = f"lowest BFMI {worst:.2f} ({'below' if worst < _BFMI else 'above'} {_BFMI:g})"
    ax.set_xlim(grid[0], grid[-1])
    ax.set_ylim(bottom=0)
    ax.set_yticks([])
    name_axes(ax, x=f"energy minus its mean (nats), {verdict}")
    tidy(ax)
    ax.spines["left"].set_visible(False)
    legend_above(ax)
    return ax


def pareto_k(source: Comparison | DrawsFit, *, ax: Axes | None = None) -> Axes:
    """Pareto k of every row: how far leaving it out would move the posterior.

    Parameters
    ----------
    source : Comparison or DrawsFit
        With draws by NUTS and a pointwise log-likelihood.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        Rows above the dashed line make the leave-one-out score unreliable; up to five are named.

    Raises
    ------
    UsageError
        When there are no draws, or no leave-one-out score can be had from them.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), doi:10.1007/s11222-016-9696-4.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> pareto_k(small_comparison(), ax=Figure().subplots()).get_ylabel()
    'Pareto k'
    """
    fit = draws_of(source)
    result = leave_one_out(fit)
    if result is None:
        raise UsageError(
            "no Pareto k can be had from these draws: expected a finite pointwise log-likelihood "
            "and at least 25 draws per chain"
        )
    k = np.ravel(np.asarray(result.pareto_k, dtype=float))
    good = float(result.good_k)
    ax = new_axes(ax, 6.0, 3.2)
    rows = np.arange(len(k))
    bad = k > good
    ax.plot(rows[~bad], k[~bad], "o", color=METHOD_COLOURS["NUTS"], markersize=3.5, alpha=0.8,
            linestyle="none", markeredgewidth=0, label="good")  # fmt: skip
    if bad.any():
        ax.plot(rows[bad], k[bad], "X", color="black", markersize=6.5, linestyle="none",
                label=f"{int(bad.sum())} too high")  # fmt: skip
    ax.axhline(good, color="black", linewidth=1.0, linestyle="--", label=f"threshold {good:.2f}")
    names = _row_names(fit, len(k))
    for i in rows[bad][np.argsort(-k[bad])][:5]:
        right = i > 0.8 * len(k)
        ax.annotate(str(names[i]), (float(i), float(k[i])), xytext=(-5 if right else 5, 0),
                    textcoords="offset points", color=GREY, va="center", fontsize=8,
                    ha="right" if right else "left")  # fmt: skip
    low, high = float(np.min(k)), float(max(np.max(k), good))
    ax.set_ylim(min(low, 0.0) - 0.06, high + 0.08 * (high - min(low, 0.0)))
    name_axes(ax, x="row of the data (from 0)", y="Pareto k")
    tidy(ax, "y")
    legend_above(ax)
    return ax


def _row_names(fit: DrawsFit, rows: int) -> Any:
    """Labels of the rows where one observed site has them, else their numbers."""
    for array in fit.datatree["log_likelihood"].data_vars.values():
        if array.ndim == 3 and array.shape[-1] == rows:
            dim = array.dims[-1]
            return pd.Index(array.coords[dim].to_numpy() if dim in array.coords else range(rows))
    return pd.RangeIndex(rows)
