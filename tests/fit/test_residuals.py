"""Truths of residuals, leverages and influence: closed forms of least squares, statsmodels."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import workbench as wb
from workbench.errors import FitError, UsageError
from workbench.fit.families import family_of
from workbench.model import distributions

ALGEBRA = 1e-8  # float64, at optima polished to rounding level


def linear(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    with numpyro.plate("obs", x.shape[0]):
        numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def logistic(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    with numpyro.plate("obs", x.shape[0]):
        numpyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=y)


def poisson(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    with numpyro.plate("obs", x.shape[0]):
        numpyro.sample("y", dist.Poisson(jnp.exp(x @ beta)), obs=y)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.column_stack([np.ones(60), rng.normal(size=(60, 2))])


@pytest.fixture(scope="module")
def normal(x: np.ndarray) -> tuple[np.ndarray, wb.ModeFit]:
    noise = np.random.default_rng(4).normal(size=len(x)) * np.exp(x[:, 1])
    y = x @ [1.0, 2.0, -1.0] + noise
    return y, wb.fit_mle(linear, {"x": x, "y": y}, num_starts=1)


@pytest.fixture(scope="module", params=[logistic, poisson], ids=lambda f: f.__name__)
def glm(request: pytest.FixtureRequest, x: np.ndarray) -> tuple[Any, wb.ModeFit]:
    """Peer's results and own fit of a model with its canonical link."""
    rng = np.random.default_rng(5)
    if request.param is logistic:
        y = (rng.normal(size=len(x)) + x[:, 1] > 0).astype(int)
        peer = sm.GLM(y, x, family=sm.families.Binomial())
    else:
        y = rng.negative_binomial(2, 1 / (1 + np.exp(0.5 * x[:, 1])))
        peer = sm.GLM(y, x, family=sm.families.Poisson())
    fit = wb.fit_mle(request.param, {"x": x, "y": y}, num_starts=1)
    return peer.fit(tol=1e-14, maxiter=200), fit


# -- least squares ---------------------------------------------------------------------------


def test_residuals_of_least_squares(x: np.ndarray, normal: tuple[np.ndarray, wb.ModeFit]) -> None:
    y, fit = normal
    e = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    sigma = np.sqrt(np.mean(e**2))
    np.testing.assert_allclose(fit.residuals(), e, atol=ALGEBRA)
    # the normal law is its own quantile, and its deviance a square
    for kind in ("pearson", "deviance", "quantile"):
        np.testing.assert_allclose(fit.residuals(kind), e / sigma, atol=ALGEBRA)


def test_influence_of_least_squares(x: np.ndarray, normal: tuple[np.ndarray, wb.ModeFit]) -> None:
    y, fit = normal
    n, k = x.shape
    h = np.diag(x @ np.linalg.inv(x.T @ x) @ x.T)
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    e = y - x @ beta
    np.testing.assert_allclose(fit.leverage(), h, atol=ALGEBRA)
    table = fit.influence()
    # refit without each row: exact for the coefficients
    for i in (0, 17, 41):
        others = np.arange(n) != i
        without = np.linalg.lstsq(x[others], y[others], rcond=None)[0]
        got = table.loc[i, [f"dfbeta beta[{j}]" for j in range(k)]].to_numpy(float)
        np.testing.assert_allclose(got, beta - without, atol=ALGEBRA)
    # Cook's distance, with the maximum-likelihood scale RSS / N
    cook = e**2 * h / (k * np.mean(e**2) * (1 - h) ** 2)
    np.testing.assert_allclose(table["cooks_distance"], cook, rtol=1e-7)
    np.testing.assert_allclose(
        table["standardised_residual"], e / np.sqrt(np.mean(e**2) * (1 - h)), atol=ALGEBRA
    )
    np.testing.assert_allclose(table["leverage"], h, atol=ALGEBRA)


def test_scores_of_least_squares(x: np.ndarray, normal: tuple[np.ndarray, wb.ModeFit]) -> None:
    y, fit = normal
    e = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    s2 = np.mean(e**2)
    truth = np.column_stack([x * (e / s2)[:, None], e**2 / s2 - 1])
    scores = fit.scores()
    np.testing.assert_allclose(scores, truth, atol=ALGEBRA)
    assert list(scores.columns) == list(fit.z_labels)
    np.testing.assert_allclose(scores.sum(), 0.0, atol=1e-7)  # N rows of rounding


# -- generalised linear models ---------------------------------------------------------------


