"""The bootstrap against closed forms, a published interval and its laws."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import statsmodels.api as sm
from scipy import stats

import workbench as wb
from workbench.errors import FitError, UsageError
from workbench.study.refits import num_cases

# spatial perception of 26 children, test A (Efron and Tibshirani 1993, table 14.1)
SPATIAL = np.array([
    48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26,
    30, 41,
], dtype=float)  # fmt: skip


def normal(y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.Normal(0, 10))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    numpyro.deterministic("variance", sigma**2)
    with numpyro.plate("obs", 26):
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)


def logistic(x: Any, y: Any = None) -> None:
    a = numpyro.sample("a", dist.Normal(0, 10))
    b = numpyro.sample("b", dist.Normal(0, 10))
    numpyro.sample("y", dist.Bernoulli(logits=a + b * x), obs=y)


def groups(g: Any, y: Any = None) -> None:
    """Balanced one-way layout, three in each of twelve groups."""
    mu = numpyro.sample("mu", dist.Normal(0, 10))
    tau = numpyro.sample("tau", dist.HalfNormal(10))
    with numpyro.plate("group", 12):
        u = numpyro.sample("u", dist.Normal(0, tau))
    with numpyro.plate("obs", len(g)):
        numpyro.sample("y", dist.Normal(mu + u[g], 1.0), obs=y)


@pytest.fixture(scope="module")
def fit() -> wb.ModeFit:
    return wb.fit_mle(normal, {"y": SPATIAL})


@pytest.fixture(scope="module")
def cases(fit: wb.ModeFit) -> wb.Bootstrap:
    return wb.bootstrap(fit, num=4000, seed=1)


@pytest.fixture(scope="module")
def parametric(fit: wb.ModeFit) -> wb.Bootstrap:
    return wb.bootstrap(fit, num=4000, kind="parametric", seed=1)


def test_resampled_means_have_the_spread_of_the_plug_in_formula(cases: wb.Bootstrap) -> None:
    # Var*(ybar) = sum (y - ybar)^2 / N^2; an sd of B draws has relative error 1 / sqrt(2 B)
    truth = np.sqrt(np.sum((SPATIAL - SPATIAL.mean()) ** 2)) / SPATIAL.size
    error = truth / np.sqrt(2 * cases.num)
    assert abs(cases.std_error["mu"] - truth) < 4 * error
    assert abs(cases.bias["mu"]) < 4 * truth / np.sqrt(cases.num)
    assert cases.excluded == {}


def test_replicates_are_maxima_of_their_own_likelihood(cases: wb.Bootstrap) -> None:
    # a resample of the rows has E*[s^2] = s^2 (1 - 1/N)
    draws = cases.replicates["variance"]
    error = draws.std() / np.sqrt(cases.num)
    assert abs(draws.mean() - SPATIAL.var() * (1 - 1 / SPATIAL.size)) < 4 * error
    np.testing.assert_allclose(cases.replicates["sigma"] ** 2, draws, rtol=1e-12)


def test_acceleration_of_a_variance_is_the_published_one(cases: wb.Bootstrap) -> None:
    # Efron and Tibshirani (1993), section 14.3: 0.061; the influence of a row is (y - ybar)^2 - s^2
    influence = (SPATIAL - SPATIAL.mean()) ** 2 - SPATIAL.var()
    a = np.sum(influence**3) / (6 * np.sum(influence**2) ** 1.5)
    assert round(a, 3) == 0.061
    assert cases.acceleration["variance"] == pytest.approx(a, rel=1e-8)


def test_intervals_of_a_variance_are_the_published_ones(cases: wb.Bootstrap) -> None:
    # Efron and Tibshirani (1993), table 14.2, 90 %, 2000 replicates: percentile (100.8, 233.9),
    # BCa (115.8, 259.6); the Monte Carlo error of an end is about 2.5 here and 3 there
    percentile = cases.intervals(0.9, "percentile").loc["variance"]
    corrected = cases.intervals(0.9, "BCa").loc["variance"]
    ends = [*percentile[["lower", "upper"]], *corrected[["lower", "upper"]]]
    assert np.all(np.abs(np.array(ends, dtype=float) - [100.8, 233.9, 115.8, 259.6]) < 12)
    assert percentile["lower"] < corrected["lower"]
    assert percentile["upper"] < corrected["upper"]
    assert corrected["reason"] == ""


def test_parametric_means_are_normal(parametric: wb.Bootstrap) -> None:
    # ybar* ~ Normal(ybar, s / sqrt N) and N s*^2 / s^2 ~ chi2(N - 1), independent
    n, scale = SPATIAL.size, SPATIAL.std() / np.sqrt(SPATIAL.size)
    draws = parametric.replicates
    means = stats.kstest(draws["mu"], stats.norm(SPATIAL.mean(), scale).cdf)
    spreads = stats.kstest(n * draws["variance"] / SPATIAL.var(), stats.chi2(n - 1).cdf)
    assert min(means.pvalue, spreads.pvalue) > 1e-3  # fixed seed
    # the skewness of B draws has standard error sqrt(6 / B), a sixth of it is a's
    assert abs(parametric.acceleration["mu"]) < 4 * np.sqrt(6 / parametric.num) / 6


def test_bca_of_a_transformation_is_the_transformed_interval(cases: wb.Bootstrap) -> None:
    # terms that rise together share the order of their replicates, z0 and a
    made = cases.intervals(0.9)
    sigma, variance = made.loc["sigma"], made.loc["variance"]
    assert cases.acceleration["sigma"] == pytest.approx(cases.acceleration["variance"], rel=1e-8)
    # quantiles interpolate between neighbouring draws
    np.testing.assert_allclose(
        [sigma["lower"] ** 2, sigma["upper"] ** 2],
        [variance["lower"], variance["upper"]], rtol=1e-3,
    )  # fmt: skip


def test_same_seed_gives_the_same_numbers(fit: wb.ModeFit) -> None:
    first, again, other = (wb.bootstrap(fit, num=50, seed=s).replicates for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_replicate_is_the_fit_of_its_rows() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=80)
    y = (rng.uniform(size=80) < 1 / (1 + np.exp(-0.5 - x))).astype(int)
    made = wb.bootstrap(wb.fit_mle(logistic, {"x": x, "y": y}), num=20, seed=9)
    design = np.column_stack([np.ones(80), x])
    for key, found in zip(jax.random.split(jax.random.key(9), 20), made.replicates.to_numpy(),
                          strict=True):  # fmt: skip
        rows = np.asarray(jax.random.randint(key, (80,), 0, 80))
        peer = sm.Logit(y[rows], design[rows]).fit(disp=0, tol=1e-12)
        # one Newton step from within 1e-4 standard errors
        np.testing.assert_allclose(found, peer.params, atol=1e-7 * peer.bse.max())


def test_separated_replicates_are_counted_and_left_out() -> None:
    # rows 4 and 5 alone overlap
    x = np.arange(10.0)
    y = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1, 1])
    made = wb.bootstrap(wb.fit_mle(logistic, {"x": x, "y": y}), num=500)
    (reason,) = made.excluded
    assert reason.startswith("no finite estimate")
    # without row 4, or without row 5, it is separated: P = 2 (9/10)^10 - (8/10)^10 = 0.590 with
    # binomial standard error 0.022; other ways to be separated have P below 0.001
    share = made.excluded[reason] / made.num
    assert abs(share - (2 * 0.9**10 - 0.8**10)) < 4 * 0.022
    assert len(made.replicates) + sum(made.excluded.values()) == made.num
    row = made.intervals().loc["b"]
    assert np.isnan(row["lower"])
    assert row["reason"].endswith("as many as lie beyond an end")


@pytest.mark.slow
def test_parametric_bootstrap_draws_the_effects_anew() -> None:
    # balanced: mu* is the mean, with variance tau^2 / 12 + 1 / 36
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(12), 3)
    y = 2.0 * rng.normal(size=12)[g] + rng.normal(size=36)
    model = wb.Model(name="groups", fn=groups, random_effects=("u",))
    fit = wb.fit_mle(model, {"g": g, "y": y})
    made = wb.bootstrap(fit, num=400, kind="parametric")
    truth = np.sqrt(fit.params["tau"] ** 2 / 12 + 1 / 36)
    assert abs(made.std_error["mu"] - truth) < 4 * truth / np.sqrt(2 * made.num)
    assert made.replicates["u[0]"].isna().all()
    assert made.intervals().loc["u[0]", "reason"].startswith("predicted")


def test_what_a_bootstrap_refuses(fit: wb.ModeFit, cases: wb.Bootstrap) -> None:
    with pytest.raises(UsageError, match="kind expects 'cases' or 'parametric'; got 'rows'"):
        wb.bootstrap(fit, kind="rows")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="num expects 2 or more replicates; got 1"):
        wb.bootstrap(fit, num=1)
    with pytest.raises(UsageError, match="got 'bca'"):
        cases.intervals(method="bca")  # type: ignore[arg-type]
    x = jnp.array([-1.0, 1.0])
    with pytest.raises(FitError, match="expects a regular maximum.*separated"):
        wb.bootstrap(wb.fit_mle(logistic, {"x": x, "y": np.array([0, 1])}))


def test_rows_that_are_not_cases_are_refused() -> None:
    g, y = np.repeat(np.arange(12), 3), np.zeros(36)
    effects = wb.Model(name="groups", fn=groups, random_effects=("u",))
    with pytest.raises(FitError, match="'groups' has random effects, so its rows are not"):
        num_cases(wb.read_density(effects, {"g": g, "y": y}))

    def total(y: Any = None) -> None:
        numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, 1)), 1), obs=y)

    with pytest.raises(FitError, match="expect two or more rows in common to take apart; got y: 1"):
        num_cases(wb.read_density(total, {"y": 1.0}))


def test_whole_groups_are_drawn_together() -> None:
    def known(y: Any = None) -> None:
        numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, 10)), 1.0), obs=y)

    made = np.repeat([-2.0, 0.0, 1.0, 3.0, 4.0, 6.0], 4) + np.tile([-0.1, 0.0, 0.0, 0.1], 6)
    fit, town = wb.fit_mle(known, {"y": made}), np.repeat(list("abcdef"), 4)
    # a resampled mean of six equal groups: the sd of their means, with divisor 6, over the root of
    # 6; of 4000 replicates its relative error is 1 / sqrt(8000)
    drawn = wb.bootstrap(fit, num=4000, groups=town)
    truth = np.std([-2.0, 0.0, 1.0, 3.0, 4.0, 6.0]) / np.sqrt(6)
    assert drawn.std_error["mu"] == pytest.approx(truth, rel=5 / np.sqrt(8000))
    assert np.isfinite(drawn.intervals().loc["mu", "lower"])
    # a group for each row is the bootstrap of rows
    alone = wb.bootstrap(fit, num=100, groups=np.arange(24))
    rows = wb.bootstrap(fit, num=100)
    np.testing.assert_allclose(alone.replicates, rows.replicates, rtol=1e-12)
    np.testing.assert_allclose(alone.acceleration, rows.acceleration, rtol=1e-9, atol=1e-12)
    with pytest.raises(UsageError, match="groups belong to kind='cases'"):
        wb.bootstrap(fit, kind="parametric", groups=town)
    with pytest.raises(UsageError, match="one label for each of the 24 rows"):
        wb.bootstrap(fit, groups=town[:3])
