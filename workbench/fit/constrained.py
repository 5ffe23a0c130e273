r"""Maximisation of an objective on a level of one term: what a profile likelihood needs.

To maximise :math:`f(\theta)` subject to :math:`g(\theta) = c`, each step is Newton's in the plane
tangent to the level,

.. math:: Z^T \{-\nabla^2 f + \lambda \nabla^2 g\} Z\, p = Z^T \nabla f, \qquad
          \lambda = \nabla g^T \nabla f / \nabla g^T \nabla g,

with Z a basis of the plane, and is followed by a return to the level along :math:`\nabla g`; f
rises at every step. At the end :math:`\lambda` is the derivative of the profile in c. All of it
is done in the coordinates of :mod:`workbench.fit.scaling`, in which the return moves the other
parameters as their regression on the term says.

References
----------
Luenberger (1972), "The gradient projection method along geodesics", doi:10.1287/mnsc.18.11.620.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.compilation import compiled
from workbench.fit.intervals import Link
from workbench.fit.objective import Objective
from workbench.fit.optimiser import CONVERGED_DECREMENT
from workbench.fit.scaling import rescale
from workbench.fit.terms import term_vector
from workbench.model import Density

_STEPS = 60
_HALVINGS = 12
_RETURNS = 30
_ON_LEVEL = 1e-13  # relative to the level
_GOOD_ENOUGH = 1e-8  # nats, where rounding ends a search
_NULL = 1e-10  # curvature, relative to the largest, that is none


@dataclass(frozen=True, kw_only=True)
class LevelAt:
    """A term on the line at a point: value, gradient (P,) and Hessian (P, P) in theta."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray


class TermOnLine(Protocol):
    """A term, mapped from its support to the line, as a function of theta."""

    def __call__(self, theta: np.ndarray) -> LevelAt:
        """Value and derivatives at theta, shape (P,)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Coordinate:
    """A term that is, on the line, one coordinate of theta.

    Attributes
    ----------
    position : int
        Which.
    """

    position: int

    def __call__(self, theta: np.ndarray) -> LevelAt:
        """Value and derivatives at theta, shape (P,)."""
        size = theta.size
        return LevelAt(
            value=float(theta[self.position]),
            gradient=np.eye(size)[self.position],
            hessian=np.zeros((size, size)),
        )


@dataclass(frozen=True, kw_only=True)
class Function:
    """A term that is any smooth function of theta.

    Attributes
    ----------
    density : Density
        The model at its data.
    index : int
        The term's place in ``ModeFit.estimates``.
    link : Link
        From the term's support to the line.
    """

    density: Density
    index: int
    link: Link

    def __call__(self, theta: np.ndarray) -> LevelAt:
        """Value and derivatives at theta, shape (P,)."""
        program = _term_derivatives(self.density)
        found = program(jnp.asarray(theta), self.index, self.density.arrays)
        value = float(found[0])
        gradient, hessian = (np.asarray(x) for x in found[1:])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            first, second = self.link.slope(value), self.link.curvature(value)
            return LevelAt(
                value=self.link.forward(value),
                gradient=first * gradient,
                hessian=first * hessian + second * np.outer(gradient, gradient),
            )


@compiled
def _term_derivatives(density: Density) -> Callable[..., Any]:
    """Compiled value, gradient and Hessian of the term at a (traced) index."""
    objective = Objective(density=density, method="MLE")
    effects = jnp.zeros(objective.effects.size)  # the term does not move with them

    def program(theta: jax.Array, index: jax.Array, arrays: Any) -> Any:
        def term(t: jax.Array) -> jax.Array:
            return term_vector(density, objective.place(t, effects), arrays)[index]

        def gradient(t: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            value, g = jax.value_and_grad(term)(t)
            return g, (value, g)

        hessian, (value, g) = density.jacobian(gradient, has_aux=True)(theta)
        return value, g, hessian

    return jax.jit(program)


def term_on_line(density: Density, index: int, link: Link) -> TermOnLine:
    """A term as a function on the line: a coordinate where it is one.

    Parameters
    ----------
    density : Density
        The model at its data.
    index : int
        The term's place in ``ModeFit.estimates``.
    link : Link
        From its support to the line.

    Returns
    -------
    TermOnLine
        :class:`Coordinate` for the elements of a site whose transform is elementwise.
    """
    offset = 0
    layout = {x.name: x for x in density.latents}
    names = density.estimand_names if density.model.estimands is None else ()
    for name in names:
        size = int(np.prod(density.site(name).shape, dtype=int))
        if offset <= index < offset + size:
            if name in layout and layout[name].scale != "z":
                at = layout[name].start + index - offset
                free = density.coordinates("parameter")
                return Coordinate(position=int(np.flatnonzero(free == at)[0]))
            break
        offset += size
    return Function(density=density, index=index, link=link)


@dataclass(frozen=True, kw_only=True)
class ConstrainedOptimum:
    """The maximum of an objective on a level of a term.

    Attributes
    ----------
    level : float
        The term's value on the line.
    theta : numpy.ndarray
        Where, shape (P,).
    value : float
        Log objective there, nats.
    slope : float
        Derivative of the maximum in the level.
    """

    level: float
    theta: np.ndarray
    value: float
    slope: float


def maximise_on_level(
    objective: Objective, term: TermOnLine, start: np.ndarray, level: float
) -> ConstrainedOptimum | None:
    """Maximise an objective where a term has a given value.

    Parameters
    ----------
    objective : Objective
        What to maximise.
    term : TermOnLine
        The constraint.
    start : numpy.ndarray
        A point near, such as the optimum on a level near by, shape (P,).
    level : float
        Value of the term on the line.

    Returns
    -------
    ConstrainedOptimum or None
        ``None`` when the level cannot be reached from the start, or no maximum on it is found.
    """
    arrays = objective.density.arrays
    scale = rescale(objective, jnp.asarray(start), arrays)[0]
    theta = _return_to_level(term, start, level, scale)
    here = None if theta is None else _at(objective, term, theta, scale)
    for _ in range(_STEPS):
        if here is None or here.decrement <= max(CONVERGED_DECREMENT, 1e-14 * abs(here.value)):
            break
        there = _search(objective, term, here, level, scale)
        if there is None:
            break
        here = there
    if here is None or here.decrement > max(_GOOD_ENOUGH, 1e-12 * abs(here.value)):
        return None
    return ConstrainedOptimum(level=level, theta=here.theta, value=here.value, slope=here.slope)


@dataclass(frozen=True, kw_only=True)
class _Point:
    """A point on the level: value, slope, Newton's move in the tangent plane (in theta)."""

    theta: np.ndarray
    value: float
    slope: float
    move: np.ndarray
    decrement: float