def test_residuals_of_glms_are_statsmodels(glm: tuple[Any, wb.ModeFit]) -> None:
    peer, fit = glm
    np.testing.assert_allclose(fit.residuals("response"), peer.resid_response, atol=ALGEBRA)
    np.testing.assert_allclose(fit.residuals("pearson"), peer.resid_pearson, atol=ALGEBRA)
    np.testing.assert_allclose(fit.residuals("deviance"), peer.resid_deviance, atol=1e-7)
    assert np.sum(fit.residuals("deviance") ** 2) == pytest.approx(peer.deviance, rel=ALGEBRA)


def test_influence_of_glms_is_statsmodels(glm: tuple[Any, wb.ModeFit]) -> None:
    peer, fit = glm
    truth = peer.get_influence()
    table = fit.influence()
    np.testing.assert_allclose(table["leverage"], truth.hat_matrix_diag, atol=ALGEBRA)
    np.testing.assert_allclose(table["cooks_distance"], truth.cooks_distance[0], rtol=1e-6)
    change = table[[f"dfbeta beta[{j}]" for j in range(3)]]
    np.testing.assert_allclose(change, truth.d_params, atol=1e-7)


def test_quantile_residuals_of_counts_are_standard_normal() -> None:
    # Dunn and Smyth: exactly normal at the true parameters; 2000 rows and one estimated parameter
    # leave a Kolmogorov distance whose 0.999 quantile is 1.95 / sqrt(N)
    y = np.random.default_rng(6).poisson(1.3, size=2000)

    def counts(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Gamma(1, 1))
        numpyro.sample("y", dist.Poisson(mu), obs=y)

    fit = wb.fit_mle(counts, {"y": y}, num_starts=1)
    made = fit.residuals("quantile", seed=1)
    assert stats.kstest(made, "norm").statistic < 1.95 / np.sqrt(len(y))
    pd.testing.assert_series_equal(made, fit.residuals("quantile", seed=1))
    assert (made != fit.residuals("quantile", seed=2)).all()
    # each lies between the normal quantiles of F(y - 1) and F(y)
    law = stats.poisson(y.mean())
    assert (made >= stats.norm.ppf(law.cdf(y - 1)) - 1e-9).all()
    assert (made <= stats.norm.ppf(law.cdf(y)) + 1e-9).all()


LAWS = {
    "normal": (dist.Normal(0.3, 1.7), 2.0),
    "log-normal": (dist.LogNormal(0.2, 0.6), 2.0),
    "student": (dist.StudentT(5.0, 0.3, 1.7), 2.0),
    "bernoulli": (dist.Bernoulli(logits=0.4), 1),
    "binomial": (dist.Binomial(total_count=7, probs=0.3), 4),
    "poisson": (dist.Poisson(3.5), 5),
    "negative binomial": (dist.NegativeBinomial2(3.5, 1.5), 5),
    "negative binomial, exact": (distributions.NegativeBinomial2(3.5, 1.5), 5),
    "exponential": (dist.Exponential(2.0), 0.8),
    "gamma": (dist.Gamma(2.5, 0.7), 1.8),
    "beta": (dist.Beta(2.5, 3.5), 0.3),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws_of_the_families_are_numpyros(name: str) -> None:
    fn, y = LAWS[name]
    facts = family_of(fn)
    assert facts is not None
    law = facts.distribution({k: np.asarray(v) for k, v in facts.parameters(fn).items()})
    density = law.logpmf(y) if fn.is_discrete else law.logpdf(y)
    # 1e-6: NumPyro's own negative binomial is right to 4e-7
    assert density == pytest.approx(float(fn.log_prob(y)), rel=1e-6)


SATURATED = {
    "normal": (dist.Normal(0.3, 1.7), dist.Normal(2.0, 1.7), 2.0),
    "bernoulli": (dist.Bernoulli(probs=0.3), dist.Bernoulli(probs=1 - 1e-16), 1),
    "binomial": (
        dist.Binomial(total_count=7, probs=0.3),
        dist.Binomial(total_count=7, probs=4 / 7),
        4,
    ),
    "poisson": (dist.Poisson(3.5), dist.Poisson(5.0), 5),
    "negative binomial": (
        distributions.NegativeBinomial2(3.5, 1.5),
        distributions.NegativeBinomial2(5.0, 1.5),
        5,
    ),
    "exponential": (dist.Exponential(2.0), dist.Exponential(1 / 0.8), 0.8),
    "gamma": (dist.Gamma(2.5, 0.7), dist.Gamma(2.5, 2.5 / 1.8), 1.8),
}


@pytest.mark.parametrize("name", SATURATED)
def test_unit_deviance_is_twice_the_loss_to_the_saturated_law(name: str) -> None:
    fn, saturated, y = SATURATED[name]
    facts = family_of(fn)
    assert facts is not None
    assert facts.deviance is not None
    parameters = {k: np.asarray(v) for k, v in facts.parameters(fn).items()}
    got = facts.deviance(np.asarray(float(y)), np.asarray(fn.mean), parameters)
    truth = 2 * float(saturated.log_prob(y) - fn.log_prob(y))
    assert float(got) == pytest.approx(truth, rel=ALGEBRA)


# -- masks, labels, refusals -----------------------------------------------------------------


def test_masked_rows_have_no_residual_and_no_weight(x: np.ndarray) -> None:
    y = x @ [1.0, 2.0, -1.0] + np.random.default_rng(1).normal(size=len(x))
    seen = np.arange(len(x)) != 5

    def masked(x: Any, seen: Any, y: Any = None) -> None:
        beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(10))
        with numpyro.handlers.mask(mask=seen):
            numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)

    fit = wb.fit_mle(masked, {"x": x, "seen": seen, "y": y}, num_starts=1)
    design = x[seen]
    h = np.diag(design @ np.linalg.inv(design.T @ design) @ design.T)
    np.testing.assert_allclose(fit.leverage()[seen], h, atol=ALGEBRA)
    assert fit.leverage()[5] == 0.0
    assert np.isnan(fit.residuals()[5])
    assert fit.influence().loc[5].isna().all()
    np.testing.assert_array_equal(fit.scores().loc[5], 0.0)
    # a covariance counts the rows that are seen
    peer = sm.OLS(y[seen], design).fit()
    errors = fit.std_errors("HC1")["std_error"].iloc[:3]
    np.testing.assert_allclose(errors, peer.HC1_se, rtol=1e-7)


