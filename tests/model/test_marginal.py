"""The marginal likelihood against closed forms, quadrature and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import workbench as wb
from tests.model.zoo import GROUP, centred, decentred
from workbench.errors import ModelError
from workbench.fit.objective import Objective
from workbench.model import read_density
from workbench.model.grouping import groups_of_hessian, groups_of_terms
from workbench.model.marginal import Marginal, block_hessian

RNG = np.random.default_rng(7)
G, J = 4, 5
Z = np.kron(np.eye(G), np.ones((J, 1)))
XF = np.column_stack([np.ones(G * J), RNG.normal(size=G * J)])
Y = XF @ [1.0, -0.5] + Z @ RNG.normal(size=G) + 0.8 * RNG.normal(size=G * J)
THETA = jnp.array([0.8, -0.3, np.log(0.7), np.log(0.9)])  # two slopes, log tau, log sigma
BLOCKS = np.arange(G)[:, None]


def marginal(f: Callable[..., jax.Array], blocks: np.ndarray) -> Marginal:
    """Of a density without data."""
    return Marginal(log_joint=lambda t, u, _: f(t, u), num_effects=blocks.max() + 1, blocks=blocks)


def log_marginal(f: Callable[..., jax.Array], theta: jax.Array, blocks: np.ndarray) -> jax.Array:
    return marginal(f, blocks).log_marginal(theta, None)


def conditional_mode(
    f: Callable[..., jax.Array], theta: jax.Array, blocks: np.ndarray
) -> jax.Array:
    return marginal(f, blocks).mode(theta, None)


def linear_mixed(theta: jax.Array, u: jax.Array) -> jax.Array:
    # y ~ Normal(X b + Z u, sigma), u ~ Normal(0, tau)
    tau, sigma = jnp.exp(theta[2]), jnp.exp(theta[3])
    residual = (Y - XF @ theta[:2] - Z @ u) / sigma
    effects = -0.5 * jnp.sum((u / tau) ** 2) - G * jnp.log(tau)
    noise = -0.5 * jnp.sum(residual**2) - G * J * jnp.log(sigma)
    return effects + noise - 0.5 * (G + G * J) * jnp.log(2 * jnp.pi)


def linear_mixed_marginal(theta: jax.Array) -> jax.Array:
    # y ~ MultivariateNormal(X b, sigma^2 I + tau^2 Z Z')
    tau, sigma = jnp.exp(theta[2]), jnp.exp(theta[3])
    cov = sigma**2 * jnp.eye(G * J) + tau**2 * Z @ Z.T
    return jax.scipy.stats.multivariate_normal.logpdf(Y, XF @ theta[:2], cov)


@pytest.mark.parametrize("blocks", [np.arange(G)[None], BLOCKS], ids=["dense", "blocks"])
def test_linear_mixed_model_value_gradient_and_hessian(blocks: np.ndarray) -> None:
    def laplace(theta: jax.Array) -> jax.Array:
        return log_marginal(linear_mixed, theta, blocks)

    # the integrand is normal in u, so Laplace's method is exact; 1e-8 leaves room for solves
    for derivative in (lambda f: f, jax.grad, jax.hessian):
        found, truth = (jax.jit(derivative(f))(THETA) for f in (laplace, linear_mixed_marginal))
        np.testing.assert_allclose(found, truth, rtol=1e-8, atol=1e-8)


def test_conditional_modes_are_best_linear_unbiased_predictions() -> None:
    b, tau, sigma = THETA[:2], np.exp(THETA[2]), np.exp(THETA[3])
    # Robinson (1991): tau^2 Z' V^-1 (y - X b)
    cov = sigma**2 * np.eye(G * J) + tau**2 * Z @ Z.T
    blup = tau**2 * Z.T @ np.linalg.solve(cov, Y - XF @ b)
    found = conditional_mode(linear_mixed, THETA, BLOCKS)
    np.testing.assert_allclose(found, blup, rtol=1e-12)


def test_conditional_modes_move_with_the_parameters_as_blups_do() -> None:
    def blup(theta: jax.Array) -> jax.Array:
        tau, sigma = jnp.exp(theta[2]), jnp.exp(theta[3])
        cov = sigma**2 * jnp.eye(G * J) + tau**2 * Z @ Z.T
        return tau**2 * Z.T @ jnp.linalg.solve(cov, Y - XF @ theta[:2])

    found = jax.jacobian(lambda t: conditional_mode(linear_mixed, t, BLOCKS))(THETA)
    np.testing.assert_allclose(found, jax.jacobian(blup)(THETA), rtol=1e-10, atol=1e-12)


EFFECT = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])


@pytest.mark.parametrize("noncentred", [False, True], ids=["centred", "noncentred"])
def test_eight_schools_marginal_likelihood(noncentred: bool) -> None:
    def joint(theta: jax.Array, u: jax.Array) -> jax.Array:
        mu, tau = theta[0], jnp.exp(theta[1])
        school = mu + tau * u if noncentred else u
        prior = (
            jax.scipy.stats.norm.logpdf(u)
            if noncentred
            else jax.scipy.stats.norm.logpdf(u, mu, tau)
        )
        return jnp.sum(prior + jax.scipy.stats.norm.logpdf(SCHOOLS, school, EFFECT))

    theta = jnp.array([5.0, np.log(3.0)])
    # y_j ~ Normal(mu, sqrt(sigma_j^2 + tau^2)), independent
    truth = stats.norm.logpdf(SCHOOLS, 5.0, np.hypot(EFFECT, 3.0)).sum()
    blocks = np.arange(8)[:, None]
    found = log_marginal(joint, theta, blocks)
    np.testing.assert_allclose(found, truth, rtol=1e-12)


COUNTS = np.array([3.0, 8.0, 0.0, 12.0])


def poisson_normal(theta: jax.Array, u: jax.Array) -> jax.Array:
    # y_j ~ Poisson(exp(mu + tau u_j)), u_j ~ Normal(0, 1)
    eta = theta[0] + jnp.exp(theta[1]) * u
    likelihood = COUNTS * eta - jnp.exp(eta) - jax.scipy.special.gammaln(COUNTS + 1)
    return jnp.sum(likelihood + jax.scipy.stats.norm.logpdf(u))


POISSON_THETA = jnp.array([1.5, np.log(0.5)])
POISSON_BLOCKS = np.arange(4)[:, None]


def poisson_laplace(theta: jax.Array) -> jax.Array:
    return log_marginal(poisson_normal, theta, POISSON_BLOCKS)


def test_poisson_normal_against_quadrature() -> None:
    node, weight = np.polynomial.hermite_e.hermegauss(120)
    eta = float(POISSON_THETA[0]) + np.exp(float(POISSON_THETA[1])) * node
    term = COUNTS[:, None] * eta - np.exp(eta) - special.gammaln(COUNTS + 1)[:, None]
    truth = special.logsumexp(term, axis=1, b=weight / np.sqrt(2 * np.pi)).sum()
    found = float(poisson_laplace(POISSON_THETA))
    # Laplace's error per effect is of the order of 5 k3^2 / 24 - k4 / 8 of the standardised
    # cumulants, here below 0.01 nats; and it is an approximation, so it is not zero either
    assert 1e-6 < abs(found - truth) < 4 * 0.01


def test_gradient_and_hessian_through_the_mode_are_those_of_the_value() -> None:
    """Central differences of a function that is not quadratic in the effects."""
    value = jax.jit(poisson_laplace)
    gradient = jax.jit(jax.grad(poisson_laplace))
    hessian = jax.jit(jax.hessian(poisson_laplace))(POISSON_THETA)
    h = 1e-5  # truncation h^2 and rounding eps / h are both near 1e-10
    steps = h * np.eye(2)
    slope = [(value(POISSON_THETA + e) - value(POISSON_THETA - e)) / (2 * h) for e in steps]
    bend = [(gradient(POISSON_THETA + e) - gradient(POISSON_THETA - e)) / (2 * h) for e in steps]
    np.testing.assert_allclose(gradient(POISSON_THETA), np.asarray(slope), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(hessian, np.asarray(bend), rtol=1e-7, atol=1e-8)


def test_effects_that_meet_share_a_block() -> None:
    def terms(u: jax.Array) -> jax.Array:
        return jnp.concatenate([-((u[1:3] - u[:2]) ** 2), -(u**4)])

    u = jnp.array([0.3, 0.1, -0.2, 0.5, 0.4])
    expected = [[0, 1, 2], [3, 5, 5], [4, 5, 5]]
    assert groups_of_hessian(lambda u: jnp.sum(terms(u)), u).blocks.tolist() == expected
    # a difference sees two effects of one kind, which two products cannot tell apart
    assert groups_of_terms(terms, u, [np.arange(5)]) is None


def test_blocks_of_terms_are_those_of_the_hessian() -> None:
    """Classes in schools, with a slope for each class: one block for each school."""
    school = np.array([0, 0, 1, 1, 1, 2])
    row = RNG.integers(0, 6, size=40)
    x = RNG.normal(size=40)

    def terms(u: jax.Array) -> jax.Array:
        schools, intercepts, slopes = u[:3], u[3:9], u[9:]
        mean = schools[school][row] + intercepts[row] + slopes[row] * x
        return jnp.concatenate([-jnp.exp(mean), -(u**2)])

    u = jnp.asarray(RNG.normal(size=15))
    kinds = [np.arange(3), np.arange(3, 9), np.arange(9, 15)]
    found = groups_of_terms(terms, u, kinds)
    assert found is not None
    whole = groups_of_hessian(lambda u: jnp.sum(terms(u)), u)
    np.testing.assert_array_equal(found.blocks, whole.blocks)
    np.testing.assert_array_equal(found.of_term[:40], school[row])
    assert found.blocks.tolist() == [
        [0, 3, 4, 9, 10, 15, 15],
        [1, 5, 6, 7, 11, 12, 13],
        [2, 8, 14, 15, 15, 15, 15],
    ]


def test_newton_ends_at_the_rounding_of_the_score() -> None:
    """An offset of 1e7 standard deviations leaves a score whose decrement is never 1e-14."""

    def f(_: jax.Array, u: jax.Array) -> jax.Array:
        # the gradient of a difference of large numbers is rounded to 1e-9
        return -0.5 * jnp.sum((u - 0.3 + 1e7 - 1e7) ** 2) - jnp.sum(jnp.cosh(u / 3))

    counts: list[int] = []

    def counted(theta: jax.Array, u: jax.Array, data: Any) -> jax.Array:
        jax.debug.callback(lambda: counts.append(1))
        return f(theta, u)

    blocks = np.arange(50)[:, None]
    found = Marginal(log_joint=counted, num_effects=50, blocks=blocks).mode(jnp.zeros(0), None)
    jax.effects_barrier()
    assert np.abs(found - found[0]).max() < 1e-7
    assert len(counts) < 40  # three evaluations a step, 100 steps otherwise


def test_a_derivative_in_the_data_is_refused() -> None:
    part = Marginal(
        log_joint=lambda t, u, d: -jnp.sum((u - t * d) ** 2), num_effects=1, blocks=np.array([[0]])
    )
    with pytest.raises(ModelError, match="got a derivative in the data"):
        jax.grad(lambda d: part.mode(jnp.ones(1), d)[0])(jnp.ones(1))


def test_block_hessian_is_the_hessian_on_the_blocks() -> None:
    root = RNG.normal(size=(2, 2))
    full = np.zeros((3, 3))
    full[np.ix_([0, 2], [0, 2])] = root @ root.T
    full[1, 1] = 3.0
    blocks = np.array([[0, 2], [1, 3]])
    found = block_hessian(lambda v: full @ v, blocks, 3)
    np.testing.assert_allclose(found[0], root @ root.T, rtol=1e-14)
    np.testing.assert_array_equal(found[1], [[3.0, 0.0], [0.0, 1.0]])


def test_a_start_far_from_the_mode_is_damped() -> None:
    """A quartic with a negative definite start needs damping: mode of -u^4 + 8 u^2 + u."""

    def f(_: jax.Array, u: jax.Array) -> jax.Array:
        return jnp.sum(-(u**4) + 8 * u**2 + u)

    mode = conditional_mode(f, jnp.zeros(0), np.array([[0]]))
    # the largest root of -4 u^3 + 16 u + 1
    np.testing.assert_allclose(mode, [np.roots([-4, 0, 16, 1]).max()], rtol=1e-10)


def test_no_maximum_in_the_effects_is_nan() -> None:
    found = log_marginal(lambda t, u: jnp.sum(u**2), jnp.zeros(0), np.arange(2)[None])
    assert np.isnan(found)


def test_centred_and_noncentred_writings_have_one_marginal_likelihood() -> None:
    objectives = [
        Objective(density=read_density(make(1.0), GROUP), method="MLE")
        for make in (centred, decentred)
    ]
    theta = jnp.array([0.7, -0.2, 0.1])
    for derivative in (lambda f: f, jax.grad):
        a, b = (derivative(o)(theta) for o in objectives)
        np.testing.assert_allclose(a, b, rtol=1e-10)


@pytest.mark.slow
def test_centred_and_noncentred_writings_have_one_mle() -> None:
    a, b = (wb.fit_mle(make(1.0), GROUP, num_starts=2) for make in (centred, decentred))
    for name in ("mu", "tau", "sigma", "alpha"):
        # both end at rounding level of the same function, whose curvature is of order one
        np.testing.assert_allclose(a.values[name], b.values[name], rtol=1e-6)
    np.testing.assert_allclose(a.llf, b.llf, rtol=1e-12)
