r"""The marginal likelihood of models with random effects, by Laplace's method.

For a joint log density :math:`f(\theta, u)` with :math:`q` unconstrained effects :math:`u`,

.. math:: \log \int e^{f(\theta, u)} du \approx f(\theta, \hat u) + \tfrac q2 \log 2\pi
          - \tfrac12 \log \det H(\theta), \quad
          H = -\nabla_{uu}^2 f(\theta, \hat u(\theta)),

with :math:`\hat u(\theta)` the conditional mode; exact when :math:`f` is quadratic in :math:`u`.
The mode is a root of the score in :math:`u`, found by damped Newton steps and differentiated
implicitly, :math:`\mathrm d\hat u = H^{-1} \nabla_{u\theta}^2 f \,\mathrm d\theta`: gradient *and*
Hessian in :math:`\theta` are right, which one Newton step behind a ``stop_gradient`` would not
give.

Effects of separate groups do not meet in H (:mod:`workbench.model.grouping`), which is then block
diagonal: its blocks are read off b Hessian-vector products, b the size of the largest block, so
that cost grows linearly with the number of groups (Curtis, Powell and Reid 1974,
doi:10.1093/imamat/13.1.117).

References
----------
Tierney and Kadane (1986), doi:10.1080/01621459.1986.10478240;
Kristensen, Nielsen, Berg, Skaug and Bell (2016), doi:10.18637/jss.v070.i05.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from workbench.errors import ModelError
from workbench.model.places import take
from workbench.model.triangular import cholesky, half_log_det, solve_lower

LogJoint = Callable[[jax.Array, jax.Array, Any], jax.Array]
_MAX_STEPS = 100
# on the decrement of the step just taken, in nats: what is left after it is of the order of its
# square, which is below rounding
_TOLERANCE = 1e-14
_QUADRATIC = 1e-8  # nats; below it Newton's decrements square, until they are rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Marginal:
    """A joint log density with its random effects integrated out.

    Its parts are compiled functions that call each other, so that the model is traced once
    however many programs are made of them.

    Attributes
    ----------
    log_joint : callable
        ``f(theta, u, data)``, a scalar in nats; u in unconstrained coordinates, its Jacobian
        included; ``data`` a tree of arrays.
    num_effects : int
        Number of effects q.
    blocks : numpy.ndarray
        Positions of the effects of each independent group, shape (G, b), short ones padded with
        q; ``numpy.arange(q)[None]`` is one dense block.

    Examples
    --------
    A normal integral, exact:

    >>> import jax.numpy as jnp
    >>> f = lambda theta, u, data: -0.5 * jnp.sum((u - theta) ** 2)
    >>> marginal = Marginal(log_joint=f, num_effects=2, blocks=np.arange(2)[:, None])
    >>> round(float(marginal.log_marginal(jnp.array([1.0]), None)), 6)  # log(2 pi)
    1.837877
    >>> marginal.mode(jnp.array([1.0]), None).tolist()
    [1.0, 1.0]
    """

    log_joint: LogJoint
    num_effects: int
    blocks: np.ndarray

    @cached_property
    def joint(self) -> LogJoint:
        """The integrand ``f(theta, u, data)``, traced once."""
        return jax.jit(self.log_joint)

    @cached_property
    def score(self) -> LogJoint:
        """Gradient of the integrand in u, shape (q,), as a function of ``(theta, u, data)``."""
        return jax.jit(jax.grad(self.joint, argnums=1))

    @cached_property
    def information(self) -> LogJoint:
        """Blocks of H, shape (G, b, b), as a function of ``(theta, u, data)``."""

        def information(theta: jax.Array, u: jax.Array, data: Any) -> jax.Array:
            def product(v: jax.Array) -> jax.Array:
                return -jax.jvp(lambda w: self.score(theta, w, data), (u,), (v,))[1]

            return block_hessian(product, self.blocks, self.num_effects)

        return jax.jit(information)

    @cached_property
    def mode(self) -> Callable[[jax.Array, Any], jax.Array]:
        """Mode of u given theta, shape (q,), of ``(theta, data)``; differentiable in theta."""
        mode = jax.custom_jvp(jax.jit(self._newton))

        def rule(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
            theta, data = primals
            if not all(isinstance(x, SymbolicZero) for x in jax.tree_util.tree_leaves(tangents[1])):
                raise ModelError(
                    "the conditional mode expects to be differentiated in the parameters; got "
                    "a derivative in the data"
                )
            u = mode(theta, data)
            pull = jax.jvp(lambda t: self.score(t, u, data), (theta,), (tangents[0],))[1]
            return u, self._solve(cholesky(self.information(theta, u, data)), pull)

        mode.defjvp(rule, symbolic_zeros=True)
        return mode

    @cached_property
    def log_marginal(self) -> Callable[[jax.Array, Any], jax.Array]:
        """Log marginal (scalar, nats), of ``(theta, data)``; ``nan`` without a maximum in u."""

        def log_marginal(theta: jax.Array, data: Any) -> jax.Array:
            u = self.mode(theta, data)
            factor = cholesky(self.information(theta, u, data))
            half_log_2pi = 0.5 * self.num_effects * jnp.log(2 * jnp.pi)
            return self.joint(theta, u, data) + half_log_2pi - jnp.sum(half_log_det(factor))

        return jax.jit(log_marginal)

    def _solve(self, factor: jax.Array, g: jax.Array) -> jax.Array:
        """Solve H x = g by blocks, from the Cholesky factors of the blocks."""
        parts = solve_lower(factor, gather(g, self.blocks)[..., None])
        parts = solve_lower(factor, parts, transposed=True)
        return scatter(parts[..., 0], self.blocks, self.num_effects)

    def _newton(self, theta: jax.Array, data: Any) -> jax.Array:
        """Maximise in u by Newton steps, damped where H is not positive definite.

        Ends when the decrement of an undamped step is negligible, or when it is small and no
        longer falls as Newton's does: then it is the rounding of the score.
        """

        def step(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            u, value, damping, before, _, count = state
            g = self.score(theta, u, data)
            h = self.information(theta, u, data)
            scale = jnp.maximum(jnp.max(jnp.abs(jnp.diagonal(h, axis1=1, axis2=2))), 1e-8)
            factor = cholesky(h + damping * scale * jnp.eye(h.shape[-1]))
            move = self._solve(factor, g)
            trial = self.joint(theta, u + move, data)
            rounding = 1e-13 * (1.0 + jnp.abs(value))
            better = jnp.isfinite(trial) & (trial >= value - rounding)
            undamped, won = damping == 0, jnp.abs(g @ move)
            decrement = jnp.where(better & undamped, won, jnp.inf)
            # a small step that wins nothing has met the rounding of the density itself
            lost = undamped & ~better & (won < _QUADRATIC)
            stalled = lost | ((decrement < _QUADRATIC) & (decrement >= 0.25 * before))
            damping = jnp.where(
                better,
                jnp.where(damping > 1e-6, damping / 10, 0.0),
                jnp.maximum(10 * damping, 1e-3),
            )
            u = jnp.where(better, u + move, u)
            value = jnp.where(better, trial, value)
            return u, value, damping, decrement, (decrement < _TOLERANCE) | stalled, count + 1

        def unfinished(state: tuple[jax.Array, ...]) -> jax.Array:
            return ~state[4] & (state[5] < _MAX_STEPS)

        start = jnp.zeros(self.num_effects)
        value = self.joint(theta, start, data)
        flags = (jnp.zeros(()), jnp.asarray(jnp.inf), jnp.asarray(False), jnp.asarray(0))
        state = (start, value, *flags)
        return lax.while_loop(unfinished, step, state)[0]


def block_hessian(
    linear: Callable[[jax.Array], jax.Array], blocks: np.ndarray, q: int
) -> jax.Array:
    """Blocks of a symmetric linear map, shape (G, b, b), from b of its products.

    Padded rows and columns are those of the identity.
    """
    present = blocks < q
    seeds = np.zeros((blocks.shape[1], q))
    for k in range(blocks.shape[1]):
        seeds[k, blocks[present[:, k], k]] = 1.0
    columns = jax.vmap(linear)(jnp.asarray(seeds))  # (b, q)
    found = jnp.moveaxis(gather(columns, blocks), 0, -1)  # (G, b, b)
    both = present[:, :, None] & present[:, None, :]
    return jnp.where(both, found, jnp.eye(blocks.shape[1]))


def gather(u: jax.Array, blocks: np.ndarray) -> jax.Array:
    """Entries of u, shape (..., q), by block, shape (..., G, b), zero where padded."""
    if not blocks.size:
        return jnp.zeros((*u.shape[:-1], *blocks.shape))
    if (blocks == u.shape[-1]).any():
        u = jnp.concatenate([u, jnp.zeros((*u.shape[:-1], 1))], axis=-1)
    return jnp.stack([take(u, places) for places in blocks.T], axis=-1)


def scatter(parts: jax.Array, blocks: np.ndarray, q: int) -> jax.Array:
    """Inverse of :func:`gather`, shape (q,)."""
    where = np.zeros(q, dtype=int)
    where[blocks[blocks < q]] = np.flatnonzero(blocks < q)
    return take(parts.reshape(-1), where)
