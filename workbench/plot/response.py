"""Outcome against prediction: the fitted curve, and calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from workbench.comparison import Comparison
from workbench.errors import UsageError
from workbench.fit import Prediction
from workbench.plot.select import one_covariate, outcome_kind, predictions_of
from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    METHOD_MARKERS,
    legend_above,
    name_axes,
    new_axes,
    outcome_label,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fitted(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Fitted against observed values: `curve` for one covariate, else `calibration`.

    Parameters
    ----------
    comparison : Comparison
        With predictions.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> ax = fitted(small_comparison(), ax=Figure().subplots())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x', 'y, 95% of new data')
    """
    return curve(comparison, ax=ax) if has_curve(comparison) else calibration(comparison, ax=ax)


def has_curve(comparison: Comparison) -> bool:
    """Whether `fitted` draws a `curve`: there are predictions, along one covariate.

    Examples
    --------
    >>> from workbench.plot.example import small_comparison
    >>> has_curve(small_comparison())
    True
    """
    first = next((p for p in comparison.predictions.values() if p.observed is not None), None)
    if first is None or outcome_kind(comparison, first) == "categorical":
        return False
    rows = np.asarray(first.observed).shape
    return len(rows) == 1 and one_covariate(comparison.data, rows[0]) is not None


def curve(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Data, predictive mean and predictive interval along the one covariate.

    Parameters
    ----------
    comparison : Comparison
        With predictions at the fitted rows.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        NUTS's interval is a band, the MLE's two lines. A yes-or-no outcome has no band.

    Raises
    ------
    UsageError
        When the model has no predictions, or not exactly one covariate.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> curve(small_comparison(), ax=Figure().subplots()).get_ylabel()
    'y, 95% of new data'
    """
    predictions = predictions_of(comparison)
    first = next(iter(predictions.values()))
    y = np.asarray(first.observed, dtype=float)
    covariate = one_covariate(comparison.data, len(y)) if y.ndim == 1 else None
    if covariate is None:
        raise UsageError(
            f"data '{comparison.data_name}' have not exactly one numeric covariate with more than "
            "two values, which a curve needs; calibration(comparison) takes any number"
        )
    ax = new_axes(ax, 6.4, 4.0)
    order = np.argsort(covariate.values, kind="stable")
    x = covariate.values[order]
    banded = outcome_kind(comparison, first) != "binary"
    for method in ("NUTS", "MLE"):
        if method not in predictions:
            continue
        p, colour = predictions[method], METHOD_COLOURS[method]
        at, mean, lower, upper = _by_value(x, p.mean[order], p.lower[order], p.upper[order])
        ax.plot(at, mean, color=colour, linewidth=1.7, zorder=4, label=method,
                linestyle="-" if method == "NUTS" else (0, (5, 2)))  # fmt: skip
        if banded and method == "NUTS":
            ax.fill_between(at, lower, upper, color=colour, alpha=0.16, linewidth=0, zorder=1,
                            label="_NUTS band")  # fmt: skip
        elif banded:
            for end, side in ((lower, "lower"), (upper, "upper")):
                ax.plot(at, end, color=colour, linewidth=1.0, linestyle=":", zorder=2,
                        label=f"_{method} {side}")  # fmt: skip
    ax.plot(x, y[order], "o", color=METHOD_COLOURS["data"], markersize=3.2, alpha=0.65,
            linestyle="none", markeredgewidth=0, zorder=3, label="data")  # fmt: skip
    name_axes(ax, x=covariate.label)
    bands = f", {100 * comparison.level:.4g}% of new data" if banded else ""
    name_axes(ax, y=outcome_label(comparison.data, first.name) + bands)
    ax.margins(x=0.02)
    tidy(ax, "both")
    legend_above(ax)
    return ax


def _by_value(x: np.ndarray, *curves: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows with the same covariate have one predictive distribution: average its summaries."""
    at, index = np.unique(x, return_inverse=True)
    count = np.bincount(index)
    return (at, *(np.bincount(index, weights=c) / count for c in curves))


def calibration(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Observed against predicted values, with the intervals that they were expected in.

    Parameters
    ----------
    comparison : Comparison
        With predictions at the fitted rows.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        For numbers and counts: each row's observed value over its predicted mean, on its
        predictive interval. For a yes or no, and for categories (each against the rest): the
        share observed over the mean probability in bins of equally many rows, on the binomial
        interval in which the share of a calibrated forecast lies.

    Raises
    ------
    UsageError
        When the model has no predictions.

    References
    ----------
    Bröcker and Smith (2007), Increasing the reliability of reliability diagrams.
    doi:10.1175/WAF993.1

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> calibration(small_comparison(), ax=Figure().subplots()).get_xlabel()
    'predicted mean of y, 95% intervals of new data'
    """
    predictions = predictions_of(comparison)
    first = next(iter(predictions.values()))
    ax = new_axes(ax, 5.2, 4.4)
    if outcome_kind(comparison, first) in ("binary", "categorical"):
        return _reliability(comparison, predictions, ax)
    label = outcome_label(comparison.data, first.name)
    values = np.concatenate([np.ravel(p.mean) for p in predictions.values()])
    ends = (float(np.nanmin(values)), float(np.nanmax(values)))
    ax.plot(ends, ends, color=GREY, linewidth=1.0, zorder=2, label="_equal")
    for method, p in predictions.items():
        _intervals(ax, method, p)
    interval = f"{100 * comparison.level:.4g}% intervals of new data"
    name_axes(ax, x=f"predicted mean of {label}, {interval}", y=f"observed {label}")
    tidy(ax, "both")
    legend_above(ax)
    return ax


def _intervals(ax: Axes, method: str, p: Prediction) -> None:
    """One method's rows: a point at the observed value, bars or dashes for its interval."""
    colour = METHOD_COLOURS[method]
    x, y, low, high = (np.ravel(np.asarray(v, dtype=float)) for v in (
        p.mean, p.observed, p.lower, p.upper))  # fmt: skip
    crowd = min(1.0, 60 / max(len(x), 1))
    if method == "NUTS":
        ax.vlines(x, low, high, color=colour, alpha=0.10 + 0.35 * crowd,
                  linewidth=1.0 + 1.5 * crowd, zorder=1, label="_NUTS intervals")  # fmt: skip
    else:
        ax.plot(np.r_[x, x], np.r_[low, high], "_", color=colour, markersize=4 + 3 * crowd,
                alpha=0.2 + 0.65 * crowd, linestyle="none", zorder=2,
                label=f"_{method} intervals")  # fmt: skip
    mode = method != "NUTS"  # smaller and on top, since the two often coincide
    ax.plot(x, y, METHOD_MARKERS[method], linestyle="none", markersize=2.8 if mode else 4.2,
            zorder=4 if mode else 3, markerfacecolor="white" if mode else colour,
            markeredgecolor=colour, markeredgewidth=0.7, alpha=0.6 + 0.3 * crowd,
            label=f"{method} ({100 * p.coverage:.0f}% inside)")  # fmt: skip


def _reliability(comparison: Comparison, predictions: dict[str, Prediction], ax: Axes) -> Axes:
    first = next(iter(predictions.values()))
    y = np.ravel(np.asarray(first.observed)).astype(int)
    levels = comparison.data.coords.get("response_level", ())
    classes = list(range(1 + int(max(y.max(), first.draws.max()))))
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, zorder=1, label="_equal")
    tail = (1 - comparison.level) / 2
    for method, p in predictions.items():
        of = classes[1:] if len(classes) <= 2 else classes
        draws = p.draws.reshape(len(p.draws), -1)
        probability = np.concatenate([np.mean(draws == k, axis=0) for k in of])
        outcome = np.concatenate([y == k for k in of]).astype(float)
        colour = METHOD_COLOURS[method]
        shift = 0.006 if method == "NUTS" else -0.006
        x, share, sizes = _bins(probability, outcome)
        low, high = (stats.binom.ppf(q, sizes, x) / sizes for q in (tail, 1 - tail))
        ax.vlines(x + shift, low, high, color=colour, linewidth=4, alpha=0.25, zorder=2,
                  label=f"_{method} binomial intervals")  # fmt: skip
        ax.plot(x + shift, share, METHOD_MARKERS[method], linestyle="-", linewidth=0.8,
                color=colour, markersize=5, zorder=3, label=method,
                markerfacecolor="white" if method == "MLE" else colour)  # fmt: skip
    interval = f"{100 * comparison.level:.4g}% binomial intervals"
    label = outcome_label(comparison.data, first.name)
    if len(classes) <= 2:
        event = f"{label} = {levels[1]}" if len(levels) == 2 else f"{label} = 1"
        name_axes(ax, y=f"observed share of {event}")
    else:
        name_axes(ax, y=f"observed share, each {label} against the rest")
    name_axes(ax, x=f"predicted probability, {interval}")
    ax.set_xlim(-0.03, 1.03)
    ax.set_ylim(-0.03, 1.03)
    tidy(ax, "both")
    legend_above(ax)
    return ax


def _bins(
    probability: np.ndarray, outcome: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probability, share and size in bins of equally many rows, ten or more in each."""
    number = int(np.clip(len(probability) // 10, 1, 10))
    parts = np.array_split(np.argsort(probability, kind="stable"), number)
    return (
        np.array([probability[i].mean() for i in parts]),
        np.array([outcome[i].mean() for i in parts]),
        np.array([len(i) for i in parts]),
    )
