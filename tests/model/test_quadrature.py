"""Quadrature over one-dimensional effects against scipy's, and the groups it needs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import integrate, stats

import workbench as wb
from tests.model.zoo import CASES, Case
from workbench.errors import FitError, ModelError
from workbench.fit.objective import Objective
from workbench.model import Model, read_density

RNG = np.random.default_rng(11)
GROUP = np.repeat(np.arange(5), 4)
X = RNG.normal(size=20)
COUNTS = RNG.poisson(np.exp(0.5 + 0.3 * X + 0.8 * RNG.normal(size=5)[GROUP]))
CHOICES = (COUNTS > np.median(COUNTS)).astype(int)
FAMILIES = {"poisson": (dist.Poisson, COUNTS), "bernoulli": (dist.Bernoulli, CHOICES)}


def glmm(family: str, y: np.ndarray) -> Objective:
    def fn(x, group, y=None):
        a, b = (numpyro.sample(n, dist.Normal(0, 5)) for n in ("a", "b"))
        tau = numpyro.sample("tau", dist.HalfNormal(2))
        with numpyro.plate("groups", 5):
            u = numpyro.sample("u", dist.Normal(0, tau))
        eta = a + b * x + u[group]
        law = dist.Poisson(jnp.exp(eta)) if family == "poisson" else dist.Bernoulli(logits=eta)
        numpyro.sample("y", law, obs=y)

    model = Model(name=family, fn=fn, random_effects=("u",))
    density = read_density(model, {"x": X, "group": GROUP, "y": y})
    return Objective(density=density, method="MLE", num_points=25)


@pytest.mark.parametrize("family", ["poisson", "bernoulli"])
def test_25_points_against_scipy(family: str) -> None:
    y = FAMILIES[family][1]
    objective = glmm(family, y)
    a, b, tau = 0.4, 0.2, 0.9

    def likelihood(u: float, g: int) -> float:
        eta = a + b * X[GROUP == g] + u
        law = stats.poisson(np.exp(eta)) if family == "poisson" else stats.bernoulli(
            1 / (1 + np.exp(-eta))
        )  # fmt: skip
        return float(np.prod(law.pmf(y[GROUP == g])) * stats.norm.pdf(u, 0, tau))

    truth = sum(
        np.log(integrate.quad(likelihood, -12, 12, args=(g,), epsabs=0, epsrel=1e-12, limit=200)[0])
        for g in range(5)
    )
    theta = jnp.array([a, b, np.log(tau)])
    found = float(objective(theta))
    np.testing.assert_allclose(found, truth, atol=1e-8)
    # the corrections are derivatives of a group's own terms; one point is Laplace's method itself
    arrays = objective.density.arrays
    one = jax.jit(lambda t: objective.laplace_correction(t, arrays, 1))(theta)
    np.testing.assert_allclose(one, 0.0, atol=1e-14)
    laplace = float(objective.marginal.log_marginal(theta, arrays))
    assert 1e-4 < abs(found - laplace) < 0.2  # an approximation, and seen to be one


def test_gradient_of_the_quadrature_is_that_of_its_value() -> None:
    objective = glmm("poisson", COUNTS)
    theta = jnp.array([0.4, 0.2, -0.1])
    value = jax.jit(objective)
    h = 1e-5  # truncation h^2 and rounding eps / h are both near 1e-10
    slope = [(value(theta + e) - value(theta - e)) / (2 * h) for e in h * np.eye(3)]
    np.testing.assert_allclose(jax.jit(jax.grad(objective))(theta), slope, rtol=1e-7, atol=1e-8)


def test_positive_effects_carry_their_jacobian() -> None:
    """Poisson rates with gamma effects: each count is negative binomial."""

    def fn(y=None):
        shape = numpyro.sample("shape", dist.HalfNormal(5))
        rate = numpyro.sample("rate", dist.HalfNormal(5))
        with numpyro.plate("units", 6):
            mean = numpyro.sample("mean", dist.Gamma(shape, rate))
            numpyro.sample("y", dist.Poisson(mean), obs=y)

    y = np.array([0, 3, 1, 7, 4, 2])
    density = read_density(Model(name="gamma", fn=fn, random_effects=("mean",)), {"y": y})
    objective = Objective(density=density, method="MLE", num_points=25)
    found = objective(jnp.log(jnp.array([2.0, 0.7])))
    truth = stats.nbinom.logpmf(y, 2.0, 0.7 / 1.7).sum()
    # in log(mean) the tails fall as exp(shape u), not as a normal's: quadrature is slower there
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_what_quadrature_cannot_do_is_refused() -> None:
    def pairs(y=None):
        tau = numpyro.sample("tau", dist.HalfNormal(1))
        with numpyro.plate("groups", 3):
            u = numpyro.sample("u", dist.Normal(0, tau).expand([2]).to_event(1))
        numpyro.sample("y", dist.Normal(u[:, 0] + u[:, 1], 1.0), obs=y)

    model = Model(name="pairs", fn=pairs, random_effects=("u",))
    data = {"y": np.zeros(3)}
    with pytest.raises(ModelError, match="one effect each.*got a group of 2 effects"):
        wb.fit_mle(model, data, quadrature=5)
    with pytest.raises(ModelError, match="expects 1 to 25 points; got 26"):
        wb.fit_mle(model, data, quadrature=26)

    def plain(y=None):
        numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, 1)), 1.0), obs=y)

    with pytest.raises(FitError, match="quadrature=5 expects declared random effects"):
        wb.fit_mle(plain, data, quadrature=5)


@pytest.mark.parametrize(
    "case", [c for c in CASES if "random effect" in c.roles.values()], ids=lambda c: c.id
)
def test_terms_add_up_to_the_joint_density(case: Case) -> None:
    density = read_density(case.make(1.0), case.data)
    objective = Objective(density=density, method="MLE")
    theta = jnp.asarray(0.3 * RNG.normal(size=objective.free.size))
    u = jnp.asarray(0.3 * RNG.normal(size=objective.effects.size))

    def both(theta: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        prior = density.log_terms(objective.place(theta, u)).log_prior
        terms = objective.terms(theta, u, density.arrays)
        return jnp.sum(terms), objective.log_joint(theta, u) + prior

    found, truth = jax.jit(both)(theta, u)
    # the kernel of the Gaussian process is ill-conditioned: its Cholesky factor is good to 1e-10
    np.testing.assert_allclose(found, truth, rtol=1e-9)
    # every effect is in one block, once
    blocks = objective.marginal.blocks
    assert sorted(blocks[blocks < u.size]) == list(range(u.size))
