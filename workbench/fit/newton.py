r"""Newton's method to rounding level, from a point near a maximum, in coordinates scaled there.

With :math:`\theta = \theta_0 + P w` the information in w is near the identity
(:mod:`workbench.fit.scaling`). Steps take the exact Hessian (Nocedal and Wright, Numerical
Optimization, 2nd ed., chapter 3), its eigenvalues by their size; saddles are left along negative
curvature. The Newton decrement :math:`g^T H^{-1} g`, twice the objective still to be won, is the
measure of convergence that no change of units moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.fit.concavity import one_maximum
from workbench.fit.objective import Objective
from workbench.fit.scaling import rescale, scale_of_information
from workbench.fit.spectral import symmetric_eigen

_STEPS = 100
_SPREAD = 1e4  # of the curvatures in w, above which a scale is taken anew
_HALVINGS = 2.0 ** -np.arange(1, 12)
_LEAPS = 4.0 ** np.arange(-5, 3)  # along negative curvature, in scaled coordinates
CONVERGED_DECREMENT = 1e-12  # nats; a standard error's millionth part
_NOTHING = 1e-24  # nats; a step that moves no twelfth digit of a standard error


@dataclass(frozen=True, kw_only=True)
class Point:
    """Value, derivatives (in w) and Newton step at a point.

    Attributes
    ----------
    theta, value, gradient, scale, information, decrement
        As in :class:`workbench.fit.optimiser.Optimum`.
    move : numpy.ndarray
        The Newton step in w, shape (P,).
    """

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    scale: np.ndarray
    information: np.ndarray
    move: np.ndarray
    decrement: float

    @property
    def spread(self) -> float:
        """Largest over smallest curvature in w: about 1 where the scale fits."""
        size = np.abs(np.linalg.eigvalsh(self.information))
        with np.errstate(over="ignore"):  # beyond all numbers where the smallest vanishes
            return float(size.max() / max(size.min(), 1e-300))

    @classmethod
    def at(cls, objective: Objective, theta: np.ndarray, scale: np.ndarray) -> Point:
        """Evaluate the objective's derivatives at theta, in coordinates theta + P w."""
        arrays = objective.arrays
        value, gradient, hessian = (
            np.asarray(x) for x in objective.derivatives_in(theta, scale, arrays)
        )
        return cls.of(theta, float(value), gradient, scale, -0.5 * (hessian + hessian.T))

    @classmethod
    def of(
        cls,
        theta: np.ndarray,
        value: float,
        gradient: np.ndarray,
        scale: np.ndarray,
        information: np.ndarray,
    ) -> Point:
        """The point with these derivatives, and the Newton step that they give."""
        move, decrement = newton_move(gradient, information)
        return cls(
            theta=theta,
            value=value,
            gradient=gradient,
            scale=scale,
            information=information,
            move=move,
            decrement=decrement,
        )

    def rescaled(self, change: np.ndarray) -> Point:
        """The same point with P times a matrix for P."""
        information = change.T @ self.information @ change
        return Point.of(
            self.theta, self.value, change.T @ self.gradient, self.scale @ change, information
        )


def newton(objective: Objective, theta: np.ndarray) -> list[Point]:
    """Newton steps, each in coordinates rescaled at its point, until none helps."""
    path = [_first_point(objective, theta)]
    quiet, best, helps = 0, np.inf, True
    while len(path) < _STEPS and np.isfinite(path[-1].decrement):
        here = path[-1]
        # at rounding level the decrement stops falling: two quiet steps in a row end the search
        level = here.decrement < CONVERGED_DECREMENT and here.decrement >= 0.25 * best
        quiet, best = (quiet + 1 if level else 0), min(best, here.decrement)
        ended = quiet >= 2 or here.decrement < _NOTHING
        there = None if ended else _step(objective, here)
        if there is None:
            there, quiet, best = _leave_saddle(objective, here), 0, np.inf
        if there is None:
            break
        far = here.decrement > 1e-2
        if far or (here.spread > _SPREAD and helps):
            scale = rescale(objective, there.theta)
            there = Point.at(objective, there.theta, scale)
        path.append(there)
        # a spread that a scale of its own point leaves is rounding, which no other would mend
        fitted = path[-1].scale is not here.scale
        helps = helps and (far or not fitted or path[-1].spread <= _SPREAD)
    return path


def _first_point(objective: Objective, theta: np.ndarray) -> Point:
    """The derivatives at a point, in coordinates rescaled there.

    Where the objective is known to have one maximum, its observed information there is that of
    Gauss and Newton (with a prior, up to the correlations that this leaves out), so that a single
    Hessian gives both the coordinates and what is seen in them.
    """
    if one_maximum(objective):
        plain = Point.at(objective, theta, np.eye(theta.size))
        scale = scale_of_information(objective, plain.information)
        if scale is not None:
            return plain.rescaled(scale)
    return Point.at(objective, theta, rescale(objective, theta))


def newton_move(gradient: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, float]:
    """Ascent step in w from the absolute spectrum, and its decrement."""
    if not (np.isfinite(information).all() and np.isfinite(gradient).all()):
        return np.zeros_like(gradient), np.inf
    eigenvalues, vectors = symmetric_eigen(information)
    size = np.maximum(np.abs(eigenvalues), 1e-10 * max(np.abs(eigenvalues).max(), 1e-300))
    along = vectors.T @ gradient
    # along a direction without curvature the step would be rounding over rounding: hold it
    along = np.where(np.abs(eigenvalues) < 1e-10 * np.abs(eigenvalues).max(), 0.0, along)
    return vectors @ (along / size), float(np.sum(along**2 / size))


def _leave_saddle(objective: Objective, here: Point) -> Point | None:
    """A higher point along the direction of most negative curvature, if there is one."""
    eigenvalues, vectors = symmetric_eigen(here.information)
    if eigenvalues.size == 0 or eigenvalues[0] >= -1e-6:
        return None
    direction = here.scale @ vectors[:, 0]
    trials = here.theta + np.concatenate([_LEAPS, -_LEAPS])[:, None] * direction
    won = objective.values_at(trials) - here.value
    best = int(np.argmax(np.where(np.isfinite(won), won, -np.inf)))
    if won[best] <= 1e-9 * (1.0 + abs(here.value)):
        return None
    return Point.at(objective, trials[best], here.scale)


def _step(objective: Objective, here: Point) -> Point | None:
    """The Newton step, or the longest of its halves that wins enough; None where none does.

    The whole step is tried alone: near a maximum it is nearly always taken, and its derivatives
    are wanted next.
    """
    move = here.scale @ here.move
    whole = Point.at(objective, here.theta + move, here.scale)
    rounding = 1e-13 * (1.0 + abs(here.value))
    if here.decrement < 10 * rounding:  # what it wins is hidden by rounding
        return whole if whole.value - here.value >= -10 * rounding else None
    if whole.value - here.value >= 1e-4 * here.decrement:
        return whole
    trials = here.theta + _HALVINGS[:, None] * move
    won = objective.values_at(trials) - here.value
    enough = np.flatnonzero(won >= 1e-4 * _HALVINGS * here.decrement)
    return Point.at(objective, trials[enough[0]], here.scale) if enough.size else None
