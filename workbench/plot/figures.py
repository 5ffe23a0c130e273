"""Pictures of several panels: the whole comparison, and the whole of its diagnostics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.comparison import Comparison
from workbench.errors import UsageError
from workbench.plot.chains import rank, trace
from workbench.plot.distribution import density
from workbench.plot.estimates import forest
from workbench.plot.optimum import path
from workbench.plot.response import fitted
from workbench.plot.sampling import energy, ess, pareto_k
from workbench.plot.select import choose_terms
from workbench.plot.steps import ledger
from workbench.plot.style import message, new_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def overview(comparison: Comparison, *, limit: int = 10, axes: Any = None) -> np.ndarray:
    """The comparison at a glance: estimates, ledger, the term that differs most, and the fit.

    Parameters
    ----------
    comparison : Comparison
        What to show.
    limit : int
        Largest number of terms; of more, those that differ most are shown.
    axes : array of four matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        `forest`, `ledger`, `density` and `fitted`; a panel that cannot be drawn says why.

    Raises
    ------
    UsageError
        When other than four axes are given.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> overview(small_comparison(), axes=Figure().subplots(2, 2)).shape
    (2, 2)
    """
    terms = most_different(comparison)
    kept = [t for t in comparison.terms if t in terms[:limit]]
    height = max(3.8, 1.2 + 0.38 * len(kept))
    grid = new_grid(axes, 2, 2, 6.0, height)
    panels = _panels(grid, 4, "overview")
    _draw(panels[0], lambda ax: forest(comparison, kept, ax=ax))
    _draw(panels[1], lambda ax: ledger(comparison, kept, ax=ax))
    _draw(panels[2], lambda ax: density(comparison, terms[0], ax=ax))
    _draw(panels[3], lambda ax: fitted(comparison, ax=ax))
    return grid


def diagnostics(comparison: Comparison, *, axes: Any = None) -> np.ndarray:
    """How far the computation can be trusted, in six panels.

    Parameters
    ----------
    comparison : Comparison
        What to show.
    axes : array of six matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        `trace` and `rank` of the term with the worst R-hat, `ess`, `energy`, `pareto_k`, and the
        MLE's `path`; a panel that cannot be drawn says why.

    Raises
    ------
    UsageError
        When other than six axes are given.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from workbench.plot.example import small_comparison
    >>> diagnostics(small_comparison(), axes=Figure().subplots(3, 2)).shape
    (3, 2)
    """
    grid = new_grid(axes, 3, 2, 6.0, 3.3)
    panels = _panels(grid, 6, "diagnostics")
    _draw(panels[0], lambda ax: trace(comparison, ax=ax))
    _draw(panels[1], lambda ax: rank(comparison, ax=ax))
    _draw(panels[2], lambda ax: ess(comparison, limit=10, ax=ax))
    _draw(panels[3], lambda ax: energy(comparison, ax=ax))
    _draw(panels[4], lambda ax: pareto_k(comparison, ax=ax))
    _draw(panels[5], lambda ax: path(comparison, ax=ax))
    return grid


def most_different(comparison: Comparison) -> list[str]:
    """Terms by how far the posterior mean lies from the MLE in the ledger's units, farthest first.

    Parameters
    ----------
    comparison : Comparison
        Holds the ledger.

    Returns
    -------
    list of str
        Terms without both ends come last, in the table's order.
    """
    table = comparison.ledger[comparison.ledger["quantity"] == "location"]
    change = table.groupby("term", sort=False)["change_in_units"]
    distance = change.sum(min_count=1).where(change.count() == change.size()).abs()
    distance = distance.reindex(choose_terms(comparison.terms, None))
    return [str(t) for t in distance.sort_values(ascending=False, kind="stable").index]


def _panels(grid: np.ndarray, number: int, name: str) -> np.ndarray:
    panels = grid.ravel()
    if len(panels) != number:
        raise UsageError(f"{name} expects {number} axes; got {len(panels)}")
    return panels


def _draw(ax: Axes, draw: Callable[[Axes], Any]) -> None:
    """Draw a panel, or say in it why it cannot be drawn."""
    try:
        draw(ax)
    except UsageError as error:
        message(ax, str(error))
