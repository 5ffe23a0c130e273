"""Small Cholesky factors in elementary operations, and entries at fixed places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from workbench.model.places import take
from workbench.model.triangular import cholesky, half_log_det, solve_lower


def positive_definite(n):
    root = np.random.default_rng(n).normal(size=(3, n, n + 2))
    return root @ np.swapaxes(root, -1, -2)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 9])
def test_factors_solve_and_determine_as_lapack_does(n):
    h, b = positive_definite(n), np.random.default_rng(0).normal(size=(3, n, 2))
    L = cholesky(jnp.asarray(h))
    np.testing.assert_allclose(L, np.linalg.cholesky(h), atol=1e-12)
    x = solve_lower(L, solve_lower(L, jnp.asarray(b)), transposed=True)
    np.testing.assert_allclose(x, np.linalg.solve(h, b), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(2 * half_log_det(L), np.linalg.slogdet(h)[1], rtol=1e-12)


def test_derivative_of_a_log_determinant_is_the_inverse():
    h = positive_definite(4)
    slope = jax.grad(lambda h: jnp.sum(2 * half_log_det(cholesky(h))))(jnp.asarray(h))
    # a factor reads the lower triangle alone
    np.testing.assert_allclose(0.5 * (slope + np.swapaxes(slope, -1, -2)), np.linalg.inv(h))


@pytest.mark.parametrize("n", [2, 9])
def test_a_matrix_that_is_not_positive_definite_has_no_factor(n):
    h = jnp.eye(n).at[1, 1].set(-1.0)
    assert np.isnan(half_log_det(cholesky(h)))


@pytest.mark.parametrize("places", [[2, 3, 4], [5, 0, 1, 2], list(range(11, -1, -1)), []])
def test_entries_are_those_of_the_index_and_so_are_their_derivatives(places):
    v, at = jnp.arange(24.0).reshape(2, 12) ** 2, np.array(places, dtype=int)
    found, pull = jax.vjp(lambda v: take(v, at), v)
    expected, pull_expected = jax.vjp(lambda v: v[..., at], v)
    np.testing.assert_array_equal(found, expected)
    weight = jnp.arange(1.0, found.size + 1).reshape(found.shape)
    np.testing.assert_array_equal(pull(weight)[0], pull_expected(weight)[0])
