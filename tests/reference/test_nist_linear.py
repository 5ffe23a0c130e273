"""Least squares certified by NIST to 15 digits, found again by maximising a likelihood.

For y ~ Normal(X beta, sigma) the maximum-likelihood beta is the least-squares one. NIST's standard
errors use s^2 = RSS/(n-p); the observed information at the maximum has sigma^2 = RSS/n, so they
are sqrt(n/(n-p)) times those of the likelihood.
"""

from __future__ import annotations

import functools

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench.fit import Status

from .cases import load_case, load_frame, names

REGULAR = [name for name in names("nist_linear") if name != "Wampler1"]


def linear(x, y=None):
    """Plain linear regression; maximum likelihood drops the priors and keeps the supports."""
    with numpyro.plate("coefficient", x.shape[1]):
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    with numpyro.plate("obs", x.shape[0]):
        numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def design(case, frame):
    """The raw columns that NIST prints: powers are neither centred nor scaled."""
    degrees = [int(name[1:]) for name in case["certified"]]
    if "x" in frame:
        return np.column_stack([frame["x"].to_numpy(float) ** degree for degree in degrees])
    covariates = (frame[f"x{degree}"].to_numpy(float) for degree in degrees[1:])
    return np.column_stack([np.ones(len(frame)), *covariates])


@functools.cache
def fitted(name):
    case, frame = load_case("nist_linear", name), load_frame("nist_linear", name)
    data = {"x": design(case, frame), "y": frame["y"].to_numpy(float)}
    return case, wb.fit_mle(linear, data)


def estimate_tolerance(case):
    """Relative 1e-8, or where Householder QR itself has fewer digits, all of those whole."""
    return 10.0 ** -min(8, int(case["qr_digits"]))


@pytest.mark.parametrize("name", REGULAR)
def test_coefficients_and_standard_errors(name):
    case, fit = fitted(name)
    certified = case["certified"].values()
    n, df = case["n"], int(case["residual_df"])
    assert fit.status is Status.CONVERGED
    np.testing.assert_allclose(
        fit.values["beta"],
        [float(value["estimate"]) for value in certified],
        rtol=estimate_tolerance(case),
    )
    # the inverse of the information loses digits with its condition number, the square of the
    # design's: 6 digits are what QR keeps in Filip, the worst
    errors = fit.bse[[f"beta[{j}]" for j in range(len(certified))]].to_numpy(float)
    np.testing.assert_allclose(
        errors * np.sqrt(n / df),
        [float(value["se"]) for value in certified],
        rtol=1e-6,
    )


@pytest.mark.parametrize("name", REGULAR)
def test_residual_sd_and_log_likelihood(name):
    case, fit = fitted(name)
    n, df = case["n"], int(case["residual_df"])
    # both are stationary in beta, so an error of 1e-7 in beta is not seen: 8 digits. Filip's
    # x beta itself cancels terms of 1e8, whose rounding moves its residuals in the 8th digit
    assert fit.values["sigma"] * np.sqrt(n / df) == pytest.approx(
        float(case["residual_sd"]), rel=1e-7 if name == "Filip" else 1e-8
    )
    assert fit.llf == pytest.approx(case["log_likelihood"], rel=1e-8)


def test_exact_fit_is_refused_a_standard_error():
    # Wampler1 lies on a polynomial: sigma runs to 0 and the likelihood rises without end
    _, fit = fitted("Wampler1")
    assert fit.status in {Status.UNBOUNDED, Status.AT_BOUNDARY}
    assert np.isnan(fit.bse["sigma"])
