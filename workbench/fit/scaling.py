r"""Coordinates in which a likelihood is well conditioned, without squaring its condition number.

With :math:`\phi(z)` the parameters of the observed sites' distributions and :math:`W` their
Fisher information, :math:`A = W^{1/2} \partial\phi/\partial z` is a factor of the generalised
Gauss-Newton information :math:`A^T A`. The singular value decomposition of the column-scaled
:math:`A D^{-1} = U S V^T` gives

.. math:: z = z_0 + P w, \qquad P = D^{-1} V S^{-1},

in which the information is near the identity. Working with :math:`A` and not with
:math:`A^T A` is what QR is to the normal equations: it costs the condition number once, not
twice (Golub and Van Loan, Matrix Computations, 4th ed., section 5.3). Where that number, of the
scaled A, is below :math:`10^4`, the eigenvectors of :math:`A^T A` have digits to spare, and are
taken instead: they cost one product of matrices.

Where random effects are integrated out there is no such factor: the rows are not independent
given the parameters alone, and a spread of effects is seen only through them. There the Hessian
of the marginal itself, scaled to a unit diagonal, gives the coordinates from its absolute
spectrum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.compilation import compiled
from workbench.fit.objective import Objective
from workbench.fit.spectral import symmetric_eigen
from workbench.model import Density

_WELL = 1e-8  # smallest over largest eigenvalue of an information that has digits to spare
_TINY = 1e-200  # a diagonal entry that may have lost digits to underflow


def rescale(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """Matrix P with theta + P w well conditioned.

    Parameters
    ----------
    objective : Objective
        What is maximised.
    theta : numpy.ndarray
        Where, shape (P,).

    Returns
    -------
    numpy.ndarray
        P, shape (P, P). Directions the data say nothing of (singular value at rounding level)
        keep the scale of the best-determined one, so that rounding is not blown up.
    """
    if objective.effects.size:
        return _rescale_marginal(objective, theta)[0]
    size = theta.size
    if not _tells_of_scales(objective):
        return np.eye(size)
    density = objective.density
    information, prior = (np.asarray(x) for x in _gauss_newton(density)(theta, density.arrays))
    if objective.has_prior:
        information = information + np.diag(np.where(np.isfinite(prior), np.abs(prior), 0.0))
    scale = scale_of_information(objective, information)
    if scale is not None:
        return scale
    factor = information_factor(objective, theta)
    column = np.linalg.norm(factor, axis=0)
    column = np.maximum(column, _least(objective))
    column[column == 0.0] = 1.0
    _, s, vt = np.linalg.svd(factor / column, full_matrices=len(factor) < size)
    s = np.concatenate([s, np.zeros(size - s.size)])
    largest = s[0] if s[0] > 0 else 1.0
    floor = np.finfo(float).eps * max(len(factor), size) * largest
    s = np.where(s > floor, s, largest)
    return (vt.T / s) / column[:, None]


def units(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """Plain scale of each coordinate, for starts that are spread.

    Parameters
    ----------
    objective, theta
        As in :func:`rescale`.

    Returns
    -------
    numpy.ndarray
        The change of each coordinate, shape (P,), at most 1, that moves the observed parameters
        by about 1 (root mean square).
    """
    if objective.effects.size:
        return _rescale_marginal(objective, theta)[1]
    if not _tells_of_scales(objective):
        return np.ones(theta.size)
    parts = _gauss_newton_parts(objective.density)(theta, objective.density.arrays)
    jacobian, weight, _ = (np.asarray(x) for x in parts)
    finite = np.isfinite(jacobian).all(axis=1) & np.isfinite(weight)
    rms = np.sqrt(np.mean(jacobian[finite] ** 2, axis=0)) if finite.any() else np.ones(theta.size)
    return 1 / np.maximum(1.0, rms)


def scale_of_information(objective: Objective, information: np.ndarray) -> np.ndarray | None:
    """Matrix P in whose coordinates an information is the identity.

    Parameters
    ----------
    objective : Objective
        What is maximised.
    information : numpy.ndarray
        Shape (P, P).

    Returns
    -------
    numpy.ndarray or None
        ``None`` where its eigenvectors may lack digits, or it is not positive definite.
    """
    diagonal = np.diag(information)
    if not np.isfinite(information).all() or (diagonal < _TINY).any():
        return None
    column = np.maximum(np.sqrt(diagonal), _least(objective))
    eigenvalues, vectors = symmetric_eigen(information / np.outer(column, column))
    if eigenvalues.size and eigenvalues[0] < _WELL * eigenvalues[-1]:
        return None
    return (vectors / np.sqrt(eigenvalues)) / column[:, None]


def _tells_of_scales(objective: Objective) -> bool:
    """Whether an observed distribution or a prior tells of scales: a lone factor does not."""
    density = objective.density
    return bool(density.names("observed")) or (objective.has_prior and density.prior_moves)


@compiled
def _gauss_newton_parts(density: Density) -> Callable[..., tuple[jax.Array, jax.Array, jax.Array]]:
    """Jacobian of the observed parameters (K, P), their weights (K,), prior curvature (P,).

    One program for all methods: without effects, theta is z.
    """

    def program(z: jax.Array, arrays: Any) -> Any:
        jacobian = density.jacobian(lambda z: density.observed_parameters(z, arrays))(z)
        return jacobian, density.observed_weights(z, arrays), _prior_curvature(density, z, arrays)

    return jax.jit(program)


def _prior_curvature(density: Density, z: jax.Array, arrays: Any) -> jax.Array:
    """Row sums of minus the Hessian of the log prior, shape (P,)."""
    if not density.prior_moves:
        return jnp.zeros(z.shape)

    def log_prior(z: jax.Array) -> jax.Array:
        return density.sum_by_role(density.point(z, arrays).log_probs).log_prior

    if density.forward_mode:
        return -jax.jvp(jax.grad(log_prior), (z,), (jnp.ones_like(z),))[1]
    return -jax.grad(lambda z: jnp.sum(jax.grad(log_prior)(z)))(z)


@compiled
def _gauss_newton(density: Density) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Compiled Gauss-Newton information, shape (P, P), and curvature of the prior, shape (P,).

    It is not finite where a row is not: :func:`information_factor` leaves such rows out.
    """
    parts = _gauss_newton_parts(density)
    at_once = density.tangents_at_once if density.forward_mode else None

    def by_factor(z: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array]:
        jacobian, weight, prior = parts(z, arrays)
        # a row for each coordinate is how tangents are pushed forward: nothing is transposed
        factor = jacobian.T * jnp.sqrt(jnp.abs(weight))
        return factor @ factor.T, prior

    def by_products(z: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array]:
        """The same, a few columns at a time: a Jacobian would be as large as the data."""
        weight = jnp.abs(density.observed_weights(z, arrays))
        _, push = jax.linearize(lambda z: density.observed_parameters(z, arrays), z)
        pull = jax.linear_transpose(push, z)
        columns = jax.lax.map(
            lambda v: pull(weight * push(v))[0], jnp.eye(z.size), batch_size=at_once
        )
        return columns, _prior_curvature(density, z, arrays)

    return jax.jit(by_factor if at_once is None else by_products)


