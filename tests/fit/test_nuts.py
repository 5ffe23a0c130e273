"""Truths of the sampler: conjugate posteriors, repeatability, statuses, ArviZ's view."""

from __future__ import annotations

import os
import signal
from typing import Any

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import workbench as wb
from models.eight_schools import MODEL as EIGHT_SCHOOLS
from workbench import az
from workbench.errors import FitError
from workbench.fit import Status
from workbench.fit.sampler import Progress

Y = np.array([2, 0, 3, 1, 4, 2, 1])


def counts(y: Any = None) -> None:
    """Gamma-Poisson: the posterior of the rate is Gamma(2 + sum y, 1 + N)."""
    rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
    with numpyro.plate("obs", len(Y)):
        numpyro.sample("y", dist.Poisson(rate), obs=y)


POSTERIOR = stats.gamma(2 + Y.sum(), scale=1 / (1 + len(Y)))


@pytest.fixture(scope="module")
def fit() -> wb.DrawsFit:
    return wb.fit_nuts(counts, {"y": Y}, seed=3)


def test_moments_are_those_of_the_conjugate_posterior(fit: wb.DrawsFit) -> None:
    row = fit.estimands.loc["rate"]
    # four Monte Carlo standard errors: passed by chance once in 16000 runs; the seed is fixed
    assert abs(row["estimate"] - POSTERIOR.mean()) < 4 * row["mcse_mean"]
    assert abs(row["std_error"] - POSTERIOR.std()) < 4 * row["mcse_sd"]


def test_draws_follow_the_conjugate_posterior(fit: wb.DrawsFit) -> None:
    thinned = fit.term("rate").reshape(-1)[::4]  # nearly independent: ESS is above a quarter
    assert fit.estimands.loc["rate", "ess_bulk"] > len(thinned)
    assert stats.kstest(thinned, POSTERIOR.cdf).pvalue > 1e-3


def test_interval_is_equal_tailed(fit: wb.DrawsFit) -> None:
    row = fit.summary(0.9).set_index("term").loc["rate"]
    draws = fit.term("rate")
    # the same order statistics, interpolated in another order: one rounding apart
    assert row["lower"] == pytest.approx(np.quantile(draws, 0.05), rel=1e-14)
    assert row["upper"] == pytest.approx(np.quantile(draws, 0.95), rel=1e-14)


def test_same_seed_gives_the_same_draws_in_threads_or_in_turn(fit: wb.DrawsFit) -> None:
    for method in ("parallel", "sequential"):
        again = wb.fit_nuts(counts, {"y": Y}, seed=3, chain_method=method)
        np.testing.assert_array_equal(again.samples["rate"], fit.samples["rate"])


def test_another_seed_gives_other_draws(fit: wb.DrawsFit) -> None:
    other = wb.fit_nuts(counts, {"y": Y}, seed=4, num_warmup=100, num_samples=100)
    assert not np.array_equal(other.samples["rate"][0, :5], fit.samples["rate"][0, :5])


def test_vectorized_chains_have_the_same_posterior() -> None:
    fit = wb.fit_nuts(counts, {"y": Y}, seed=3, chain_method="vectorized", num_samples=500)
    row = fit.estimands.loc["rate"]
    assert fit.samples["rate"].shape == (4, 500)
    assert abs(row["estimate"] - POSTERIOR.mean()) < 4 * row["mcse_mean"]


def test_tree_holds_every_group_with_names(fit: wb.DrawsFit) -> None:
    assert set(fit.datatree.children) == {
        "posterior", "sample_stats", "log_likelihood", "log_prior", "posterior_predictive",
        "prior", "prior_predictive", "observed_data",
    }  # fmt: skip
    assert fit.datatree["log_likelihood"]["y"].dims == ("chain", "draw", "obs")
    rates = fit.samples["rate"]
    truth = stats.poisson.logpmf(Y, rates[..., None])
    np.testing.assert_allclose(fit.datatree["log_likelihood"]["y"], truth, rtol=1e-10)
    prior = stats.gamma.logpdf(rates, 2.0)
    np.testing.assert_allclose(fit.datatree["log_prior"]["rate"], prior, rtol=1e-10)
    np.testing.assert_array_equal(fit.datatree["observed_data"]["y"], Y)


def test_arviz_reads_the_tree(fit: wb.DrawsFit) -> None:
    mean = az.summary(fit.datatree).loc["rate", "mean"]
    assert mean == pytest.approx(fit.estimands.loc["rate", "estimate"], rel=1e-12)
    # p_loo of one parameter; Monte Carlo and curvature leave it near 1
    assert 0.2 < az.loo(fit.datatree).p < 2.0


def test_lp_is_the_density_of_z(fit: wb.DrawsFit) -> None:
    density = wb.read_density(counts, {"y": Y})
    rate = fit.samples["rate"][0, :3]
    value = jax.vmap(lambda z: density.log_density(z, density.arrays))(np.log(rate)[:, None])
    np.testing.assert_allclose(fit.sample_stats["lp"][0, :3], value, rtol=1e-9)


