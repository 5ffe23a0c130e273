"""The optimiser's path to the maximum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.comparison import Comparison
from workbench.fit import ModeFit
from workbench.plot.select import mode_of
from workbench.plot.style import (
    GREY,
    LIGHT,
    METHOD_COLOURS,
    legend_above,
    name_axes,
    new_axes,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    ax.set_yscale("log")
    ax.set_xlim(-0.5, len(value) - 0.5)
    ax.axvspan(first_newton - 0.5, len(value) - 0.5, color=LIGHT, alpha=0.6, linewidth=0, zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    name_axes(ax, x=f"iteration of the {fit.method}, Newton steps on grey")
    tidy(ax, "y")
    legend_above(ax)
    return ax
