"""Links, and the distributions that the families add to NumPyro's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from workbench.errors import UsageError
from workbench.model.distributions import InverseGaussian
from workbench.model.families import FAMILIES, find_family
from workbench.model.links import LINKS
from workbench.model.ordinal import Ordinal


@pytest.mark.parametrize("name", LINKS)
def test_the_mean_of_the_predictor_is_the_mean(name):
    mu = jnp.linspace(0.05, 0.95, 19)
    link = LINKS[name]
    np.testing.assert_allclose(link.mean(link.predictor(mu)), mu, rtol=1e-13)


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog", "log"])
def test_log_odds_are_those_of_the_mean(name):
    link = LINKS[name]
    eta = jnp.linspace(-3.0, -0.1, 30)
    np.testing.assert_allclose(link.log_odds(eta), special.logit(link.mean(eta)), rtol=1e-12)


def test_log_odds_keep_their_digits_in_the_tails():
    # probabilities that round to 1: of probit, -log odds is log sf; of cloglog, log odds is e^eta
    probit, cloglog = LINKS["probit"].log_odds, LINKS["cloglog"].log_odds
    assert float(probit(12.0)) == pytest.approx(-stats.norm.logsf(12.0), rel=1e-13)
    assert float(cloglog(5.0)) == pytest.approx(np.exp(5.0), rel=1e-13)
    assert float(cloglog(-40.0)) == pytest.approx(-40.0, rel=1e-13)


def test_a_family_names_its_links():
    for family in FAMILIES.values():
        assert family.link is LINKS[family.links[0]]
        assert find_family(f"{family.name}({family.links[-1]})").link.name == family.links[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gamma(logit)", r"family 'gamma' has links log, inverse, identity; got 'logit'"),
        ("poison", r"asked for family 'poison', which is not there; did you mean 'poisson'\?"),
        ("gamma(log", r"expects NAME or NAME\(link\), as in poisson\(log\); got 'gamma\(log'"),
    ],
)
def test_unknown_families_and_links(text, said):
    with pytest.raises(UsageError, match=said):
        find_family(text)


def test_inverse_gaussian_density():
    y, mu, shape = np.array([0.1, 1.0, 7.0]), 2.0, 3.0
    theirs = stats.invgauss.logpdf(y, mu / shape, scale=shape)
    np.testing.assert_allclose(InverseGaussian(mu, shape).log_prob(y), theirs, rtol=1e-13)


def test_inverse_gaussian_draws():
    law = InverseGaussian(2.0, 3.0)
    draws = np.asarray(law.sample(jax.random.key(1), (20_000,)))
    # the distribution function of draws is uniform: Kolmogorov's bound at level 1e-4 is 2.23 / √n
    p = stats.invgauss.cdf(draws, 2.0 / 3.0, scale=3.0)
    assert stats.kstest(p, "uniform").statistic < 2.23 / np.sqrt(draws.size)
    assert float(law.mean) == 2.0
    assert float(law.variance) == pytest.approx(8 / 3)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_ordinal_probabilities(link):
    cdf = special.expit if link == "logit" else stats.norm.cdf
    cuts, eta = np.array([-1.0, 0.2, 2.5]), np.array([-2.0, 0.0, 3.0])
    law = Ordinal(eta, cuts, link)
    found = np.exp(np.stack([law.log_prob(jnp.full(3, k)) for k in range(4)]))
    below = np.stack([np.zeros(3), *(cdf(c - eta) for c in cuts), np.ones(3)])
    # the differences of the test lose digits, to 1e-16 of 1
    np.testing.assert_allclose(found, np.diff(below, axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(law.mean, np.arange(4) @ found, rtol=1e-12)


def test_ordinal_tails_keep_their_digits():
    # P(y = 1) = F(b) - F(a) with F rounding to 1 at both: by the upper tails
    a, b = 40.0, 41.0
    logit = Ordinal(0.0, jnp.array([a, b])).log_prob(1)
    assert float(logit) == pytest.approx(-a + np.log1p(-np.exp(-1.0)), rel=1e-14)
    probit = Ordinal(0.0, jnp.array([10.0, 11.0]), "probit").log_prob(1)
    tails = stats.norm.logsf(10.0) + np.log1p(
        -np.exp(stats.norm.logsf(11.0) - stats.norm.logsf(10.0))
    )
    assert float(probit) == pytest.approx(tails, rel=1e-13)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_ordinal_draws_and_gradients(link):
    law = Ordinal(0.3, jnp.array([-1.0, 1.0]), link)
    draws = np.asarray(law.sample(jax.random.key(0), (20_000,)))
    p = np.exp([float(law.log_prob(k)) for k in range(3)])
    error = np.sqrt(p * (1 - p) / draws.size)
    assert (np.abs(np.bincount(draws, minlength=3) / draws.size - p) < 4.5 * error).all()

    def at(k):
        return lambda eta: Ordinal(eta, jnp.array([-1.0, 1.0]), link).log_prob(k)

    # probabilities sum to one, so the gradients weighted by them sum to nothing
    slopes = [float(jax.grad(at(k))(0.3)) for k in range(3)]
    assert slopes @ p == pytest.approx(0, abs=1e-14)
