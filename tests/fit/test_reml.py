"""Restricted maximum likelihood against closed forms."""

from __future__ import annotations

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench.errors import FitError
from workbench.model import Model

G, J = 6, 4
RNG = np.random.default_rng(5)
GROUP = np.repeat(np.arange(G), J)
Y = 3.0 + 1.5 * RNG.normal(size=G)[GROUP] + RNG.normal(size=G * J)


def one_way(group, y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 10))
    tau = numpyro.sample("tau", dist.HalfNormal(5))
    sigma = numpyro.sample("sigma", dist.HalfNormal(5))
    with numpyro.plate("groups", G):
        u = numpyro.sample("u", dist.Normal(0, tau))
    with numpyro.plate("rows", G * J):
        numpyro.sample("y", dist.Normal(mu + u[group], sigma), obs=y)


MODEL = Model(name="one_way", fn=one_way, random_effects=("u",))


def test_balanced_one_way_layout() -> None:
    fit = wb.fit_reml(MODEL, {"group": GROUP, "y": Y}, num_starts=2)
    assert fit.status.ok
    means = Y.reshape(G, J).mean(axis=1)
    within = ((Y.reshape(G, J) - means[:, None]) ** 2).sum() / (G * (J - 1))
    between = J * ((means - means.mean()) ** 2).sum() / (G - 1)
    # the ANOVA estimators (Searle, Casella and McCulloch 1992, chapter 3)
    np.testing.assert_allclose(fit.params["sigma"] ** 2, within, rtol=1e-8)
    np.testing.assert_allclose(fit.params["tau"] ** 2, (between - within) / J, rtol=1e-8)
    np.testing.assert_allclose(fit.params["mu"], Y.mean(), rtol=1e-8)
    # in a balanced layout mu does not move with the variances: var(mu) = MSB / (G J)
    np.testing.assert_allclose(fit.bse["mu"], np.sqrt(between / (G * J)), rtol=1e-8)
    np.testing.assert_allclose(fit.llf, restricted_log_likelihood(fit.params), rtol=1e-10)


def restricted_log_likelihood(params) -> float:
    z = np.kron(np.eye(G), np.ones((J, 1)))
    v = params["sigma"] ** 2 * np.eye(G * J) + params["tau"] ** 2 * z @ z.T
    x = np.ones((G * J, 1))
    xvx = x.T @ np.linalg.solve(v, x)
    r = Y - x @ np.linalg.solve(xvx, x.T @ np.linalg.solve(v, Y))
    logs = [np.linalg.slogdet(a)[1] for a in (v, xvx)]
    return -0.5 * ((G * J - 1) * np.log(2 * np.pi) + sum(logs) + r @ np.linalg.solve(v, r))


def test_what_reml_is_not_for_is_refused() -> None:
    def counts(group, y=None):
        mu = numpyro.sample("mu", dist.Normal(0, 10))
        tau = numpyro.sample("tau", dist.HalfNormal(5))
        with numpyro.plate("groups", G):
            u = numpyro.sample("u", dist.Normal(0, tau))
        numpyro.sample("y", dist.Poisson(np.e ** (mu + u[group])), obs=y)

    data = {"group": GROUP, "y": np.arange(G * J)}
    model = Model(name="counts", fn=counts, random_effects=("u",))
    with pytest.raises(FitError, match="normal in its random and fixed effects .mu.*use fit_mle"):
        wb.fit_reml(model, data)
    with pytest.raises(FitError, match="expects fixed effects.*got 'tau'"):
        wb.fit_reml(MODEL, {"group": GROUP, "y": Y}, fixed=("tau",))