def information_factor(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """Factor A of the Gauss-Newton information.

    Parameters
    ----------
    objective, theta
        As in :func:`rescale`; an objective without random effects.

    Returns
    -------
    numpy.ndarray
        A, shape (K, P): a row for each parameter of an observed distribution, then, where the
        objective holds priors, a row for each coordinate. Rows that are not finite are zero.
    """
    parts = _gauss_newton_parts(objective.density)(theta, objective.density.arrays)
    jacobian, weight, prior = (np.asarray(x) for x in parts)
    finite = np.isfinite(jacobian).all(axis=1) & np.isfinite(weight)
    factor = np.zeros_like(jacobian)
    factor[finite] = jacobian[finite] * np.sqrt(np.abs(weight[finite]))[:, None]
    if objective.has_prior:
        diagonal = np.sqrt(np.where(np.isfinite(prior), np.abs(prior), 0.0))
        factor = np.concatenate([factor, np.diag(diagonal)])
    return factor


def _rescale_marginal(objective: Objective, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrix P and units from the Hessian of the marginal likelihood, see :func:`rescale`."""
    size = theta.size
    hessian = np.asarray(objective.derivatives_in(theta, np.eye(size), objective.arrays)[2])
    if not np.isfinite(hessian).all():
        return np.eye(size), np.ones(size)
    least = np.array([0.1 if x > 0.0 else 0.0 for x in _least(objective)])
    column = np.maximum(np.sqrt(np.abs(np.diag(hessian))), least)
    column[column == 0.0] = 1.0
    eigenvalues, vectors = symmetric_eigen(hessian / np.outer(column, column))
    s = np.sqrt(np.abs(eigenvalues))
    s = np.where(s > 1e-4, s, 1.0)  # nearly flat: one unit of the coordinates
    rows = max(objective.density.num_observations, 1)
    return (vectors / s) / column[:, None], 1 / np.maximum(1.0, column / np.sqrt(rows))


def _least(objective: Objective) -> np.ndarray:
    """Least norm of a column that is believed: a logarithm has a unit, other coordinates none.

    A scale that runs to zero leaves a column of rounding; blown up to 1 it would drown the rest.
    """
    latents = [objective.density.latents_at(i) for i in objective.free]
    return np.array([1e-4 if x.scale in ("log", "logit") else 0.0 for x in latents])
