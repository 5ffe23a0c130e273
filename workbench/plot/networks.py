"""Networks: the function with each method's band, and reliability of class probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.network import NormalMixture
from workbench.plot.style import GREY, METHOD_COLOURS, legend_above, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _colours(names: Mapping[str, object]) -> dict[str, str]:
    """A method's own colour, or the next one that no method here has."""
    free = cycle(c for n, c in METHOD_COLOURS.items() if n not in names and n != "data")
    return {name: METHOD_COLOURS.get(name) or next(free) for name in names}


def network_bands(
    predictions: Mapping[str, NormalMixture],
    x: np.ndarray,
    *,
    observed: tuple[np.ndarray, np.ndarray] | None = None,
    level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw the fitted function of one covariate with each method's predictive band.

    Parameters
    ----------
    predictions : mapping
        Predictive distributions at ``x``, by method.
    x : numpy.ndarray
        Values of the covariate, ascending, shape (N,): over the data, in gaps and beyond.
    observed : pair of numpy.ndarray, optional
        Covariate and response of the data.
    level : float
        Probability inside the band.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        A line (predictive mean) and two thin ones (central interval, noise included) for each
        method. Where there are no data the band should widen: one that does not says that the
        method knows only one function.

    Examples
    --------
    >>> x = np.linspace(0.0, 1.0, 5)
    >>> one = NormalMixture(loc=x[None], scale=np.ones((1, 5)))
    >>> len(network_bands({"Laplace": one}, x).lines)
    3
    """
    ax = new_axes(ax)
    if observed is not None:
        ax.plot(*observed, "o", color=METHOD_COLOURS["data"], markersize=3, label="data")
    for name, colour in _colours(predictions).items():
        made = predictions[name]
        low, high = (made.quantile(0.5 + sign * level / 2) for sign in (-1, 1))
        ax.plot(x, made.mean, color=colour, linewidth=2, label=name)
        for edge in (low, high):
            ax.plot(x, edge, color=colour, linewidth=0.8)
        ax.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    tidy(ax)
    legend_above(ax)
    return ax


def reliability(tables: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Draw how often the likeliest class is right against how often it is said to be.

    Parameters
    ----------
    tables : mapping
        :func:`workbench.network.reliability` of each method.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        On the grey line probabilities mean what they say; below it a method is too sure, above it
        not sure enough. Larger marks hold more rows.

    Examples
    --------
    >>> table = pd.DataFrame({"confidence": [0.7], "accuracy": [0.6], "num_rows": [20]})
    >>> ax = reliability({"MAP": table})
    >>> ax.get_xlabel()
    'probability of the likeliest class'
    """
    ax = new_axes(ax, 4.6, 4.2)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for name, colour in _colours(tables).items():
        table = tables[name]
        size = 20 + 180 * table["num_rows"] / table["num_rows"].sum()
        ax.plot(table["confidence"], table["accuracy"], color=colour, linewidth=1)
        ax.scatter(table["confidence"], table["accuracy"], s=size, color=colour, label=name)
    ax.set(xlabel="probability of the likeliest class", ylabel="share that is right")
    tidy(ax)
    legend_above(ax)
    return ax
