"""The predictive check: whether the model would have made data like these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.comparison import Comparison
from workbench.fit import Prediction
from workbench.plot.distribution import smooth, smooth_with_bandwidth
from workbench.plot.select import outcome_kind, predictions_of
from workbench.plot.style import (
    METHOD_COLOURS,
    METHOD_MARKERS,
    legend_above,
    name_axes,
    new_axes,
    outcome_label,
    shorten,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SETS = 200  # predictive data sets whose densities are drawn
_BARS = 26  # bars of a rootogram


def predictive_check(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Observed data against data that each answer would have made.

    Parameters
    ----------
    comparison : Comparison
        With predictions at the fitted rows.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        Numbers: the density of the data, and the interval of the densities of new data sets.
        Counts: a rootogram (frequencies on a square-root axis). Categories: their shares.

    Raises
    ------
    UsageError
        When the model has no predictions.

    References
    ----------
    Gelman, Meng and Stern (1996), Posterior predictive assessment of model fitness via realized
    discrepancies. Statistica Sinica 6:733-807.

    Kleiber and Zeileis (2016), Visualizing count data regressions using rootograms.
    doi:10.1080/00031305.2016.1173590

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> predictive_check(small_comparison(), ax=Figure().subplots()).get_ylabel()
    'density'
    """
    predictions = predictions_of(comparison)
    first = next(iter(predictions.values()))
    kind = outcome_kind(comparison, first)
    ax = new_axes(ax, 6.0, 3.8)
    if kind == "continuous":
        _densities(comparison, predictions, ax)
    else:
        _frequencies(comparison, predictions, kind == "count", ax)
    label = outcome_label(comparison.data, first.name)
    name_axes(ax, x=f"{label}, {100 * comparison.level:.4g}% intervals of new data")
    legend_above(ax)
    return ax


def _densities(comparison: Comparison, predictions: dict[str, Prediction], ax: Axes) -> None:
    first = next(iter(predictions.values()))
    y = np.ravel(np.asarray(first.observed, dtype=float))
    y = y[np.isfinite(y)]
    every = [p.draws.ravel().astype(float) for p in predictions.values()]
    ends = np.quantile(np.concatenate(every), [0.002, 0.998])
    low, high = min(y.min(), ends[0]), max(y.max(), ends[1])
    margin = 0.05 * (high - low)
    positive = min(y.min(), *(e.min() for e in every)) >= 0
    lower = 0.0 if positive else -np.inf
    grid = np.linspace(max(low - margin, lower), high + margin, 300)
    tail = (1 - comparison.level) / 2
    # one bandwidth, that of the data, so that curves differ by what they hold alone
    data, width = smooth_with_bandwidth(y, grid, lower, np.inf)
    for method in ("NUTS", "MLE"):
        if method not in predictions:
            continue
        draws = predictions[method].draws
        draws = draws.reshape(len(draws), -1)[:: max(len(draws) // _SETS, 1)]
        curves = np.stack([smooth(d, grid, lower, np.inf, width) for d in draws])
        bottom, top = np.quantile(curves, [tail, 1 - tail], axis=0)
        colour = METHOD_COLOURS[method]
        if method == "NUTS":
            ax.fill_between(grid, bottom, top, color=colour, alpha=0.2, linewidth=0,
                            label="NUTS")  # fmt: skip
        else:
            ax.plot(grid, bottom, color=colour, linewidth=1.1, linestyle=":",
                    label="MLE")  # fmt: skip
            ax.plot(grid, top, color=colour, linewidth=1.1, linestyle=":", label="_MLE end")
    ax.plot(grid, data, color=METHOD_COLOURS["data"], linewidth=1.7,
            label="data")  # fmt: skip
    if len(y) <= 100:
        ax.plot(y, np.zeros_like(y), "|", color=METHOD_COLOURS["data"], markersize=7,
                linestyle="none", clip_on=False, label="_data points")  # fmt: skip
    ax.set_xlim(grid[0], grid[-1])
    ax.set_ylim(bottom=0)
    ax.set_yticks([])
    name_axes(ax, y="density")
    tidy(ax)


def _frequencies(
    comparison: Comparison, predictions: dict[str, Prediction], counts: bool, ax: Axes
) -> None:
    first = next(iter(predictions.values()))
    y = np.ravel(np.asarray(first.observed)).astype(int)
    top = int(max(y.max(), *(np.quantile(p.draws, 0.995) for p in predictions.values())))
    width = max(-(-(top + 1) // _BARS), 1) if counts else 1
    edges = np.arange(0, top + width + 1, width)
    centre = edges[:-1] + (width - 1) / 2
    scale = 1.0 if counts else 1 / len(y)
    ax.bar(centre, np.histogram(y, _closed(edges))[0] * scale, 0.9 * width, color="#C9C9C9",
           edgecolor=METHOD_COLOURS["data"], linewidth=0.7, label="data")  # fmt: skip
    tail = (1 - comparison.level) / 2
    shift = 0.16 * width if counts else 0.1
    for method, p in predictions.items():
        draws = p.draws.reshape(len(p.draws), -1)
        tables = np.stack([np.histogram(d, _closed(edges))[0] for d in draws]) * scale
        low, high = np.quantile(tables, [tail, 1 - tail], axis=0)
        mean = tables.mean(axis=0)
        at = centre + (shift if method == "NUTS" else -shift)
        ax.vlines(at, low, high, color=METHOD_COLOURS[method], linewidth=1.4, label="_intervals")
        ax.plot(at, mean, METHOD_MARKERS[method], color=METHOD_COLOURS[method], markersize=4,
                linestyle="none", label=method)  # fmt: skip
    if counts:
        ax.set_yscale("function", functions=(_root, np.square))
        ax.set_ylim(bottom=0)
        name_axes(ax, y="rows (square-root scale)")
        _root_ticks(ax)
    else:
        levels = comparison.data.coords.get("response_level", ())
        names = levels if len(levels) == len(centre) else [int(c) for c in centre]
        ax.set_xticks(centre, [shorten(str(n), 18) for n in names])
        ax.set_ylim(0, 1.08 * ax.get_ylim()[1])
        name_axes(ax, y="share of rows")
    tidy(ax, "y")


def _closed(edges: np.ndarray) -> Any:
    """Edges between whole numbers."""
    return edges - 0.5


def _root(y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(y, 0.0))


def _root_ticks(ax: Axes) -> None:
    """Whole numbers that stand evenly on the square-root axis."""
    top = ax.get_ylim()[1]
    ticks = np.unique(np.round(np.linspace(0, np.sqrt(top), 7) ** 2).astype(int))
    ax.set_yticks(ticks)
