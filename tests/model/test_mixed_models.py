"""Marginal likelihoods of Gaussian mixed models against the multivariate normal they are."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

from workbench.fit.objective import Objective
from workbench.model import Model, read_density

N, G, S = 30, 6, 3
RNG = np.random.default_rng(3)
GROUP = np.concatenate([np.arange(G), RNG.integers(0, G, N - G)])
OTHER = np.concatenate([np.arange(4), RNG.integers(0, 4, N - 4)])  # crossed with the groups
SCHOOL = np.array([0, 0, 1, 1, 1, 2])  # of each group
X = RNG.normal(size=N)
Y = 1.0 + 0.5 * X + RNG.normal(size=N)
DATA = {"x": X, "y": Y}


def indicators(index: np.ndarray, size: int) -> np.ndarray:
    return np.eye(size)[index]


ZG, ZO, ZS = indicators(GROUP, G), indicators(OTHER, 4), indicators(SCHOOL[GROUP], S)


def slopes(x, y=None):
    """Intercepts and slopes with a correlation."""
    a = numpyro.sample("a", dist.Normal(0, 5))
    sd = numpyro.sample("sd", dist.HalfNormal(2).expand([2]).to_event(1))
    root = numpyro.sample("root", dist.LKJCholesky(2, 1.0))
    with numpyro.plate("groups", G):
        u = numpyro.sample("u", dist.MultivariateNormal(scale_tril=sd[:, None] * root))
    numpyro.sample("y", dist.Normal(a + u[GROUP, 0] + u[GROUP, 1] * x, 0.7), obs=y)


def slopes_noncentred(x, y=None):
    a = numpyro.sample("a", dist.Normal(0, 5))
    sd = numpyro.sample("sd", dist.HalfNormal(2).expand([2]).to_event(1))
    root = numpyro.sample("root", dist.LKJCholesky(2, 1.0))
    z = numpyro.sample("z", dist.Normal(0, 1).expand([2, G]).to_event(2))
    u = (sd[:, None] * root) @ z
    numpyro.sample("y", dist.Normal(a + u[0, GROUP] + u[1, GROUP] * x, 0.7), obs=y)


def slopes_covariance(theta: np.ndarray) -> np.ndarray:
    rho, sd = np.tanh(theta[3]), np.exp(theta[1:3])
    cov = np.outer(sd, sd) * np.array([[1.0, rho], [rho, 1.0]])
    z = np.stack([ZG, ZG * X[:, None]], axis=-1)
    return np.einsum("ngi,ij,mgj->nm", z, cov, z)


def nested(x, y=None):
    a = numpyro.sample("a", dist.Normal(0, 5))
    sd = numpyro.sample("sd", dist.HalfNormal(2).expand([2]).to_event(1))
    with numpyro.plate("schools", S):
        school = numpyro.sample("school", dist.Normal(0, sd[0]))
    with numpyro.plate("classes", G):
        u = numpyro.sample("u", dist.Normal(school[SCHOOL], sd[1]))
    numpyro.sample("y", dist.Normal(a + u[GROUP], 0.7), obs=y)


def nested_covariance(theta: np.ndarray) -> np.ndarray:
    sd = np.exp(theta[1:3])
    return sd[0] ** 2 * ZS @ ZS.T + sd[1] ** 2 * ZG @ ZG.T


def crossed(x, y=None):
    a = numpyro.sample("a", dist.Normal(0, 5))
    sd = numpyro.sample("sd", dist.HalfNormal(2).expand([2]).to_event(1))
    with numpyro.plate("groups", G):
        u = numpyro.sample("u", dist.Normal(0, sd[0]))
    with numpyro.plate("others", 4):
        v = numpyro.sample("v", dist.Normal(0, sd[1]))
    numpyro.sample("y", dist.Normal(a + u[GROUP] + v[OTHER], 0.7), obs=y)


def crossed_covariance(theta: np.ndarray) -> np.ndarray:
    sd = np.exp(theta[1:3])
    return sd[0] ** 2 * ZG @ ZG.T + sd[1] ** 2 * ZO @ ZO.T


THETA = np.array([0.8, np.log(0.9), np.log(0.4), 0.3])
CASES = {
    "slopes": (slopes, ("u",), slopes_covariance, (G, 2)),
    "slopes_noncentred": (slopes_noncentred, ("z",), slopes_covariance, (G, 2)),
    "nested": (nested, ("school", "u"), nested_covariance, (S, 4)),
    "crossed": (crossed, ("u", "v"), crossed_covariance, (1, 10)),
}


@pytest.mark.parametrize("case", CASES)
def test_value_gradient_and_blocks(case: str) -> None:
    fn, effects, covariance, shape = CASES[case]
    density = read_density(Model(name=case, fn=fn, random_effects=effects), DATA)
    objective = Objective(density=density, method="MLE")
    assert objective.marginal.blocks.shape == shape
    theta = THETA[: objective.free.size]
    found, gradient = jax.jit(jax.value_and_grad(objective))(jnp.asarray(theta))
    truth = normal_marginal(covariance)
    np.testing.assert_allclose(found, truth(theta), rtol=1e-10)
    h = 1e-5  # truncation h^2 and rounding eps / h are both near 1e-10, times values near 40
    steps = h * np.eye(theta.size)
    slope = [(truth(theta + e) - truth(theta - e)) / (2 * h) for e in steps]
    np.testing.assert_allclose(gradient, slope, rtol=1e-7, atol=1e-7)


def normal_marginal(covariance: Callable[[np.ndarray], np.ndarray]) -> Callable[..., float]:
    """Log density of y ~ MultivariateNormal(a, Z cov Z' + 0.49 I)."""

    def value(theta: np.ndarray) -> float:
        v = covariance(theta) + 0.49 * np.eye(N)
        return float(stats.multivariate_normal.logpdf(Y, np.full(N, theta[0]), v))

    return value
