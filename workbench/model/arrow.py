r"""Linear algebra of arrow matrices: independent groups, and a few effects that all of them meet.

.. math:: H = \begin{pmatrix} D & B \\ B^\top & C \end{pmatrix}, \qquad
          H = L L^\top, \quad
          L = \begin{pmatrix} L_D & 0 \\ W^\top & L_S \end{pmatrix}, \quad
          W = L_D^{-1} B, \quad L_S L_S^\top = C - W^\top W,

D block diagonal, one block for each group, C for the effects that meet every group (the border:
an overall mean, coefficients of covariates). Everything costs a multiple of the number of groups.
Which effects lie where is found from the terms of a density (:mod:`workbench.model.grouping`).

References
----------
Golub and Van Loan, Matrix Computations, 4th ed., section 4.3; Pinheiro and Bates (2000),
doi:10.1007/b98882, section 2.2 (the same by orthogonal factors).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from workbench.model.grouping import groups_of_sightings, kinds_of_shape, sightings
from workbench.model.marginal import gather
from workbench.model.places import take
from workbench.model.triangular import cholesky, half_log_det, solve_lower


class ArrowMatrix(NamedTuple):
    """A symmetric arrow matrix.

    Attributes
    ----------
    diagonal : jax.Array
        D, shape (G, b, b); padded rows and columns are those of the identity.
    edge : jax.Array
        B, shape (G, b, P).
    corner : jax.Array
        C, shape (P, P).
    """

    diagonal: jax.Array
    edge: jax.Array
    corner: jax.Array


class ArrowFactor(NamedTuple):
    """Its Cholesky factor: L_D (G, b, b), W (G, b, P) and L_S (P, P)."""

    diagonal: jax.Array
    edge: jax.Array
    corner: jax.Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrow:
    """Where each of q effects stands in an arrow matrix.

    Attributes
    ----------
    blocks : numpy.ndarray
        Positions of the effects of each group, shape (G, b); short ones padded with q.
    border : numpy.ndarray
        Positions of the others, shape (P,).
    size : int
        Number of effects q.

    Notes
    -----
    Equal where the positions are.

    Examples
    --------
    Two groups of one effect each, and one effect that meets both:

    >>> arrow = Arrow(blocks=np.array([[0], [1]]), border=np.array([2]), size=3)
    >>> H = jnp.array([[2.0, 0, 1], [0, 2, 1], [1, 1, 3]])
    >>> factor = arrow.factor(arrow.matrix(lambda v: H @ v))
    >>> arrow.solve(factor, jnp.array([3.0, 3, 5])).round(12).tolist()
    [1.0, 1.0, 1.0]
    >>> round(float(jnp.exp(2 * arrow.half_log_det(factor))), 10)
    8.0
    """

    blocks: np.ndarray
    border: np.ndarray
    size: int

    @cached_property
    def _content(self) -> tuple[Any, ...]:
        return self.size, self.blocks.shape, self.blocks.tobytes(), self.border.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arrow) and other._content == self._content

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def num_products(self) -> int:
        """Number of products with the matrix from which it is read, b + P."""
        return self.blocks.shape[1] + self.border.size

    def matrix(
        self, product: Callable[[jax.Array], jax.Array], *, batch: int | None = None
    ) -> ArrowMatrix:
        """Read the matrix off b + P of its products, ``batch`` of them at a time."""
        q, (_, width) = self.size, self.blocks.shape
        present = self.blocks < q
        seeds = np.zeros((self.num_products, q))
        for k in range(width):
            seeds[k, self.blocks[present[:, k], k]] = 1.0
        seeds[width + np.arange(self.border.size), self.border] = 1.0
        at = jnp.asarray(seeds)
        columns = jax.vmap(product)(at) if batch is None else lax.map(product, at, batch_size=batch)
        found = jnp.moveaxis(gather(columns, self.blocks), 0, -1)  # (G, b, b + P)
        both = present[:, :, None] & present[:, None, :]
        return ArrowMatrix(
            jnp.where(both, found[..., :width], jnp.eye(width)),
            jnp.where(present[:, :, None], found[..., width:], 0.0),
            take(columns[width:], self.border),
        )

    def factor(self, matrix: ArrowMatrix) -> ArrowFactor:
        """Cholesky factor; ``nan`` where the matrix is not positive definite."""
        L = cholesky(matrix.diagonal)
        if not self.border.size:
            return ArrowFactor(L, matrix.edge, matrix.corner)
        W = solve_lower(L, matrix.edge)
        return ArrowFactor(L, W, cholesky(matrix.corner - jnp.einsum("gbp,gbq", W, W)))

    def half_log_det(self, factor: ArrowFactor) -> jax.Array:
        """Half the log determinant of the matrix (scalar)."""
        return jnp.sum(half_log_det(factor.diagonal)) + half_log_det(factor.corner)

    def split(self, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        """A vector, shape (q,), as its parts (G, b), zero where padded, and (P,)."""
        return gather(v, self.blocks), take(v, self.border)

    def join(self, parts: jax.Array, border: jax.Array) -> jax.Array:
        """Inverse of :meth:`split`."""
        where = np.zeros(self.size, dtype=int)
        where[self.blocks[self.blocks < self.size]] = np.flatnonzero(self.blocks < self.size)
        where[self.border] = self.blocks.size + np.arange(self.border.size)
        return take(jnp.concatenate([parts.reshape(-1), border]), where)

    def forward(self, factor: ArrowFactor, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        r"""Parts of :math:`L^{-1} v`."""
        parts, border = self.split(v)
        parts = solve_lower(factor.diagonal, parts[..., None])[..., 0]
        if self.border.size:
            border = border - jnp.einsum("gbp,gb->p", factor.edge, parts)
            border = solve_lower(factor.corner, border[:, None])[:, 0]
        return parts, border

    def backward(self, factor: ArrowFactor, parts: jax.Array, border: jax.Array) -> jax.Array:
        r""":math:`L^{-\top}` times a vector given by its parts, shape (q,)."""
        if self.border.size:
            border = solve_lower(factor.corner, border[:, None], transposed=True)[:, 0]
            parts = parts - jnp.einsum("gbp,p->gb", factor.edge, border)
        parts = solve_lower(factor.diagonal, parts[..., None], transposed=True)[..., 0]
        return self.join(parts, border)

    def solve(self, factor: ArrowFactor, v: jax.Array) -> jax.Array:
        """Solve H x = v."""
        return self.backward(factor, *self.forward(factor, v))

    def form(self, matrix: ArrowMatrix, v: jax.Array) -> jax.Array:
        r"""The quadratic form :math:`v^\top H v` (scalar)."""
        a, w = self.split(v)
        inner = jnp.einsum("gb,gbc,gc", a, matrix.diagonal, a)
        if not self.border.size:
            return inner
        return inner + w @ (2 * jnp.einsum("gbp,gb->p", matrix.edge, a) + matrix.corner @ w)


def find_arrow(
    terms: Callable[[jax.Array], jax.Array], u: jax.Array, shapes: Sequence[tuple[int, ...]]
) -> Arrow:
    """Which effects form independent groups, and which meet all of them.

    Parameters
    ----------
    terms : callable
        ``terms(u)``: terms whose sum is the log density, shape (K,).
    u : jax.Array
        A generic point, shape (q,): the sites one after the other.
    shapes : sequence of tuple of int
        Of the sites.

    Returns
    -------
    Arrow
        Sites join the groups from the largest on, as long as that costs less than to stand in
        the border. One whole block stands for no groups at all.

    Examples
    --------
    >>> group = jnp.array([0, 1, 1, 2])
    >>> f = lambda u: -((u[0] + u[1:][group] - jnp.arange(4.0)) ** 2)
    >>> arrow = find_arrow(f, jnp.array([0.1, 0.2, 0.3, 0.4]), [(), (3,)])
    >>> arrow.blocks.tolist(), arrow.border.tolist()
    ([[1], [2], [3]], [0])
    """
    q = u.size
    sizes = np.array([int(np.prod(s, dtype=int)) for s in shapes])
    starts = np.cumsum(sizes) - sizes
    kinds = [kinds_of_shape(s, int(a)) for s, a in zip(shapes, starts, strict=True)]
    found = iter(sightings(terms, u, [k for of_site in kinds for k in of_site]))
    seen = [[next(found) for _ in of_site] for of_site in kinds]
    local: list[int] = []
    best = Arrow(blocks=np.zeros((0, 0), dtype=int), border=np.arange(q), size=q)
    for site in np.argsort(-sizes, kind="stable"):
        if any(s is None for s in seen[site]):
            continue
        tried = [*local, int(site)]
        inside = np.concatenate([starts[i] + np.arange(sizes[i]) for i in tried])
        groups = groups_of_sightings([s for i in tried for s in seen[i] if s is not None], q)
        # effects outside stand in groups of their own, which are dropped
        rows = groups.blocks[np.isin(groups.blocks[:, 0], inside)]
        rows = rows[:, : int((rows < q).sum(axis=1).max())]
        arrow = Arrow(blocks=rows, border=np.setdiff1d(np.arange(q), inside), size=q)
        if _cost(arrow) < _cost(best):
            best, local = arrow, tried
    return best


def _cost(arrow: Arrow) -> float:
    """Multiplications of a factorisation, up to a constant."""
    (G, b), P = arrow.blocks.shape, arrow.border.size
    return G * b * (b + P) ** 2 + P**3
