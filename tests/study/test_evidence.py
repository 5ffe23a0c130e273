"""The evidence of conjugate linear regression, by every estimator, and what is read off it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from matplotlib.collections import LineCollection
from scipy.stats import multivariate_normal

import workbench as wb
from workbench import plot
from workbench.errors import ModelError, UsageError
from workbench.model import read_density
from workbench.model.latents import require_drawable_prior
from workbench.study.bridge import bridge_sampling
from workbench.study.tempering import Tempering

X = np.column_stack([np.ones(12), np.linspace(-1, 2, 12)])
Y = np.random.default_rng(4).normal(X @ [1.0, 0.5], 1.5)
NOISE, PRIOR = 1.5, 2.0
# Y ~ N(0, noise^2 I + prior^2 X X')
EXACT = multivariate_normal(cov=NOISE**2 * np.eye(12) + PRIOR**2 * X @ X.T).logpdf(Y)


def regression(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, PRIOR).expand([2]).to_event(1))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(x @ beta, NOISE), obs=y)


PRECISION = X.T @ X / NOISE**2 + np.eye(2) / PRIOR**2
MEAN = np.linalg.solve(PRECISION, X.T @ Y / NOISE**2)


@pytest.fixture(scope="module")
def found() -> wb.Evidence:
    return wb.evidence(regression, {"x": X, "y": Y}, estimators=("Laplace", "quadrature"))


@pytest.fixture(scope="module")
def full() -> wb.Evidence:
    return wb.evidence(regression, {"x": X, "y": Y}, seed=2)


@pytest.mark.parametrize("estimator", ["Laplace", "quadrature"])
def test_deterministic_estimators_are_exact_where_the_posterior_is_normal(found, estimator):
    assert found.table.loc[estimator, "log_evidence"] == pytest.approx(EXACT, abs=1e-8)


def log_joint(beta: np.ndarray) -> np.ndarray:
    """Log likelihood plus log prior at each row of coefficients."""
    residual = (Y - beta @ X.T) / NOISE
    normal = len(Y) * np.log(NOISE) + 2 * np.log(PRIOR) + 7 * np.log(2 * np.pi)
    return -0.5 * np.sum(residual**2, axis=1) - 0.5 * np.sum(beta**2, axis=1) / PRIOR**2 - normal


def test_bridge_sampling_is_right_within_its_own_error():
    rng = np.random.default_rng(5)
    # chains that stand still every other step: half as many effective draws
    draws = rng.multivariate_normal(MEAN, np.linalg.inv(PRECISION), size=(4, 400))
    made = [bridge_sampling(log_joint, np.repeat(draws, n, axis=1), rng) for n in (1, 2)]
    for one in made:
        assert abs(one.value - EXACT) < 5 * one.std_error < 0.2
    # the other half of the error comes from as many draws of the normal density
    assert made[1].std_error < 1.3 * made[0].std_error


def test_estimates_that_were_kept_are_not_made_again(found):
    run = Tempering(temperatures=np.array([0.0, 1.0]), mean_log_likelihood=np.array([-9.0, -1.0]),
                    log_evidence=np.array([-3.0, -3.2]), acceptance=np.array([0.8]),
                    z=np.zeros((2, 3, 2)))  # fmt: skip
    text = np.array("")
    parts = {
        "bridge sampling": {"value": np.array(-3.1), "std_error": np.array(0.01), "reason": text,
                            "expected_fit": np.array(-1.5)},
        "sequential Monte Carlo": {"value": np.array(run.value),
                                   "std_error": np.array(run.std_error), "reason": text,
                                   **vars(run)},
    }  # fmt: skip
    made = wb.evidence(regression, {"x": X, "y": Y}, keep=lambda name, make: parts[name])
    assert made.table.loc["bridge sampling", "log_evidence"] == -3.1
    assert made.expected_fit == -1.5
    assert made.tempering.z.shape == (2, 3, 2)
    assert made.table.loc["sequential Monte Carlo", "log_evidence"] == run.value


@pytest.mark.slow
@pytest.mark.reference
def test_every_estimator_agrees_and_the_data_tell_the_divergence_from_the_prior(full):
    assert full.trusted
    assert list(full.table.index) == [
        "Laplace", "quadrature", "bridge sampling", "sequential Monte Carlo"
    ]  # fmt: skip
    for estimator in ("bridge sampling", "sequential Monte Carlo"):
        row = full.table.loc[estimator]
        assert abs(row["log_evidence"] - EXACT) < 5 * row["std_error"] < 0.5
    covariance = np.linalg.inv(PRECISION)
    kl = 0.5 * ((np.trace(covariance) + MEAN @ MEAN) / PRIOR**2 - 2
                - np.linalg.slogdet(covariance / PRIOR**2)[1])  # fmt: skip
    # the log-likelihood of the draws varies by about 1 nat, and 4000 of them are worth 1000 or more
    assert full.information == pytest.approx(kl, abs=5 / np.sqrt(1000))


def test_fit_less_occam_factor_is_the_evidence(found):
    assert found.best == "quadrature"
    assert found.trusted
    parts = found.fit - found.table["occam_factor"]
    np.testing.assert_allclose(parts, found.table["log_evidence"], rtol=1e-12)
    # at the posterior mean, the mode of a normal posterior
    residual = (Y - X @ MEAN) / NOISE
    exact = -0.5 * residual @ residual - 12 * np.log(NOISE * np.sqrt(2 * np.pi))
    assert found.fit == pytest.approx(exact, abs=1e-8)
    assert np.isnan(found.information)  # no draws


def test_weights_are_those_of_bayes_rule(found):
    other = replace(found, table=found.table.assign(log_evidence=EXACT - np.log(3)))
    table = wb.bayes_factors({"a": found, "b": other}, prior={"a": 1, "b": 2})
    assert list(table.index) == ["a", "b"]
    np.testing.assert_allclose(table["weight"], [3 / 5, 2 / 5], rtol=1e-6)
    np.testing.assert_allclose(table["log_bayes_factor"], [0, -np.log(3)], atol=1e-7)


def test_estimators_that_differ_are_not_believed(found):
    table = found.table.copy()
    table.loc["bridge sampling"] = [EXACT + 1.0, 0.1, found.fit - EXACT - 1.0, ""]
    apart = replace(found, table=table)
    assert found.trusted
    assert not apart.trusted
    assert any("differ by 1 nats, 10 standard errors" in s for s in apart.sentences)


def test_an_improper_prior_has_no_run_from_the_prior():
    def flat(y=None):
        mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), ()))
        numpyro.sample("y", dist.Normal(mu, 1), obs=y)

    density = read_density(flat, {"y": np.array([1.0, 2.0, 3.0])})
    with pytest.raises(ModelError, match="the prior of model 'flat' cannot be drawn from"):
        require_drawable_prior(density)


def test_what_cannot_be_compared_is_refused(found):
    with pytest.raises(UsageError, match="expects two or more models; got 1"):
        wb.bayes_factors({"a": found})
    with pytest.raises(UsageError, match="models of the same observations"):
        wb.bayes_factors({"a": found, "b": replace(found, num_observations=3)})
    with pytest.raises(UsageError, match="prior expects a positive weight for each of a, b"):
        wb.bayes_factors({"a": found, "b": found}, prior={"a": 1.0})
    with pytest.raises(UsageError, match="estimators expects some of Laplace"):
        wb.evidence(regression, {"x": X, "y": Y}, estimators=("harmonic mean",))


def test_the_picture_has_a_whisker_for_each_error(found):
    run = Tempering(
        temperatures=np.array([0.0, 0.2, 1.0]), mean_log_likelihood=np.array([-90.0, -30.0, -20.0]),
        log_evidence=np.zeros(2), acceptance=np.ones(2), z=np.zeros((2, 3, 2)),
    )  # fmt: skip
    left, right = plot.evidence(replace(found, tempering=run)).ravel()
    drawn = [c for c in left.collections if isinstance(c, LineCollection)]
    assert len(drawn) == found.table["std_error"].notna().sum() == 1
    assert [t.get_text() for t in left.get_yticklabels()] == ["Laplace", "quadrature"]
    np.testing.assert_allclose(right.get_lines()[0].get_ydata(), [-90.0, -30.0, -20.0])


@pytest.mark.slow
@pytest.mark.reference
def test_temperatures_run_from_prior_to_posterior(full):
    run = full.tempering
    assert run.temperatures[0] == 0
    assert run.temperatures[-1] == 1
    assert (np.diff(run.temperatures) > 0).all()
    # d log Z / d beta is the mean of log L at beta, which only grows: its derivative is a variance
    assert run.mean_log_likelihood[-1] > run.mean_log_likelihood[0]
