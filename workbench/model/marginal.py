r"""The marginal likelihood of models with random effects, by Laplace's method.

For a joint log density :math:`f(\theta, u)` with :math:`q` unconstrained effects :math:`u`,

.. math:: \log \int e^{f(\theta, u)} du \approx f(\theta, \hat u) + \tfrac q2 \log 2\pi
          - \tfrac12 \log \det H(\theta), \quad
          H = -\nabla_{uu}^2 f(\theta, \hat u(\theta)),

with :math:`\hat u(\theta)` the conditional mode; exact when :math:`f` is quadratic in :math:`u`.
The mode is a root of the score in :math:`u`, found by damped Newton steps inside
``jax.lax.custom_root``, which differentiates it implicitly: gradient *and* Hessian in
:math:`\theta` are right, which one Newton step behind a ``stop_gradient`` would not give.

Effects of separate groups do not meet in H, which is then block diagonal: its blocks are read off
b Hessian-vector products, b the size of the largest block, so that cost grows linearly with the
number of groups (Curtis, Powell and Reid 1974, doi:10.1093/imamat/13.1.117).

References
----------
Tierney and Kadane (1986), doi:10.1080/01621459.1986.10478240;
Kristensen, Nielsen, Berg, Skaug and Bell (2016), doi:10.18637/jss.v070.i05.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

LogJoint = Callable[[jax.Array, jax.Array], jax.Array]
_MAX_STEPS = 100
_TOLERANCE = 1e-20  # on twice the Newton decrement, in nats


def effect_blocks(log_joint: LogJoint, theta: jax.Array, u: jax.Array) -> np.ndarray:
    """Which effects meet in the Hessian: the blocks of independent groups.

    Parameters
    ----------
    log_joint : callable
        ``f(theta, u)``, a scalar in nats.
    theta, u : jax.Array
        A generic point, shapes (P,) and (q,).

    Returns
    -------
    numpy.ndarray
        Positions of the effects of each block, shape (G, b); short blocks are padded with q.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> f = lambda t, u: -jnp.sum(u**2) - (u[0] - u[2]) ** 2
    >>> effect_blocks(f, jnp.zeros(0), jnp.array([0.1, 0.2, 0.3])).tolist()
    [[0, 2], [1, 3]]
    """
    q = u.size
    push = jax.jit(jax.linearize(jax.grad(lambda v: log_joint(theta, v)), u)[1])
    hessian = np.asarray(lax.map(push, jnp.eye(q), batch_size=64))
    diagonal = np.sqrt(np.abs(np.diag(hessian)))
    meet = np.abs(hessian) > 1e-12 * np.outer(diagonal, diagonal)
    count, label = connected_components(csr_array(meet | ~np.isfinite(hessian)), directed=False)
    size = int(np.bincount(label).max())
    blocks = np.full((count, size), q)
    for g in range(count):
        members = np.flatnonzero(label == g)
        blocks[g, : members.size] = members
    return blocks


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
    padded = jnp.concatenate([columns, jnp.zeros((len(columns), 1))], axis=1)
    found = jnp.moveaxis(padded[:, blocks], 0, -1)  # (G, b, b)
    both = present[:, :, None] & present[:, None, :]
    return jnp.where(both, found, jnp.eye(blocks.shape[1]))


def _gather(u: jax.Array, blocks: np.ndarray) -> jax.Array:
    """Entries of u by block, shape (G, b), zero where padded."""
    return jnp.concatenate([u, jnp.zeros(1)])[blocks]


def _scatter(parts: jax.Array, blocks: np.ndarray, q: int) -> jax.Array:
    """Inverse of :func:`_gather`, shape (q,)."""
    where = np.zeros(q, dtype=int)
    where[blocks[blocks < q]] = np.flatnonzero(blocks < q)
    return parts.reshape(-1)[where]


def conditional_mode(
    log_joint: LogJoint, theta: jax.Array, num_effects: int, blocks: np.ndarray | None = None
) -> jax.Array:
    """Mode of the random effects given the parameters, differentiable in the parameters.

    Parameters
    ----------
    log_joint : callable
        ``f(theta, u)``, a scalar in nats.
    theta : jax.Array
        Parameters, shape (P,).
    num_effects : int
        Number of effects q.
    blocks : numpy.ndarray, optional
        Independent groups, see :func:`effect_blocks`; one dense block by default.

    Returns
    -------
    jax.Array
        The mode, shape (q,).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> f = lambda t, u: -0.5 * jnp.sum((u - t) ** 2)
    >>> conditional_mode(f, jnp.array([1.0]), 1).tolist()
    [1.0]
    """
    q = num_effects
    index = np.arange(q)[None] if blocks is None else blocks

    def score(u: jax.Array) -> jax.Array:
        return jax.grad(log_joint, argnums=1)(theta, u)

    def solve(_: object, start: jax.Array) -> jax.Array:
        return _newton(lambda u: log_joint(theta, u), start, index)

    def tangent_solve(linear: Callable[[jax.Array], jax.Array], y: jax.Array) -> jax.Array:
        h = block_hessian(linear, index, q)
        return _scatter(jnp.linalg.solve(h, _gather(y, index)[..., None])[..., 0], index, q)

    return lax.custom_root(score, jnp.zeros(q), solve, tangent_solve)


def _newton(f: Callable[[jax.Array], jax.Array], start: jax.Array, blocks: np.ndarray) -> jax.Array:
    """Maximise f by Newton steps, damped where the Hessian is not negative definite."""
    q = start.size
    eye = jnp.eye(blocks.shape[1])

    def step(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        u, value, damping, _, count = state
        g, push = jax.linearize(jax.grad(f), u)
        h = block_hessian(lambda v: -push(v), blocks, q)
        scale = jnp.maximum(jnp.max(jnp.abs(jnp.diagonal(h, axis1=1, axis2=2))), 1e-8)
        factor = jnp.linalg.cholesky(h + damping * scale * eye)
        parts = jax.scipy.linalg.cho_solve((factor, True), _gather(g, blocks)[..., None])
        move = _scatter(parts[..., 0], blocks, q)
        trial = f(u + move)
        rounding = 1e-13 * (1.0 + jnp.abs(value))
        better = jnp.isfinite(trial) & (trial >= value - rounding)
        decrement = jnp.where(better, jnp.abs(g @ move), jnp.inf)
        done_well = better & (damping == 0)
        damping = jnp.where(
            better,
            jnp.where(damping > 1e-6, damping / 10, 0.0),
            jnp.maximum(10 * damping, 1e-3),
        )
        u = jnp.where(better, u + move, u)
        value = jnp.where(better, trial, value)
        return u, value, damping, jnp.where(done_well, decrement, jnp.inf), count + 1

    def unfinished(state: tuple[jax.Array, ...]) -> jax.Array:
        return (state[3] > _TOLERANCE) & (state[4] < _MAX_STEPS)

    zero = jnp.zeros(())
    state = (start, f(start), zero, jnp.asarray(jnp.inf), jnp.asarray(0))
    return lax.while_loop(unfinished, step, state)[0]


def laplace_log_marginal(
    log_joint: LogJoint, theta: jax.Array, num_effects: int, blocks: np.ndarray | None = None
) -> jax.Array:
    """Log of the integral of ``exp f(theta, u)`` over u, by Laplace's method.

    Parameters
    ----------
    log_joint : callable
        ``f(theta, u)``, a scalar in nats; u in unconstrained coordinates, its Jacobian included.
    theta : jax.Array
        Parameters, shape (P,).
    num_effects : int
        Number of effects q.
    blocks : numpy.ndarray, optional
        Independent groups, see :func:`effect_blocks`; one dense block by default.

    Returns
    -------
    jax.Array
        Log marginal (scalar, nats); ``nan`` where f has no proper maximum in u.

    Examples
    --------
    A normal integral, exact:

    >>> import jax.numpy as jnp
    >>> f = lambda t, u: -0.5 * jnp.sum(u**2)
    >>> round(float(laplace_log_marginal(f, jnp.zeros(0), 2)), 6)  # log(2 pi)
    1.837877
    """
    q = num_effects
    index = np.arange(q)[None] if blocks is None else blocks
    u = conditional_mode(log_joint, theta, q, index)
    push = jax.linearize(jax.grad(log_joint, argnums=1), theta, u)[1]
    still = jnp.zeros_like(theta)
    factor = jnp.linalg.cholesky(block_hessian(lambda v: -push(still, v), index, q))
    half_log_det = jnp.sum(jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)))
    return log_joint(theta, u) + 0.5 * q * jnp.log(2 * jnp.pi) - half_log_det
