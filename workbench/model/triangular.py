r"""Cholesky factors of many small matrices, and what is solved with them.

Matrices of up to eight rows are factored column by column in elementary operations, each column
followed by the Schur complement that is left (Golub and Van Loan 2013, section 4.2.5). A call of
LAPACK costs microseconds, and XLA on the CPU does not compile one into a loop, so that a sampler's
loops around it are run operation by operation. Larger matrices go to LAPACK.

References
----------
Golub and Van Loan (2013), *Matrix Computations*, 4th ed., sections 3.1 and 4.2.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

_SMALL = 8


def cholesky(h: jax.Array) -> jax.Array:
    """Lower Cholesky factors.

    Parameters
    ----------
    h : jax.Array
        Symmetric matrices, shape (..., n, n).

    Returns
    -------
    jax.Array
        Shape (..., n, n); ``nan`` where a matrix is not positive definite.

    Examples
    --------
    >>> cholesky(jnp.array([[4.0, 2.0], [2.0, 5.0]])).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    n = h.shape[-1]
    if n == 0 or n > _SMALL:
        return jnp.linalg.cholesky(h)
    columns, rest = [], h
    for j in range(n):
        column = rest[..., :, :1] / jnp.sqrt(rest[..., :1, :1])
        below = column[..., 1:, :]
        rest = rest[..., 1:, 1:] - below * jnp.swapaxes(below, -1, -2)
        columns.append(jnp.concatenate([jnp.zeros((*h.shape[:-2], j, 1)), column], axis=-2))
    return jnp.concatenate(columns, axis=-1)


def half_log_det(factor: jax.Array) -> jax.Array:
    """Half the log determinants of the factored matrices, shape (..., n, n) to (...).

    Examples
    --------
    >>> round(float(half_log_det(cholesky(jnp.diag(jnp.array([1.0, jnp.e**2]))))), 12)
    1.0
    """
    # the derivative of a diagonal taken by its index would be a scatter
    return jnp.sum(jnp.log(jnp.sum(factor * jnp.eye(factor.shape[-1]), axis=-1)), axis=-1)


def solve_lower(factor: jax.Array, b: jax.Array, *, transposed: bool = False) -> jax.Array:
    r"""Solve :math:`L x = b`, or :math:`L^\top x = b`, by substitution.

    Parameters
    ----------
    factor : jax.Array
        Lower triangles L, shape (..., n, n).
    b : jax.Array
        Shape (..., n, k).
    transposed : bool
        Whether with the transpose of L.

    Returns
    -------
    jax.Array
        Shape (..., n, k).

    Examples
    --------
    >>> L = jnp.array([[2.0, 0.0], [1.0, 2.0]])
    >>> solve_lower(L, jnp.array([[2.0], [5.0]])).tolist()
    [[1.0], [2.0]]
    """
    n = factor.shape[-1]
    if n == 0 or n > _SMALL:
        return solve_triangular(factor, b, lower=True, trans=int(transposed))
    found, rest = [], b
    for j in range(n)[:: -1 if transposed else 1]:
        pivot = factor[..., j : j + 1, j : j + 1]
        if transposed:
            found.insert(0, rest[..., -1:, :] / pivot)
            rest = rest[..., :-1, :] - jnp.swapaxes(factor[..., j : j + 1, :j], -1, -2) * found[0]
        else:
            found.append(rest[..., :1, :] / pivot)
            rest = rest[..., 1:, :] - factor[..., j + 1 :, j : j + 1] * found[-1]
    return jnp.concatenate(found, axis=-2)
