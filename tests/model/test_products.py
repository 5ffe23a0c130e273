"""A product with a data matrix is the same sum along the matrix's columns."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from workbench.model.products import columns_of, find_products, with_products
from workbench.model.replay import moved_by, replay

X = np.random.default_rng(0).normal(size=(7, 3))


def one(b: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.exp(x @ b)


def centred(b: jax.Array, x: jax.Array) -> jax.Array:
    return (x - x.mean(axis=0)) @ b + b[0]


def twice(b: jax.Array, x: jax.Array) -> jax.Array:
    return x @ jnp.tanh((x.T @ (x @ b)) / 7.0)


@pytest.mark.parametrize(("program", "count"), [(one, 1), (centred, 1), (twice, 2)])
def test_value_is_the_same_along_columns(program: Any, count: int) -> None:
    b = jnp.array([0.3, -0.2, 0.5])
    closed = jax.make_jaxpr(program)(b, X)
    products = find_products(
        closed, moved_by(closed, closed.jaxpr.invars[:1]), closed.jaxpr.outvars
    )
    assert len(products) == count
    known = dict(zip(closed.jaxpr.invars, (b, jnp.asarray(X)), strict=True))
    columns = columns_of(closed, products, {closed.jaxpr.invars[1]: jnp.asarray(X)})
    given = with_products(closed, products, columns, known)
    (value,) = replay(closed, given, closed.jaxpr.outvars)
    np.testing.assert_allclose(value, program(b, X), rtol=1e-12)


def test_wide_matrices_and_products_of_parameters_are_left_alone() -> None:
    wide = jax.make_jaxpr(lambda b, x: x.T @ b)(jnp.ones(7), X)
    both = jax.make_jaxpr(lambda b, x: jnp.outer(b, b) @ b)(jnp.ones(3), X)
    for closed in (wide, both):
        moved = moved_by(closed, closed.jaxpr.invars[:1])
        assert find_products(closed, moved, closed.jaxpr.outvars) == ()
