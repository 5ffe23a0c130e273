"""Likelihood surfaces of normal models, slice and profile in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench import plot
from workbench.errors import FitError, UsageError

RNG = np.random.default_rng(51)
N = 30
X = np.column_stack([np.ones(N), RNG.normal(size=N)])
X = np.column_stack([X, 0.9 * X[:, 1] + 0.3 * RNG.normal(size=N)])
Y = X @ [1.0, 0.5, -0.5] + RNG.normal(size=N)


def regression(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 5).expand([3]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(5))
    with numpyro.plate("obs", N):
        numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


@pytest.fixture(scope="module")
def mle() -> wb.ModeFit:
    return wb.fit_mle(regression, {"x": X, "y": Y}, num_starts=2)


@pytest.fixture(scope="module")
def found(mle) -> wb.Surface:
    return wb.surface(mle.require_density(), mle=mle, quick=True)


def rss(beta: np.ndarray) -> float:
    return float(np.sum((Y - X @ beta) ** 2))


def test_it_takes_the_most_correlated_pair(found):
    assert list(found.table.index) == ["beta[1]", "beta[2]"]
    inverse = np.linalg.inv(X.T @ X)[1:, 1:]
    r = inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    np.testing.assert_allclose(found.table["correlation"], r, rtol=1e-8)


def test_profile_is_the_maximum_over_the_others(found, mle):
    best = mle.z[:3]
    points = found.profile[["beta[1]", "beta[2]"]].to_numpy()
    # with the slopes given, the intercept is a mean and the noise the root mean square
    exact = [
        -0.5 * N * np.log(rss(np.array([np.mean(Y - X[:, 1:] @ b), *b])) / rss(best))
        for b in points
    ]
    np.testing.assert_allclose(found.profile["log_likelihood"], exact, atol=1e-5)
    assert found.trusted


def test_slice_holds_the_others_and_is_below_the_profile(found, mle):
    best = mle.z[:3]
    points = found.slice[["beta[1]", "beta[2]"]].to_numpy()
    variance = rss(best) / N
    exact = [-0.5 * (rss(np.array([best[0], *b])) - rss(best)) / variance for b in points]
    np.testing.assert_allclose(found.slice["log_likelihood"], exact, atol=1e-8)
    j = X.T @ X / variance
    np.testing.assert_allclose(found.table["held"], 1 / np.sqrt(np.diag(j)[1:]), rtol=1e-8)
    np.testing.assert_allclose(
        found.table["std_error"], np.sqrt(np.diag(np.linalg.inv(j))[1:]), rtol=1e-8
    )


def test_the_path_leads_from_a_start_to_the_maximum(found, mle):
    np.testing.assert_allclose(found.path.iloc[-1, :2], mle.z[1:3], atol=1e-5)
    won = int(np.nanargmax(mle.starts.log_objective))
    np.testing.assert_allclose(found.path.iloc[0, :2], mle.starts.z0[won][1:3], rtol=1e-10)
    climbed = found.path["log_likelihood"].to_numpy()
    assert (np.diff(climbed) > -1e-9 * (1 + np.abs(climbed[0]))).all()


def test_asked_for_pairs_come_in_their_order(mle):
    made = wb.surface(
        mle.require_density(), mle=mle, quick=True, coordinates=("log(sigma)", "beta[0]")
    )
    assert list(made.table.index) == ["log(sigma)", "beta[0]"]
    # of log sigma the likelihood is skew: no quadratic
    assert made.bent > 0.1
    density = mle.require_density()
    with pytest.raises(UsageError, match="two of beta\\[0\\].*; got beta\\[0\\], sigma"):
        wb.surface(density, mle=mle, coordinates=("beta[0]", "sigma"))


def test_one_parameter_has_no_surface():
    def mean(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)

    with pytest.raises(FitError, match="two parameters or more; model 'mean' has mu"):
        wb.surface(mean, {"y": np.array([1.0, 2.0])})


def test_the_picture_marks_the_maximum(found):
    first, second = plot.surface(found).ravel()
    for ax in (first, second):
        np.testing.assert_allclose(np.ravel(ax.get_lines()[-1].get_data()), found.table["estimate"])
