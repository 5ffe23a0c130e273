r"""The posterior density of a term beside the MLE's normal, the Laplace normal and the prior.

A normal is drawn on the scale of its interval: with link :math:`g` of the support,

.. math:: f(x) = \phi\Big(\frac{g(x) - g(\hat\theta)}{s\,|g'(\hat\theta)|}\Big)
                 \frac{|g'(x)|}{s\,|g'(\hat\theta)|},

a log-normal for a scale, a logit-normal for a probability. The MLE's curve is the confidence
density whose quantiles are the ends of its Wald intervals (Schweder and Hjort 2016, Confidence,
Likelihood, Probability, doi:10.1017/CBO9781139046671).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from workbench.comparison import Comparison
from workbench.errors import UsageError
from workbench.fit import DrawsFit, ModeFit
from workbench.fit.intervals import support_link, wald_interval
from workbench.plot.select import WIDE, choose_terms, draws_of, one_term
from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    legend_above,
    name_axes,
    new_axes,
    new_grid,
    number,
    shorten,
    term_label,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WALD = ("estimate", "std_error", "support_lower", "support_upper")
_LINES = {"MLE": "-", "MAP": ":", "Laplace": "--"}


def wald_density(
    x: np.ndarray, estimate: float, std_error: float, lower: float, upper: float
) -> np.ndarray:
    """Density whose quantiles are the ends of the Wald intervals.

    Parameters
    ----------
    x : numpy.ndarray
        Where to evaluate it.
    estimate, std_error : float
        Of the term.
    lower, upper : float
        Bounds of its support, infinite where open.

    Returns
    -------
    numpy.ndarray
        Zero outside the support.

    Examples
    --------
    >>> wald_density(np.array([0.0]), 0.0, 1.0, -np.inf, np.inf).round(4)
    array([0.3989])
    """
    link = support_link(lower, upper)
    with np.errstate(all="ignore"):
        g, slope = _link(link, x, lower, upper)
        centre, slope_there = _link(link, np.array([estimate]), lower, upper)
        spread = std_error * np.abs(slope_there[0])
        f = stats.norm.pdf((g - centre[0]) / spread) * np.abs(slope) / spread
    return np.where((x > lower) & (x < upper) & np.isfinite(f), f, 0.0)


def _link(link: str, x: np.ndarray, lower: float, upper: float) -> tuple[np.ndarray, np.ndarray]:
    """The link and its slope at x."""
    if link == "identity":
        return x, np.ones_like(x)
    if link == "log":
        return np.log(x - lower), 1 / (x - lower)
    if link == "reflected log":
        return -np.log(upper - x), 1 / (upper - x)
    return np.log(x - lower) - np.log(upper - x), 1 / (x - lower) + 1 / (upper - x)


def smooth(
    draws: np.ndarray,
    grid: np.ndarray,
    lower: float,
    upper: float,
    bandwidth: float | None = None,
) -> np.ndarray:
    """Kernel density of draws on a grid; at a bound of the support it is reflected.

    Parameters
    ----------
    draws : numpy.ndarray
        Draws, any shape; those far outside the grid count but do not widen the kernel.
    grid : numpy.ndarray
        Equally spaced points.
    lower, upper : float
        Bounds of the support, infinite where open.
    bandwidth : float, optional
        Of the kernel, as :func:`smooth_with_bandwidth` gives it; chosen for the draws by default.

    Returns
    -------
    numpy.ndarray
        The density of all draws on the grid.
    """
    return smooth_with_bandwidth(draws, grid, lower, upper, bandwidth)[0]


def smooth_with_bandwidth(
    draws: np.ndarray,
    grid: np.ndarray,
    lower: float,
    upper: float,
    bandwidth: float | None = None,
) -> tuple[np.ndarray, float | None]:
    """The density as of :func:`smooth`, and the bandwidth: ``None`` for draws all of one value."""
    from workbench import az

    x = draws.ravel().astype(float)
    x = x[np.isfinite(x)]
    total = x.size
    middle, half = 0.5 * (grid[0] + grid[-1]), 0.5 * (grid[-1] - grid[0])
    # a heavy tail would take the whole resolution: keep the draws near the grid, and their share
    reach = 1.5 * half  # the ends of the kernel's range stay out of sight
    near = x[np.abs(x - middle) <= reach]
    while near.size < min(200, total):
        reach *= 2
        near = x[np.abs(x - middle) <= reach]
    if near.size < 2 or np.ptp(near) == 0:
        return np.zeros_like(grid), None
    a, b = max(lower, middle - reach), min(upper, middle + reach)
    a, b = (a if np.isfinite(a) else near.min()), (b if np.isfinite(b) else near.max())
    rule: dict[str, Any] = {} if bandwidth is None else {"bw": bandwidth}
    points, density, width = az.array_stats.kde(
        near, custom_lims=(a, b), bound_correction=True, **rule
    )
    # the kernel's own points begin half a step inside its limits
    inside = np.where((grid >= a) & (grid <= b), np.interp(grid, points, density), 0.0)
    return inside * near.size / total, float(width)


def density(comparison: Comparison, term: str, *, ax: Axes | None = None) -> Axes:
    """Posterior density of a term against the MLE's and the Laplace normal, and the prior.

    Parameters
    ----------
    comparison : Comparison
        With draws by NUTS.
    term : str
        One of its terms.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        Vertical lines are the estimates of the table; an estimate far outside is named at the
        edge it lies beyond.

    Raises
    ------
    UsageError
        When the term is unknown, or there are no draws.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> density(small_comparison(), "slope", ax=Figure().subplots()).get_xlabel()
    'slope'
    """
    draws = draws_of(comparison)
    term = one_term(comparison.terms, term)
    rows = comparison.rows(term)
    ax = new_axes(ax, 5.6, 3.6)
    lower, upper = _support(comparison, term)
    x = draws.term(term).ravel()
    modes = {m: f for m, f in comparison.fits.items() if isinstance(f, ModeFit)}
    grid = _grid(x, modes, term, (lower, upper))
    posterior = smooth(x, grid, lower, upper)
    curves = {}
    for method in ("MLE", "Laplace"):
        if method in modes and np.isfinite(modes[method].estimates.loc[term, "std_error"]):
            e = modes[method].estimates.loc[term]
            curves[method] = wald_density(
                grid, float(e["estimate"]), float(e["std_error"]), *_bounds(modes[method], term)
            )
    prior = prior_draws(draws, term)
    colour = METHOD_COLOURS["NUTS"]
    ax.fill_between(grid, posterior, color=colour, alpha=0.2, linewidth=0)
    ax.plot(grid, posterior, color=colour, linewidth=1.6, label="NUTS")
    for method, curve in curves.items():
        ax.plot(grid, curve, _LINES[method], color=METHOD_COLOURS[method], linewidth=1.6,
                label=method)  # fmt: skip
    if prior is not None:
        ax.plot(grid, smooth(prior, grid, lower, upper), "-.", color=METHOD_COLOURS["prior"],
                linewidth=1.4, label="prior")  # fmt: skip
    peak = _top(posterior, curves)
    ax.set_xlim(grid[0], grid[-1])
    ax.set_ylim(0, 1.06 * peak)
    _estimates(ax, rows, curves)
    ax.set_yticks([])
    tidy(ax)
    ax.spines["left"].set_visible(False)
    name_axes(ax, x=shorten(term_label(comparison.data, term), 60))
    legend_above(ax)
    return ax


def densities(
    comparison: Comparison,
    terms: str | Sequence[str] | None = None,
    *,
    limit: int = 12,
    axes: Any = None,
) -> np.ndarray:
    """Densities of several terms, a panel each.

    Parameters
    ----------
    comparison : Comparison
        With draws by NUTS.
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
    """
    chosen = choose_terms(comparison.terms, terms)[:limit]
    columns = min(3, len(chosen)) or 1
    grid = new_grid(axes, -(-len(chosen) // columns) or 1, columns, 3.9, 2.6)
    panels = grid.ravel()
    if len(panels) < len(chosen):
        raise UsageError(f"densities expects {len(chosen)} axes, one per term; got {len(panels)}")
    handles: dict[str, Any] = {}
    for ax, term in zip(panels, chosen, strict=False):
        density(comparison, term, ax=ax)
        found, labels = ax.get_legend_handles_labels()
        handles.update({k: v for k, v in zip(labels, found, strict=True) if k not in handles})
        ax.get_legend().remove()
    for ax in panels[len(chosen) :]:
        ax.set_axis_off()
    if chosen:
        legend_above(panels[0], handles=list(handles.values()))
    return grid


def prior_draws(fit: DrawsFit, term: str) -> np.ndarray | None:
    """Draws of a term from the prior, shape (S',); ``None`` where the prior was not drawn from.

    Parameters
    ----------
    fit : DrawsFit
        Its tree holds the prior's draws by site.
    term : str
        A scalar of a site.

    Returns
    -------
    numpy.ndarray or None
    """
    if "prior" not in fit.datatree.children:
        return None
    name = term.partition("[")[0]
    for site, array in fit.datatree["prior"].data_vars.items():
        if site not in (name, term):  # a site's own name may hold a bracket
            continue
        # the terms of a site stand in the order of its elements
        terms = [t for t in fit.estimands.index if t == site or t.startswith(f"{site}[")]
        flat = array.to_numpy().reshape(-1, int(np.prod(array.shape[2:], dtype=int)))
        if flat.shape[1] == len(terms):
            return flat[:, terms.index(term)]
    return None


def _support(comparison: Comparison, term: str) -> tuple[float, float]:
    """Bounds of a term's support, as a mode fit tells them; open where there is none."""
    for fit in comparison.fits.values():
        if isinstance(fit, ModeFit):
            return _bounds(fit, term)
    return -np.inf, np.inf


def _bounds(fit: ModeFit, term: str) -> tuple[float, float]:
    row = fit.estimates.loc[term]
    return float(row["support_lower"]), float(row["support_upper"])


def _grid(
    x: np.ndarray, modes: dict[str, ModeFit], term: str, support: tuple[float, float]
) -> np.ndarray:
    """Equally spaced points over nearly all of every density."""
    ends = list(np.quantile(x, [0.002, 0.998]))
    for method in ("MLE", "Laplace"):
        if method in modes:
            e = modes[method].estimates.loc[[term]]
            estimate, error, lower, upper = (e[c].to_numpy(dtype=float) for c in _WALD)
            low, high = wald_interval(estimate, error, lower, upper, 0.99)
            if high[0] - low[0] < WIDE * np.ptp(ends[:2]):
                ends += [low[0], high[0]]
    low, high = min(ends), max(ends)
    margin = 0.04 * (high - low) or max(abs(high), 1.0)
    return np.linspace(max(low - margin, support[0]), min(high + margin, support[1]), 600)


def _top(posterior: np.ndarray, curves: dict[str, np.ndarray]) -> float:
    """Height of the picture: a curve may leave it when it is four times the posterior's height."""
    highest = [posterior.max()] or [1.0]
    return max([*highest, *(min(c.max(), 4 * posterior.max()) for c in curves.values())]) or 1.0


def _estimates(ax: Axes, rows: Any, curves: dict[str, np.ndarray]) -> None:
    """Vertical lines at the estimates; those outside are named at the edge."""
    low, high = ax.get_xlim()
    height = 0.94
    for method, row in rows.iterrows():
        value = float(row["estimate"])
        colour = METHOD_COLOURS[str(method)]
        if not np.isfinite(value):
            continue
        if low <= value <= high:
            has_curve = method in curves or method == "NUTS"
            label = f"_{method}" if has_curve else str(method)
            ax.axvline(value, color=colour, linewidth=1.1, linestyle=_LINES.get(str(method), "-"),
                       label=label)  # fmt: skip
            continue
        right = value > high
        text = f"{method} {number(value)} →" if right else f"← {method} {number(value)}"
        ax.text(0.985 if right else 0.015, height, text, color=colour, fontsize=8.5,
                transform=ax.transAxes, ha="right" if right else "left", va="top",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
                label=f"_{method} outside")  # fmt: skip
        height -= 0.08
    ax.spines["bottom"].set_color(GREY)
