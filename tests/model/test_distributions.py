"""Densities true to 12 digits where NumPyro's lose theirs."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from workbench.model.distributions import NegativeBinomial2, StudentT, stirling_remainder

PI = Decimal("3.14159265358979323846264338327950288419716939937510")


def exact_negative_binomial(y: int, mu: float, phi: float) -> float:
    """The log probability in 60-digit arithmetic: Gamma(y + phi) / Gamma(phi) is a product."""
    with localcontext() as context:
        context.prec, context.Emax = 60, 10**9
        m, f = Decimal(mu), Decimal(phi)
        product = Decimal(1)
        for k in range(y):
            product *= (f + k) / (k + 1)
        return float(product.ln() + f * (f / (f + m)).ln() + y * (m / (f + m)).ln())


def exact_student_t(t: float, nu: int) -> float:
    """The log density for even nu: Gamma(a + 1/2) / Gamma(a) is sqrt(pi) times a product."""
    with localcontext() as context:
        context.prec = 60
        a, product = nu // 2, Decimal(1)
        for k in range(1, a):
            product *= (k + Decimal("0.5")) / k
        log_ratio = (product * Decimal("0.5")).ln() + PI.ln() / 2
        square = Decimal(t) ** 2
        tail = (a + Decimal("0.5")) * (1 + square / nu).ln()
        return float(log_ratio - (nu * PI).ln() / 2 - tail)


@pytest.mark.parametrize("z", [1e-8, 0.3, 1.0, 5.0, 9.999, 10.0, 10.001, 50.0, 1e3])
def test_stirling_remainder_is_what_stirling_leaves(z):
    expected = special.gammaln(z + 1) - (z + 0.5) * np.log(z) + z - 0.5 * np.log(2 * np.pi)
    # the truth is a difference of terms of the size of log Gamma, each rounded at 2e-16
    size = max(1.0, abs(special.gammaln(z + 1)))
    np.testing.assert_allclose(stirling_remainder(z), expected, atol=2e-15 * size)


@pytest.mark.parametrize("z", [1e-3, 0.3, 1.0, 9.0, 40.0, 1e3, 1e6])
def test_stirling_remainder_has_the_derivatives_of_log_gamma(z):
    """S' = psi(z + 1) - log z - 1 / (2 z), S'' = psi'(z + 1) - 1 / z + 1 / (2 z^2)."""
    first, second = jax.grad(stirling_remainder), jax.grad(jax.grad(stirling_remainder))
    slope = special.digamma(z + 1) - np.log(z) - 0.5 / z
    bend = special.polygamma(1, z + 1) - 1 / z + 0.5 / z**2
    # terms of size log z + 1 / z, and 1 / z + 1 / z^2, rounded at 2e-16 a few times
    np.testing.assert_allclose(first(z), slope, atol=4e-15 * (1 + abs(np.log(z)) + 1 / z))
    np.testing.assert_allclose(second(z), bend, atol=1e-14 * (1 / z + 1 / z**2))


@pytest.mark.parametrize("phi", [0.05, 0.7, 1.0, 9.0, 11.0, 250.0])
@pytest.mark.parametrize("mu", [0.1, 3.0, 40.0, 5e3])
def test_negative_binomial_agrees_with_scipy(mu, phi):
    y = np.unique(np.concatenate([np.arange(20), np.geomspace(20, 4 * mu + 30, 25).astype(int)]))
    found = NegativeBinomial2(mu, phi).log_prob(y)
    expected = stats.nbinom.logpmf(y, phi, phi / (phi + mu))
    # scipy adds log gamma functions of y and y + phi, each rounded at 1e-16 of its size
    rounding = 4e-16 * special.gammaln(y + phi + 2)
    assert (np.abs(found - expected) <= 1e-12 * np.abs(expected) + rounding).all()


@pytest.mark.parametrize("phi", [1e-3, 1.0, 10.0, 1e4, 1e8, 1e12])
@pytest.mark.parametrize(
    ("y", "mu"),
    [(0, 0.1), (0, 3e3), (1, 1e-8), (4, 3.0), (90, 100.0), (3, 1e6), (2000, 1.0), (50_200, 5e4)],
)
def test_negative_binomial_agrees_with_exact_arithmetic(y, mu, phi):
    # from extreme overdispersion to Poisson, from the tail to the centre
    found = NegativeBinomial2(mu, phi).log_prob(y)
    np.testing.assert_allclose(found, exact_negative_binomial(y, mu, phi), rtol=1e-14)


def test_negative_binomial_tends_to_poisson():
    y = np.arange(30)
    # the leading difference is ((y - mu)^2 - y) / (2 phi) <= 3e-12 * 100
    np.testing.assert_allclose(
        NegativeBinomial2(7.0, 1e12).log_prob(y), stats.poisson.logpmf(y, 7.0), rtol=1e-9
    )


@given(
    mu=st.floats(1e-3, 1e4), phi=st.floats(1e-2, 1e6), y=st.integers(0, 500)
)  # fmt: skip
def test_negative_binomial_score_is_the_formula(mu, phi, y):
    """The score of mu is (y - mu) phi / (mu (phi + mu))."""
    score = jax.grad(lambda m: NegativeBinomial2(m, phi).log_prob(y))(mu)
    expected = (y - mu) * phi / (mu * (phi + mu))
    size = (y + mu) / mu  # of the two terms whose difference it is
    np.testing.assert_allclose(score, expected, atol=1e-13 * size)


@pytest.mark.parametrize("y", [0, 1, 90])
@pytest.mark.parametrize("phi", [0.3, 9.5, 40.0])
def test_negative_binomial_curvature_of_concentration_is_the_formula(y, phi):
    """Second derivative: psi'(y+phi) - psi'(phi) + 1/phi - 2/(phi+mu) + (y+phi)/(phi+mu)^2."""
    mu = 60.0
    found = jax.hessian(lambda f: NegativeBinomial2(mu, f).log_prob(y))(phi)
    expected = (
        special.polygamma(1, y + phi) - special.polygamma(1, phi)
        + 1 / phi - 2 / (phi + mu) + (y + phi) / (phi + mu) ** 2
    )  # fmt: skip
    # terms of size psi'(phi), up to 12, rounded at 1e-15
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("mu", "phi"), [(3.0, 0.5), (40.0, 10.0), (2.0, 1e6)])
def test_negative_binomial_probabilities_sum_to_one(mu, phi):
    y = np.arange(3000)  # beyond is less than 1e-15 of the probability
    np.testing.assert_allclose(np.exp(NegativeBinomial2(mu, phi).log_prob(y)).sum(), 1, rtol=1e-12)


@pytest.mark.parametrize(("mu", "phi"), [(3.0, 0.5), (40.0, 10.0), (2.0, 1e6)])
def test_negative_binomial_draws_have_its_moments(mu, phi):
    n = 100_000
    y = np.asarray(NegativeBinomial2(mu, phi).sample(jax.random.key(0), (n,)), dtype=float)
    found = NegativeBinomial2(mu, phi)
    assert (found.mean, found.variance) == (mu, mu + mu**2 / phi)
    # five standard errors; that of a variance is sd((y - mean)^2) / sqrt(n)
    assert abs(y.mean() - mu) < 5 * y.std() / math.sqrt(n)
    squares = (y - y.mean()) ** 2
    assert abs(squares.mean() - found.variance) < 5 * squares.std() / math.sqrt(n)


def test_negative_binomial_broadcasts_and_survives_jit():
    mu, phi = jnp.array([1.0, 2.0, 3.0]), 2.0
    found = NegativeBinomial2(mu, phi)
    assert found.batch_shape == (3,)
    assert found.sample(jax.random.key(0), (5,)).shape == (5, 3)
    compiled = jax.jit(lambda d, y: d.log_prob(y))(found, jnp.array([0, 1, 2]))
    np.testing.assert_allclose(compiled, found.log_prob(jnp.array([0, 1, 2])), rtol=1e-14)


def test_negative_binomial_refuses_parameters_outside_their_support():
    with pytest.raises(ValueError, match="invalid phi parameter"):
        NegativeBinomial2(1.0, -1.0, validate_args=True)


@pytest.mark.parametrize("nu", [2, 4, 18, 20, 22, 1000, 20_000])
@pytest.mark.parametrize("t", [0.0, 0.5, -3.0, 40.0])
def test_student_t_agrees_with_exact_arithmetic(nu, t):
    np.testing.assert_allclose(StudentT(nu).log_prob(t), exact_student_t(t, nu), rtol=1e-13)


@pytest.mark.parametrize("nu", [1e6, 1e9, 1e12])
@pytest.mark.parametrize("t", [0.5, 2.0])
def test_student_t_approaches_the_normal_at_the_known_rate(nu, t):
    """The log densities differ by (t^4 - 2 t^2 - 1) / (4 nu) + O(1 / nu^2)."""
    found = StudentT(nu).log_prob(t) - dist.Normal().log_prob(t)
    # two log densities of size 1 to 3 are rounded at 4e-16 each, then terms of order 1 / nu^2
    np.testing.assert_allclose(found, (t**4 - 2 * t**2 - 1) / (4 * nu), atol=2e-15 + 10 / nu**2)


def test_student_t_has_location_and_scale():
    found = StudentT(5.0, 2.0, 3.0).log_prob(jnp.array([-1.0, 2.0, 9.0]))
    expected = stats.t.logpdf([-1.0, 2.0, 9.0], 5, 2, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
