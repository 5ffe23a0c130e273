"""A normal approximation that guides a sampler: less than a Laplace fit, and sooner there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.fit.mode import ModeFit
from workbench.fit.modes import fit_laplace
from workbench.fit.objective import Objective
from workbench.fit.peak import find_peak
from workbench.model import Density


@dataclass(frozen=True, kw_only=True)
class Guide:
    """A mode of the density of z, and its curvature.

    Attributes
    ----------
    z, covariance : numpy.ndarray
        Shapes (D,) and (D, D).
    log_objective : float
        Log density of the parameters there, nats.
    ends, heights : numpy.ndarray
        Where each start ended (parameters alone, shape (K, P)), and its log objective.
    refusal : str
        Why there is no approximation ("" where there is one).
    """

    z: np.ndarray
    covariance: np.ndarray
    log_objective: float
    ends: np.ndarray
    heights: np.ndarray
    refusal: str

    @classmethod
    def of(cls, fit: ModeFit) -> Guide:
        """What a Laplace fit says of it."""
        usable = np.isfinite(fit.covariance).all() and not fit.null_directions
        return cls(
            z=fit.z,
            covariance=fit.covariance,
            log_objective=fit.log_objective,
            ends=fit.starts.z,
            heights=fit.starts.log_objective,
            refusal="" if usable else fit.detail or fit.status.value,
        )


def find_guide(density: Density, *, seed: int) -> Guide:
    """The approximation of :func:`workbench.fit_laplace`, without what that reports.

    Parameters
    ----------
    density : Density
        The model at its data.
    seed : int
        Of the starts.

    Returns
    -------
    Guide
        With the reason where it is of no use.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, 1)), 1), obs=y)
    >>> found = find_guide(read_density(normal, {"y": [3.0, 3.0, 3.0]}), seed=0)
    >>> found.z.round(8).tolist(), found.covariance.round(8).tolist()
    ([2.25], [[0.25]])
    """
    objective = Objective(density=density, method="Laplace")
    if objective.free.size < density.size:  # the variance of effects comes with the report
        return Guide.of(fit_laplace(density, seed=seed))
    peak = find_peak(objective, seed=seed)
    curvature, optimum = peak.curvature, peak.optimum
    undetermined = curvature.null.size or curvature.runaway.size
    usable = np.isfinite(curvature.covariance).all() and not undetermined
    status, detail = peak.explained
    return Guide(
        z=optimum.theta,
        covariance=curvature.covariance,
        log_objective=optimum.value,
        ends=optimum.starts.z,
        heights=optimum.starts.log_objective,
        refusal="" if usable else detail or status.value,
    )
