r"""Firth's penalised likelihood: finite estimates for separated data, and less bias for all.

.. math:: \ell^*(\theta) = \log p(y \mid \theta) + \tfrac12 \log\det I(\theta),

with :math:`I` the expected information of the likelihood. For the canonical parameters of an
exponential family the penalty takes the bias of order 1/N out of the maximum likelihood estimate;
it is Jeffreys' prior there. With linear canonical predictors (log-odds of choices, log mean of
Poisson counts) the expected information is the observed one, :math:`-\nabla^2 \log p`.

References
----------
Firth (1993), doi:10.1093/biomet/80.1.27; Heinze and Schemper (2002), doi:10.1002/sim.1047.
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from workbench.fit.curvature import Curvature
from workbench.fit.objective import Objective
from workbench.fit.optimiser import Optimum
from workbench.fit.predictors import linear_predictors
from workbench.model import Density

_CANONICAL = {
    "Bernoulli": "logit",
    "Binomial": "logit",
    "Poisson": "log",
    "Categorical": "logit",
    "Multinomial": "logit",
}


def undefined_penalty(density: Density) -> str:
    """Say why Firth's penalty is not defined for a model at its data ("" if it is)."""
    name = density.model.name
    effects = density.names("random effect")
    if effects:
        return (
            f"Firth's penalty is defined for likelihoods without random effects; model '{name}' "
            f"declares '{effects[0]}'"
        )
    needs = (
        "Firth's penalty expects counts or choices whose canonical predictor (log-odds, logarithm "
        "of a Poisson mean) is linear in every parameter"
    )
    families = dict(zip(density.names("observed"), density.observed_families, strict=True))
    for site, family in families.items():
        if family not in _CANONICAL:
            return f"{needs}; observed site '{site}' of model '{name}' is {family}"
    predictors = linear_predictors(density)
    if predictors is None:
        return f"{needs}; model '{name}' has none"
    for site, link in predictors.links.items():
        if link != _CANONICAL[families[site]]:
            return f"{needs}; site '{site}' of model '{name}' has the {link} link"
    if not predictors.linear.all():
        label = density.z_labels[density.coordinates("parameter")[predictors.linear.argmin()]]
        return f"{needs}; '{label}' of model '{name}' is not"
    rank = int(np.linalg.matrix_rank(predictors.design / np.abs(predictors.design).max(axis=0)))
    size = predictors.design.shape[1]
    if rank < size:
        return (
            f"Firth's penalty expects a design of full rank, whose information has a determinant; "
            f"that of model '{name}' has rank {rank} for {size} parameters"
        )
    return ""


def unpenalised(objective: Objective, optimum: Optimum, curvature: Curvature) -> Curvature:
    """Curvature whose information is that of the likelihood alone, as Firth's method reports."""
    likelihood = Objective(density=objective.density, method="MLE")
    theta = jnp.asarray(optimum.theta)
    scale = jnp.asarray(optimum.scale)
    hessian = likelihood.derivatives_in(theta, scale, objective.arrays)[2]
    information = -np.asarray(hessian)
    pull = np.linalg.inv(optimum.scale)
    return replace(
        curvature,
        information=pull.T @ information @ pull,
        covariance=optimum.scale @ np.linalg.inv(information) @ optimum.scale.T,
    )
