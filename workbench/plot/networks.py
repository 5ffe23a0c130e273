"""Networks: bands over data and gap, functions of the prior, borders of classes, reliability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.network import NormalMixture
from workbench.plot.style import (
    GREY,
    LIGHT,
    METHOD_COLOURS,
    METHOD_MARKERS,
    legend_above,
    name_axes,
    new_axes,
    new_grid,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.study.network_predictions import Plane

CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
CLASS_MARKERS = "o^sDvP"


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colour, marker and dashes of a method of fitting a network."""

    colour: str
    marker: str
    dash: str | tuple[float, tuple[float, ...]]


_ROOM = 0.04  # of an axis, beyond its outermost point

# a method has the colour of what it approximates; its variants differ in marker and dashes
_LOOKS = {
    "MLE": Look(colour=METHOD_COLOURS["MLE"], marker=METHOD_MARKERS["MLE"], dash="-"),
    "MAP": Look(colour=METHOD_COLOURS["MAP"], marker=METHOD_MARKERS["MAP"], dash="-"),
    "Laplace": Look(colour=METHOD_COLOURS["Laplace"], marker=METHOD_MARKERS["Laplace"], dash="-"),
    "Laplace mixture": Look(colour=METHOD_COLOURS["Laplace"], marker="P", dash=(0, (6, 1))),
    "Laplace, last layer": Look(colour=METHOD_COLOURS["Laplace"], marker="p", dash="--"),
    "Laplace, Kronecker": Look(colour=METHOD_COLOURS["Laplace"], marker="X", dash="-."),
    "Laplace, diagonal": Look(colour=METHOD_COLOURS["Laplace"], marker="d", dash=":"),
    "NUTS": Look(colour=METHOD_COLOURS["NUTS"], marker=METHOD_MARKERS["NUTS"], dash="-"),
    "cold NUTS": Look(colour=METHOD_COLOURS["NUTS"], marker="*", dash="--"),
    "ensemble": Look(colour="#56B4E9", marker="h", dash="-"),
}
_OTHER = Look(colour=METHOD_COLOURS["prior"], marker="v", dash="-.")


def style_of(method: str) -> Look:
    """Give the look of a method, the same in every picture.

    Parameters
    ----------
    method : str
        Its name.

    Returns
    -------
    Look
        That of a method which is none of the known ones is pink.

    Examples
    --------
    >>> style_of("NUTS").colour == METHOD_COLOURS["NUTS"]
    True
    """
    return _LOOKS.get(method, _OTHER)


