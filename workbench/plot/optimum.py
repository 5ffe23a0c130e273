"""The optimiser's path to the maximum, and the maxima that its starts found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.comparison import Comparison
from workbench.fit import ModeFit, find_optima
from workbench.plot.select import mode_of
from workbench.plot.style import (
    GREY,
    LIGHT,
    METHOD_COLOURS,
    legend_above,
    log_scale,
    name_axes,
    new_axes,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELLED = 1e-3  # mass that is written beside an optimum


def path(source: Comparison | ModeFit, *, method: str = "MLE", ax: Axes | None = None) -> Axes:
    """Gap to the maximum, and gradient norm, at each iteration of the winning start.

    Parameters
    ----------
    source : Comparison or ModeFit
        A mode fit, or a comparison that has it.
    method : str
        Which fit of a comparison: ``MLE``, ``MAP`` or ``Laplace``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        Newton steps stand on grey, after the iterations of L-BFGS. The axis is logarithmic: a
        gap that is zero in floating point is not drawn.

    Raises
    ------
    UsageError
        When a comparison has no such fit.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> path(small_comparison(), ax=Figure().subplots()).get_yscale()
    'log'
    """
    from matplotlib.ticker import MaxNLocator

    fit = mode_of(source, method)
    history = fit.history
    value = np.asarray(history.log_objective, dtype=float)
    norm = np.asarray(history.gradient_norm, dtype=float)
    steps = np.arange(len(value))
    gap = fit.log_objective - value
    first_newton = len(value) - history.num_newton
    ax = new_axes(ax, 6.0, 3.4)
    colour = METHOD_COLOURS[fit.method]
    for y, name, shade, style in (
        (gap, "gap to the maximum (nats)", colour, "-"),
        (norm, "gradient (nats per standard error)", GREY, "--"),
    ):
        with np.errstate(invalid="ignore"):
            y = np.where(y > 0, y, np.nan)
        ax.plot(steps, y, style, color=shade, linewidth=1.2, label=name)
        ax.plot(steps[:first_newton], y[:first_newton], "o", color=shade, markersize=3.2,
                linestyle="none", label=f"_{name}, L-BFGS")  # fmt: skip
        ax.plot(steps[first_newton:], y[first_newton:], "s", color=shade, markersize=5,
                markerfacecolor="white", linestyle="none", label=f"_{name}, Newton")  # fmt: skip
    log_scale(ax, "y")
    ax.set_xlim(-0.5, len(value) - 0.5)
    ax.axvspan(first_newton - 0.5, len(value) - 0.5, color=LIGHT, alpha=0.6, linewidth=0, zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    name_axes(ax, x=f"iteration of the {fit.method}, Newton steps on grey")
    tidy(ax, "y")
    legend_above(ax)
    return ax


def waterfall(source: Comparison | ModeFit, *, method: str = "MLE", ax: Axes | None = None) -> Axes:
    """Where every start ended: nats below the best maximum, starts in the order of their ends.

    Parameters
    ----------
    source : Comparison or ModeFit
        A mode fit with its model, or a comparison that has it.
    method : str
        Which fit of a comparison: ``MLE``, ``MAP`` or ``Laplace``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        One step for each optimum of ``fit.optima()``, with its starts and its share of the Laplace
        mass (from a thousandth on); hollow where it is no maximum. The axis is linear up to 1 nat,
        then logarithmic.

    Raises
    ------
    UsageError
        When a comparison has no such fit.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> waterfall(small_comparison(), ax=Figure().subplots()).get_ylabel()
    'nats below the best'
    """
    from matplotlib.ticker import FormatStrFormatter, MaxNLocator

    fit = mode_of(source, method)
    optima = find_optima(fit)
    ax = new_axes(ax, 6.0, 3.4)
    ended = optima.optimum_of_start[optima.optimum_of_start >= 0]
    first = 1
    for number, row in optima.table.iterrows():
        steps = np.arange(first, first + int(row["num_starts"]))
        colour = METHOD_COLOURS[fit.method] if number == 0 else GREY
        ax.plot(steps, np.full(len(steps), row["below_best"]), "o-", color=colour, markersize=5,
                markerfacecolor=colour if row["maximum"] else "white", linewidth=1.2,
                label=f"optimum {number}")  # fmt: skip
        if row["mass"] >= _LABELLED:
            ax.annotate(f"{row['mass']:.1%} of the mass", (steps.mean(), row["below_best"]),
                        xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8,
                        color=colour)  # fmt: skip
        first += len(steps)
    log_scale(ax, "y", linear=1.0)
    ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    lowest = float(optima.table["below_best"].iloc[-1])
    ax.set_ylim(2 * max(lowest, 0.5), -0.5)  # the best stands highest
    ax.set_xlim(0.5, max(len(ended), 1) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    failed = len(optima.optimum_of_start) - len(ended)
    name_axes(
        ax,
        x=f"start of the {fit.method}, best first" + (f" ({failed} failed)" if failed else ""),
        y="nats below the best",
    )
    tidy(ax, "y")
    return ax
