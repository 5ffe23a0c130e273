"""Mixtures: scores computed in closed form are the integrals that define them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from workbench.network.prediction import (
    ClassMixture,
    NormalMixture,
    equal_mixture,
    mixture_of_outputs,
)

LOC, SCALE = np.array([[0.0], [2.0], [-1.0]]), np.array([[1.0], [0.5], [2.0]])
MIXTURE = NormalMixture(loc=LOC, scale=SCALE)


def cdf(t):
    return np.mean(stats.norm.cdf(t, LOC[:, 0], SCALE[:, 0]))


@pytest.mark.parametrize("y", [-3.0, 0.4, 2.5])
def test_crps_is_the_integral_of_the_squared_distance_to_a_step(y):
    left = integrate.quad(lambda t: cdf(t) ** 2, -30, y, limit=200)[0]
    right = integrate.quad(lambda t: (1 - cdf(t)) ** 2, y, 30, limit=200)[0]
    assert MIXTURE.crps(np.array([y]))[0] == pytest.approx(left + right, rel=1e-7)


def test_density_moments_and_quantiles_belong_to_one_distribution():
    def density(t):
        return np.exp(MIXTURE.log_score(np.array([t]))[0])

    mean, square = (
        integrate.quad(lambda t, k=k: t**k * density(t), -30, 30, limit=200)[0] for k in (1, 2)
    )
    assert MIXTURE.mean[0] == pytest.approx(mean, rel=1e-7)
    assert MIXTURE.sd[0] == pytest.approx(np.sqrt(square - mean**2), rel=1e-7)
    for p in (0.025, 0.5, 0.9):
        assert cdf(MIXTURE.quantile(p)[0]) == pytest.approx(p, abs=1e-12)


def test_class_scores_are_their_formulas():
    made = ClassMixture(draws=np.array([[[0.1, 0.9], [0.6, 0.4]], [[0.3, 0.7], [0.8, 0.2]]]))
    y = np.array([1, 1])
    np.testing.assert_allclose(made.prob, [[0.2, 0.8], [0.7, 0.3]])
    np.testing.assert_allclose(made.log_score(y), np.log([0.8, 0.3]))
    np.testing.assert_allclose(made.brier(y), [2 * 0.2**2, 2 * 0.7**2])
    assert made.correct(y).tolist() == [True, False]


def test_two_classes_by_log_odds_or_logits_are_one():
    log_odds = np.array([[[0.3], [-2.0]]])
    logits = np.concatenate([np.zeros((1, 2, 1)), log_odds], axis=-1)
    one, two = mixture_of_outputs("Bernoulli", log_odds), mixture_of_outputs("Categorical", logits)
    np.testing.assert_allclose(one.draws, two.draws, rtol=1e-14)


def test_equal_mixture_averages_densities_and_probabilities(rng):
    y = rng.normal(size=5)
    parts = [
        NormalMixture(loc=rng.normal(size=(1, 5)), scale=np.full((1, 5), s)) for s in (1.0, 2.0)
    ]
    density = np.mean([np.exp(p.log_score(y)) for p in parts], axis=0)
    np.testing.assert_allclose(np.exp(equal_mixture(parts).log_score(y)), density, rtol=1e-12)
    prob = rng.dirichlet(np.ones(3), size=(2, 4, 5))
    made = equal_mixture([ClassMixture(draws=p) for p in prob])
    np.testing.assert_allclose(made.prob, prob.mean(axis=(0, 1)), rtol=1e-12)
