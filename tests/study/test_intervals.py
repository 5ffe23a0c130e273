"""All intervals in one row: where they agree, and what is said where they part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench.errors import FitError, UsageError
from workbench.study.intervals import COLUMNS, shortest

KINDS = [
    "Wald", "Wald unconstrained", "sandwich", "profile", "bootstrap percentile", "bootstrap BCa",
    "equal-tailed", "HDI",
]  # fmt: skip


def normal(y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.Normal(0, 100))
    numpyro.sample("y", dist.Normal(mu, 2.0), obs=y)


def rate(y: Any = None) -> None:
    """Exponential times under a prior that believes in fast rates."""
    r = numpyro.sample("rate", dist.Gamma(20, 2))
    numpyro.sample("y", dist.Exponential(r), obs=y)


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    made = np.random.default_rng(11).normal(size=1000)
    return 3.0 + 2.0 * (made - made.mean()) / made.std()  # mean 3 and sd 2, exactly


@pytest.fixture(scope="module")
def many(y: np.ndarray) -> wb.Intervals:
    both = wb.compare(normal, {"y": y}, num_warmup=300, num_samples=1000, num_starts=1)
    return wb.intervals(both, num=2000)


@pytest.fixture(scope="module")
def few() -> wb.Intervals:
    both = wb.compare(rate, {"y": [0.5, 1.0, 1.5]}, num_warmup=300, num_samples=500, num_starts=1)
    return wb.intervals(both, num=200)


def test_table_has_a_row_for_each_kind(many: wb.Intervals) -> None:
    assert list(many.table.columns) == list(COLUMNS)
    assert list(many.table["kind"]) == KINDS
    assert list(many.table["type"]) == ["confidence"] * 6 + ["credible"] * 2
    assert set(many.table["reason"]) == {""}


def test_all_agree_on_a_normal_mean_with_many_rows(many: wb.Intervals) -> None:
    # ybar +- 1.96 * 2 / sqrt(N): exact for Wald and profile; the prior moves the others by 1e-6
    unit = 2.0 / np.sqrt(1000)
    truth = np.array([3 - 1.959963985 * unit, 3 + 1.959963985 * unit])
    rows = many.rows("mu")[["lower", "upper"]]
    exact = ["Wald", "Wald unconstrained", "profile"]
    np.testing.assert_allclose(rows.loc[exact], np.tile(truth, (3, 1)), rtol=1e-8)
    # the sd is 2 exactly, so HC1 has only its factor N / (N - 1)
    wide = 3 + (truth - 3) * np.sqrt(1000 / 999)
    np.testing.assert_allclose(rows.loc["sandwich"], wide, rtol=1e-8)
    # a 2.5 % quantile of 2000 draws has standard error sqrt(.025 * .975 / 2000) / 0.058 = 0.06;
    # of 4000 correlated ones no more; HDI ends wander more, along the flat of their length
    off = np.abs(rows.to_numpy() - truth) / unit
    assert np.all(off[4:7] < 4 * 0.06)
    assert np.all(off[7] < 0.5)
    assert many.findings == ()


def test_each_parting_is_named(few: wb.Intervals) -> None:
    # the rate's likelihood is r^3 exp(-3 r) at its top 1, with standard error 3^-1/2: Wald's lower
    # end is 1 - 1.13; the prior Gamma(20, 2) has its own top at 9.5
    assert [f.code for f in few.findings] == ["outside the support", "skew", "prior or averaging"]
    outside, skew, prior = few.findings
    assert outside.evidence["end"] == pytest.approx(1 - 1.959963985 / np.sqrt(3), rel=1e-8)
    ends = few.rows("rate").loc["profile", ["lower", "upper"]].to_numpy(dtype=float)
    assert skew.evidence["ratio"] == pytest.approx((ends[1] - 1) / (1 - ends[0]), rel=1e-8)
    # the mode of Gamma(23, 5) is 22 / 5
    assert prior.evidence["pull"] == pytest.approx((22 / 5 - 1) * np.sqrt(3), rel=1e-8)
    assert "the prior pulls the mode by 5.9 standard errors" in prior.sentence
    assert "skewed" in str(few)


def test_counts_that_vary_more_than_poissons_are_said_to() -> None:
    def counts(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Gamma(1, 1))
        numpyro.sample("y", dist.Poisson(mu), obs=y)

    y = np.tile([0, 0, 1, 3, 11], 20)
    made = wb.intervals(wb.fit_mle(counts, {"y": y}), kinds=["Wald unconstrained", "sandwich"])
    (finding,) = made.findings
    assert finding.code == "misspecification"
    # on the log scale the errors are sqrt(1 / (N ybar)), and sqrt(s^2 / N) / ybar with s^2 the
    # unbiased variance
    errors = np.sqrt([1 / (100 * y.mean()), y.var(ddof=1) / 100 / y.mean() ** 2])
    wald, sandwich = np.sinh(1.959963985 * errors)
    assert finding.evidence["ratio"] == pytest.approx(sandwich / wald, rel=1e-8)


def test_what_does_not_exist_has_a_reason() -> None:
    def logistic(x: Any, y: Any = None) -> None:
        b = numpyro.sample("b", dist.Normal(0, 10))
        numpyro.sample("y", dist.Bernoulli(logits=b * x), obs=y)

    x = np.array([-2.0, -1.0, 1.0, 2.0])
    made = wb.intervals(wb.fit_mle(logistic, {"x": x, "y": (x > 0).astype(int)}))
    rows = made.rows("b")
    assert list(rows.index) == KINDS[:6]
    assert rows.loc[["Wald", "bootstrap BCa"], ["lower", "upper"]].isna().all(axis=None)
    assert rows["reason"].astype(bool).all()
    assert "separated" in rows.loc["bootstrap BCa", "reason"]
    assert rows.loc["profile", "upper"] == np.inf
    assert [f.code for f in made.findings] == ["open"]


def test_shortest_interval_of_exponential_draws_starts_at_zero() -> None:
    # the density falls, so the shortest interval is [0, -log(1 - level)]
    draws = -np.log1p(-(np.arange(4000) + 0.5) / 4000)[:, None]
    low, high = shortest(draws, 0.9)
    assert low[0] == draws[0, 0]
    assert high[0] == pytest.approx(-np.log(0.1), rel=1e-2)


def test_what_the_row_refuses(y: np.ndarray) -> None:
    fit = wb.fit_mle(normal, {"y": y}, num_starts=1)
    with pytest.raises(UsageError, match="kinds expects some of Wald.*got 'jackknife'"):
        wb.intervals(fit, kinds=["jackknife"])
    with pytest.raises(UsageError, match="level expects a number between 0 and 1; got 0"):
        wb.intervals(fit, level=0)
    with pytest.raises(FitError, match="expected a fit by fit_mle; got MAP"):
        wb.intervals(replace(fit, method="MAP"))
