"""Independent parts of data: rows, and groups whose effects are integrated out."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import workbench as wb
from workbench.study.units import units_of

GROUP = np.array([2, 0, 2, 1, 0, 2])
X = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])  # the last row sees no effect
Y = np.random.default_rng(2).normal(size=6)


def slopes(x: Any, group: Any, y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.Normal(0, 2))
    sigma = numpyro.sample("sigma", dist.Exponential(1))
    with numpyro.plate("level", 3):
        u = numpyro.sample("u", dist.Normal(0, 0.7))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(mu + u[group] * x, sigma), obs=y)


def test_each_group_adds_its_normal_marginal_and_a_row_without_effect_its_own():
    model = wb.Model(name="slopes", fn=slopes, random_effects=("u",))
    density = wb.read_density(model, {"x": X, "group": GROUP, "y": Y})
    units = units_of(density)
    assert (units.num, units.kind, units.reason) == (4, "groups", "")
    theta = jnp.array([0.3, np.log(1.2)])
    found = units.log_likelihood(theta, density.arrays)
    exact = []
    for rows in ([0, 2], [1, 4], [3], [5]):  # groups in the order of their first effect: 0, 1, 2
        z = X[rows]
        covariance = 1.2**2 * np.eye(len(rows)) + 0.7**2 * np.outer(z, z)
        exact.append(stats.multivariate_normal(np.full(len(rows), 0.3), covariance).logpdf(Y[rows]))
    np.testing.assert_allclose(found, np.array(exact)[[1, 2, 0, 3]], rtol=1e-10)
    assert found.sum() == pytest.approx(float(units.objective(theta)), abs=1e-10)
    log_prior, log_jacobian = units.log_prior(theta, density.arrays)
    assert log_prior == pytest.approx(stats.norm(0, 2).logpdf(0.3) - 1.2, abs=1e-12)
    assert log_jacobian == pytest.approx(np.log(1.2), abs=1e-12)


def test_effects_that_all_meet_make_one_part():
    def walk(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        u = numpyro.sample("u", dist.GaussianRandomWalk(1.0, 4))
        numpyro.sample("y", dist.Normal(mu + u, 1), obs=y)

    def crossed(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        a = numpyro.sample("a", dist.Normal(0, 1).expand([2]))
        b = numpyro.sample("b", dist.Normal(0, 1).expand([2]))
        numpyro.sample("y", dist.Normal(mu + a[jnp.array([0, 0, 1])] + b[jnp.array([0, 1, 1])], 1),
                       obs=y)  # fmt: skip

    one = wb.Model(name="walk", fn=walk, random_effects=("u",))
    other = wb.Model(name="crossed", fn=crossed, random_effects=("a", "b"))
    for model, num, reason in ((one, 4, "see several random effects"), (other, 3, "in one group")):
        units = units_of(wb.read_density(model, {"y": np.arange(num, dtype=float)}))
        assert units.num == 1
        assert reason in units.reason
