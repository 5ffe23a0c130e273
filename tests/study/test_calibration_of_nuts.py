"""``fit_nuts`` draws from the posterior: four models, each fitted to data of its own simulation.

Ranks of a right sampler break the status at 1 seed in 100 for each model.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench.fit import Status
from workbench.model import Model

pytestmark = [pytest.mark.slow, pytest.mark.reference]

GROUP = np.repeat(np.arange(8), 4)
X = np.linspace(-2, 2, 24)
SIGMA = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
DESIGN = np.column_stack([np.ones(24), X, X**2])
GRID = np.linspace(-2, 2, 5)


def regression(x, y=None):
    """Near-Gaussian: sampled in whitened coordinates."""
    beta = numpyro.sample("beta", dist.Normal(0, 1).expand([3]).to_event(1))
    sigma = numpyro.sample("sigma", dist.LogNormal(0, 0.3))
    numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def wide_regression(x, y=None):
    """The same with ten times the prior's spread: another world."""
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([3]).to_event(1))
    sigma = numpyro.sample("sigma", dist.LogNormal(0, 0.3))
    numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def schools(sigma, y=None):
    """A non-centred hierarchy: sampled in plain or scaled coordinates."""
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfNormal(10))
    with numpyro.plate("schools", 8):
        standardised = numpyro.sample("standardised", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(mu + tau * standardised, sigma), obs=y)


def intercepts(group, y=None):
    """Varying intercepts, conditionally Gaussian."""
    mu = numpyro.sample("mu", dist.Normal(0, 1))
    tau = numpyro.sample("tau", dist.LogNormal(0, 0.5))
    sigma = numpyro.sample("sigma", dist.LogNormal(0, 0.3))
    with numpyro.plate("groups", 8):
        alpha = numpyro.sample("alpha", dist.Normal(mu, tau))
    numpyro.sample("y", dist.Normal(alpha[group], sigma), obs=y)


def bend(x, first, bias, second):
    """A network of one hidden layer."""
    return jnp.tanh(x[:, None] * first + bias) @ second


def network(x, y=None):
    """Weights that are not identified; the function is."""
    first, bias, second = (
        numpyro.sample(name, dist.Normal(0, 1).expand([3]).to_event(1))
        for name in ("first", "bias", "second")
    )
    numpyro.sample("y", dist.Normal(bend(x, first, bias, second), 0.3), obs=y)


def function(values, inputs):
    """The network on a grid."""
    return {"f": bend(GRID, values["first"], values["bias"], values["second"])}


CASES = {
    "regression": (regression, {"x": DESIGN, "y": X}),
    "schools": (schools, {"sigma": SIGMA, "y": SIGMA}),
    "intercepts": (intercepts, {"group": GROUP, "y": np.linspace(-1, 1, 32)}),
    "network": (Model(name="network", fn=network, estimands=function), {"x": X, "y": X}),
}
SETTINGS = {"num_simulations": 60, "num_samples": 500, "seed": 1}


@pytest.mark.parametrize("name", CASES)
def test_fit_nuts_is_calibrated(name):
    model, data = CASES[name]
    found = wb.calibrate(model, data, **SETTINGS)
    assert found.status is not Status.NOT_CALIBRATED, found.detail
    assert len(found.fits) == 60
    # no diagnostic speaks against most fits: the ranks are of fits that a user would read
    assert np.mean([s.ok for s in found.fits["status"]]) > 0.8


def test_truths_of_another_prior_are_detected():
    settings = {**SETTINGS, "num_simulations": 20}
    found = wb.calibrate(*CASES["regression"], simulator=wide_regression, **settings)
    assert found.status is Status.NOT_CALIBRATED
    # truths lie at both ends of posteriors that a prior has pulled towards zero: of 20 uniform
    # ranks the spread is 1 give or take 0.1
    assert found.table.loc[["beta[0]", "beta[1]", "beta[2]"], "spread"].max() > 1.4
