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
from workbench import plot
from workbench.errors import FitError

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
    assert found.sites == ("beta",)


def test_path_is_ridge_regression(found):
    exact = [solved(penalty) for penalty in found.table["lambda_rss"]]
    np.testing.assert_allclose(found.path, exact, rtol=1e-6, atol=1e-9)


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


def test_the_picture_draws_scores_below_their_best(found):
    *_, third = plot.penalties(found).ravel()
    drawn = third.get_lines()[0].get_ydata()
    best = found.table["log_evidence"].max()
    np.testing.assert_allclose(drawn, found.table["log_evidence"] - best)
