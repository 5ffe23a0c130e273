"""Bayes' theorem where everything is normal, and where a coordinate is a logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import workbench as wb
from workbench import plot
from workbench.errors import UsageError

X = np.column_stack([np.ones(20), np.linspace(-1, 1, 20)])
Y = np.random.default_rng(3).normal(X @ [0.4, 1.0], 0.5)
NOISE, PRIOR = 0.5, 1.5
COVARIANCE = np.linalg.inv(X.T @ X / NOISE**2 + np.eye(2) / PRIOR**2)
MEAN = COVARIANCE @ X.T @ Y / NOISE**2


def regression(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, PRIOR).expand([2]).to_event(1))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(x @ beta, NOISE), obs=y)


def lifetimes(y: Any = None) -> None:
    rate = numpyro.sample("rate", dist.Gamma(3.0, 0.5))
    numpyro.sample("y", dist.Exponential(rate), obs=y)


@pytest.fixture(scope="module")
def found() -> wb.Bayes:
    mode = wb.fit_laplace(regression, {"x": X, "y": Y}, num_starts=1)
    return wb.bayes(mode.require_density(), laplace=mode)


@pytest.fixture(scope="module")
def mode() -> wb.ModeFit:
    return wb.fit_laplace(lifetimes, {"y": np.array([0.2, 1.0, 0.4, 0.3])}, num_starts=1)


@pytest.fixture(scope="module")
def skewed(mode) -> wb.Bayes:
    return wb.bayes(mode.require_density(), laplace=mode)


def test_the_terms_add_up_to_the_posterior_density(found):
    sd = np.sqrt(COVARIANCE[1, 1])
    posterior = stats.multivariate_normal(MEAN, COVARIANCE)
    for point, step in (("mode", 0), ("mode - sd", -sd), ("mode + sd", sd)):
        row = found.table.loc[point]
        exact = posterior.logpdf(MEAN + [0, step])
        assert row["log_posterior"] == pytest.approx(exact, abs=1e-10)
        assert row["log_normal"] == pytest.approx(exact, abs=1e-8)
        parts = row["log_likelihood"] + row["log_prior"] + row["log_jacobian"]
        assert parts - row["log_evidence"] == pytest.approx(row["log_posterior"], abs=1e-12)


def test_batches_in_any_order_are_all_at_once(found):
    last = found.updates.groupby("order")["distance"].last()
    assert len(last) == 2
    np.testing.assert_allclose(last, 0.0, atol=1e-8)
    assert (found.updates.groupby("order")["rows"].last() == 20).all()


def test_the_axis_has_three_densities(found):
    axis = found.axis
    assert found.coordinate == "beta[1]"
    exact = stats.norm(MEAN[1], np.sqrt(COVARIANCE[1, 1])).pdf(axis["z"])
    np.testing.assert_allclose(axis["posterior"], exact, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(axis["prior"], stats.norm(0, PRIOR).pdf(axis["z"]), rtol=1e-8)
    estimate, error = np.linalg.lstsq(X, Y)[0][1], NOISE * np.sqrt(np.linalg.inv(X.T @ X)[1, 1])
    exact = stats.norm(estimate, error).pdf(axis["z"])
    np.testing.assert_allclose(axis["likelihood"], exact, rtol=1e-6, atol=1e-7)


def test_jacobian_carries_densities_from_one_coordinate_to_the_other(skewed):
    axis = skewed.axis
    assert skewed.coordinate == "log(rate)"
    np.testing.assert_allclose(axis["jacobian"], axis["value"], rtol=1e-10)  # d e^z / dz
    prior, posterior = stats.gamma(3, scale=2.0), stats.gamma(7, scale=1 / (0.5 + 1.9))
    np.testing.assert_allclose(axis["prior"] / axis["jacobian"], prior.pdf(axis["value"]),
                               rtol=1e-7, atol=1e-300)  # fmt: skip
    # normalised over six sds to each side, beyond which log rate has a tail of about 1e-6
    exact = posterior.pdf(axis["value"])
    np.testing.assert_allclose(axis["posterior"] / axis["jacobian"], exact, rtol=1e-3, atol=1e-6)


def test_each_density_integrates_to_one(found, skewed):
    # normalised as sums over the axis, which have half of the ends' mass more than trapezoids; the
    # likelihood of the logarithm falls as exp(4 z) only
    for made in (found, skewed):
        for kind in ("likelihood", "posterior"):
            assert np.trapezoid(made.axis[kind], made.axis["z"]) == pytest.approx(1.0, abs=1e-3)
    # the prior of the slope is wider than the axis, which has this share of it
    line = found.axis["z"].to_numpy()
    share = np.diff(stats.norm(0, PRIOR).cdf(line[[0, -1]])).item()
    assert np.trapezoid(found.axis["prior"], line) == pytest.approx(share, abs=1e-4)


@pytest.mark.slow
def test_random_effects_are_integrated_out():
    def classes(group: Any, y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, PRIOR))
        with numpyro.plate("level", 4):
            u = numpyro.sample("u", dist.Normal(mu, 0.7))
        with numpyro.plate("obs", len(group)):
            numpyro.sample("y", dist.Normal(u[group], NOISE), obs=y)

    y = np.array([0.1, 0.9, 1.4, 1.0, -0.2, 0.3, 0.8, 1.6])
    model = wb.Model(name="classes", fn=classes, random_effects=("u",))
    made = wb.bayes(model, {"group": np.repeat(np.arange(4), 2), "y": y}, quick=True)
    assert made.coordinate == "mu"
    within = np.kron(np.eye(4), NOISE**2 * np.eye(2) + 0.7**2)
    precision = np.linalg.inv(within).sum() + PRIOR**-2
    mean = np.linalg.solve(within, y).sum() / precision
    row = made.table.loc["mode"]
    marginal = stats.multivariate_normal(np.full(8, mean), within)
    assert row["log_likelihood"] == pytest.approx(marginal.logpdf(y), abs=1e-9)
    posterior = stats.norm(mean, precision**-0.5)
    assert row["log_posterior"] == pytest.approx(posterior.logpdf(mean), abs=1e-9)
    np.testing.assert_allclose(
        made.axis["posterior"], posterior.pdf(made.axis["z"]), rtol=1e-6, atol=1e-8
    )
    # whole groups, one after the other
    assert list(made.updates["rows"]) == [1, 2, 3, 4] * 2
    np.testing.assert_allclose(made.updates.groupby("order")["distance"].last(), 0.0, atol=1e-8)


def test_a_normal_density_between_batches_has_a_price_where_the_posterior_is_skewed(skewed):
    last = skewed.updates.groupby("order")["distance"].last()
    assert (last > 1e-6).all()
    assert skewed.trusted
    assert "posterior sds from that of all rows at once" in skewed.sentences[1]


def test_an_unknown_coordinate_is_refused(mode):
    with pytest.raises(UsageError, match=r"coordinate expects one of log\(rate\); got 'rate'"):
        wb.bayes(mode.require_density(), laplace=mode, coordinate="rate")


def test_the_picture_divides_densities_by_the_jacobian(skewed):
    left, right = plot.bayes(skewed).ravel()
    drawn = {x.get_label(): x for x in right.get_lines()}
    exact = skewed.axis["prior"] / skewed.axis["jacobian"]
    np.testing.assert_allclose(drawn["prior"].get_ydata(), exact)
    assert left.get_xlabel() == "log(rate)"
    assert right.get_xlabel() == "rate"