def network_bands(
    predictions: Mapping[str, NormalMixture],
    x: np.ndarray,
    *,
    observed: tuple[np.ndarray, np.ndarray] | None = None,
    gap: tuple[float, float] | None = None,
    level: float = 0.95,
    label: str = "",
    response: str = "",
    axes: Any = None,
) -> np.ndarray:
    """Draw the fitted function of one covariate with its predictive band, a panel for each method.

    Parameters
    ----------
    predictions : mapping
        Predictive distributions at ``x``, by method.
    x : numpy.ndarray
        Values of the covariate, ascending, shape (N,): over the data, in gaps and beyond.
    observed : pair of numpy.ndarray, optional
        Covariate and response of the data.
    gap : pair of float, optional
        From where to where no rows were fitted: shaded, its rows drawn open.
    level : float
        Probability inside the band.
    label, response : str
        Names of the axes, with units.
    axes : array of matplotlib.axes.Axes, optional
        Axes to draw on, one for each method.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        A line (predictive mean) and a band (central interval, noise included) in each. Where there
        are no data the band should widen: one that does not says that the method knows only one
        function.

    Examples
    --------
    >>> x = np.linspace(0.0, 1.0, 5)
    >>> one = NormalMixture(loc=x[None], scale=np.ones((1, 5)))
    >>> [ax.get_title("left") for ax in network_bands({"Laplace": one}, x).ravel()]
    ['Laplace']
    """
    columns = 2 if len(predictions) == 4 else min(3, len(predictions))
    rows = -(-len(predictions) // columns)
    grid = new_grid(axes, rows, columns, 3.5, 2.7)
    panels = grid.ravel()
    edges = {
        name: [made.quantile(0.5 + sign * level / 2) for sign in (-1, 1)]
        for name, made in predictions.items()
    }
    for ax, (name, made) in zip(panels, predictions.items(), strict=False):
        look = style_of(name)
        if gap is not None:
            ax.axvspan(*gap, color=LIGHT, linewidth=0, zorder=0)
        if observed is not None:
            _rows(ax, *observed, gap)
        low, high = edges[name]
        ax.fill_between(x, low, high, color=look.colour, alpha=0.25, linewidth=0)
        ax.plot(x, made.mean, color=look.colour, linewidth=2)
        ax.set_title(name, fontsize=10, color=look.colour, loc="left", fontweight="bold")
        tidy(ax)
    for ax in panels[len(predictions) :]:
        ax.set_axis_off()
    # one scale for all, which a single wild band does not set
    spread = np.concatenate([np.ravel(e) for e in edges.values()])
    low, high = np.quantile(spread, [0.02, 0.98])
    if observed is not None:
        low, high = min(low, observed[1].min()), max(high, observed[1].max())
    room = 0.05 * (high - low)
    for number, ax in enumerate(panels[: len(predictions)]):
        ax.set_ylim(low - room, high + room)
        ax.locator_params(axis="x", nbins=5)
        name_axes(
            ax,
            x=label if number >= len(predictions) - columns else None,
            y=response if number % columns == 0 else None,
        )
    return grid


def _rows(ax: Axes, x: np.ndarray, y: np.ndarray, gap: tuple[float, float] | None) -> None:
    """Rows of the data: filled where they were fitted, open in the gap."""
    inside = np.zeros(len(x), bool) if gap is None else (x >= gap[0]) & (x <= gap[1])
    colour = METHOD_COLOURS["data"]
    ax.plot(x[~inside], y[~inside], "o", color=colour, markersize=2.5)
    if inside.any():
        ax.plot(
            x[inside], y[inside], "o", color=colour, markersize=3, markerfacecolor="none",
            markeredgewidth=0.6,
        )  # fmt: skip


def prior_functions(
    functions: np.ndarray,
    x: np.ndarray,
    *,
    observed: tuple[np.ndarray, np.ndarray] | None = None,
    label: str = "",
    response: str = "",
    num: int = 25,
    ax: Axes | None = None,
) -> Axes:
    """Draw functions of networks that the prior holds possible.

    Parameters
    ----------
    functions : numpy.ndarray
        Location of each draw, shape (S, N).
    x : numpy.ndarray
        Values of the covariate, ascending, shape (N,).
    observed : pair of numpy.ndarray, optional
        Covariate and response of the data.
    label, response : str
        Names of the axes, with units.
    num : int
        Number of draws drawn as lines.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        Lines, and the central 50 and 90 % of all draws at each value.

    Examples
    --------
    >>> x = np.linspace(0.0, 1.0, 5)
    >>> len(prior_functions(np.ones((9, 1)) * x, x, num=4).lines)
    4
    """
    ax = new_axes(ax)
    colour = METHOD_COLOURS["prior"]
    for level, shade in ((0.9, 0.18), (0.5, 0.3)):
        low, high = np.quantile(functions, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        ax.fill_between(
            x, low, high, color=colour, alpha=shade, linewidth=0, label=f"prior, {level:.0%}"
        )
    for line in functions[:num]:
        ax.plot(x, line, color=colour, linewidth=0.7)
    if observed is not None:
        ax.plot(*observed, "o", color=METHOD_COLOURS["data"], markersize=3, label="data")
    ends = np.quantile(functions, [0.02, 0.98])
    if observed is not None:
        ends = np.append(ends, [observed[1].min(), observed[1].max()])
    room = _ROOM * np.ptp(ends)
    ax.set_ylim(ends.min() - room, ends.max() + room)
    tidy(ax)
    name_axes(ax, x=label, y=response)
    legend_above(ax)
    return ax


def decision_boundary(found: Plane, *, axes: Any = None) -> np.ndarray:
    """Draw the border between classes over two covariates, and the doubt about the class.

    Parameters
    ----------
    found : Plane
        From :func:`workbench.study.methods`: class probabilities over a grid, by method.
    axes : array of matplotlib.axes.Axes, optional
        Axes to draw on, one for each method.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Grey: entropy of the class probabilities in nats; black lines: where the likeliest class
        changes; marks: the data.

    Examples
    --------
    >>> from workbench.study.network_predictions import Plane
    >>> p = np.linspace(0.0, 1.0, 16).reshape(4, 4)
    >>> plane = Plane(x=np.arange(4.0), y=np.arange(4.0), labels=("a (cm)", "b (cm)"),
    ...     probabilities={"MAP": np.stack([p, 1 - p], axis=-1)},
    ...     observed=(np.ones(2), np.ones(2), np.array([0, 1])), classes=("no", "yes"))
    >>> decision_boundary(plane)[0, 0].get_xlabel()
    'a (cm)'
    """
    names = list(found.probabilities)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    grid = new_grid(axes, rows, columns, 3.4, 2.9)
    panels, drawn = grid.ravel(), None
    for number, (ax, name) in enumerate(zip(panels, names, strict=False)):
        p = found.probabilities[name]
        size = np.where(p > 0, p, 1.0)
        entropy = -np.sum(size * np.log(size), axis=-1)
        drawn = ax.pcolormesh(
            found.x, found.y, entropy.T, cmap="Greys", shading="gouraud", vmin=0,
            vmax=1.6 * np.log(p.shape[-1]), rasterized=True,
        )  # fmt: skip
        _borders(ax, found, p)
        x, y, code = found.observed
        for k, label in enumerate(found.classes):
            own = code == k
            ax.plot(
                x[own], y[own], CLASS_MARKERS[k % 6], color=CLASS_COLOURS[k % 6], markersize=3.5,
                markeredgecolor="white", markeredgewidth=0.4, linestyle="none", label=label,
            )  # fmt: skip
        look = style_of(name)
        ax.set_title(name, fontsize=10, color=look.colour, loc="left", fontweight="bold")
        tidy(ax)
        name_axes(
            ax,
            x=found.labels[0] if number >= len(names) - columns else None,
            y=found.labels[1] if number % columns == 0 else None,
        )
    for ax in panels[len(names) :]:
        ax.set_axis_off()
    figure = panels[0].get_figure(root=True)
    handles = panels[0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper left", ncols=6, frameon=False, fontsize=9)
    bar = figure.colorbar(drawn, ax=list(panels), shrink=0.7)
    bar.set_label("doubt about the class (nats)", fontsize=9)
    bar.ax.set_ylim(0, np.log(len(found.classes)))
    return grid


def _borders(ax: Axes, found: Plane, p: np.ndarray) -> None:
    """Lines where a class's probability equals the largest of the others'."""
    for k in range(p.shape[-1]):
        lead = p[..., k] - np.delete(p, k, axis=-1).max(axis=-1)
        if lead.min() < 0 < lead.max():
            ax.contour(found.x, found.y, lead.T, levels=[0.0], colors="black", linewidths=1.2)


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
    for name, table in tables.items():
        look = style_of(name)
        size = 20 + 180 * table["num_rows"] / table["num_rows"].sum()
        place = table["confidence"], table["accuracy"]
        ax.plot(*place, look.dash, color=look.colour, linewidth=1)
        ax.scatter(*place, s=size, color=look.colour, marker=look.marker, label=name, alpha=0.8)
    tidy(ax)
    name_axes(ax, x="probability of the likeliest class", y="share that is right")
    legend_above(ax)
    return ax
