r"""The lasso: a posterior mode under Laplace priors, with zeros that are zero.

A Laplace prior of scale :math:`b_j` adds :math:`|\beta_j - m_j| / b_j` to the smooth part
:math:`f`, the negative log-likelihood and the rest of the log prior. At a minimum

.. math:: \partial_j f = -\mathrm{sign}(\beta_j - m_j) / b_j \ \text{where } \beta_j \ne m_j,
          \qquad |\partial_j f| \le 1 / b_j \ \text{where } \beta_j = m_j

(Karush, Kuhn and Tucker). The proximal Newton method replaces f by its second-order expansion and
minimises that exactly by coordinate descent, each step of which is a soft threshold

.. math:: S(a, \lambda) = \mathrm{sign}(a) \max(|a| - \lambda, 0);

with orthonormal columns, normal noise and :math:`m = 0` one sweep is the answer,
:math:`\beta = S(X^T y, \sigma^2 / b)`.

References
----------
Tibshirani (1996), doi:10.1111/j.2517-6161.1996.tb02080.x; Friedman, Hastie and Tibshirani (2010),
doi:10.18637/jss.v033.i01; Lee, Sun and Saunders (2014), doi:10.1137/130921428.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.fit.spectral import symmetric_eigen

_MOST = 100  # Newton steps
_SWEEPS = 5000
_HALVINGS = 2.0 ** -np.arange(25)
_SATISFIED = 1e-6  # of the gradient over the penalty, or in nats per sd of the curvature


@dataclass(frozen=True, kw_only=True, eq=False)
class LassoFit:
    """A minimum of a smooth function plus absolute values (P parameters).

    Attributes
    ----------
    x : numpy.ndarray
        Shape (P,).
    violation : float
        Largest violation of the conditions of a minimum, in units of the curvature's sd.
    converged : bool
        Whether that is negligible.
    """

    x: np.ndarray
    violation: float
    converged: bool


def lasso(
    derivatives: Callable[[np.ndarray], Any],
    start: np.ndarray,
    penalty: np.ndarray,
    centre: np.ndarray,
) -> LassoFit:
    """Minimise ``f(x) + sum(penalty * abs(x - centre))``.

    Parameters
    ----------
    derivatives : callable
        Gives value, gradient (P,) and Hessian (P, P) of f at x.
    start : numpy.ndarray
        Where to begin, shape (P,).
    penalty : numpy.ndarray
        Not negative, shape (P,); 0 for a parameter without one.
    centre : numpy.ndarray
        Where the penalties are 0, shape (P,).

    Returns
    -------
    LassoFit

    Examples
    --------
    A soft threshold: the first is 3 less 1, the second is less than 1 and exactly 0.

    >>> a = np.array([3.0, 0.5])
    >>> f = lambda x: (0.5 * np.sum((x - a) ** 2), x - a, np.eye(2))
    >>> lasso(f, np.zeros(2), np.ones(2), np.zeros(2)).x.tolist()
    [2.0, 0.0]
    """
    x = np.array(start, dtype=float)
    value, gradient, hessian = (np.asarray(v, dtype=float) for v in derivatives(x))
    total = value + penalty @ np.abs(x - centre)
    violation = np.inf
    for _ in range(_MOST):
        curvature = _positive(hessian)
        violation = _violation(x - centre, gradient, np.diag(curvature), penalty)
        if not violation > _SATISFIED:
            break
        step = _coordinate_descent(gradient, curvature, x - centre, penalty)
        for share in _HALVINGS:
            # a whole step is taken as it is, so that zeros stay exact
            at = centre + step if share == 1.0 else x + share * (centre + step - x)
            value, gradient, hessian = (np.asarray(v, dtype=float) for v in derivatives(at))
            new = value + penalty @ np.abs(at - centre)
            if new <= total + 1e-9 * (1 + abs(total)):
                break
        else:
            break
        x, total = at, new
    return LassoFit(x=x, violation=float(violation), converged=bool(violation <= _SATISFIED))


def soft_threshold(value: Any, threshold: Any) -> Any:
    """Nearer to zero by a threshold, and zero within it.

    Examples
    --------
    >>> soft_threshold(np.array([3.0, -2.0, 0.5]), 1.0).tolist()
    [2.0, -1.0, 0.0]
    """
    return np.sign(value) * np.maximum(np.abs(value) - threshold, 0.0)


def _violation(
    away: np.ndarray, gradient: np.ndarray, curvature: np.ndarray, penalty: np.ndarray
) -> float:
    """Largest violation of the conditions of a minimum, gradients in units of the curvature."""
    inside = np.maximum(np.abs(gradient) - penalty, 0.0)
    outside = np.abs(gradient + penalty * np.sign(away))
    return float(np.max(np.where(away == 0.0, inside, outside) / np.sqrt(curvature)))


def _positive(hessian: np.ndarray) -> np.ndarray:
    """The Hessian with its negative curvature turned round: a step must lead downhill."""
    symmetric = 0.5 * (hessian + hessian.T)
    own, axes = symmetric_eigen(symmetric)
    if own[0] > 1e-12 * own[-1]:
        return symmetric
    return (axes * np.maximum(np.abs(own), 1e-8 * np.abs(own).max())) @ axes.T


def _coordinate_descent(
    gradient: np.ndarray, curvature: np.ndarray, away: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    """Minimise the expansion plus penalties over the distance from the centre, shape (P,)."""
    new = away.copy()
    slope = gradient.copy()  # of the expansion at `new`
    diagonal = np.diag(curvature)
    for _ in range(_SWEEPS):
        most = 0.0
        for j in range(len(new)):
            at = soft_threshold(diagonal[j] * new[j] - slope[j], penalty[j]) / diagonal[j]
            move = at - new[j]
            if move != 0.0:
                slope += curvature[:, j] * move
                new[j] = at
                most = max(most, abs(move) * np.sqrt(diagonal[j]))
        if most < 1e-10:
            break
    return new
