"""The test of uniform ranks: its level, its power, its bands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from workbench.study.uniformity import simultaneous_bands, uniformity


def function(ranks, num_draws):
    """Share of ranks below 1, ..., L."""
    return np.cumsum(np.bincount(ranks, minlength=num_draws + 1))[:-1] / len(ranks)


@pytest.mark.parametrize(("num", "num_draws"), [(100, 99), (40, 19)])
def test_level_of_the_test_and_of_the_bands(rng, num, num_draws):
    sets = rng.integers(0, num_draws + 1, (1000, num))
    p = np.array([uniformity(ranks, num_draws) for ranks in sets])
    bands = simultaneous_bands(num, num_draws, 0.9)
    low, high = bands["lower"].to_numpy() - 1e-12, bands["upper"].to_numpy() + 1e-12
    inside = [np.all((low <= f) & (f <= high)) for f in (function(r, num_draws) for r in sets)]
    # 4 binomial standard errors of 1000 sets at 0.1; counts are whole, so the level is a bound
    error = 4 * np.sqrt(0.1 * 0.9 / 1000)
    assert 0.05 < np.mean(p < 0.1) < 0.1 + error
    assert 0.9 - error < np.mean(inside) < 0.95 + error
    # both say the same: a set leaves the band where its p-value is below the level
    assert np.mean((p < 0.1) == ~np.array(inside)) > 0.98


@pytest.mark.parametrize(
    ("shift", "scale"), [(0.8, 1.0), (0.0, 2.5), (0.0, 0.4)], ids=["shifted", "narrow", "wide"]
)
def test_a_wrong_posterior_is_far_from_uniform(rng, shift, scale):
    # truths with another mean or sd than the draws they are ranked among
    truths, draws = shift + scale * rng.normal(size=(200, 1)), rng.normal(size=(200, 99))
    assert uniformity((draws < truths).sum(axis=1), 99) < 1e-4


def test_one_rank_in_closed_form():
    # of one rank r among L draws, the count below i is Bernoulli(i / (L + 1)); r = 0 lies first
    # below i = 1, where its tail is 2 / (L + 1), and ranks 0 and L are the two most extreme of 20
    assert uniformity(np.array([0]), 19) == pytest.approx(2 / 20, abs=4 * np.sqrt(0.09 / 20_000))


def test_bands_at_one_point_are_binomial():
    # with one draw there is one count, and the smallest level the counts allow is binomial
    bands = simultaneous_bands(50, 1, 0.95)
    inside = stats.binom.cdf(50 * bands["upper"], 50, 0.5)
    inside -= stats.binom.cdf(50 * bands["lower"] - 1, 50, 0.5)
    assert 0.95 <= inside[0] < 0.98
