"""Nonlinear least squares certified by NIST to 11 digits, from both of NIST's starting points.

For y ~ Normal(m(x; b), sigma) the maximum-likelihood b is the least-squares one. NIST gives no
start for sigma: it starts at its maximum given the start of b. The observed information holds the
residuals' second derivatives, which NIST's J'J leaves out, so its standard errors are compared
with ``derived.se_observed_information`` (with s^2 = RSS/(n-p), as in the linear cases).
"""

from __future__ import annotations

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax import numpy as jnp

import workbench as wb
from workbench.fit import Status

from .cases import load_case, load_frame, names

NAMES = {"exp": jnp.exp, "arctan": jnp.arctan, "pi": jnp.pi}
FEW = {("MGH17", "start1"), ("Bennett5", "start1"), ("Misra1a", "start1"), ("Nelson", "start2")}
CASES = [
    pytest.param(
        name,
        start,
        id=f"{name}-{start}",
        marks=() if (name, start) in FEW else pytest.mark.slow,
    )
    for name in names("nist_nonlinear")
    for start in ("start1", "start2")
]


def mean(case, b, covariates):
    """The mean function as the case writes it."""
    return eval(case["model"]["mean_expression"], {**NAMES, **covariates, **b})


def regression(case):
    """The NumPyro model of a case; its covariates are called x, or x1 and x2."""

    def model(y=None, **covariates):
        b = {name: numpyro.sample(name, dist.Normal(0.0, 1.0)) for name in case["parameters"]}
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(mean(case, b, covariates), sigma), obs=y)

    one = lambda x, y=None: model(y, x=x)  # noqa: E731
    two = lambda x1, x2, y=None: model(y, x1=x1, x2=x2)  # noqa: E731
    return two if case["name"] == "Nelson" else one


@pytest.mark.parametrize(("name", "start"), CASES)
def test_estimates_and_standard_errors(name, start):
    case, frame = load_case("nist_nonlinear", name), load_frame("nist_nonlinear", name)
    y = frame["y"].to_numpy(float)
    if case["model"]["response"] == "log(y)":
        y = np.log(y)
    covariates = {key: frame[key].to_numpy(float) for key in frame.columns if key != "y"}
    b = {key: float(value[start]) for key, value in case["starting_values"].items()}
    residuals = y - np.asarray(mean(case, b, covariates))
    init = np.array([*b.values(), 0.5 * np.log(np.mean(residuals**2))])
    fit = wb.fit_mle(regression(case), {**covariates, "y": y}, num_starts=1, init=init)
    assert fit.status is Status.CONVERGED
    certified = [float(case["certified"][key]["estimate"]) for key in b]
    # NIST prints 11 digits: 8 are those that a float64 optimum is asked for
    np.testing.assert_allclose(fit.params[list(b)], certified, rtol=1e-8)
    ratio = np.sqrt(case["n"] / case["certified_other"]["residual_df"])
    expected = [case["derived"]["se_observed_information"][key] for key in b]
    np.testing.assert_allclose(fit.bse[list(b)] * ratio, expected, rtol=1e-6)
    assert fit.llf == pytest.approx(case["derived"]["loglik_at_mle"], rel=1e-8)
