"""Truths of the sampler's machinery: NumPyro's own schedule, chunks, compilation, stopping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer.hmc_util import IntegratorState, warmup_adapter

import workbench as wb
from workbench.errors import FitError
from workbench.fit import Status, quantities
from workbench.fit.kernel import Target, adaptation_clock, chain_programs
from workbench.fit.sampler import Sampler
from workbench.fit.stopping import Goal


def line(x: Any, y: Any = None) -> None:
    """A regression whose posterior is nearly normal."""
    b = numpyro.sample("b", dist.Normal(0, 5).expand([2]).to_event(1))
    s = numpyro.sample("s", dist.HalfNormal(3))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(b[0] + b[1] * x, s), obs=y)


def data(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=40)
    return {"x": x, "y": 1 + seed + x + rng.normal(size=40)}


_COMPILED = [0]


def _count(event: str, *_: Any, **__: Any) -> None:
    _COMPILED[0] += "backend_compile" in event


jax.monitoring.register_event_duration_secs_listener(_count)


@contextmanager
def compilations() -> Iterator[Callable[[], int]]:
    """Count the programs compiled since."""
    before = _COMPILED[0]
    yield lambda: _COMPILED[0] - before


def look_at(fit: wb.DrawsFit) -> None:
    """Ask for everything that is computed when it is asked for."""
    assert fit.datatree["posterior_predictive"]["y"].shape[:2] == fit.samples["s"].shape
    assert fit.predict(num=100).mean.shape == (40,)


@pytest.fixture(scope="module")
def fit() -> wb.DrawsFit:
    made = wb.fit_nuts(line, data(0), num_samples=150)
    look_at(made)
    return made


# -- compiled once -----------------------------------------------------------------------------


def test_a_second_fit_compiles_nothing(fit: wb.DrawsFit) -> None:
    with compilations() as number:
        other = wb.fit_nuts(line, data(1), seed=5, num_samples=230, num_warmup=170)
        look_at(other)
    assert number() == 0
    # and it is a fit of the other data: least squares is the posterior mean, but for the prior
    slope = np.polyfit(data(1)["x"], data(1)["y"], 1)
    error = other.estimands.loc[["b[1]", "b[0]"], "mcse_mean"].to_numpy()
    np.testing.assert_array_less(
        np.abs(other.samples["b"].mean(axis=(0, 1))[::-1] - slope), 4 * error + 0.02
    )


def test_adaptation_follows_the_schedule_of_numpyro() -> None:
    # the kernel's updates under the clock are those of an adapter made for that number of steps
    longest = 400
    rng = np.random.default_rng(0)
    accept, z = rng.uniform(size=longest), rng.normal(size=(longest, 2)) * [1.0, 5.0]

    def adapt(num: int) -> Callable[..., Any]:
        begin, update = warmup_adapter(num, target_accept_prob=0.7)

        def program(clock: jax.Array) -> Any:
            def step(state: Any, now: Any) -> Any:
                (t, window), p, at = now
                state = state._replace(window_idx=jnp.where(window < 0, state.window_idx, window))
                state = update(t, p, IntegratorState(at, None, None, None), state)
                return state, (state.step_size, state.inverse_mass_matrix)

            first = begin(IntegratorState(z[0], None, None, None), jax.random.key(0))
            return jax.lax.scan(step, first, (clock, jnp.asarray(accept), jnp.asarray(z)))[1]

        return jax.jit(program)

    ours = adapt(150)
    for num in (1, 19, 20, 151, 400):
        clock = np.full((longest, 2), (150, 3))
        clock[:num] = adaptation_clock(num)
        own = np.column_stack([np.arange(longest), np.full(longest, -1)])
        for a, b in zip(ours(clock), adapt(num)(own), strict=True):
            np.testing.assert_allclose(a[:num], b[:num], rtol=1e-12)


def test_chunks_and_restarts_leave_the_draws_as_they_are() -> None:
    density = wb.read_density(line, data(0))
    programs = chain_programs(density, 10, True, 0)
    scale = jnp.diag(jnp.asarray([0.2, 0.2, 0.1]))
    target = Target(
        arrays=density.arrays, centre=jnp.asarray([1.0, 1.0, 0.0]), scale=scale,
        accept=jnp.asarray(0.8),
    )  # fmt: skip

    def sampler() -> Sampler:
        return Sampler(
            programs, keys=jax.random.split(jax.random.key(1), 2), starts=np.zeros((2, 3)),
            target=target, clock=adaptation_clock(50), chain_method="sequential",
        )  # fmt: skip

    whole = sampler().advance(230)
    assert whole.z.shape == (2, 230, 3)
    parts = sampler()
    parts.advance(70)
    state = parts.state()
    parts.advance(101)
    np.testing.assert_array_equal(parts.advance(230).z, whole.z)
    again = sampler()
    again.restore(state)
    found = again.advance(230)
    np.testing.assert_array_equal(found.z, whole.z)
    for name, values in whole.statistics.items():
        np.testing.assert_array_equal(found.statistics[name], values)
    # a sampler that has more draws than are asked for gives the first of them
    np.testing.assert_array_equal(again.advance(40).z, whole.z[:, :40])


# -- warm-up where the coordinates are whitened ------------------------------------------------


def test_whitened_chains_adapt_the_step_size_alone(fit: wb.DrawsFit) -> None:
    settings = fit.provenance.settings
    assert settings["coordinates"].startswith("whitened")
    assert (settings["num_warmup"], settings["target_accept_prob"]) == (100, 0.65)
    # half an orbit of two whitened coordinates is three steps long
    assert (settings["most_doublings"], settings["max_tree_depth"]) == (2, 10)
    assert fit.sample_stats["n_steps"].max() == 3
    assert settings["adapted"] == "step size"


def test_what_the_user_sets_is_kept() -> None:
    fit = wb.fit_nuts(line, data(0), num_warmup=200, num_samples=100, target_accept_prob=0.9)
    settings = fit.provenance.settings
    assert (settings["num_warmup"], settings["target_accept_prob"]) == (200, 0.9)
    assert settings["adapted"] == "step size and mass matrix"


# -- stopping ----------------------------------------------------------------------------------


def test_until_draws_until_every_term_has_it() -> None:
    fit = wb.fit_nuts(line, data(0), until={"ess": 600, "rhat": 1.01})
    assert fit.status is Status.CONVERGED
    assert fit.estimands[["ess_bulk", "ess_tail"]].min(axis=None) >= 600
    assert fit.estimands["r_hat"].max() <= 1.01
    # the draws are the first ones of a run of fixed length
    num = fit.samples["s"].shape[1]
    fixed = wb.fit_nuts(line, data(0), num_samples=num)
    np.testing.assert_array_equal(fixed.samples["s"], fit.samples["s"])


def test_a_cap_on_the_draws_is_said() -> None:
    fit = wb.fit_nuts(line, data(0), until={"ess": 5000}, max_samples=450)
    assert fit.samples["s"].shape == (4, 450)
    assert fit.status is Status.TOO_FEW_DRAWS
    assert fit.detail.endswith("is below the 5000 asked for")


def test_a_goal_is_reached_or_the_next_look_is_named() -> None:
    draws = np.random.default_rng(0).normal(size=(4, 500, 3))  # ESS is about 2000
    assert Goal.read({"ess": 1000, "rhat": 1.02}).next(draws) is None
    more = Goal.read({"ess": 3000}).next(draws)
    assert more is not None
    assert 600 <= more <= 1000
    apart = draws + np.arange(4)[:, None, None]
    assert Goal.read({"rhat": 1.01}).next(apart) == 800  # half as many more, in whole hundreds
    constant = np.zeros((4, 500, 1))
    assert Goal.read({"ess": 1000}).next(np.concatenate([draws, constant], axis=-1)) is None


@pytest.mark.parametrize(
    ("until", "said"),
    [({"ss": 400}, "until expects 'ess', 'rhat' or both"), ({"rhat": 1.0}, "an rhat above 1")],
)
def test_other_goals_are_refused(until: dict[str, float], said: str) -> None:
    with pytest.raises(FitError, match=said):
        wb.fit_nuts(line, data(0), until=until)


def test_a_fixed_number_of_draws_excludes_a_goal() -> None:
    with pytest.raises(FitError, match="expected one of the two"):
        wb.fit_nuts(line, data(0), until={"ess": 400}, num_samples=10)


# -- large data --------------------------------------------------------------------------------


def test_groups_that_would_be_too_large_are_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantities, "MOST", 10_000)  # 4 chains of 100 draws of 40 rows are 16000
    fit = wb.fit_nuts(line, data(0), num_samples=100)
    for name in ("log_likelihood", "posterior_predictive", "prior_predictive"):
        assert "400 draws of site 'y' of 40 numbers each" in fit.absent[name]
        assert name not in fit.datatree.children
    assert {"posterior", "log_prior", "prior"} <= set(fit.datatree.children)


def test_a_single_coordinate_moves_four_times_for_each_draw() -> None:
    def count(y: Any = None) -> None:
        numpyro.sample("y", dist.Poisson(numpyro.sample("x", dist.Exponential(1.0))), obs=y)

    fit = wb.fit_nuts(count, {"y": 0}, seed=1)  # the posterior is exponential, of rate 2
    steps, rate = (fit.sample_stats[k] for k in ("n_steps", "acceptance_rate"))
    assert steps.min() >= 4
    assert ((rate > 0) & (rate <= 1)).all()
    # a chain of one transition for each draw has a quarter of the draws in its tails
    assert fit.estimands["ess_tail"]["x"] > 2000
    x = np.sort(fit.samples["x"].ravel())
    # Kolmogorov's distance, at 1 in 10,000 of as many independent draws
    assert np.abs(1 - np.exp(-2 * x) - np.arange(1, 4001) / 4000).max() < 2.23 / np.sqrt(2000)
