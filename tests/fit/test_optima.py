"""Truths of several optima: a frequency's aliases, mirror images, and masses that are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints
from scipy import optimize

import workbench as wb
from workbench.errors import FitError
from workbench.fit import find_optima
from workbench.fit.objective import Objective
from workbench.fit.starts import draw_starts
from workbench.model import read_density

T = np.linspace(0, 3, 25)
WAVE = {"t": T, "y": np.cos(2.0 * T)}
SIGMA = 0.5


def wave(t: Any, y: Any = None) -> None:
    """A frequency whose likelihood has a maximum for nearly every whole cycle more."""
    w = numpyro.sample("w", dist.Normal(0, 5))
    numpyro.sample("y", dist.Normal(jnp.cos(w * t), SIGMA), obs=y)


def loss(w: float) -> float:
    return float(np.sum((WAVE["y"] - np.cos(w * T)) ** 2) / (2 * SIGMA**2))


@pytest.fixture(scope="module")
def wave_fit() -> wb.ModeFit:
    return wb.fit_mle(wave, WAVE, num_starts=24, starts="prior")


def test_every_optimum_is_a_local_minimum_of_the_sum_of_squares(wave_fit: wb.ModeFit) -> None:
    found = find_optima(wave_fit)
    table = found.table
    assert len(table) > 2
    assert table["maximum"].all()
    # the best is the frequency that made the data (cos is even: either sign)
    assert abs(found.z[0, 0]) == pytest.approx(2.0, abs=1e-8)
    constant = -len(T) * np.log(SIGMA * np.sqrt(2 * np.pi))
    for w, height in zip(found.z[:, 0], table["log_objective"], strict=True):
        near = optimize.minimize_scalar(loss, bracket=(w - 1e-3, w, w + 1e-3), tol=1e-12)
        # a minimum is found to the square root of rounding
        assert near.x == pytest.approx(w, abs=1e-6)
        assert height == pytest.approx(constant - near.fun, rel=1e-8)


def test_starts_are_counted_and_the_table_is_ordered(wave_fit: wb.ModeFit) -> None:
    found = find_optima(wave_fit)
    table = wave_fit.optima()
    assert table["num_starts"].sum() == 24
    assert np.bincount(found.optimum_of_start).tolist() == table["num_starts"].tolist()
    assert table["log_objective"].is_monotonic_decreasing
    np.testing.assert_allclose(
        table["below_best"], table["log_objective"].iloc[0] - table["log_objective"], rtol=1e-12
    )
    assert table["mass"].sum() == pytest.approx(1.0, rel=1e-12)
    # w and -w are one function in two places, and the seed's starts end at both
    assert table["num_places"].iloc[0] >= 2


def test_mass_of_a_quadratic_is_its_integral() -> None:
    # the likelihood of a normal mean: exp(llf) sqrt(2 pi / N) over the line
    y = np.array([1.0, 2.0, 4.0])

    def normal(y: Any = None) -> None:
        numpyro.sample("y", dist.Normal(numpyro.sample("m", dist.Normal(0, 1)), 1.0), obs=y)

    fit = wb.fit_mle(normal, {"y": y}, num_starts=3)
    table = fit.optima()
    truth = fit.llf + 0.5 * np.log(2 * np.pi / 3)
    assert table["log_mass"].tolist() == pytest.approx([truth], rel=1e-10)
    assert table[["num_starts", "num_places"]].to_numpy().tolist() == [[3, 1]]


def mixture(y: Any = None) -> None:
    m = numpyro.sample("m", dist.Normal(0, 5).expand([2]).to_event(1))
    weights = dist.Categorical(probs=jnp.array([0.5, 0.5]))
    numpyro.sample("y", dist.MixtureSameFamily(weights, dist.Normal(m, 1.0)), obs=y)


def test_components_that_change_places_are_one_optimum_in_two() -> None:
    y = np.concatenate([np.linspace(-4, -2, 10), np.linspace(2, 5, 10)])
    found = find_optima(wb.fit_mle(mixture, {"y": y}, num_starts=10, starts="latin hypercube"))
    best = found.table.iloc[0]
    assert best["num_places"] == 2
    # the components' means solve the equations of the maximum: each the mean of y weighed by the
    # probability of its component
    m = found.z[0]
    p = 1 / (1 + np.exp(-0.5 * ((y - m[1]) ** 2 - (y - m[0]) ** 2)))
    truth = [np.average(y, weights=p), np.average(y, weights=1 - p)]
    np.testing.assert_allclose(m, truth, rtol=1e-8)
    # the centre, where both components are one, is a saddle that no start may end at
    assert (found.table["maximum"] | (found.table["below_best"] > 1)).all()


# -- starts ----------------------------------------------------------------------------------


def normal_scale(y: Any = None) -> None:
    numpyro.sample("m", dist.Normal(3.0, 0.1))
    s = numpyro.sample("s", dist.LogNormal(-1.0, 0.2))
    numpyro.sample("y", dist.Normal(0.0, s), obs=y)


def test_starts_come_from_where_they_say() -> None:
    objective = Objective(density=read_density(normal_scale, {"y": np.ones(3)}), method="MLE")
    unit, num, key = np.array([0.5, 0.25]), 400, jax.random.key(0)
    box = 2 * unit
    scales = draw_starts(objective, key, unit, num, "scales")
    cube = draw_starts(objective, key, unit, num, "latin hypercube")
    prior = draw_starts(objective, key, unit, num, "prior")
    assert (np.abs(scales) <= box).all()
    # a Latin hypercube has one point in each of its slices, in every coordinate
    slices = np.floor((cube / box + 1) / 2 * num).astype(int)
    for column in slices.T:
        assert sorted(column) == list(range(num))
    # log s is normal: mean of 400 draws within four standard errors
    error = np.array([0.1, 0.2]) / np.sqrt(num)
    assert (np.abs(prior.mean(axis=0) - [3.0, -1.0]) < 4 * error).all()


def test_bad_starts_are_named() -> None:
    def improper(y: Any = None) -> None:
        m = numpyro.sample("m", dist.ImproperUniform(constraints.real, (), ()))
        numpyro.sample("y", dist.Normal(m, 1.0), obs=y)

    with pytest.raises(FitError, match="starts expects one of scales, prior, .* got 'sobol'"):
        wb.fit_mle(wave, WAVE, starts="sobol")
    with pytest.raises(FitError, match="starts='prior' expects a prior that can be drawn from"):
        wb.fit_mle(improper, {"y": np.ones(3)}, starts="prior")


# -- which chain visited which basin ---------------------------------------------------------


@pytest.fixture(scope="module")
def wave_draws() -> wb.DrawsFit:
    return wb.fit_nuts(wave, WAVE, num_warmup=50, num_samples=40, num_chains=2)


def test_chains_are_assigned_to_the_basin_they_are_in(
    wave_fit: wb.ModeFit, wave_draws: wb.DrawsFit
) -> None:
    # chains put where it is known: the first at the best optimum; the second for a quarter of
    # its draws there (at -w, the same function) and for the rest at the next optimum
    first, second = find_optima(wave_fit).z[:2, 0]
    jitter = 0.01 * np.sin(np.arange(40))
    w = np.stack([first + jitter, np.where(np.arange(40) < 10, -first, second) + jitter])
    moved = replace(wave_draws, samples={**wave_draws.samples, "w": w})
    visits = wb.basin_visits(moved, wave_fit)
    truth = np.zeros((2, len(wave_fit.optima())))
    truth[0, 0], truth[1, :2] = 1.0, (0.25, 0.75)
    np.testing.assert_array_equal(visits.to_numpy(), truth)


def test_basin_visits_needs_one_model_at_one_data_set(
    wave_fit: wb.ModeFit, wave_draws: wb.DrawsFit
) -> None:
    other = replace(wave_fit, provenance=replace(wave_fit.provenance, data="of other data"))
    with pytest.raises(FitError, match="data fingerprints differ"):
        wb.basin_visits(wave_draws, other)
