"""The width of a prior in ridge regression: everything has a closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import workbench as wb
from workbench import az, plot
from workbench.errors import FitError
from workbench.study.lasso import lasso

RNG = np.random.default_rng(9)
X = RNG.normal(size=(15, 3)) * [1.0, 2.0, 0.3]
NOISE, PRIOR = 1.2, 0.8
Y = RNG.normal(X @ [0.5, -0.3, 0.2], NOISE)


def ridge(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, PRIOR).expand([3]).to_event(1))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(x @ beta, NOISE), obs=y)


def solved(penalty: float, keep: np.ndarray | slice = slice(None)) -> np.ndarray:
    return np.linalg.solve(X[keep].T @ X[keep] + penalty * np.eye(3), X[keep].T @ Y[keep])


@pytest.fixture(scope="module")
def mode() -> wb.ModeFit:
    return wb.fit_map(ridge, {"x": X, "y": Y}, num_starts=1)


@pytest.fixture(scope="module")
def found(mode) -> wb.Penalties:
    return wb.penalties(mode.require_density(), fit=mode, quick=True)


def test_conventions_name_the_same_penalty(found):
    tau = found.table.index.to_numpy() * PRIOR
    np.testing.assert_allclose(found.table["tau"], tau)
    np.testing.assert_allclose(found.table["lambda"], 1 / tau**2)
    np.testing.assert_allclose(found.table["lambda_rss"], NOISE**2 / tau**2)
    np.testing.assert_allclose(found.table["lambda_mean"], NOISE**2 / tau**2 / 15)
    assert found.sites == ("beta",)


def test_path_is_ridge_regression(found):
    exact = [solved(penalty) for penalty in found.table["lambda_rss"]]
    np.testing.assert_allclose(found.path, exact, rtol=1e-6, atol=1e-9)


def test_posterior_means_of_a_normal_posterior_are_its_modes(found):
    # draws with weights: a share of the posterior's sd that falls with their number, 2,048
    sd = np.sqrt([
        np.diag(NOISE**2 * np.linalg.inv(X.T @ X + penalty * np.eye(3)))
        for penalty in found.table["lambda_rss"]
    ])  # fmt: skip
    np.testing.assert_array_less(np.abs(found.means - found.path) / sd, 0.05)


def test_effective_parameters_are_the_trace_of_the_hat_matrix(found):
    d = np.linalg.svd(X, compute_uv=False)
    exact = [(d**2 / (d**2 + penalty)).sum() for penalty in found.table["lambda_rss"]]
    np.testing.assert_allclose(found.table["effective_parameters"], exact, rtol=1e-6)


def test_evidence_is_that_of_the_normal_marginal(found):
    exact = [
        stats.multivariate_normal(cov=NOISE**2 * np.eye(15) + tau**2 * X @ X.T).logpdf(Y)
        for tau in found.table["tau"]
    ]
    np.testing.assert_allclose(found.table["log_evidence"], exact, rtol=1e-8)
    assert found.picks["log_evidence"] == found.table.index[np.argmax(exact)]


def test_leaving_rows_out_is_refitting_without_them(found):
    def left_out(penalty: float) -> float:
        total = 0.0
        for i in range(15):
            beta = solved(penalty, np.arange(15) != i)
            total += stats.norm(X[i] @ beta, NOISE).logpdf(Y[i])
        return total

    exact = [left_out(penalty) for penalty in found.table["lambda_rss"]]
    np.testing.assert_allclose(found.table["elpd_loo"], exact, rtol=1e-8)
    assert found.picks["elpd_loo"] == found.table.index[np.argmax(exact)]


def test_folds_are_refits_without_them(found):
    # the study's folds: a permutation of the rows, dealt out to ten
    folds = np.random.default_rng(0).permutation(15) % 10

    def held_out(penalty: float) -> float:
        total = 0.0
        for k in range(10):
            mean = X[folds == k] @ solved(penalty, folds != k)
            total += stats.norm(mean, NOISE).logpdf(Y[folds == k]).sum()
        return total

    exact = [held_out(penalty) for penalty in found.table["lambda_rss"]]
    np.testing.assert_allclose(found.table["elpd_kfold"], exact, rtol=1e-8)
    assert found.picks["elpd_kfold"] == found.table.index[np.argmax(exact)]


def test_lasso_is_a_minimum_with_exact_zeros(found):
    # Karush, Kuhn and Tucker: the gradient of the squares is within the penalty where beta is 0,
    # and is the penalty against its sign elsewhere; a strictly convex problem has one such point
    penalty = NOISE**2 * np.sqrt(2) / found.table["tau"].to_numpy()
    beta = found.lasso.to_numpy()
    gradient = (X @ beta.T - Y[:, None]).T @ X
    zero = beta == 0.0
    assert zero.any()
    assert not zero.all()
    np.testing.assert_array_less(
        np.abs(gradient)[zero], np.broadcast_to(penalty[:, None], zero.shape)[zero]
    )
    np.testing.assert_allclose(gradient[~zero], (-penalty[:, None] * np.sign(beta))[~zero],
                               rtol=1e-4, atol=1e-5)  # fmt: skip
    np.testing.assert_array_equal(found.table["nonzero"], (~zero).sum(axis=1))


def test_coefficients_that_are_all_zero_are_left_where_their_scores_exceed_the_penalty():
    # at zero every logit is exactly 0, and the score is x'(y - 1/2)
    x, y = np.array([1.0, 2.0, -1.0, 0.5, 3.0]), np.array([1, 1, 0, 0, 1])

    def choice(y=None):
        beta = numpyro.sample("beta", dist.Normal(0, 1))
        numpyro.sample("y", dist.Bernoulli(logits=beta * x), obs=y)

    made = wb.penalties(choice, {"y": y}, quick=True)
    score = x @ (y - 0.5)
    pulled = score > np.sqrt(2) / made.table["tau"]
    assert pulled.any()
    assert not pulled.all()
    np.testing.assert_array_equal(made.table["nonzero"], pulled.astype(float))
    # the first step of descent is as long as it says (its rate is the square of the width)
    first = made.stopping["width"].iloc[0] ** 2 * score
    assert made.stopping_path["beta"].iloc[0] == pytest.approx(first, rel=1e-8)


def test_lasso_of_orthonormal_columns_is_a_soft_threshold():
    columns = np.linalg.qr(RNG.normal(size=(20, 5)))[0]
    y = RNG.normal(size=20) * 2
    penalty = np.full(5, 0.7)
    ols = columns.T @ y
    fit = lasso(
        lambda b: (0.5 * np.sum((y - columns @ b) ** 2), columns.T @ (columns @ b - y), np.eye(5)),
        np.zeros(5), penalty, np.zeros(5),
    )  # fmt: skip
    np.testing.assert_allclose(fit.x, np.sign(ols) * np.maximum(np.abs(ols) - 0.7, 0), atol=1e-10)
    assert fit.converged


def test_early_stopping_shrinks_as_its_closed_form(found):
    d, axes = np.linalg.svd(X, full_matrices=False)[1:]
    curvature = (d * PRIOR / NOISE) ** 2  # of the log-likelihood, in prior sds
    rate = 1 / curvature[0]
    steps = found.stopping.index.to_numpy()
    kept = 1 - (1 - rate * curvature) ** steps[:, None]
    ols = np.linalg.lstsq(X, Y)[0]
    np.testing.assert_allclose(found.stopping_path, (kept * (axes @ ols)) @ axes, rtol=1e-7)
    np.testing.assert_allclose(found.stopping["effective_parameters"], kept.sum(axis=1), rtol=1e-7)
    # exp(-x) and 1 / (1 + x) are nowhere further apart than 0.204; whole steps are nearly
    # continuous where rate h is small
    ridge = curvature / (curvature + 1 / found.stopping["width"].to_numpy()[:, None] ** 2)
    np.testing.assert_allclose(found.stopping["ridge"], ridge.sum(axis=1), rtol=1e-7)
    slow = rate * curvature < 0.05
    assert slow.any()
    assert np.abs(kept - ridge)[:, slow].max() < 0.21


def test_power_scaling_sees_a_prior_that_matters_and_one_that_does_not():
    y = np.array([2.5, 3.5, 3.0, 3.0])
    tables = {}
    for scale in (0.5, 1e4):
        # the posterior in closed form, as draws at its quantiles
        variance = 1 / (4 + scale**-2)
        mu = stats.norm(variance * y.sum(), np.sqrt(variance)).ppf((np.arange(2000) + 0.5) / 2000)
        mu = RNG.permutation(mu).reshape(4, 500)
        tree = az.from_dict({
            "posterior": {"mu": mu},
            "log_prior": {"mu": stats.norm(0, scale).logpdf(mu)},
            "log_likelihood": {"y": stats.norm(mu[..., None], 1).logpdf(y)},
        })  # fmt: skip
        tables[scale] = az.psense_summary(tree).loc["mu"]
    assert tables[0.5]["diagnosis"] == "prior-data conflict"
    assert tables[1e4]["prior"] < 1e-3
    assert tables[1e4]["likelihood"] > 0.05


def test_models_without_such_a_prior_or_mode_are_refused(mode):
    def coin(y=None):
        p = numpyro.sample("p", dist.Beta(2, 2))
        numpyro.sample("y", dist.Bernoulli(p), obs=y)

    with pytest.raises(FitError, match="'coin' has none, got none"):
        wb.penalties(coin, {"y": np.array([0, 1])})
    with pytest.raises(FitError, match="'ridge' has beta, got gamma"):
        wb.penalties(mode.require_density(), fit=mode, sites=("gamma",))
    flat = replace(mode, status=wb.Status.NOT_IDENTIFIED, detail="flat")
    with pytest.raises(FitError, match="a regular posterior mode; that of model 'ridge' is flat"):
        wb.penalties(mode.require_density(), fit=flat)


@pytest.mark.slow
def test_random_effects_are_integrated_out_and_left_out_by_groups():
    spread, prior, means = 0.9, 0.5, np.array([0.3, 1.9, 1.1, -0.4, 2.2])

    def classes(group: Any, y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, prior))
        with numpyro.plate("level", 5):
            u = numpyro.sample("u", dist.Normal(mu, spread))
        with numpyro.plate("obs", len(group)):
            numpyro.sample("y", dist.Normal(u[group], NOISE), obs=y)

    model = wb.Model(name="classes", fn=classes, random_effects=("u",))
    y = (means[:, None] + [-1.0, 1.0]).ravel()
    found = wb.penalties(model, {"group": np.repeat(np.arange(5), 2), "y": y}, quick=True)
    assert found.unit == "groups"
    assert any("leave out whole groups" in sentence for sentence in found.sentences)
    # two rows of a group are normal about mu with this covariance, the groups apart
    covariance = NOISE**2 * np.eye(2) + spread**2
    weight = np.linalg.solve(covariance, np.ones(2))  # of the rows in the score of mu
    rows = y.reshape(5, 2)

    def estimate(tau: float, kept: np.ndarray) -> float:
        return float((rows[kept] @ weight).sum() / (kept.sum() * weight.sum() + 1 / tau**2))

    def left_out(tau: float) -> float:
        total = 0.0
        for g in range(5):
            mean = estimate(tau, np.arange(5) != g)
            total += stats.multivariate_normal([mean, mean], covariance).logpdf(rows[g])
        return total

    every = np.ones(5, dtype=bool)
    path = [estimate(tau, every) for tau in found.table["tau"]]
    np.testing.assert_allclose(found.path["mu"], path, rtol=1e-7, atol=1e-10)
    # each effect at its conditional mean
    kept = spread**2 / (spread**2 + NOISE**2 / 2)
    exact = np.array(path)[:, None] * (1 - kept) + kept * means
    columns = [f"u[{g}]" for g in range(5)]
    np.testing.assert_allclose(found.path[columns], exact, rtol=1e-7)
    assert found.means[columns].isna().all(axis=None)
    exact = [left_out(tau) for tau in found.table["tau"]]
    np.testing.assert_allclose(found.table["elpd_loo"], exact, rtol=1e-8)
    exact = [
        stats.multivariate_normal(cov=np.kron(np.eye(5), covariance) + tau**2).logpdf(y)
        for tau in found.table["tau"]
    ]
    np.testing.assert_allclose(found.table["log_evidence"], exact, rtol=1e-8)


def test_the_picture_draws_scores_below_their_best(found):
    *_, last = plot.penalties(found).ravel()
    drawn = last.get_lines()[0].get_ydata()
    best = found.table["log_evidence"].max()
    np.testing.assert_allclose(drawn, found.table["log_evidence"] - best)
