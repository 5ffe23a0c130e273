"""A random-intercept model, fitted by lme4 by maximum likelihood."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest

import workbench as wb
from workbench.fit import Status
from workbench.model import Model

from .cases import load_case, load_frame


def growth(time, pig, num_pigs, weight=None):
    """Weight of pigs over weeks, each with its own intercept."""
    intercept = numpyro.sample("intercept", dist.Normal(0.0, 10.0))
    slope = numpyro.sample("slope", dist.Normal(0.0, 10.0))
    pig_sd = numpyro.sample("pig_sd", dist.HalfNormal(10.0))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
    with numpyro.plate("pigs", num_pigs):
        u = numpyro.sample("u", dist.Normal(0.0, pig_sd))
    mean = intercept + slope * time + u[pig]
    with numpyro.plate("obs", jnp.shape(time)[0]):
        numpyro.sample("weight", dist.Normal(mean, sigma), obs=weight)


def test_fixed_effects_variances_and_log_likelihood():
    case, frame = load_case("mixed", "dietox"), load_frame("mixed", "dietox")
    codes, pigs = pd.factorize(frame["Pig"])
    data = {
        "time": frame["Time"].to_numpy(float),
        "pig": codes,
        "num_pigs": len(pigs),
        "weight": frame["Weight"].to_numpy(float),
    }
    model = Model(name="growth", fn=growth, random_effects=("u",))
    fit = wb.fit_mle(model, data)
    certified = case["certified"]
    assert fit.status is Status.CONVERGED
    found = fit.params
    # lme4's optimiser stopped 1.5e-6 (relative) from the maximum that others find
    for ours, theirs in [
        (found["intercept"], "Intercept"),
        (found["slope"], "Time"),
        (found["pig_sd"] ** 2, "pig_variance"),
        (found["sigma"] ** 2, "residual_variance"),
    ]:
        assert ours == pytest.approx(certified[theirs]["estimate"], rel=2e-6)
    # lme4 takes the variances as known; the observed information does not quite separate them
    # from the fixed effects in an unbalanced table: the case suggests 1e-3
    for ours, theirs in [("intercept", "Intercept"), ("slope", "Time")]:
        error = fit.bse[ours]
        assert error == pytest.approx(certified[theirs]["se"], rel=1e-3)
    assert fit.llf == pytest.approx(case["log_likelihood"], abs=1e-3)  # printed to 3 decimals
    assert np.isfinite(fit.bse["pig_sd"])


@pytest.mark.slow
def test_restricted_maximum_likelihood_is_that_of_statsmodels():
    import statsmodels.api as sm

    frame = load_frame("mixed", "dietox")
    codes, pigs = pd.factorize(frame["Pig"])
    time, weight = frame["Time"].to_numpy(float), frame["Weight"].to_numpy(float)
    data = {"time": time, "pig": codes, "num_pigs": len(pigs), "weight": weight}
    model = Model(name="growth", fn=growth, random_effects=("u",))
    fit = wb.fit_reml(model, data, num_starts=2)
    peer = sm.MixedLM(weight, np.column_stack([np.ones(time.size), time]), codes).fit(
        reml=True, gtol=1e-10
    )
    found = fit.params
    # statsmodels stops by the gradient, where the estimates are within 1e-5 of the maximum
    np.testing.assert_allclose(found[["intercept", "slope"]], peer.fe_params, rtol=1e-6)
    np.testing.assert_allclose(found["sigma"] ** 2, peer.scale, rtol=1e-5)
    np.testing.assert_allclose(found["pig_sd"] ** 2, peer.cov_re[0, 0], rtol=1e-5)
    np.testing.assert_allclose(fit.llf, peer.llf, rtol=1e-9)
