"""Products of data matrices with parameters, computed along the matrices' columns.

A linear predictor :math:`X b` of N rows is the same sum as :math:`b^T X^T`. Where :math:`X^T` lies
in memory row by row, every column is one long run of numbers: the product and its derivative
:math:`X^T r` then cost a half to two thirds of what they cost over short rows, measured for 5 to
30 columns. Such products are found in the traced model, and the transposed matrices are made once
for a fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal, Var

from workbench.model.replay import needed_operations, replay

_MOST = 5_000_000  # numbers of a matrix of which there may be a second copy
_PLAIN = (((1,), (0,)), ((), ()))  # dimensions that X b contracts


@dataclass(frozen=True, kw_only=True, eq=False)
class DataProduct:
    """A product X b in a traced program.

    Attributes
    ----------
    matrix, vector, out : Var
        X, shape (N, P), which no parameter moves; b, shape (P,); their product, shape (N,).
    """

    matrix: Var
    vector: Var
    out: Var


def find_products(
    closed: ClosedJaxpr, moved: set[Any], wanted: Sequence[Any]
) -> tuple[DataProduct, ...]:
    """The products of tall data matrices with vectors that move, on the way to some variables.

    Parameters
    ----------
    closed : ClosedJaxpr
        As ``jax.make_jaxpr`` gives it.
    moved : set of Var
        What moves (:func:`workbench.model.replay.moved_by`); all else is data.
    wanted : sequence of Var or Literal
        What is computed.

    Returns
    -------
    tuple of DataProduct
        In the order of the program.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from workbench.model.replay import moved_by
    >>> closed = jax.make_jaxpr(lambda b, x: jnp.exp(x @ b))(jnp.ones(2), jnp.ones((3, 2)))
    >>> (found,) = find_products(
    ...     closed, moved_by(closed, closed.jaxpr.invars[:1]), closed.jaxpr.outvars)
    >>> found.matrix is closed.jaxpr.invars[1], found.vector is closed.jaxpr.invars[0]
    (True, True)
    """
    found = []
    for equation in needed_operations(closed.jaxpr, set(closed.jaxpr.invars), wanted):
        if equation.primitive.name != "dot_general":
            continue
        matrix, vector = equation.invars
        if isinstance(matrix, Literal) or isinstance(vector, Literal) or matrix in moved:
            continue
        if equation.params["dimension_numbers"] != _PLAIN or matrix.aval.ndim != 2:
            continue
        rows, columns = matrix.aval.shape
        tall = rows >= columns and rows * columns <= _MOST
        if tall and vector.aval.ndim == 1 and vector in moved:
            found.append(DataProduct(matrix=matrix, vector=vector, out=equation.outvars[0]))
    return tuple(found)


def columns_of(
    closed: ClosedJaxpr, products: Sequence[DataProduct], known: dict[Any, Any]
) -> list[jax.Array]:
    """The transposed matrices of products, each (P, N), given the data."""
    return [x.T for x in replay(closed, known, [p.matrix for p in products])]


def with_products(
    closed: ClosedJaxpr,
    products: Sequence[DataProduct],
    columns: Sequence[jax.Array],
    known: dict[Any, Any],
) -> dict[Any, Any]:
    """The known values of a program and, computed from columns, those of products."""
    known = dict(known)
    for product, transposed in zip(products, columns, strict=True):
        (vector,) = replay(closed, known, [product.vector])
        known[product.out] = vector @ transposed
    return known
