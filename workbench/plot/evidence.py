"""The evidence by every estimator, and the temperatures that lead to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.plot.style import METHOD_COLOURS, log_scale, message, name_axes, new_grid, tidy
from workbench.study import Evidence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {
    "Laplace": METHOD_COLOURS["Laplace"],
    "quadrature": METHOD_COLOURS["data"],
    "bridge sampling": METHOD_COLOURS["NUTS"],
    "sequential Monte Carlo": METHOD_COLOURS["prior"],
}


def evidence(found: Evidence, *, axes: Any = None) -> np.ndarray:
    """Estimators side by side, and the mean log-likelihood at each temperature.

    Parameters
    ----------
    found : Evidence
        From :func:`workbench.study.evidence`.
    axes : array of two matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Whiskers are two standard errors long to each side. The area under the second curve, over
        a linear axis of temperatures, is the log evidence.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"log_evidence": [-9.0, -9.2], "std_error": [np.nan, 0.1],
    ...                       "occam_factor": [2.0, 2.2], "reason": ["", ""]},
    ...                      index=["Laplace", "bridge sampling"])
    >>> found = Evidence(name="m-d", table=table, fit=-7.0, expected_fit=-7.5,
    ...                  num_observations=3, tempering=None)
    >>> [t.get_text() for t in evidence(found)[0, 0].get_yticklabels()]
    ['Laplace', 'bridge sampling']
    """
    grid = new_grid(axes, 1, 2, 5.2, 3.0)
    left, right = grid.ravel()
    _estimators(left, found)
    _temperatures(right, found)
    return grid


def _estimators(ax: Axes, found: Evidence) -> None:
    for y, (estimator, row) in enumerate(found.table.iterrows()):
        value, error = float(row["log_evidence"]), float(row["std_error"])
        colour = _COLOURS[str(estimator)]
        if np.isnan(value):
            continue
        ax.plot([value], [y], "o", color=colour, markersize=6, label=str(estimator))
        if np.isfinite(error):
            ax.hlines(y, value - 2 * error, value + 2 * error, color=colour, linewidth=1.6)
    ax.set_yticks(range(len(found.table)), [str(e) for e in found.table.index])
    ax.set_ylim(len(found.table) - 0.4, -0.6)
    ax.ticklabel_format(axis="x", useOffset=False)
    ax.locator_params(axis="x", nbins=5)
    tidy(ax, "x")
    name_axes(ax, x=f"log evidence of {found.name} (nats)")


def _temperatures(ax: Axes, found: Evidence) -> None:
    run = found.tempering
    if run is None:
        message(ax, "no run by temperatures: sequential Monte Carlo was not asked for, or refused")
        return
    colour = _COLOURS["sequential Monte Carlo"]
    ax.plot(run.temperatures, run.mean_log_likelihood, "o-", color=colour, markersize=3.5)
    log_scale(ax, "x", linear=float(run.temperatures[1]))
    ax.set_xlim(0, 1)
    values = run.mean_log_likelihood
    linear = 2 * max(abs(float(values[-1])), 1.0)  # where the curve ends
    log_scale(ax, "y", linear=linear)
    ax.set_ylim(top=max(0.0, 1.2 * float(np.max(values))))
    # within the linear part the ticks of decades crowd about zero
    ax.set_yticks([t for t in ax.get_yticks() if t == 0 or abs(t) >= linear])
    tidy(ax, "y")
    name_axes(ax, x="temperature on the likelihood", y="mean log-likelihood (nats)")