def _at(
    objective: Objective, term: TermOnLine, theta: np.ndarray, scale: np.ndarray
) -> _Point | None:
    """Newton's step at a point of the level; ``None`` where the objective is not finite."""
    arrays = objective.density.arrays
    found = objective.derivatives_in(jnp.asarray(theta), scale, arrays)
    value, gradient, hessian = (np.asarray(x) for x in found)
    level = term(theta)
    normal = scale.T @ level.gradient
    if not (np.isfinite(value) and np.isfinite(hessian).all() and np.isfinite(normal).all()):
        return None
    slope = float(normal @ gradient / (normal @ normal))
    information = -0.5 * (hessian + hessian.T) + slope * (scale.T @ level.hessian @ scale)
    plane = np.linalg.qr(normal[:, None], mode="complete")[0][:, 1:]
    eigenvalues, vectors = np.linalg.eigh(plane.T @ information @ plane)
    along = vectors.T @ plane.T @ gradient
    # along a direction without curvature the step would be rounding over rounding: hold it
    moves = np.abs(eigenvalues) > _NULL * np.linalg.norm(information)
    size = np.where(moves, np.abs(eigenvalues), np.inf)
    return _Point(
        theta=theta,
        value=float(value),
        slope=slope,
        move=scale @ plane @ vectors @ (along / size),
        decrement=float(np.sum(along**2 / size)),
    )


def _search(
    objective: Objective, term: TermOnLine, here: _Point, level: float, scale: np.ndarray
) -> _Point | None:
    """The first of the halved steps, each brought back to the level, that wins enough."""
    rounding = 1e-13 * (1.0 + abs(here.value))
    for share in 2.0 ** -np.arange(_HALVINGS):
        theta = _return_to_level(term, here.theta + share * here.move, level, scale)
        there = None if theta is None else _at(objective, term, theta, scale)
        if there and there.value >= here.value + 1e-4 * share * here.decrement - rounding:
            return there
    return None


def _return_to_level(
    term: TermOnLine, theta: np.ndarray, level: float, scale: np.ndarray
) -> np.ndarray | None:
    """Newton steps along the term's gradient, in scaled coordinates, until the level is met."""
    near = _ON_LEVEL * (1.0 + abs(level))
    at = term(theta)
    for _ in range(_RETURNS):
        gap = level - at.value
        if not np.isfinite(gap):
            return None
        if abs(gap) <= near:
            return theta
        normal = scale.T @ at.gradient
        with np.errstate(all="ignore"):
            step = scale @ normal * (gap / (normal @ normal))
        for share in 2.0 ** -np.arange(_HALVINGS):
            trial = theta + share * step
            found = term(trial)
            if abs(level - found.value) < abs(gap):
                theta, at = trial, found
                break
        else:
            # rounding of the term itself: as near as it gets
            return theta if abs(gap) <= 1e3 * near else None
    return theta if abs(level - at.value) <= 1e3 * near else None
