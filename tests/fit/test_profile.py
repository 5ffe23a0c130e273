"""Profile likelihood against closed forms and its laws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import optimize, stats

import workbench as wb
from models.eight_schools import MODEL as EIGHT_SCHOOLS
from workbench.errors import FitError, UsageError
from workbench.fit import Status

ROOT = 1e-8  # the ends are roots found to 1e-10 of a standard error
CHI2 = float(stats.chi2.ppf(0.95, 1))


def normal(y: Any = None) -> None:
    """Mean and spread, with the logarithm of the spread and the coefficient of variation."""
    mu = numpyro.sample("mu", dist.Normal(0, 10))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    numpyro.deterministic("log_sigma", jnp.log(sigma))
    numpyro.deterministic("cv", sigma / mu)
    numpyro.sample("y", dist.Normal(mu, sigma), obs=y)


def proportion(y: Any = None) -> None:
    p = numpyro.sample("p", dist.Beta(1, 1))
    numpyro.sample("y", dist.Binomial(20, p), obs=y)


def logistic(x: Any, y: Any = None) -> None:
    a = numpyro.sample("a", dist.Normal(0, 10))
    b = numpyro.sample("b", dist.Normal(0, 10))
    numpyro.sample("y", dist.Bernoulli(logits=a + b * x), obs=y)


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.random.default_rng(7).normal(3.0, 2.0, size=12)


@pytest.fixture(scope="module")
def fit(y: np.ndarray) -> wb.ModeFit:
    return wb.fit_mle(normal, {"y": y})


def test_profile_of_a_normal_mean_is_closed(fit: wb.ModeFit, y: np.ndarray) -> None:
    # l_p(mu) = -N/2 log(s2 + (ybar - mu)^2) + const, so the half width is s sqrt(e^{chi2/N} - 1)
    made = wb.profile_likelihood(fit, "mu")
    half = y.std() * np.sqrt(np.expm1(CHI2 / y.size))
    np.testing.assert_allclose([made.lower, made.upper], [y.mean() - half, y.mean() + half], ROOT)
    s2 = y.var() + (y.mean() - made.curve["value"]) ** 2
    truth = -0.5 * y.size * (np.log(2 * np.pi * s2) + 1)
    np.testing.assert_allclose(made.curve["log_likelihood"], truth, rtol=1e-12)
    assert made.reason == ""


def test_signed_root_is_that_of_the_deviance(fit: wb.ModeFit) -> None:
    curve = wb.profile_likelihood(fit, "mu", num_points=6).curve
    deviance = 2 * (fit.llf - curve["log_likelihood"])
    np.testing.assert_allclose(curve["signed_root"] ** 2, deviance, atol=1e-12)
    assert (curve.diff().dropna()[["value", "signed_root"]] > 0).all(axis=None)
    np.testing.assert_allclose(curve["signed_root"].iloc[[0, -1]], [-(CHI2**0.5), CHI2**0.5], ROOT)
    assert len(curve) >= 13


def test_profile_of_a_spread_solves_its_equation(fit: wb.ModeFit, y: np.ndarray) -> None:
    # with mu at ybar, 2 N log(sigma / s) + N s^2 / sigma^2 - N = chi2
    def gap(t: float) -> float:
        return y.size * (2 * t + np.exp(-2 * t) - 1) - CHI2

    truth = [y.std() * np.exp(optimize.brentq(gap, *b, xtol=1e-14)) for b in ((-2, 0), (0, 2))]
    made = wb.profile_likelihood(fit, "sigma")
    np.testing.assert_allclose([made.lower, made.upper], truth, ROOT)


def test_profile_moves_with_a_transformation(fit: wb.ModeFit) -> None:
    # log_sigma is a derived site: a curved constraint, on a support of its own
    sigma, log_sigma = (wb.profile_likelihood(fit, t) for t in ("sigma", "log_sigma"))
    ends = np.log([sigma.lower, sigma.upper])
    np.testing.assert_allclose([log_sigma.lower, log_sigma.upper], ends, atol=1e-8)


def test_profile_of_a_function_is_that_of_the_reparameterised_model(
    fit: wb.ModeFit, y: np.ndarray
) -> None:
    def by_variation(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 10))
        cv = numpyro.sample("cv", dist.HalfNormal(1))
        numpyro.sample("y", dist.Normal(mu, cv * mu), obs=y)

    here = wb.profile_likelihood(fit, "cv")
    there = wb.profile_likelihood(wb.fit_mle(by_variation, {"y": y}, init=[1.0, 0.0]), "cv")
    np.testing.assert_allclose([here.lower, here.upper], [there.lower, there.upper], 1e-7)


def test_profile_of_a_proportion_is_the_likelihood() -> None:
    # one parameter: nothing to re-optimise
    k, n = 7, 20

    def gap(p: float) -> float:
        return 2 * (stats.binom.logpmf(k, n, k / n) - stats.binom.logpmf(k, n, p)) - CHI2

    truth = [optimize.brentq(gap, *b, xtol=1e-15) for b in ((1e-6, k / n), (k / n, 1 - 1e-6))]
    made = wb.profile_likelihood(wb.fit_mle(proportion, {"y": k}), "p")
    np.testing.assert_allclose([made.lower, made.upper], truth, ROOT)


def test_no_success_gives_an_open_lower_end() -> None:
    # 2 n log(1 / (1 - p)) = chi2 at the upper end; the support ends at 0
    fit = wb.fit_mle(proportion, {"y": 0})
    assert fit.status is Status.AT_BOUNDARY
    made = wb.profile_likelihood(fit, "p")
    assert made.lower == 0.0
    assert made.upper == pytest.approx(-np.expm1(-CHI2 / 40), rel=1e-6)
    assert made.reason.startswith("lower: open")


def test_separated_data_give_one_open_end() -> None:
    x = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
    fit = wb.fit_mle(logistic, {"x": x, "y": (x > 0).astype(int)})
    assert fit.status is Status.SEPARATED
    made = wb.profile_likelihood(fit, "b")
    assert made.upper == np.inf
    assert made.reason.startswith("upper: open")

    # by symmetry the intercept is 0 on the profile, whose top is 0
    def gap(b: float) -> float:
        return 4 * np.log1p(np.exp(-b * x[x > 0])).sum() - CHI2

    assert made.lower == pytest.approx(optimize.brentq(gap, 0.1, 20), rel=1e-6)


def test_a_direction_that_is_not_identified_is_open_on_both_sides() -> None:
    def twice(y: Any = None) -> None:
        a, b = (numpyro.sample(k, dist.Normal(0, 10)) for k in "ab")
        numpyro.deterministic("total", a + b)
        numpyro.sample("y", dist.Normal(a + b, 1), obs=y)

    fit = wb.fit_mle(twice, {"y": np.array([1.0, 2.0, 3.0, 2.0])})
    free, total = (wb.profile_likelihood(fit, t) for t in ("a", "total"))
    assert (free.lower, free.upper) == (-np.inf, np.inf)
    half = np.sqrt(CHI2) / 2
    np.testing.assert_allclose([total.lower, total.upper], [2 - half, 2 + half], ROOT)


@pytest.mark.slow
def test_profile_of_the_marginal_likelihood() -> None:
    # eight schools: y_j ~ Normal(mu, sqrt(sigma_j^2 + tau^2)) with the effects integrated out
    data = wb.load_dataset("eight_schools")
    fit = wb.fit_mle(EIGHT_SCHOOLS, data)
    y, s = data.observed["y"].astype(float), data.inputs["sigma"].astype(float)

    def deviance(tau: float) -> float:
        v = s**2 + tau**2
        mu = np.sum(y / v) / np.sum(1 / v)
        return float(np.sum(np.log(v) + (y - mu) ** 2 / v))

    truth = optimize.brentq(lambda t: deviance(t) - deviance(0.0) - CHI2, 1, 100, xtol=1e-12)
    made = wb.profile_likelihood(fit, "tau")
    assert made.lower == 0.0
    assert made.upper == pytest.approx(truth, rel=1e-6)  # the top is 1e-8 nats below tau = 0
    predicted = wb.profile_likelihood(fit, fit.params.index[-1])
    assert np.isnan([predicted.lower, predicted.upper]).all()
    assert predicted.reason.startswith("predicted, not estimated")


def test_what_a_profile_refuses(fit: wb.ModeFit) -> None:
    with pytest.raises(FitError, match="expected a fit by fit_mle; got MAP"):
        wb.profile_likelihood(replace(fit, method="MAP"), "mu")
    with pytest.raises(UsageError, match="got 'nu'"):
        wb.profile_likelihood(fit, "nu")
    with pytest.raises(UsageError, match="level expects a number between 0 and 1; got 95"):
        wb.profile_likelihood(fit, "mu", level=95)
