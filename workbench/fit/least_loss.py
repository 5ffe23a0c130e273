"""How much a likelihood with one maximum must lose about it, from its curvature there.

Where such a bound is known the objective need not be probed to tell a maximum from a ridge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.compilation import compiled
from workbench.fit.concavity import PARAMETERS, one_maximum
from workbench.fit.objective import Objective
from workbench.fit.optimiser import Optimum
from workbench.model import Density
from workbench.model.sites import bare


def least_loss(objective: Objective, optimum: Optimum, directions: np.ndarray) -> float:
    r"""Least loss at both ends of each direction, two standard errors long, from a maximum.

    Parameters
    ----------
    objective : Objective
        What was maximised.
    optimum : Optimum
        Where Newton's method ended.
    directions : numpy.ndarray
        Columns of shape (P, K), of curvature :math:`d^T I d = 4`.

    Returns
    -------
    float
        A lower bound in nats; ``-inf`` where none is known.

    Notes
    -----
    Along d, the third derivative of the log-likelihood f of choices and counts is a sum of third
    cumulants, each at most the second times the range of what d does to a predictor, so that
    :math:`|f^{(3)}| \le \rho |f^{(2)}|` with :math:`\rho = 2 \max_i |d^T \nabla \eta_i|`, and the
    loss is at least :math:`4 (e^{-\rho} + \rho - 1) / \rho^2` (Bach 2010,
    doi:10.1214/09-EJS521, section 2). For N normal rows it is
    :math:`N (s + (e^{-2s}(1 + b) - 1) / 2)` with :math:`N (b + 2 s^2) = 4`, s the change of
    :math:`\log\sigma`: at least 0.9.
    """
    # a prior has third derivatives of its own
    if objective.method != "MLE" or not one_maximum(objective):
        return -np.inf
    steepest = _steepest(objective.density)
    if steepest is None:
        return 0.9
    arrays = objective.arrays
    rho = 2.0 * float(steepest(jnp.asarray(optimum.theta), jnp.asarray(directions), arrays))
    # Taylor's expansion where the difference would be rounding
    bound = 2.0 - 2.0 * rho / 3.0 if rho < 1e-3 else 4.0 * (np.expm1(-rho) + rho) / rho**2
    # the gradient is not quite zero
    return bound - 2.0 * float(np.sqrt(optimum.decrement))


@compiled
def _steepest(density: Density) -> Callable[..., jax.Array] | None:
    """Program for the largest change of a canonical predictor; ``None`` for normal rows."""
    names = density.names("observed")

    def predictors(z: jax.Array, arrays: Any) -> jax.Array:
        parts = []
        for n, fn in density.evaluate(z, arrays).distributions.items():
            if n in names:
                kind = type(bare(fn)).__name__
                value = getattr(bare(fn), PARAMETERS[kind][0])
                parts.append(jnp.ravel(jnp.log(value) if kind == "Poisson" else value))
        return jnp.concatenate(parts)

    def program(z: jax.Array, directions: jax.Array, arrays: Any) -> jax.Array:
        along = jax.vmap(lambda v: jax.jvp(lambda t: predictors(t, arrays), (z,), (v,))[1])
        return jnp.max(jnp.abs(along(directions.T)))

    return None if "Normal" in density.observed_families else jax.jit(program)
