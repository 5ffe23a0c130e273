r"""The maximum of an objective on a surface :math:`c(z) = 0`, from the unrestricted maximum.

Newton's method in the tangent space of the surface: with A the Jacobian of c, N a basis of its
null space and :math:`\lambda` the least-squares multipliers of :math:`\nabla \ell = A^T \lambda`,

.. math:: \delta = N \big(-N^T \big[\nabla^2 \ell - \textstyle\sum_j \lambda_j \nabla^2 c_j\big]
          N\big)^{-1} N^T \nabla \ell ,

after which the point is put back on the surface by Gauss-Newton steps; every iterate lies on it,
so that the objective alone decides how far to go. Where c is linear this is Newton's method in
the null space of the constraint. All in coordinates in which the information is near the identity
(:mod:`workbench.fit.scaling`). Nocedal and Wright, Numerical Optimization, 2nd ed., chapters 15
and 18.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from scipy import linalg

from workbench.fit.objective import Objective
from workbench.fit.optimiser import CONVERGED_DECREMENT, newton_move
from workbench.fit.scaling import rescale

_STEPS = 100
_HALVINGS = 2.0 ** -np.arange(16)
_RESTORATIONS = 30
_ON_SURFACE = 1e-12  # relative to the size of what is compared
_GOOD_ENOUGH = 1e-6  # nats; what a likelihood ratio may lack when rounding ends the search


@dataclass(frozen=True, kw_only=True)
class Surface:
    """Equations c(z) = 0 about the parameters, with their derivatives.

    Attributes
    ----------
    residual : callable
        c at unconstrained parameters (P,), shape (k,).
    jacobian, hessian : callable
        Its derivatives, shapes (k, P) and (k, P, P).
    size : numpy.ndarray
        Size of what each equation compares, shape (k,): the unit of a residual.
    """

    residual: Callable[[np.ndarray], np.ndarray]
    jacobian: Callable[[np.ndarray], np.ndarray]
    hessian: Callable[[np.ndarray], np.ndarray]
    size: np.ndarray


@dataclass(frozen=True, kw_only=True)
class RestrictedOptimum:
    """Where the objective is largest on the surface.

    Attributes
    ----------
    theta : numpy.ndarray
        The point, shape (P,).
    value : float
        Objective there, nats.
    gradient : numpy.ndarray
        Gradient there in the unconstrained parameters, shape (P,).
    information : numpy.ndarray
        Minus the Hessian of the objective there, shape (P, P).
    reason : str
        Why this is no maximum (empty when it is).
    """

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    information: np.ndarray
    reason: str


def maximise_on(objective: Objective, start: np.ndarray, surface: Surface) -> RestrictedOptimum:
    """Maximise an objective on a surface, from the point of the surface nearest to a start.

    Parameters
    ----------
    objective : Objective
        What to maximise.
    start : numpy.ndarray
        The unrestricted maximum, shape (P,).
    surface : Surface
        The restriction.

    Returns
    -------
    RestrictedOptimum
        With a reason where no point of the surface is found, or no maximum on it.
    """
    arrays = objective.density.arrays
    scale, _ = rescale(objective, jnp.asarray(start), arrays)
    theta = _restore(surface, start, scale)
    value = gradient = hessian = np.zeros(0)
    decrement = np.inf
    for _ in range(_STEPS):
        value, gradient, hessian = (
            np.asarray(x) for x in objective.derivatives_in(jnp.asarray(theta), scale, arrays)
        )
        if not _on(surface, theta):
            return _end(theta, value, gradient, hessian, scale, "no point satisfies the hypothesis")
        if not (np.isfinite(value) and np.isfinite(hessian).all()):
            reason = "the objective is not finite under the hypothesis"
            return _end(theta, value, gradient, hessian, scale, reason)
        a = surface.jacobian(theta) @ scale
        multipliers = np.linalg.lstsq(a.T, gradient, rcond=None)[0]
        bend = np.einsum("k,kij->ij", multipliers, surface.hessian(theta))
        basis = linalg.null_space(a)
        if basis.shape[1] == 0:  # the hypothesis leaves nothing free
            return _end(theta, value, gradient, hessian, scale, "")
        information = -basis.T @ (hessian - scale.T @ bend @ scale) @ basis
        move, decrement = newton_move(basis.T @ gradient, information)
        # the decrement cannot fall below the rounding of the objective itself
        if decrement <= max(CONVERGED_DECREMENT, 1e-14 * abs(value)):
            return _end(theta, value, gradient, hessian, scale, "")
        step = scale @ basis @ move
        trials = np.stack([_restore(surface, theta + t * step, scale) for t in _HALVINGS])
        won = objective.values_at(trials) - value
        enough = np.flatnonzero(won >= 1e-4 * _HALVINGS * decrement - 1e-13 * (1.0 + abs(value)))
        if not enough.size:
            break
        theta = trials[enough[0]]
    reason = ""
    if decrement > _GOOD_ENOUGH:
        reason = f"no maximum found under the hypothesis (Newton decrement {decrement:.2g} nats)"
    return _end(theta, value, gradient, hessian, scale, reason)


def _end(
    theta: np.ndarray,
    value: np.ndarray,
    gradient: np.ndarray,
    hessian: np.ndarray,
    scale: np.ndarray,
    reason: str,
) -> RestrictedOptimum:
    pull = np.linalg.inv(scale)
    return RestrictedOptimum(
        theta=theta,
        value=float(value),
        gradient=pull.T @ gradient,
        information=-pull.T @ hessian @ pull,
        reason=reason,
    )


def _on(surface: Surface, theta: np.ndarray) -> bool:
    return bool(np.all(np.abs(surface.residual(theta)) <= _ON_SURFACE * surface.size))


def _restore(surface: Surface, theta: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The point of the surface nearest in scaled coordinates, by Gauss-Newton steps."""
    for _ in range(_RESTORATIONS):
        residual = surface.residual(theta)
        if np.all(np.abs(residual) <= 0.1 * _ON_SURFACE * surface.size):
            break
        a = surface.jacobian(theta) @ scale
        if not np.isfinite(a).all():
            break
        theta = theta - scale @ np.linalg.lstsq(a, residual, rcond=None)[0]
    return theta
