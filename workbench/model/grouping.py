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
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.tree_util import Partial
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
        ``terms(u)``: the terms whose sum is the log joint density, shape (K,). Large arrays that
        it reads are better bound by ``jax.tree_util.Partial``.
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
    found = sightings(terms, u, kinds)
    if any(seen is None for seen in found):
        return None
    return groups_of_sightings([seen for seen in found if seen is not None], u.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sightings:
    """Which effect of one kind each term sees.

    Attributes
    ----------
    term, effect : numpy.ndarray
        Positions of the terms that see an effect, and of the effects that they see.
    num_terms : int
        Number of terms K.
    """

    term: np.ndarray
    effect: np.ndarray
    num_terms: int


def sightings(
    terms: Callable[[jax.Array], jax.Array], u: jax.Array, kinds: Sequence[np.ndarray]
) -> list[Sightings | None]:
    """Which effect each term sees, for each kind of effects.

    Parameters
    ----------
    terms, u, kinds
        As in :func:`groups_of_terms`.

    Returns
    -------
    list of Sightings or None
        ``None`` for a kind of which a term sees several.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> f = lambda u: jnp.array([u[0], u[1], u[0] + u[1]])[:2]
    >>> (seen,) = sightings(f, jnp.ones(2), [np.arange(2)])
    >>> seen.term.tolist(), seen.effect.tolist()
    ([0, 1], [0, 1])
    """
    q = u.size
    rng = np.random.default_rng(0)
    first, second = rng.uniform(1.0, 2.0, size=(2, q))
    seeds = np.zeros((len(kinds), 3, q))
    for k, kind in enumerate(kinds):
        seeds[k][:, kind] = first[kind], first[kind] * np.arange(kind.size), second[kind]

    bound = terms if isinstance(terms, Partial) else Partial(terms)  # a nested one holds constants
    # while another program is traced, at once instead of as a part of it
    tracing = isinstance(jnp.zeros(()), Tracer)
    with jax.ensure_compile_time_eval() if tracing else nullcontext():
        made = np.asarray(_products(bound, u, seeds.reshape(-1, q)))
    found: list[Sightings | None] = []
    for kind, (plain, placed, other) in zip(kinds, made.reshape(len(kinds), 3, -1), strict=True):
        seen = np.flatnonzero((plain != 0.0) | (other != 0.0))
        if not (np.isfinite([plain, placed, other]).all() and plain[seen].all()):
            found.append(None)
            continue
        at = np.rint(placed[seen] / plain[seen])
        at = kind[np.clip(at, 0, kind.size - 1).astype(int)]
        expected = plain[seen] / first[at] * second[at]
        several = (np.abs(other[seen] - expected) > 1e-9 * np.abs(expected)).any()
        found.append(None if several else Sightings(term=seen, effect=at, num_terms=plain.size))
    return found


@jax.jit
def _products(terms: Callable[..., jax.Array], u: jax.Array, seeds: jax.Array) -> jax.Array:
    """Products of the terms' Jacobian; the arrays of a Partial are arguments, not constants."""
    return jax.vmap(jax.linearize(terms, u)[1])(seeds)


def groups_of_sightings(found: Sequence[Sightings], q: int) -> Groups:
    """Groups of q effects, from which effect of each kind each term sees."""
    row = np.concatenate([seen.term for seen in found])
    member = np.concatenate([seen.effect for seen in found])
    num_terms = found[0].num_terms
    size = q + num_terms  # a graph of effects and terms
    graph = coo_array((np.ones(row.size), (member, q + row)), shape=(size, size))
    label = connected_components(graph, directed=False)[1]
    _, first_member, number = np.unique(label[:q], return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first_member))[number]  # in order of the first member
    of_term = np.full(num_terms, -1)
    of_term[row] = number[member]
    return Groups(blocks=_as_blocks(number), of_term=of_term)


def kinds_of_shape(shape: Sequence[int], start: int = 0) -> list[np.ndarray]:
    """Positions of the effects of each kind in a site: those along its longest axis.

    Parameters
    ----------
    shape : sequence of int
        Of the site.
    start : int
        Position of its first element.

    Returns
    -------
    list of numpy.ndarray
        All of one length.

    Examples
    --------
    >>> [kind.tolist() for kind in kinds_of_shape((3, 2))]
    [[0, 2, 4], [1, 3, 5]]
    """
    at = start + np.arange(int(np.prod(shape, dtype=int))).reshape(tuple(shape) or (1,))
    return list(np.moveaxis(at, int(np.argmax(at.shape)), -1).reshape(-1, max(at.shape)))


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