def test_predictive_draws_are_negative_binomial(fit: wb.DrawsFit) -> None:
    # a Gamma(a, b) mixture of Poissons: mean a/b, variance a/b + a/b^2
    made = fit.predict(num=4000)
    a, b = 2 + Y.sum(), 1 + len(Y)
    error = np.sqrt((a / b + a / b**2) / (4000 * len(Y)))
    assert abs(made.draws.mean() - a / b) < 5 * error + 4 * fit.estimands["mcse_mean"].iloc[0]
    truth = stats.nbinom.logpmf(Y, a, b / (b + 1))
    # the mean of 4000 densities: relative error of about sd / sqrt(ESS)
    np.testing.assert_allclose(made.log_score, truth, atol=0.03)


def test_laplace_guides_the_coordinates(fit: wb.DrawsFit) -> None:
    assert fit.provenance.settings["coordinates"].startswith("whitened")
    assert fit.provenance.settings["laplace_pareto_k"] < 0.7


def test_hierarchical_posterior_matches_its_certified_values() -> None:
    # posteriordb, eight_schools_noncentered: mu 4.41 (sd 3.3), tau 3.6 (sd 3.2)
    fit = wb.fit_nuts(EIGHT_SCHOOLS, wb.load_dataset("eight_schools"), seed=1)
    table = fit.estimands
    assert abs(table.loc["mu", "estimate"] - 4.41) < 4 * table.loc["mu", "mcse_mean"] + 0.04
    assert abs(table.loc["tau", "estimate"] - 3.60) < 4 * table.loc["tau", "mcse_mean"] + 0.04
    assert fit.provenance.settings["hierarchy"].startswith("integrated out: mu, eta, normal")


# -- statuses --------------------------------------------------------------------------------


def test_few_draws_are_said_to_be_few() -> None:
    fit = wb.fit_nuts(counts, {"y": Y}, num_warmup=100, num_samples=20)
    assert fit.status in (Status.TOO_FEW_DRAWS, Status.POOR_MIXING)
    assert not fit.status.ok


def test_two_modes_are_poor_mixing() -> None:
    def bimodal(y: Any = None) -> None:
        m = numpyro.sample("m", dist.Normal(0, 10))
        numpyro.sample("y", dist.Normal(m**2, 0.5), obs=y)

    fit = wb.fit_nuts(bimodal, {"y": np.full(4, 25.0)}, num_warmup=200, num_samples=200, seed=2)
    signs = np.sign(fit.samples["m"].mean(axis=1))
    assert fit.status is Status.POOR_MIXING or abs(signs.sum()) == 4


def test_centred_funnel_diverges() -> None:
    def funnel(y: Any = None) -> None:
        v = numpyro.sample("v", dist.Normal(0, 3))
        x = numpyro.sample("x", dist.Normal(0, jax.numpy.exp(v / 2)).expand([9]).to_event(1))
        numpyro.sample("y", dist.Normal(0.0 * x.sum(), 1.0), obs=y)

    fit = wb.fit_nuts(funnel, {"y": np.zeros(1)}, effects="as written", seed=0)
    assert fit.status in (Status.DIVERGENT, Status.POOR_MIXING, Status.TOO_FEW_DRAWS)
    assert not fit.status.ok


def test_an_improper_prior_has_no_prior_draws_and_says_so() -> None:
    def flat(y: Any = None) -> None:
        m = numpyro.sample("m", dist.ImproperUniform(dist.constraints.real, (), ()))
        numpyro.sample("y", dist.Normal(m, 1.0), obs=y)

    fit = wb.fit_nuts(flat, {"y": np.zeros(20)}, num_warmup=200, num_samples=500)
    assert "prior" not in fit.datatree.children
    assert "cannot be drawn" in fit.absent["prior"]
    row = fit.estimands.loc["m"]
    assert abs(row["std_error"] - 1 / np.sqrt(20)) < 4 * row["mcse_sd"]


# -- progress, interrupts, settings ----------------------------------------------------------


def test_progress_counts_every_chain_to_its_end() -> None:
    seen: list[Progress] = []
    wb.fit_nuts(
        counts, {"y": Y}, num_warmup=150, num_samples=250, num_chains=2, progress=seen.append
    )
    last = {p.chain: p for p in seen}
    assert {c: (p.step, p.num_steps, p.warmup) for c, p in last.items()} == {
        0: (400, 400, False),
        1: (400, 400, False),
    }
    assert any(p.warmup for p in seen)


def test_an_interrupt_keeps_what_every_chain_has() -> None:
    sent: list[Progress] = []

    def interrupt(p: Progress) -> None:
        if p.chain == 1 and p.step >= 500 and not sent:
            sent.append(p)
            os.kill(os.getpid(), signal.SIGINT)

    fit = wb.fit_nuts(
        counts, {"y": Y}, num_warmup=100, num_samples=100_000, num_chains=2, progress=interrupt
    )
    assert fit.provenance.settings["interrupted"]
    assert 0 < fit.samples["rate"].shape[1] < 100_000


@pytest.mark.parametrize("name", ["num_warmup", "num_samples", "num_chains"])
def test_numbers_of_draws_are_positive(name: str) -> None:
    with pytest.raises(FitError, match=f"{name} expects at least 1; got 0"):
        wb.fit_nuts(counts, {"y": Y}, **{name: 0})
