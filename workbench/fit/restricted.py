r"""The maximum of an objective on a surface :math:`c(\theta) = 0`: hypotheses and profiles.

Newton's method in the tangent space of the surface: with A the Jacobian of c, N a basis of its
null space and :math:`\lambda` the least-squares multipliers of :math:`\nabla \ell = A^T \lambda`,

.. math:: \delta = N \big(-N^T \big[\nabla^2 \ell - \textstyle\sum_j \lambda_j \nabla^2 c_j\big]
          N\big)^{-1} N^T \nabla \ell ,

after which the point is put back on the surface by damped Gauss-Newton steps; every iterate lies
on it, so that the objective alone decides how far to go. Where c is linear this is Newton's method
in the null space of the constraint. At the end :math:`\lambda` is the derivative of the maximum in
the level of each equation. All in coordinates in which the information is near the identity
(:mod:`workbench.fit.scaling`), where the way back moves the other parameters as their regression
on the restricted ones says.

References
----------
Luenberger (1972), "The gradient projection method along geodesics", doi:10.1287/mnsc.18.11.620;
Nocedal and Wright, Numerical Optimization, 2nd ed., chapters 15 and 18.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from scipy import linalg

from workbench.fit.newton import CONVERGED_DECREMENT, newton_move
from workbench.fit.objective import Objective
from workbench.fit.scaling import rescale

_STEPS = 100
_HALVINGS = 2.0 ** -np.arange(16)
_RETURNS = 30
_ON_SURFACE = 1e-13  # relative to the size of what is compared
_ROUNDED = 1e-10  # the same, where the equations' own rounding lets no nearer
_GOOD_ENOUGH = 1e-8  # nats, where rounding of the objective ends the search


@dataclass(frozen=True, kw_only=True)
class Equations:
    """Equations c = 0 at a point, with their derivatives.

    Attributes
    ----------
    residual : numpy.ndarray
        c, shape (k,).
    jacobian, hessian : numpy.ndarray
        Its derivatives in theta, shapes (k, P) and (k, P, P).
    """

    residual: np.ndarray
    jacobian: np.ndarray
    hessian: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Surface:
    """Equations about the parameters.

    Attributes
    ----------
    at : callable
        The equations at unconstrained parameters, shape (P,).
    size : numpy.ndarray
        Size of what each equation compares, shape (k,): the unit of a residual.
    """

    at: Callable[[np.ndarray], Equations]
    size: np.ndarray

    def miss(self, equations: Equations) -> float:
        """Largest residual in its unit."""
        return float(np.max(np.abs(equations.residual) / self.size))


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
    multipliers : numpy.ndarray
        Derivative of the maximum in the level of each equation, shape (k,).
    reason : str
        Why this is no maximum (empty when it is).
    """

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    information: np.ndarray
    multipliers: np.ndarray
    reason: str


def maximise_on(objective: Objective, start: np.ndarray, surface: Surface) -> RestrictedOptimum:
    """Maximise an objective on a surface, from the point of the surface nearest to a start.

    Parameters
    ----------
    objective : Objective
        What to maximise.
    start : numpy.ndarray
        A point near, such as the unrestricted maximum, shape (P,).
    surface : Surface
        The restriction.

    Returns
    -------
    RestrictedOptimum
        With a reason where no point of the surface is found, or no maximum on it.
    """
    scale = rescale(objective, start)
    here = _at(objective, surface, _return(surface, start, scale), scale)
    for _ in range(_STEPS):
        if here.reason or here.decrement <= _ended(here, CONVERGED_DECREMENT, 1e-14):
            break
        there = _step(objective, surface, here, scale)
        if there is None:
            break
        here = there
    reason = here.reason
    if not reason and here.decrement > _ended(here, _GOOD_ENOUGH, 1e-12):
        reason = f"no maximum found on the surface (Newton decrement {here.decrement:.2g} nats)"
    pull = np.linalg.inv(scale)
    return RestrictedOptimum(
        theta=here.theta,
        value=here.value,
        gradient=pull.T @ here.gradient,
        information=-pull.T @ here.hessian @ pull,
        multipliers=here.multipliers,
        reason=reason,
    )


@dataclass(frozen=True, kw_only=True)
class _Point:
    """A point with its derivatives in w, and Newton's move in the tangent space (in theta)."""

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    multipliers: np.ndarray
    move: np.ndarray
    decrement: float
    reason: str


def _ended(point: _Point, nats: float, relative: float) -> float:
    """The decrement cannot fall below the rounding of the objective itself."""
    return max(nats, relative * abs(point.value))


def _at(objective: Objective, surface: Surface, theta: np.ndarray, scale: np.ndarray) -> _Point:
    arrays = objective.arrays
    found = objective.derivatives_in(jnp.asarray(theta), scale, arrays)
    value, gradient, hessian = (np.asarray(x) for x in found)
    equations = surface.at(theta)
    multipliers, move = np.full(surface.size.size, np.nan), np.zeros_like(theta)
    decrement, reason = 0.0, ""
    if not surface.miss(equations) <= _ROUNDED:
        reason = "no point satisfies the hypothesis"
    elif not (np.isfinite(value) and np.isfinite(hessian).all()):
        reason = "the objective is not finite under the hypothesis"
    else:
        a = equations.jacobian @ scale
        multipliers = np.linalg.lstsq(a.T, gradient, rcond=None)[0]
        bend = scale.T @ np.einsum("k,kij->ij", multipliers, equations.hessian) @ scale
        basis = linalg.null_space(a)
        if basis.shape[1]:  # else the hypothesis leaves nothing free
            along, decrement = newton_move(basis.T @ gradient, -basis.T @ (hessian - bend) @ basis)
            move = scale @ basis @ along
    return _Point(
        theta=theta,
        value=float(value),
        gradient=gradient,
        hessian=hessian,
        multipliers=multipliers,
        move=move,
        decrement=decrement,
        reason=reason,
    )


def _step(objective: Objective, surface: Surface, here: _Point, scale: np.ndarray) -> _Point | None:
    """The first of the halved steps, each brought back to the surface, that wins enough."""
    rounding = 1e-13 * (1.0 + abs(here.value))
    for share in _HALVINGS:
        theta = _return(surface, here.theta + share * here.move, scale)
        there = _at(objective, surface, theta, scale)
        won = there.value - here.value
        if not there.reason and won >= 1e-4 * share * here.decrement - rounding:
            return there
    return None


def _return(surface: Surface, theta: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The point of the surface nearest in scaled coordinates, as near as steps bring it."""
    here = surface.at(theta)
    for _ in range(_RETURNS):
        miss, a = surface.miss(here), here.jacobian @ scale
        if not (miss > _ON_SURFACE and np.isfinite(a).all()):
            break
        step = scale @ np.linalg.lstsq(a, here.residual, rcond=None)[0]
        for share in _HALVINGS:
            there = surface.at(theta - share * step)
            if surface.miss(there) < miss:
                theta, here = theta - share * step, there
                break
        else:
            break
    return theta
