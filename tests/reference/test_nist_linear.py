"""Least squares certified by NIST to 15 digits, found again by maximising a likelihood.

For y ~ Normal(X beta, sigma) the maximum-likelihood beta is the least-squares one. NIST's standard
errors use s^2 = RSS/(n-p); the observed information at the maximum has sigma^2 = RSS/n, so they
are sqrt(n/(n-p)) times those of the likelihood.

Filip's raw powers of x cancel terms of 1e8 in every fitted value, and whether the eighth digit of
a coefficient is right is then an accident of rounding. Its polynomial is fitted in Chebyshev's
basis on the range of x, which is the same likelihood, and carried to NIST's powers exactly.
"""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpy.polynomial import chebyshev

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


def to_powers(degree, slope, shift):
    """Exact matrix M of sum_k c_k T_k(slope x + shift) = sum_j (M c)_j x^j, by T_k's recurrence."""
    slope, shift = Fraction(slope), Fraction(shift)

    def times_t(p):
        scaled = [shift * a for a in p] + [Fraction(0)]
        return [a + slope * b for a, b in zip(scaled, [Fraction(0), *p], strict=True)]

    columns = [[Fraction(1)], [shift, slope]]
    while len(columns) <= degree:
        twice = [2 * a for a in times_t(columns[-1])]
        before = columns[-2] + [Fraction(0)] * 2
        columns.append([a - b for a, b in zip(twice, before, strict=True)])
    return np.array([c + [Fraction(0)] * (degree + 1 - len(c)) for c in columns], dtype=object).T


def exactly(matrix):
    """The same numbers as fractions, in which sums do not round."""
    return np.vectorize(Fraction, otypes=[object])(np.asarray(matrix, float))


@functools.cache
def fitted(name):
    """The fit, its coefficients in NIST's columns and their standard errors."""
    case, frame = load_case("nist_linear", name), load_frame("nist_linear", name)
    y, p = frame["y"].to_numpy(float), len(case["certified"])
    if name == "Filip":
        x = frame["x"].to_numpy(float)
        slope = 2 / (x.max() - x.min())
        shift = -(x.max() + x.min()) / (x.max() - x.min())
        fit = wb.fit_mle(linear, {"x": chebyshev.chebvander(slope * x + shift, p - 1), "y": y})
        powers = to_powers(p - 1, slope, shift)
    else:
        fit = wb.fit_mle(linear, {"x": design(case, frame), "y": y})
        powers = exactly(np.eye(p))
    terms = [f"beta[{j}]" for j in range(p)]
    covariance = exactly(fit.cov_params().loc[terms, terms])
    variance = np.einsum("ij,jk,ik->i", powers, covariance, powers)
    return (
        case,
        fit,
        (powers @ exactly(fit.values["beta"])).astype(float),
        np.sqrt(variance.astype(float)),
    )


@pytest.mark.parametrize("name", REGULAR)
def test_coefficients_and_standard_errors(name):
    case, fit, estimate, errors = fitted(name)
    certified = case["certified"].values()
    n, df = case["n"], int(case["residual_df"])
    assert fit.status is Status.CONVERGED
    # the worst of these designs, Wampler's, leaves 9 digits to QR in float64
    np.testing.assert_allclose(
        estimate, [float(value["estimate"]) for value in certified], rtol=1e-8
    )
    # the inverse of the information loses digits with its condition number, the square of the
    # design's
    np.testing.assert_allclose(
        errors * np.sqrt(n / df), [float(value["se"]) for value in certified], rtol=1e-6
    )


@pytest.mark.parametrize("name", REGULAR)
def test_residual_sd_and_log_likelihood(name):
    case, fit, _, _ = fitted(name)
    n, df = case["n"], int(case["residual_df"])
    # both are stationary in beta, so an error of 1e-7 in beta is not seen: 8 digits
    assert fit.values["sigma"] * np.sqrt(n / df) == pytest.approx(
        float(case["residual_sd"]), rel=1e-8
    )
    assert fit.llf == pytest.approx(case["log_likelihood"], rel=1e-8)


def test_exact_fit_is_refused_a_standard_error():
    # Wampler1 lies on a polynomial: sigma runs to 0 and the likelihood rises without end
    _, fit, _, _ = fitted("Wampler1")
    assert fit.status in {Status.UNBOUNDED, Status.AT_BOUNDARY}
    assert np.isnan(fit.bse["sigma"])
