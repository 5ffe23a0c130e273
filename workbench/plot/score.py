"""The score: along one coordinate, against finite differences, and row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.plot.style import (
    GREY,
    METHOD_COLOURS,
    legend_above,
    log_scale,
    message,
    name_axes,
    new_grid,
    tidy,
)
from workbench.study import Score


def score(found: Score, *, axes: Any = None) -> np.ndarray:
    """Log-likelihood and score along a coordinate, errors of differences, influence of rows.

    Parameters
    ----------
    found : Score
        From :func:`workbench.study.score`.
    axes : array of three matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        On the right, rows on the diagonal move the estimate as their score says.

    Examples
    --------
    >>> import pandas as pd
    >>> curve = pd.DataFrame({"at": [-1.0, 0.0, 1.0], "log_likelihood": [-0.5, 0.0, -0.5],
    ...                       "score": [1.0, 0.0, -1.0], "value": [0.0, 1.0, 2.0]})
    >>> found = Score(name="m-d", coordinate="mu", table=pd.DataFrame(), curve=curve,
    ...               differences=pd.DataFrame({"forward": [1e-7], "central": [1e-10]},
    ...                                        index=[1e-5]),
    ...               influence=pd.DataFrame(), reason="no rows")
    >>> score(found)[0, 1].get_yscale()
    'log'
    """
    grid = new_grid(axes, 1, 3, 4.4, 3.5)
    first, second, third = grid.ravel()
    curve = found.curve
    first.plot(curve["at"], curve["log_likelihood"], color=METHOD_COLOURS["MLE"],
               label="log-likelihood (nats)")  # fmt: skip
    first.plot(curve["at"], curve["score"], color=METHOD_COLOURS["NUTS"],
               label="score (nats per standard error)")  # fmt: skip
    first.axhline(0.0, color=GREY, linewidth=0.8)
    first.axvline(0.0, color=GREY, linewidth=0.8, linestyle=":")
    tidy(first, "y")
    name_axes(first, x=f"{found.coordinate} (standard errors from the estimate)", y="at each value")
    legend_above(first, columns=1)
    step = found.differences.index.to_numpy(dtype=float)
    for kind, method in (("forward", "MLE"), ("central", "Laplace")):
        error = np.abs(found.differences[kind].to_numpy(dtype=float))
        second.plot(step, np.where(error > 0, error, np.nan), "o-", color=METHOD_COLOURS[method],
                    markersize=3, linewidth=1.2, label=kind)  # fmt: skip
    log_scale(second, "x")
    log_scale(second, "y")
    tidy(second, "y")
    name_axes(second, x="step (standard errors)",
              y="error of the difference (nats per standard error)")  # fmt: skip
    legend_above(second)
    if not len(found.influence):
        message(third, found.reason)
        return grid
    pair = found.influence[["first_order", "refit"]].to_numpy(dtype=float)
    known = pair[np.isfinite(pair).all(axis=1)]
    ends = [known.min(), known.max()] if len(known) else [0.0, 0.0]
    third.plot(ends, ends, color=GREY, linewidth=0.8)
    third.plot(*known.T, "o", color=METHOD_COLOURS["MLE"], markersize=3.5, alpha=0.7)
    tidy(third, "both")
    name_axes(third, x=f"change of {found.coordinate} by the row's score (standard errors)",
              y="by refitting without the row (standard errors)")  # fmt: skip
    return grid