def test_rows_without_means_are_refused(normal: tuple[np.ndarray, wb.ModeFit]) -> None:
    with pytest.raises(UsageError, match="kind expects one of response, pearson"):
        normal[1].residuals("martingale")  # pyright: ignore[reportArgumentType]

    def cauchy(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        numpyro.sample("y", dist.Cauchy(mu, 1.0), obs=y)

    y = np.array([-1.0, 0.2, 0.4, 0.5, 3.0])
    fit = wb.fit_mle(cauchy, {"y": y}, num_starts=1)
    with pytest.raises(FitError, match="positive and finite variance.*'y' of family Cauchy"):
        fit.leverage()
    with pytest.raises(FitError, match="quantile residuals expect a family.*Cauchy"):
        fit.residuals("quantile")
    # the sandwich needs scores alone
    assert np.isfinite(fit.std_errors("HC0").loc["mu", "std_error"])

    def vector(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(mu, 1.0).expand([5]).to_event(1), obs=y)

    one = wb.fit_mle(vector, {"y": y}, num_starts=1)
    with pytest.raises(FitError, match=r"'y'.*one event of several numbers.*a plate"):
        one.residuals()
    assert "more rows than the 1 parameters; got 1" in one.std_errors("HC0")["reason"].iloc[0]
    with pytest.raises(FitError, match="influence is defined for an MLE; got a MAP fit"):
        wb.fit_map(cauchy, {"y": y}, num_starts=1).influence()


def test_deviance_without_saturated_model_is_refused() -> None:
    def student(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        numpyro.sample("y", dist.StudentT(4.0, mu, 1.0), obs=y)

    fit = wb.fit_mle(student, {"y": np.array([-1.0, 0.2, 0.4, 0.5, 3.0])}, num_starts=1)
    with pytest.raises(FitError, match="deviance of family StudentT is not known"):
        fit.residuals("deviance")
    truth = stats.norm.ppf(stats.t(4).cdf(3.0 - fit.params["mu"]))
    assert fit.residuals("quantile")[4] == pytest.approx(truth, rel=ALGEBRA)


# -- analysis of deviance --------------------------------------------------------------------


def test_analysis_of_deviance(x: np.ndarray) -> None:
    y = np.random.default_rng(7).poisson(np.exp(0.3 + 0.4 * x[:, 1]))
    fits = [wb.fit_mle(poisson, {"x": x[:, :k], "y": y}, num_starts=1) for k in (1, 2, 3)]
    table = wb.deviance_table(*fits)
    peers = [sm.GLM(y, x[:, :k], family=sm.families.Poisson()).fit(tol=1e-14) for k in (1, 2, 3)]
    drop = -np.diff([p.deviance for p in peers])
    np.testing.assert_allclose(table["statistic"].iloc[1:], drop, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(table["p_value"].iloc[1:], stats.chi2.sf(drop, 1), rtol=1e-7)
    assert table["num_parameters"].tolist() == [1, 2, 3]
    assert table["df"].iloc[1:].tolist() == [1, 1]
    with pytest.raises(UsageError, match="expects two fits or more; got 1"):
        wb.deviance_table(fits[0])
