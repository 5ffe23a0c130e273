r"""Estimators of the log evidence of a model, each from what it needs: a mode, draws, the prior.

Laplace's method takes the normal density that touches the posterior at its mode,

.. math:: \log p(y) \approx \log p(y, \hat z) + \tfrac D2 \log 2\pi - \tfrac12 \log\det H ;

the others are in :mod:`workbench.study.cubature`, :mod:`workbench.study.bridge` and
:mod:`workbench.study.tempering`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from workbench.errors import ModelError
from workbench.fit import DrawsFit, ModeFit
from workbench.fit.batches import batch_size, in_batches, log_densities
from workbench.fit.compilation import compiled
from workbench.fit.objective import Objective
from workbench.model import Density
from workbench.model.latents import require_drawable_prior, unconstrain
from workbench.study.bridge import LogIntegral, bridge_sampling
from workbench.study.cubature import cubature
from workbench.study.tempering import Tempering, temper


def refused(reason: str) -> LogIntegral:
    """No value, and why."""
    return LogIntegral(value=np.nan, std_error=np.nan, reason=reason)


def by_laplace(mode: ModeFit) -> LogIntegral:
    """Log evidence by Laplace's method, from a mode of the density of z."""
    if not mode.status.ok:
        return refused(mode.detail or mode.status.value)
    half_log_det = 0.5 * np.linalg.slogdet(mode.information)[1]
    value = mode.log_objective + 0.5 * mode.num_parameters * np.log(2 * np.pi) - half_log_det
    return LogIntegral(
        value=float(value), std_error=np.nan, reason="no error of its own: exact where normal"
    )


def by_quadrature(density: Density, mode: ModeFit) -> LogIntegral:
    """Log evidence of a model with one or two parameters by quadrature about its mode."""
    objective = Objective(density=density, method="Laplace")
    if objective.free.size > 2:
        return refused(f"expects one or two parameters; the model has {objective.free.size}")
    if not mode.status.ok:
        return refused(mode.detail or mode.status.value)
    program = jax.jit(jax.vmap(objective, in_axes=(0, None)))
    covariance = mode.covariance[np.ix_(objective.free, objective.free)]
    found = cubature(
        lambda x: in_batches(lambda x: program(x, objective.arrays), batch_size(density), x),
        mode.z[objective.free],
        np.linalg.cholesky(covariance),
    )
    if objective.effects.size and not found.reason:
        note = "random effects by Laplace's method: exact where normal"
        return LogIntegral(value=found.value, std_error=found.std_error, reason=note)
    return found


def by_bridge(
    density: Density, draws: DrawsFit, rng: np.random.Generator
) -> tuple[LogIntegral, float]:
    """Bridge sampling, and the posterior mean of the log-likelihood."""
    back, log_likelihood = _programs(density)
    latent = {x.name: draws.samples[x.name] for x in density.latents}
    flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in latent.items()}
    z = np.asarray(back(flat, density.arrays))
    fits = _evaluate(density, log_likelihood, z)
    found = bridge_sampling(
        lambda points: _evaluate(density, log_densities(density), points),
        z.reshape(*next(iter(latent.values())).shape[:2], -1),
        rng,
    )
    if not draws.status.ok and not found.reason:
        said = draws.detail or draws.status.value
        found = LogIntegral(value=found.value, std_error=found.std_error, reason=f"NUTS: {said}")
    return found, float(fits.mean())


def _evaluate(density: Density, program: Callable[..., Any], points: np.ndarray) -> np.ndarray:
    """Values of a compiled function of a batch, at any number of points."""
    return in_batches(lambda x: program(x, density.arrays), batch_size(density), points)


@compiled
def _programs(density: Density) -> tuple[Any, Any]:
    """Compiled for batches: z of constrained values, log-likelihood at z."""
    back = jax.jit(
        jax.vmap(lambda values, arrays: unconstrain(density, values, arrays), in_axes=(0, None))
    )
    log_likelihood = jax.jit(
        jax.vmap(lambda z, arrays: density.log_terms(z, arrays).log_likelihood, in_axes=(0, None))
    )
    return back, log_likelihood


def by_tempering(
    density: Density, key: jax.Array, num_particles: int
) -> tuple[LogIntegral, Tempering | None]:
    """Log evidence by sequential Monte Carlo from the prior, and its run."""
    try:
        require_drawable_prior(density)
    except ModelError as err:
        return refused(f"starts from the prior: {err}"), None
    run = temper(density, key, num_islands=8, num_particles=num_particles)
    if run.temperatures[-1] < 1:
        return refused(f"stopped at temperature {run.temperatures[-1]:.3g} of 1"), run
    return LogIntegral(value=run.value, std_error=run.std_error), run
