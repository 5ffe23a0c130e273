"""Every cell of the table and every step of the ledger against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import workbench as wb
from workbench.comparison.ledger import totals

ALGEBRA = 1e-8


def normal(y: Any = None) -> None:
    """Normal mean, known variance 4, prior N(1, 0.5^2)."""
    mu = numpyro.sample("mu", dist.Normal(1.0, 0.5))
    with numpyro.plate("obs", 12):
        numpyro.sample("y", dist.Normal(mu, 2.0), obs=y)


def coin(y: Any = None) -> None:
    """Beta-Bernoulli with a Beta(3, 2) prior."""
    p = numpyro.sample("p", dist.Beta(3.0, 2.0))
    with numpyro.plate("obs", 15):
        numpyro.sample("y", dist.Bernoulli(p), obs=y)


def counts(y: Any = None) -> None:
    """Gamma-Poisson with a Gamma(2, 1) prior."""
    rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
    with numpyro.plate("obs", 6):
        numpyro.sample("y", dist.Poisson(rate), obs=y)


def regression(x: Any, y: Any = None) -> None:
    """Linear regression with known variance 1.5^2 and N(0, 2^2) priors."""
    beta = numpyro.sample("beta", dist.Normal(0, 2.0).expand([3]).to_event(1))
    with numpyro.plate("obs", 25):
        numpyro.sample("y", dist.Normal(x @ beta, 1.5), obs=y)


RNG = np.random.default_rng(11)
X = np.column_stack([np.ones(25), RNG.normal(size=(25, 2))])


def _normal_truth(y: np.ndarray) -> dict[str, np.ndarray]:
    n, prior, noise = len(y), 1 / 0.5**2, len(y) / 4.0
    mean = (prior * 1.0 + noise * y.mean()) / (prior + noise)
    sd = 1 / np.sqrt(prior + noise)
    return {
        "estimate": np.array([y.mean(), mean, mean, mean]),
        "std_error": np.array([2 / np.sqrt(n), sd, sd, sd]),
    }


def _coin_truth(y: np.ndarray) -> dict[str, np.ndarray]:
    n, k = len(y), y.sum()
    a, b = 3 + k, 2 + n - k
    mle, mode, mean = k / n, (a - 1) / (a + b - 2), a / (a + b)
    return {
        "estimate": np.array([mle, mode, mean, mean]),
        "std_error": np.array(
            [
                np.sqrt(mle * (1 - mle) / n),
                # curvature in logit p at the constrained mode, carried back
                np.nan,
                mean * (1 - mean) / np.sqrt((a + b) * mean * (1 - mean)),
                stats.beta(a, b).std(),
            ]
        ),
    }


def _counts_truth(y: np.ndarray) -> dict[str, np.ndarray]:
    a, b = 2 + y.sum(), 1 + len(y)
    return {
        "estimate": np.array([y.mean(), (a - 1) / b, a / b, a / b]),
        "std_error": np.array(
            # minus the second derivative in log rate is the rate times b, or a at the log mode
            [np.sqrt(y.mean() / len(y)), np.sqrt(a - 1) / b, np.sqrt(a) / b, np.sqrt(a) / b]
        ),
    }


def _regression_truth(y: np.ndarray) -> dict[str, np.ndarray]:
    noise = X.T @ X / 1.5**2
    covariance = np.linalg.inv(noise + np.eye(3) / 4)
    mean = covariance @ (X.T @ y / 1.5**2)
    ols = np.linalg.solve(X.T @ X, X.T @ y)
    sd, se = np.sqrt(np.diag(covariance)), np.sqrt(np.diag(np.linalg.inv(noise)))
    rows = np.column_stack([ols, mean, mean, mean]), np.column_stack([se, sd, sd, sd])
    return {"estimate": rows[0].reshape(-1), "std_error": rows[1].reshape(-1)}


CASES = {
    "normal": (normal, {"y": RNG.normal(2, 2, size=12)}, _normal_truth),
    "beta-bernoulli": (coin, {"y": RNG.binomial(1, 0.3, size=15)}, _coin_truth),
    "gamma-poisson": (counts, {"y": RNG.poisson(2.0, size=6)}, _counts_truth),
    "regression": (regression, {"x": X, "y": X @ [1, -1, 0.5] + RNG.normal(size=25)},
                   _regression_truth),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES, ids=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[wb.Comparison, dict[str, np.ndarray]]:
    fn, data, truth = CASES[request.param]
    return wb.compare(fn, data, seed=7, num_samples=2000), truth(data["y"])


def _rows(case: Any, column: str, method: str) -> tuple[np.ndarray, np.ndarray]:
    comparison, truth = case
    index = ["MLE", "MAP", "Laplace", "NUTS"].index(method)
    table = comparison.table
    return table.loc[table["method"] == method, column].to_numpy(), truth[column][index::4]


@pytest.mark.parametrize("method", ["MLE", "MAP", "Laplace"])
def test_modes_and_their_errors_are_closed_forms(case: Any, method: str) -> None:
    for column in ("estimate", "std_error"):
        got, truth = _rows(case, column, method)
        known = np.isfinite(truth)
        np.testing.assert_allclose(got[known], truth[known], rtol=ALGEBRA)


def test_posterior_mean_and_sd_within_monte_carlo_error(case: Any) -> None:
    diagnostics = case[0].fits["NUTS"].estimands
    for column, error in (("estimate", "mcse_mean"), ("std_error", "mcse_sd")):
        got, truth = _rows(case, column, "NUTS")
        # four standard errors, at most three terms, fixed seed
        assert np.all(np.abs(got - truth) < 4 * diagnostics[error].to_numpy())


def test_each_step_of_the_ledger_is_its_closed_form(case: Any) -> None:
    comparison, truth = case
    ledger = comparison.ledger
    estimates = truth["estimate"].reshape(-1, 4)
    errors = truth["std_error"].reshape(-1, 4)
    for i, term in enumerate(comparison.terms):
        rows = ledger[ledger["term"] == term].set_index("step")
        unit = errors[i, 0]
        np.testing.assert_allclose(rows["unit_value"], unit, rtol=ALGEBRA)
        assert (rows["unit"] == "MLE standard error").all()
        prior = (estimates[i, 1] - estimates[i, 0]) / unit
        assert rows.loc["prior", "change_in_units"] == pytest.approx(prior, abs=1e-7)
        move = (estimates[i, 2] - estimates[i, 1]) / unit
        assert rows.loc["coordinates", "change_in_units"] == pytest.approx(move, abs=1e-7)
        averaging = (estimates[i, 3] - estimates[i, 2]) / unit
        row = rows.loc["averaging"]
        assert abs(row["change_in_units"] - averaging) < 4 * row["mc_error_in_units"]
        information = (errors[i, 2] - errors[i, 0]) / unit
        got = rows.loc["prior information", "change_in_units"]
        assert got == pytest.approx(information, abs=1e-7)
        departure = (errors[i, 3] - errors[i, 2]) / unit
        row = rows.loc["departure from normality"]
        assert abs(row["change_in_units"] - departure) < 4 * row["mc_error_in_units"]


def test_the_steps_add_up_exactly(case: Any) -> None:
    comparison, _ = case
    summed = totals(comparison.ledger)
    for term in comparison.terms:
        rows = comparison.rows(term)
        unit = rows.loc["MLE", "std_error"]
        for quantity, column in (("location", "estimate"), ("spread", "std_error")):
            whole = (rows.loc["NUTS", column] - rows.loc["MLE", column]) / unit
            assert summed.loc[term, quantity] == pytest.approx(whole, abs=1e-12)


def test_a_regular_fit_is_trusted(case: Any) -> None:
    comparison, _ = case
    assert comparison.trustworthy
    assert not [f for f in comparison.findings if f.severity.value == "error"]
    assert all(f.status.ok for f in comparison.fits.values())


def test_same_seed_gives_equal_tables() -> None:
    fn, data, _ = CASES["gamma-poisson"]
    first, second = (wb.compare(fn, data, seed=5, num_samples=200) for _ in range(2))
    for name in ("table", "ledger", "scores"):
        left, right = getattr(first, name), getattr(second, name)
        assert left.equals(right), name
