r"""Damped Fisher scoring, which follows narrow curved valleys of a likelihood to their end.

With :math:`\phi(z)` the parameters of the observed distributions, :math:`A = W^{1/2} \phi'` the
factor of the Gauss-Newton (Fisher) information (:mod:`workbench.fit.scaling`), :math:`D` the
norms of its columns and :math:`g` the score, a step is

.. math:: v = (A^T A + \lambda D^2)^{-1} g, \qquad
          a = -\tfrac12 (A^T A + \lambda D^2)^{-1} A^T W^{1/2} \phi''[v, v],

the velocity and half the acceleration of the geodesic through the point, which bends with the
valley where :math:`v` alone leaves it. For normal observations this is the method of Levenberg
and Marquardt. A range of :math:`\lambda` is tried at once, each with and without the
acceleration, and the highest point is taken. No coordinate moves by more than half of its size,
so that a first step far from the optimum does not run off along a coordinate that is hardly seen
there.

References
----------
Osborne (1992), "Fisher's method of scoring", doi:10.2307/1403504;
Marquardt (1963), doi:10.1137/0111030;
Transtrum and Sethna (2012), "Improvements to the Levenberg-Marquardt algorithm for nonlinear
least-squares minimization", arXiv:1201.5885.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.compilation import compiled
from workbench.fit.objective import Objective
from workbench.fit.scaling import information_factor

_DAMPINGS = 10.0 ** np.arange(-10.0, 6.0)
_STRIDE = 0.5  # of a coordinate's size
_BEND = 0.75  # an acceleration longer than this share of the velocity says nothing
_QUIET = 1e-6  # nats of twice what a full step would win: Newton's method ends it from there


def can_score(objective: Objective) -> bool:
    """Whether the objective is a density of observations with forward derivatives."""
    density = objective.density
    return not objective.effects.size and density.forward_mode and bool(density.names("observed"))


def climb_by_scoring(objective: Objective, theta: np.ndarray, max_steps: int) -> np.ndarray:
    """Climb from a point until the optimum is near, or no step wins anything.

    Parameters
    ----------
    objective : Objective
        What to maximise, see :func:`can_score`.
    theta : numpy.ndarray
        Where to start, shape (P,): finite, and of the size of the optimum in each coordinate.
    max_steps : int
        Bound on the steps.

    Returns
    -------
    numpy.ndarray
        The last point, shape (P,).

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> objective = Objective(density=read_density(normal, {"y": [3.0, 5.0]}), method="MLE")
    >>> climb_by_scoring(objective, np.array([40.0]), 100).round(1).tolist()
    [4.0]
    """
    arrays = objective.arrays
    score, bend = _derivatives(objective)
    start_size = np.maximum(np.abs(theta), 1e-3)
    for _ in range(max_steps):
        value, gradient = (np.asarray(x) for x in score(theta, arrays))
        factor = information_factor(objective, theta)
        column = np.linalg.norm(factor, axis=0)
        column[column == 0.0] = 1.0
        u, s, vt = np.linalg.svd(factor / column, full_matrices=False)
        along = vt @ (gradient / column)
        identified = s > np.finfo(float).eps * max(factor.shape) * s[0]
        if np.sum((along[identified] / s[identified]) ** 2) < _QUIET:
            break
        damped = s**2 + _DAMPINGS[:, None]
        velocity = (along / damped) @ vt / column
        bent = np.asarray(bend(theta, velocity, arrays))
        # priors, whose rows stand last, are taken as normal: they do not bend
        acceleration = -0.5 * ((bent @ u[: bent.shape[1]] * s) / damped) @ vt / column
        long, short = (np.linalg.norm(x * column, axis=1) for x in (acceleration, velocity))
        acceleration[~(long <= _BEND * short)] = 0.0
        reach = _STRIDE * np.maximum(np.abs(theta), start_size)
        moves = np.clip(np.concatenate([velocity, velocity + acceleration]), -reach, reach)
        there = objective.values_at(theta + moves)
        best = int(np.argmax(np.where(np.isfinite(there), there, -np.inf)))
        if not there[best] > value + 1e-13 * (1.0 + abs(value)):
            break
        theta = theta + moves[best]
    return theta


@compiled
def _derivatives(objective: Objective) -> tuple[Callable[..., jax.Array], Callable[..., jax.Array]]:
    """Compiled value and score, and second derivatives of the observed parameters."""
    return jax.jit(jax.value_and_grad(objective)), jax.jit(partial(_second_derivatives, objective))


def _second_derivatives(
    objective: Objective, theta: jax.Array, v: jax.Array, arrays: Mapping[str, Any]
) -> jax.Array:
    """Weighted second derivative of the observed parameters along each v, (L, P) to (L, K)."""
    density, z = objective.density, objective.complete(theta, arrays)

    def observed(t: jax.Array) -> jax.Array:
        return density.observed_parameters(z.at[objective.free].set(t), arrays)

    def along(direction: jax.Array) -> jax.Array:
        def slope(t: jax.Array) -> jax.Array:
            return jax.jvp(observed, (t,), (direction,))[1]

        return jax.jvp(slope, (theta,), (direction,))[1]

    return jax.vmap(along)(v) * jnp.sqrt(jnp.abs(density.observed_weights(z, arrays)))
