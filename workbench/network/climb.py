r"""Levenberg-Marquardt steps to a network's posterior mode, with its Gauss-Newton curvature.

In weights over their prior sds, :math:`\tilde w`, with gradient g of the log posterior
:math:`\log p(y \mid w) - \tfrac12 \sum_d \alpha_d \tilde w_d^2` and curvature
:math:`H = C + \mathrm{diag}(\alpha)`,

.. math:: \Delta = (H + \mu I)^{-1} g ;

the damping μ falls after a step that wins and rises after one that does not (Marquardt 1963,
doi:10.1137/0111030). Near the mode C is the exact Hessian, its eigenvalues by their size; where
one is negative at a vanishing gradient the point is a saddle, and is left along it. The
decrement :math:`g^\top H^{-1} g` is twice what is still to be won.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import cho_factor, cho_solve

from workbench.fit.compilation import compiled
from workbench.fit.spectral import symmetric_eigen
from workbench.network.reading import Network, output_information

_NEAR = 1.0  # nats still to be won, below which the exact Hessian takes over
_LARGEST = 1e12  # damping at which no step helps
_FLAT = 1e-6  # curvature, where the prior's is one
_SHORTENED = 12  # halvings of a step off a saddle


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """A network at one point, to first order (N rows, K outputs, D' weights in prior sds).

    Attributes
    ----------
    outputs : numpy.ndarray
        Shape (N, K).
    jacobian : numpy.ndarray
        Of the outputs in the scaled weights, shape (N, K, D').
    information : numpy.ndarray
        Fisher information of the outputs, shape (N, K, K).
    curvature : numpy.ndarray
        Gauss-Newton matrix C, shape (D', D').
    gradient : numpy.ndarray
        Of the log-likelihood in the scaled weights, shape (D',).
    log_likelihood : float
        Nats.
    """

    outputs: np.ndarray
    jacobian: np.ndarray
    information: np.ndarray
    curvature: np.ndarray
    gradient: np.ndarray
    log_likelihood: float


class Kernels(NamedTuple):
    """Compiled functions of one structure of networks.

    All take z, rows, and the data in the form of ``density.arrays``; those of scaled weights take
    the prior sds besides.

    Attributes
    ----------
    log_likelihood : callable
        A scalar.
    jacobian : callable
        Outputs, and their derivative in the weights (not scaled).
    first_order : callable
        With prior sds: outputs, scaled Jacobian, information, curvature, gradient, log-likelihood.
    hessian : callable
        Hessian of the log-likelihood in the weights (not scaled).
    laplace : callable
        With prior sds and the precision of each group: Laplace's log evidence, its partial
        derivatives in z and in the log precisions, and the number of well-determined weights.
    """

    log_likelihood: Callable[..., Any]
    jacobian: Callable[..., Any]
    first_order: Callable[..., Any]
    hessian: Callable[..., Any]
    laplace: Callable[..., Any]


@compiled
def _kernels(network: Network) -> Kernels:
    """Make the programs once for all data of one structure."""
    place, unseen = jnp.asarray(network.positions), network.density.observed_arguments

    def jacobian(z: jax.Array, rows: Any, arrays: Any) -> tuple[jax.Array, jax.Array]:
        values = network.density.constrain(z, arrays)

        def outputs(w: jax.Array, row: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
            moved = {**values, **network.weights(z.at[place].set(w))}
            eta = network.outputs(moved, {k: v[None] for k, v in row.items()}, arrays)[0]
            return eta, eta

        # a row's outputs depend on that row alone
        derivative = jax.jacrev(outputs, has_aux=True)
        inputs = {k: v for k, v in rows.items() if k not in unseen}
        J, eta = jax.vmap(lambda row: derivative(z[place], row))(inputs)
        return eta, J

    def total(z: jax.Array, rows: Any, arrays: Any) -> jax.Array:
        return jnp.sum(network.log_likelihood(z, rows, arrays))

    def gauss_newton(z: jax.Array, rows: Any, arrays: Any, sd: jax.Array) -> tuple[jax.Array, ...]:
        eta, J = jacobian(z, rows, arrays)
        J = J * sd
        information = jax.vmap(lambda e: output_information(network.family, e))(eta)
        half = jnp.einsum("nkl,nld->nkd", information, J)
        return eta, J, information, jnp.einsum("nkd,nke->de", J, half)

    def first_order(z: jax.Array, rows: Any, arrays: Any, sd: jax.Array) -> tuple[jax.Array, ...]:
        value, gradient = jax.value_and_grad(total)(z, rows, arrays)
        return *gauss_newton(z, rows, arrays, sd), gradient[place] * sd, value

    def laplace(z: jax.Array, rows: Any, arrays: Any, sd: jax.Array, alpha: jax.Array) -> Any:
        def evidence(z: jax.Array, log_alpha: jax.Array) -> tuple[jax.Array, jax.Array]:
            log_precision = log_alpha[network.groups]
            precision = jnp.exp(log_precision)
            C = gauss_newton(z, rows, arrays, sd)[-1]
            root = jnp.linalg.cholesky(C + jnp.diag(precision))
            value = total(z, rows, arrays) - 0.5 * precision @ (z[place] / sd) ** 2
            value += 0.5 * jnp.sum(log_precision) - jnp.sum(jnp.log(jnp.diag(root)))
            inverse = jax.scipy.linalg.cho_solve((root, True), jnp.eye(len(precision)))
            return value, jnp.sum(1 - precision * jnp.diag(inverse))

        slopes = jax.value_and_grad(evidence, argnums=(0, 1), has_aux=True)
        (value, effective), (by_z, by_log_alpha) = slopes(z, jnp.log(alpha))
        return value, by_z, by_log_alpha, effective

    def hessian(z: jax.Array, rows: Any, arrays: Any) -> jax.Array:
        gradient = jax.grad(lambda w: total(z.at[place].set(w), rows, arrays))
        _, derivative = jax.linearize(gradient, z[place])
        # column by column, which stays in the cache: a fifth of the time of all at once
        return jax.lax.map(derivative, jnp.eye(len(place)))

    return Kernels(*map(jax.jit, (total, jacobian, first_order, hessian, laplace)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Programs:
    """Compiled functions of one network at its data.

    Attributes
    ----------
    network : Network
        The network.
    prior_sd : numpy.ndarray
        Prior sd of each weight, shape (D',).
    """

    network: Network
    prior_sd: np.ndarray

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, network: Network) -> Programs:
        """The programs of a network; compiled once for all data of its structure."""
        return cls(network=network, prior_sd=network.prior_sd())

    def log_likelihood(self, z: Any, rows: Mapping[str, Any]) -> float:
        """Log-likelihood of some rows at z, nats."""
        return float(_kernels(self.network).log_likelihood(z, rows, self._arrays))

    def jacobian(self, z: Any, rows: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Outputs of some rows, (N, K), and their derivative in the weights, (N, K, D')."""
        eta, J = _kernels(self.network).jacobian(z, rows, self._arrays)
        return np.asarray(eta), np.asarray(J)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        """Minus the Hessian of the log-likelihood in the scaled weights, shape (D', D')."""
        kernels = _kernels(self.network)
        exact = np.asarray(kernels.hessian(z, self.network.rows, self._arrays))
        return -0.5 * (exact + exact.T) * np.outer(self.prior_sd, self.prior_sd)

    def evidence(
        self, z: np.ndarray, alpha: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Laplace's log evidence at a mode, as :attr:`Kernels.laplace` gives it."""
        value, by_z, by_log_alpha, effective = _kernels(self.network).laplace(
            z, self.network.rows, self._arrays, self.prior_sd, alpha
        )
        return float(value), np.asarray(by_z), np.asarray(by_log_alpha), float(effective)

    def expand(self, z: np.ndarray, rows: Mapping[str, Any]) -> Expansion:
        """The network at z to first order."""
        found = _kernels(self.network).first_order(z, rows, self._arrays, self.prior_sd)
        eta, J, information, C, gradient, value = (np.asarray(x) for x in found)
        return Expansion(
            outputs=eta,
            jacobian=J,
            information=information,
            curvature=C,
            gradient=gradient,
            log_likelihood=float(value),
        )

    @property
    def _arrays(self) -> dict[str, jax.Array]:
        return self.network.density.arrays


class _Bend(NamedTuple):
    """A symmetric matrix to step by; its spectrum only where it is not positive definite."""

    matrix: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> _Bend:
        """Look at a matrix: a Cholesky factor costs a tenth of its eigenvalues."""
        try:
            cho_factor(matrix, lower=True)
        except np.linalg.LinAlgError:
            return cls(matrix, *symmetric_eigen(matrix))
        return cls(matrix, np.zeros(0), np.zeros((0, 0)))

    @property
    def least(self) -> float:
        """The least eigenvalue, or zero where all are positive."""
        return float(min(self.values, default=0.0))

    def solve(self, right: np.ndarray, damping: float) -> np.ndarray:
        """The damped step, eigenvalues by their size."""
        if not self.values.size:
            damped = self.matrix + damping * np.eye(right.size)
            return cho_solve(cho_factor(damped, lower=True), right)
        size = np.maximum(np.abs(self.values), 1e-10) + damping
        return self.vectors @ (self.vectors.T @ right / size)


@dataclass(frozen=True, kw_only=True)
class Summit:
    """Where a climb ended.

    Attributes
    ----------
    z : numpy.ndarray
        The point, shape (D,).
    value : float
        Log posterior without its constants, nats.
    curvature, outputs : numpy.ndarray
        As in :class:`Expansion`.
    damping : float
        To go on with.
    num_steps : int
        Evaluations of the Jacobian.
    converged : bool
        Whether the decrement was below the tolerance.
    """

    z: np.ndarray
    value: float
    curvature: np.ndarray
    outputs: np.ndarray
    damping: float
    num_steps: int
    converged: bool


def climb(
    programs: Programs,
    z: np.ndarray,
    alpha: np.ndarray,
    *,
    damping: float,
    max_steps: int,
    tolerance: float,
) -> Summit:
    """Climb to the mode of a network's weights, all other coordinates held.

    Parameters
    ----------
    programs : Programs
        Of the network.
    z : numpy.ndarray
        Where to begin, shape (D,).
    alpha : numpy.ndarray
        Prior precision of each group of weights, shape (G,).
    damping : float
        The first μ.
    max_steps : int
        Steps at most.
    tolerance : float
        Decrement below which the climb has converged, nats.

    Returns
    -------
    Summit
        The highest point reached.
    """
    network = programs.network
    precision, place = alpha[network.groups], network.positions
    z = z.copy()

    def posterior(z: np.ndarray, log_likelihood: float) -> float:
        return log_likelihood - 0.5 * float(precision @ (z[place] / programs.prior_sd) ** 2)

    def moved(move: np.ndarray) -> np.ndarray:
        out = z.copy()
        out[place] += move * programs.prior_sd
        return out

    def posterior_at(z: np.ndarray) -> float:
        return posterior(z, programs.log_likelihood(z, network.rows))

    at = programs.expand(z, network.rows)
    value, steps, exact, converged = posterior(z, at.log_likelihood), 1, False, False
    while np.isfinite(value):
        gradient = at.gradient - precision * z[place] / programs.prior_sd
        H = programs.curvature(z) if exact else at.curvature
        bend = _Bend.of(H + np.diag(precision))
        decrement = float(gradient @ bend.solve(gradient, 0.0))
        saddle = exact and bend.least < -_FLAT
        converged = exact and decrement < tolerance and not saddle
        if converged or steps >= max_steps:
            break
        if decrement < _NEAR and not exact:
            # Gauss-Newton leaves out what the residuals add to the curvature: it ends slowly, and
            # sees no saddle
            exact = True
            continue
        found = None
        if decrement < tolerance:
            # units that stand together, or at zero, have to be told apart
            for move in (
                sign * bend.vectors[:, 0] / 2**k for k in range(_SHORTENED) for sign in (1, -1)
            ):
                if found is None and posterior_at(trial := moved(move)) > value:
                    found = trial
        while found is None and decrement >= tolerance and damping < _LARGEST:
            trial = moved(bend.solve(gradient, damping))
            won = posterior_at(trial) > value
            found = trial if won else None
            damping = max(damping / 4, 1e-10) if won else damping * 4
        if found is None:
            break
        z, exact = found, decrement < _NEAR
        at = programs.expand(z, network.rows)
        value, steps = posterior(z, at.log_likelihood), steps + 1
    return Summit(
        z=z,
        value=value,
        curvature=at.curvature,
        outputs=at.outputs,
        damping=min(damping, 1.0),
        num_steps=steps,
        converged=converged,
    )
