"""Fits of models with random effects: predictions, boundaries, writings of one model."""

from __future__ import annotations

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import workbench as wb
from workbench.fit import Status
from workbench.model import Model

G, J = 4, 3
RNG = np.random.default_rng(17)
GROUP = np.concatenate([np.repeat(np.arange(G), J), [0, 0, 1]])  # unbalanced
X = RNG.normal(size=GROUP.size)
Y = 1.0 + 0.5 * X + RNG.normal(size=G)[GROUP] + 0.6 * RNG.normal(size=GROUP.size)
TAU, SIGMA = 0.9, 0.6


def test_effects_are_predicted_as_by_henderson() -> None:
    """With known variances the covariance is the inverse of the mixed-model equations."""

    def mixed(x, group, y=None):
        beta = numpyro.sample("beta", dist.Normal(0, 10).expand([2]).to_event(1))
        with numpyro.plate("groups", G):
            u = numpyro.sample("u", dist.Normal(0, TAU))
        numpyro.sample("y", dist.Normal(beta[0] + beta[1] * x + u[group], SIGMA), obs=y)

    model = Model(name="mixed", fn=mixed, random_effects=("u",))
    fit = wb.fit_mle(model, {"x": X, "group": GROUP, "y": Y}, num_starts=1)
    w = np.column_stack([np.ones(X.size), X, np.eye(G)[GROUP]])
    # Henderson (1975), doi:10.2307/2529430: the errors of b and of the prediction u - u_hat
    equations = w.T @ w / SIGMA**2 + np.diag([0.0, 0.0, *[TAU**-2] * G])
    np.testing.assert_allclose(
        fit.params, np.linalg.solve(equations, w.T @ Y / SIGMA**2), rtol=1e-8
    )
    np.testing.assert_allclose(fit.cov_params(), np.linalg.inv(equations), rtol=1e-8, atol=1e-12)
    # the error of the fixed effects is part of it: given them it would be smaller
    given = np.sqrt(1 / (np.bincount(GROUP) / SIGMA**2 + TAU**-2))
    assert (fit.bse.iloc[2:] > 1.01 * given).all()


SCHOOLS = {
    "y": np.array([28.0, 8, -3, 7, -1, 1, 18, 12]),
    "error": np.array([15.0, 10, 16, 11, 9, 11, 10, 18]),
}


def centred(error, y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 20))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", 8):
        u = numpyro.sample("u", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(u, error), obs=y)


def noncentred(error, y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 20))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", 8):
        u = numpyro.sample("u", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(mu + tau * u, error), obs=y)


@pytest.mark.parametrize("fn", [centred, noncentred])
def test_eight_schools_end_at_the_boundary(fn) -> None:
    model = Model(name=fn.__name__, fn=fn, random_effects=("u",))
    fit = wb.fit_mle(model, SCHOOLS, num_starts=2)
    assert fit.status is Status.AT_BOUNDARY
    assert "tau" in fit.detail
    assert np.isnan(fit.bse["tau"])
    # y_j ~ Normal(mu, sqrt(error_j^2 + tau^2)), where the fit ended and at tau = 0 itself
    y, error = SCHOOLS["y"], SCHOOLS["error"]
    there = stats.norm.logpdf(y, fit.params["mu"], np.hypot(error, fit.params["tau"])).sum()
    assert fit.llf == pytest.approx(there, abs=1e-10)
    pooled = np.sum(y / error**2) / np.sum(error**-2.0)
    best = stats.norm.logpdf(y, pooled, error).sum()
    assert fit.llf == pytest.approx(best, abs=1e-6)  # a loss of 1e-6 nats is called none
