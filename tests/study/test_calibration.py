"""Simulation-based calibration: right posteriors pass, wrong ones are detected."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest

import workbench as wb
from workbench.errors import FitError, UsageError
from workbench.fit import Status
from workbench.study.calibration import LOG_LIKELIHOOD, calibration_of

B, L = 200, 99


def fits(statuses=Status.CONVERGED):
    return pd.DataFrame({"seed": np.arange(B), "status": statuses, "detail": "R-hat"})


def conjugate(rng, prior_sd=1.0, ignore=False):
    """Ranks in y ~ Normal(mu, 1), mu ~ Normal(0, 1), whose posterior is Normal(y / 2, 1/2).

    Truths may be drawn with another prior sd, and the draws may ignore the data.
    """
    truth = prior_sd * rng.normal(size=(B, 1))
    y = truth + rng.normal(size=(B, 1))
    draws = rng.normal(size=(B, L)) if ignore else y / 2 + rng.normal(size=(B, L)) / 2**0.5
    ranks = {
        "mu": (draws < truth).sum(axis=1),
        LOG_LIKELIHOOD: (-((y - draws) ** 2) < -((y - truth) ** 2)).sum(axis=1),
    }
    return calibration_of(pd.DataFrame(ranks), fits(), model="normal", num_draws=L, seed=0)


def test_the_exact_posterior_passes(rng):
    found = conjugate(rng)
    assert found.status is Status.CONVERGED
    # ranks of 200 truths: mean 1/2 and spread 1 within 4 standard errors (0.29 and 0.63 a rank)
    assert found.table["mean_rank"].to_numpy() == pytest.approx(0.5, abs=4 * 0.29 / B**0.5)
    assert found.table["spread"].to_numpy() == pytest.approx(1.0, abs=4 * 0.45 / B**0.5)


def test_another_prior_scale_is_detected(rng):
    found = conjugate(rng, prior_sd=3.0)
    assert found.status is Status.NOT_CALIBRATED
    # truths lie further out than the posterior thinks: ranks at both ends
    assert found.table.loc["mu", "spread"] > 1.2
    assert "mu" in found.detail or LOG_LIKELIHOOD in found.detail


def test_only_the_log_likelihood_sees_a_posterior_that_ignored_the_data(rng):
    # draws from the prior are calibrated for every parameter (Modrák et al. 2023, example 1)
    found = conjugate(rng, ignore=True)
    assert found.table.loc["mu", "p_value"] > 0.01
    assert found.status is Status.NOT_CALIBRATED
    assert LOG_LIKELIHOOD in found.detail


def test_fits_with_a_diagnostic_against_them_are_counted(rng):
    ranks = pd.DataFrame({"mu": rng.integers(0, L + 1, B)})
    few = [Status.DIVERGENT] * 10 + [Status.CONVERGED] * (B - 10)
    many = [Status.DIVERGENT] * 11 + [Status.CONVERGED] * (B - 11)
    made = calibration_of(ranks, fits(few), model="m", num_draws=L, seed=0)
    assert made.status is Status.CONVERGED
    made = calibration_of(ranks, fits(many), model="m", num_draws=L, seed=0)
    assert made.status is Status.DIVERGENT
    assert "11 of 200 fits" in made.detail


def two_places(y=None):
    """Sites in another order than that of their names, far apart, one datum for each."""
    high = numpyro.sample("b", dist.Normal(50, 1))
    low = numpyro.sample("a", dist.Normal(-50, 1).expand([2]).to_event(1))
    numpyro.sample("y", dist.Normal(jnp.append(low, high), 1), obs=y)


@pytest.fixture(scope="module")
def small():
    settings = {"num_warmup": 100, "num_samples": 100, "num_chains": 2}
    done = []
    found = wb.calibrate(
        two_places, {"y": np.zeros(3)}, num_simulations=4, num_draws=19, progress=done.append,
        **settings,
    )  # fmt: skip
    assert done == [1, 2, 3, 4]
    return found


def test_each_truth_is_ranked_among_draws_of_its_own_term(small):
    assert set(small.ranks) == {"a[0]", "a[1]", "b", LOG_LIKELIHOOD}
    assert small.ranks.shape == (4, 4)
    # among draws 100 sd away every rank would be 0 or 19, of which a right one has 1 in 10:
    # eight of those for a are 1 in 1e8, four for b 1 in 1e4
    inside = (small.ranks > 0) & (small.ranks < 19)
    assert inside[["a[0]", "a[1]"]].to_numpy().any()
    assert inside["b"].any()


def test_every_simulation_has_a_fit_of_its_own(small):
    assert list(small.fits["seed"]) == [0, 1, 2, 3]
    assert small.num_draws == 19
    assert "4 simulations of two_places, 19 draws each" in str(small)


def flat(y=None):
    mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(mu, 1), obs=y)


def normal(y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(mu, 1), obs=y)


def with_factor(y):
    mu = numpyro.sample("mu", dist.Normal(0, 1))
    numpyro.factor("y", -0.5 * ((y - mu) ** 2).sum())


def other(y=None):
    numpyro.sample("y", dist.Normal(numpyro.sample("nu", dist.Normal(0, 1)), 1), obs=y)


def shifted(y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(mu, 1), obs=None if y is None else 2 * y)


Y = {"y": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("model", "simulator", "sentence"),
    [
        (flat, None, "expects a prior that can be drawn from"),
        (with_factor, None, "expects data that can be drawn"),
        (shifted, None, "site 'y' of model 'shifted' is not"),
        (normal, other, "it has no site 'mu'"),
    ],
    ids=["improper", "factor", "changed observation", "simulator"],
)
def test_what_cannot_be_simulated_is_refused(model, simulator, sentence):
    with pytest.raises(FitError, match=sentence):
        wb.calibrate(model, Y, simulator=simulator)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(UsageError, match="num_simulations expects 2 or more; got 1"):
        wb.calibrate(normal, Y, num_simulations=1)
    with pytest.raises(UsageError, match="num_draws expects at most .* = 10; got 99"):
        wb.calibrate(normal, Y, num_samples=5, num_chains=2)
