"""Simulation-based calibration: how far the ranks of the truths lie from uniform ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.plot.select import choose_terms
from workbench.plot.style import (
    CHAIN_COLOURS,
    GREY,
    LIGHT,
    legend_above,
    name_axes,
    new_axes,
    note,
    shorten,
    tidy,
)
from workbench.study.calibration import Calibration
from workbench.study.uniformity import simultaneous_bands

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMED = 4  # terms that get a colour and a name


def rank_ecdf(
    calibration: Calibration,
    terms: str | Sequence[str] | None = None,
    *,
    level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Distribution function of each term's ranks, less that of uniform ranks.

    Parameters
    ----------
    calibration : Calibration
        From :func:`workbench.calibrate`.
    terms : str or sequence of str, optional
        Terms; all by default.
    level : float
        Probability that a calibrated term's line lies in the band from end to end.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        The terms with the smallest p-values are named. A line above the band on the left: the
        posterior lies above the truths; a wave (up, then down): it is too narrow.

    Raises
    ------
    UsageError
        When a term is unknown.

    References
    ----------
    Säilynoja, Bürkner and Vehtari (2022), doi:10.1007/s11222-022-10090-6.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_calibration
    >>> rank_ecdf(small_calibration(), ax=Figure().subplots()).get_xlabel()
    'rank of the truth, share of 19 draws'
    """
    shown = choose_terms([str(t) for t in calibration.table.index], terms)
    bands = simultaneous_bands(calibration.num_simulations, calibration.num_draws, level)
    ax = new_axes(ax, 6.0, 3.6)
    x = bands["expected"].to_numpy()
    ax.fill_between(x, bands["lower"] - x, bands["upper"] - x, step="mid", color=LIGHT,
                    linewidth=0, label=f"{100 * level:.4g}% of uniform ranks")  # fmt: skip
    ax.axhline(0.0, color="black", linewidth=0.8, label="_zero")
    worst = calibration.table.loc[shown, "p_value"].nsmallest(_NAMED).index
    for term in shown:
        ranks = calibration.ranks[term].to_numpy()
        line = (ranks[:, None] < bands.index.to_numpy()).mean(axis=0) - x
        named = term in worst
        ax.step(x, line, where="mid", linewidth=1.4 if named else 0.7,
                color=CHAIN_COLOURS[list(worst).index(term)] if named else GREY,
                zorder=3 if named else 2, label=shorten(term) if named else f"_{term}")  # fmt: skip
    if len(shown) > _NAMED:
        note(ax, f"named are the {_NAMED} of {len(shown)} terms with the smallest p-values")
    ax.set_xlim(0, 1)
    bound = np.abs(ax.get_ylim()).max()
    ax.set_ylim(-bound, bound)
    name_axes(ax, x=f"rank of the truth, share of {calibration.num_draws} draws",
              y="ECDF less uniform")  # fmt: skip
    tidy(ax, "y")
    legend_above(ax)
    return ax
