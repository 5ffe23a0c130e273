r"""The small comparison and calibration that the examples of this room are drawn from, made once.

.. math:: y_i \sim \mathrm{Normal}(b\, x_i, 1), \qquad b \sim \mathrm{Normal}(0, 1)
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd

from workbench.comparison import Comparison, compare
from workbench.fit import Status
from workbench.study.calibration import Calibration, calibration_of


def line(x: np.ndarray, y: np.ndarray | None = None) -> None:
    """A line through the origin: y ~ Normal(slope x, 1)."""
    slope = numpyro.sample("slope", dist.Normal(0, 1))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(slope * x, 1), obs=y)


@cache
def small_comparison() -> Comparison:
    """Compare both answers for the slope of a line through six points.

    Returns
    -------
    Comparison
        The same object at every call.

    Examples
    --------
    The least-squares slope of points that lie on y = 2 x is 2.

    >>> small_comparison().rows("slope").loc["MLE", "estimate"].round(9)
    np.float64(2.0)
    """
    x = np.arange(6.0)
    return compare(
        line, {"x": x, "y": 2 * x}, num_starts=2, num_warmup=100, num_samples=100, num_chains=2
    )


@cache
def small_calibration() -> Calibration:
    """Ranks of 50 truths among 19 draws each of the line's slope, whose posterior is known.

    Returns
    -------
    Calibration
        The same object at every call.

    Examples
    --------
    >>> small_calibration().status.name
    'CONVERGED'
    """
    rng = np.random.default_rng(1)
    x = np.arange(6.0)
    truth = rng.normal(size=(50, 1))
    precision = 1 + x @ x
    mean = ((truth * x + rng.normal(size=(50, 6))) @ x / precision)[:, None]
    draws = mean + rng.normal(size=(50, 19)) / np.sqrt(precision)
    fits = pd.DataFrame({"seed": np.arange(50), "status": Status.CONVERGED, "detail": ""})
    ranks = pd.DataFrame({"slope": (draws < truth).sum(axis=1)})
    return calibration_of(ranks, fits, model="line", num_draws=19, seed=1)
