"""Methods of fitting a network side by side: what they predict, how sure, at what cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.plot.loss import hessian_spectrum, loss_line, loss_plane
from workbench.plot.networks import decision_boundary, network_bands, prior_functions, reliability
from workbench.plot.networks import style_of as network_style
from workbench.plot.style import GREY, log_scale, name_axes, new_grid, tidy
from workbench.study import Methods

_FAR = 10.0  # times the reach of half of the methods, from which on an axis is bent


def methods(found: Methods, *, axes: Any = None) -> np.ndarray:
    """Log-likelihood at rows held out, in the gap, and the price of each method.

    Parameters
    ----------
    found : Methods
        From :func:`workbench.study.methods`.
    axes : array of two matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Left: mean difference of the log score to the first method, whiskers two paired standard
        errors long to each side; right: seconds of one fit.

    Examples
    --------
    >>> import pandas as pd
    >>> from workbench.network import Contest, Surface
    >>> table = pd.DataFrame({"log_score": [-1.0, -0.8], "apart": [0.0, 0.2],
    ...     "paired_se": [0.0, 0.05], "seconds": [1.0, 9.0]}, index=["MLE", "NUTS"])
    >>> none = pd.DataFrame({"units matched": []})
    >>> surface = Surface(eigenvalues=np.array([9.0, 0.1]), gauss_newton=np.ones(2), plane=none,
    ...     flat=none, line=none, num_rows=9)
    >>> contest = Contest(by_split=pd.DataFrame({"split": [0, 1]}), answers={})
    >>> made = Methods(name="m-d", table=table, contest=contest, findings={},
    ...     surface=surface, curve=None, plane=None)
    >>> [t.get_text() for t in methods(made)[0, 0].get_yticklabels()]
    ['MLE', 'NUTS']
    """
    table = found.table
    grid = new_grid(axes, 1, 2, 5.0, 1.3 + 0.34 * len(table))
    left, right = grid.ravel()
    for y, (method, row) in enumerate(table.iterrows()):
        look = network_style(str(method))
        reach = 2 * float(row["paired_se"])
        if np.isfinite(reach):
            left.hlines(y, row["apart"] - reach, row["apart"] + reach, color=look.colour, lw=1.8)
        for ax, value in ((left, row["apart"]), (right, row["seconds"])):
            ax.plot([value], [y], look.marker, color=look.colour, markersize=7)
    left.axvline(0.0, color=GREY, linewidth=0.8)
    ends = (table["apart"].abs() + 2 * table["paired_se"].fillna(0.0)).iloc[1:]
    if len(ends) and ends.max() > _FAR * ends.median():
        log_scale(left, "x", linear=float(ends.median()))  # else one hides the others
    log_scale(right, "x")
    for ax in (left, right):
        ax.set_yticks(range(len(table)), [str(m) for m in table.index])
        ax.set_ylim(len(table) - 0.4, -0.6)
        tidy(ax, "x")
    right.set_yticklabels([])
    name_axes(left, x=f"log score less that of {table.index[0]} (nats a row; higher is better)")
    name_axes(right, x="seconds of one fit, compilation included")
    return grid


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A picture with its caption.

    Attributes
    ----------
    name : str
        Of its file.
    caption : str
        How to read it, in plain words.
    draw : callable
        Draws it on a new figure, and gives the axes.
    """

    name: str
    caption: str
    draw: Callable[[], Any]


def network_pictures(found: Methods) -> tuple[Drawing, ...]:
    """Every picture of a comparison of methods, each with its caption.

    Parameters
    ----------
    found : Methods
        From :func:`workbench.study.methods`.

    Returns
    -------
    tuple of Drawing
        ``methods, bands, prior, boundary, reliability, surface, line, spectrum``, those that
        apply.

    Examples
    --------
    >>> from workbench import plot
    >>> callable(plot.network_pictures)
    True
    """
    drawings = [
        Drawing(
            name="methods",
            caption=f"Left: how much better or worse than {found.table.index[0]} each method "
            "predicts rows it has not seen, two paired standard errors to each side. A whisker "
            "that crosses the line may be chance. Right: what it costs.",
            draw=lambda: methods(found),
        )
    ]
    curve, plane, surface = found.curve, found.plane, found.surface
    if curve is not None:
        seen = "Grey: where no rows were fitted. Between and beyond the data nothing holds the "
        drawings.append(
            Drawing(
                name="bands",
                caption=f"{seen}function: a band that stays as narrow there as beside the data "
                "belongs to a method that knows only one function. Thick line: predictive mean; "
                "band: 95 %, noise included."
                + ("" if curve.observed[0].size else " Other covariates are at their means."),
                draw=lambda: network_bands(
                    curve.predictions,
                    curve.x,
                    observed=curve.observed if curve.observed[0].size else None,
                    gap=curve.gap,
                    label=curve.label,
                    response=curve.response,
                ),
            )
        )
        drawings.append(
            Drawing(
                name="prior",
                caption="What the network held possible before it saw a row: functions drawn from "
                "the prior of its weights, half and nine tenths of them at each value inside the "
                "bands. Far outside of the data's range the prior is too wide; inside a thin "
                "stripe of it, too narrow.",
                draw=lambda: prior_functions(
                    curve.prior,
                    curve.x,
                    observed=curve.observed if curve.observed[0].size else None,
                    label=curve.label,
                    response=curve.response,
                ),
            )
        )
    if plane is not None:
        drawings.append(
            Drawing(
                name="boundary",
                caption="Black lines: where the likeliest class changes. Grey: the doubt about "
                "the class, in nats (0: none; log of the number of classes: all are as likely). "
                "Away from the data doubt should grow; a method that is certain everywhere but on "
                "the line knows one border only. Other covariates are at their means.",
                draw=lambda: decision_boundary(plane),
            )
        )
    if found.reliability:
        drawings.append(
            Drawing(
                name="reliability",
                caption="How often the likeliest class is right against how probable it was said "
                "to be, at rows held out. Below the line a method is too sure, above it not sure "
                "enough. Larger marks hold more rows.",
                draw=lambda: reliability(found.reliability),
            )
        )
    drawings.append(
        Drawing(
            name="surface",
            caption="The loss about the posterior mode, cut through the two directions in which "
            "it is stiffest (left) and through the stiffest and the flattest (right). Contours "
            "are where it has risen by so many nats in all. A long valley: weights that can move "
            "without any change of what is predicted.",
            draw=lambda: loss_plane(surface),
        )
    )
    if not surface.line.empty:
        drawings.append(
            Drawing(
                name="line",
                caption="The loss on the straight line between two posterior modes. As found, "
                "their hidden units stand in different orders and signs. With the units matched, "
                "what is left of the hill is a barrier between functions; where nothing is left, "
                "the two were copies of one function.",
                draw=lambda: loss_line(surface),
            )
        )
    drawings.append(
        Drawing(
            name="spectrum",
            caption="How much the likelihood curves in each direction of the weights at the "
            "posterior mode, the prior's curvature being one (pink line). Above it the data "
            "decide, below it the prior does; open marks are directions in which the likelihood "
            "rises both ways. What is below 0.0001 is drawn there.",
            draw=lambda: hessian_spectrum(surface),
        )
    )
    return tuple(drawings)
