r"""Which random effects meet in the Hessian of a log joint density: the blocks of their groups.

The density is a sum of terms, one for each element of each site. Two effects meet only where one
term sees both. Most terms see one effect of each kind (row n sees the intercept of its group
:math:`g_n`), and then two products of the terms' Jacobian J tell which: with a random direction r,

.. math:: J (r \odot i)\, /\, J r = g_n ,

i the vector of positions, and a third product with another direction proves it (a random test as
in Freivalds 1977, Probabilistic machines can use less running time). The cost is linear in rows
and groups. Where a term sees several effects of one kind (a random walk, a likelihood written as
one ``factor``), the whole Hessian is formed and read instead, at q products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Random effects in groups that do not meet.

    Attributes
    ----------
    blocks : numpy.ndarray
        Positions of the effects of each group, shape (G, b); short ones are padded with q.
    of_term : numpy.ndarray or None
        Group of each term of the log joint density, shape (K,), -1 where it sees no effect;
        ``None`` where a term sees several effects of one kind.

    Notes
    -----
    Equal where the groups are the same.
    """

    blocks: np.ndarray
    of_term: np.ndarray | None

    @property
    def _content(self) -> tuple[Any, ...]:
        terms = None if self.of_term is None else self.of_term.tobytes()
        return self.blocks.shape, self.blocks.tobytes(), terms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Groups) and other._content == self._content

    def __hash__(self) -> int:
        return hash(self._content)


def groups_of_terms(
    terms: Callable[[jax.Array], jax.Array], u: jax.Array, kinds: Sequence[np.ndarray]
) -> Groups | None:
    """Groups of effects, from a density given term by term.

    Parameters
    ----------
    terms : callable
        ``terms(u)``: the terms whose sum is the log joint density, shape (K,).
    u : jax.Array
        A generic point, shape (q,).
    kinds : sequence of numpy.ndarray
        Positions of the effects of each kind, together all of u; a term is expected to see at
        most one effect of a kind.

    Returns
    -------
    Groups or None
        ``None`` where a term sees several effects of one kind.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> group = jnp.array([0, 1, 1])
    >>> f = lambda u: -((jnp.arange(3.0) - u[:2][group] - u[2:][group]) ** 2)
    >>> kinds = [np.array([0, 1]), np.array([2, 3])]
    >>> groups = groups_of_terms(f, jnp.array([0.1, 0.2, 0.3, 0.4]), kinds)
    >>> groups.blocks.tolist(), groups.of_term.tolist()
    ([[0, 2], [1, 3]], [0, 1, 1])
    """
    q = u.size
    rng = np.random.default_rng(0)
    first, second = rng.uniform(1.0, 2.0, size=(2, q))
    seeds = np.zeros((len(kinds), 3, q))
    for k, kind in enumerate(kinds):
        seeds[k][:, kind] = first[kind], first[kind] * np.arange(kind.size), second[kind]

    def products(seeds: jax.Array) -> jax.Array:
        return jax.vmap(jax.linearize(terms, u)[1])(seeds)

    found = _evaluate(products, seeds.reshape(-1, q))
    plain, placed, other = np.moveaxis(found.reshape(len(kinds), 3, -1), 1, 0)  # (kinds, K) each
    rows, members = [], []
    for k, kind in enumerate(kinds):
        seen = np.flatnonzero((plain[k] != 0.0) | (other[k] != 0.0))
        if not (np.isfinite(found[3 * k : 3 * k + 3]).all() and plain[k][seen].all()):
            return None
        at = np.rint(placed[k][seen] / plain[k][seen])
        at = kind[np.clip(at, 0, kind.size - 1).astype(int)]
        expected = plain[k][seen] / first[at] * second[at]
        if (np.abs(other[k][seen] - expected) > 1e-9 * np.abs(expected)).any():
            return None
        rows.append(seen)
        members.append(at)
    row, member = np.concatenate(rows), np.concatenate(members)
    size = q + plain.shape[1]  # a graph of effects and terms
    graph = coo_array((np.ones(row.size), (member, q + row)), shape=(size, size))
    label = connected_components(graph, directed=False)[1]
    _, first_member, number = np.unique(label[:q], return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first_member))[number]  # in order of the first member
    of_term = np.full(plain.shape[1], -1)
    of_term[row] = number[member]
    return Groups(blocks=_as_blocks(number), of_term=of_term)


def groups_of_hessian(log_joint: Callable[[jax.Array], jax.Array], u: jax.Array) -> Groups:
    """Groups of effects, from the whole Hessian at a generic point.

    Parameters
    ----------
    log_joint : callable
        ``f(u)``, a scalar in nats.
    u : jax.Array
        A generic point, shape (q,).

    Returns
    -------
    Groups
        Without the group of each term.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> f = lambda u: -jnp.sum(u**2) - (u[0] - u[2]) ** 2
    >>> groups_of_hessian(f, jnp.array([0.1, 0.2, 0.3])).blocks.tolist()
    [[0, 2], [1, 3]]
    """

    def products(seeds: jax.Array) -> jax.Array:
        return lax.map(jax.linearize(jax.grad(log_joint), u)[1], seeds, batch_size=64)

    hessian = _evaluate(products, np.eye(u.size))
    diagonal = np.sqrt(np.abs(np.diag(hessian)))
    meet = np.abs(hessian) > 1e-12 * np.outer(diagonal, diagonal)
    graph = csr_array(meet | ~np.isfinite(hessian))
    label = connected_components(graph, directed=False)[1]
    return Groups(blocks=_as_blocks(label), of_term=None)


def _evaluate(program: Callable[[jax.Array], jax.Array], at: np.ndarray) -> np.ndarray:
    """Value of a program compiled ahead, so that it has one also while another is traced."""
    return np.asarray(jax.jit(program).lower(at).compile()(at))


def _as_blocks(label: np.ndarray) -> np.ndarray:
    """Positions by label, one row each, padded with their number, in order of first member."""
    q = label.size
    order = np.argsort(label, kind="stable")
    _, start, count = np.unique(label[order], return_index=True, return_counts=True)
    blocks = np.full((start.size, count.max()), q)
    for g, (a, n) in enumerate(zip(start, count, strict=True)):
        blocks[g, :n] = order[a : a + n]
    return blocks[np.argsort(blocks[:, 0])]
