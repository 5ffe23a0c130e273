"""The gate of whitening: nearly normal posteriors pass, and no other does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from models.linear import MODEL as LINEAR
from models.mlp_regression import MODEL as NETWORK
from models.poisson import MODEL as POISSON
from workbench.fit.coordinates import Coordinates, choose_coordinates, draw_starts_of_chains
from workbench.fit.guide import find_guide


def gate(model: Any, data: Any = None) -> Coordinates:
    density = wb.read_density(model, data)
    return choose_coordinates(density, find_guide(density, seed=0))


def funnel() -> None:
    """Neal's funnel (2003), doi:10.1214/aos/1056562461."""
    v = numpyro.sample("v", dist.Normal(0, 3))
    with numpyro.plate("x_axis", 9):
        numpyro.sample("x", dist.Normal(0, jnp.exp(v / 2)))
    numpyro.factor("nothing", 0.0)


def centred() -> None:
    """Eight schools, as they were first written."""
    y, s = jnp.array([28.0, 8, -3, 7, -1, 1, 18, 12]), jnp.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    mu, tau = numpyro.sample("mu", dist.Normal(0, 5)), numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("school", 8):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, s), obs=y)


def heavy() -> None:
    """Ten independent Cauchy coordinates: no approximation with normal tails covers them."""
    with numpyro.plate("axis", 10):
        numpyro.sample("x", dist.Cauchy(0, 1))
    numpyro.factor("nothing", 0.0)


def two_modes() -> None:
    """Two narrow modes far apart, of which importance weights of either see nothing."""
    m = numpyro.sample("m", dist.Normal(0, 3))
    numpyro.sample("y", dist.Normal(m**2, 0.5), obs=jnp.full(4, 16.0))


def test_a_regression_is_whitened() -> None:
    data = wb.load_dataset("kidiq")
    found = gate(LINEAR, data)
    assert found.whitened
    assert found.pareto_k < 0.7
    assert (
        found.verdict == f"whitened: Pareto k of the Laplace approximation is {found.pareto_k:.2f}"
    )
    # L L' is the covariance of the coefficients, to leading order that of least squares
    fit = wb.fit_mle(LINEAR, data)
    least = fit.covariance[:3, :3]
    ours = (found.scale @ found.scale.T)[:3, :3]
    np.testing.assert_allclose(np.sqrt(np.diag(ours)), np.sqrt(np.diag(least)), rtol=0.05)


def test_two_modes_are_kept_out_and_started_from_both() -> None:
    density = wb.read_density(two_modes)
    found = choose_coordinates(density, find_guide(density, seed=0))
    assert not found.whitened
    assert "the starts found 2 modes" in found.verdict
    starts = draw_starts_of_chains(density, found, jax.random.key(2), 4)
    z = (found.centre + starts * found.scale)[:, 0]
    # standard errors are about 0.03 and starts within two of them
    np.testing.assert_allclose(np.abs(z), 4.0, atol=0.3)
    assert sorted(np.sign(z)) == [-1, -1, 1, 1]


def lopsided() -> None:
    """Two modes, of which the second is 13 nats lower and no wider."""
    m = numpyro.sample("m", dist.Normal(1.0, 0.4))
    numpyro.sample("y", dist.Normal(m**2, 0.5), obs=jnp.full(8, 1.0))


def test_a_mode_without_mass_is_not_counted() -> None:
    laplace = wb.fit_laplace(lopsided)
    ends = laplace.starts.z[:, 0]
    assert (ends < 0).any(), "a start ended at the mirror image"
    found = gate(lopsided)
    assert "modes" not in found.verdict
    assert (found.places > 0).all()


def holed() -> None:
    """A normal density that is not a number in a far corner."""
    x = numpyro.sample("x", dist.Normal(0, 1).expand([2]).to_event(1))
    numpyro.factor("hole", jnp.where(x[0] > 2.5, jnp.nan, 0.0))


def test_a_weight_that_is_not_finite_leaves_the_scale() -> None:
    found = gate(holed)
    assert found.verdict.startswith("scaled: ")
    assert "not finite" in found.verdict
    np.testing.assert_allclose(found.scale, [1.0, 1.0], rtol=1e-8)


def walled() -> None:
    """A normal density with a steep wall, which neither Hessian nor weights mind."""
    x = numpyro.sample("x", dist.Normal(0, 1).expand([3]).to_event(1))
    numpyro.factor("wall", -1e4 * jnp.maximum(x[0] - 1.8, 0.0) ** 2)


def test_whitening_is_left_when_the_first_draws_diverge() -> None:
    assert gate(walled).whitened
    fit = wb.fit_nuts(walled, num_samples=100, num_chains=2)
    said = fit.provenance.settings["coordinates"]
    assert said.startswith("scaled: ")
    assert "of the first 200 transitions diverged in whitened coordinates; Pareto k" in said
    assert fit.provenance.settings["num_warmup"] == 1000


def cliff() -> None:
    """A normal density that falls off a cliff two standard deviations out."""
    x = numpyro.sample("x", dist.Normal(0, 1).expand([2]).to_event(1))
    numpyro.factor("cliff", jnp.where(x[0] > 1.0, -1e20, 0.0))


def test_no_chain_starts_below_a_cliff() -> None:
    density = wb.read_density(cliff)
    found = choose_coordinates(density, find_guide(density, seed=0))
    starts = draw_starts_of_chains(density, found, jax.random.key(0), 16)
    z = found.centre + (starts * found.scale if found.scale.ndim == 1 else starts @ found.scale.T)
    assert (z[:, 0] <= 1.0).all()
    assert np.abs(z[:, 1]).max() > 1.0, "the others stay overdispersed"


def test_heavy_tails_are_kept_out() -> None:
    assert not gate(heavy).whitened


def logistic(x: Any, y: Any = None) -> None:
    """A logistic regression with five covariates."""
    b = numpyro.sample("b", dist.Normal(0, 1).expand([5]).to_event(1))
    numpyro.sample("y", dist.Bernoulli(logits=x @ b), obs=y)


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize(
    ("model", "data"), [(LINEAR, "diabetes"), (POISSON, "epil")], ids=["linear", "Poisson"]
)
def test_regressions_pass(model: Any, data: str) -> None:
    assert gate(model, wb.load_dataset(data)).whitened


@pytest.mark.slow
@pytest.mark.reference
def test_a_logistic_regression_passes(rng: np.random.Generator) -> None:
    x = rng.normal(size=(500, 5))
    found = gate(logistic, {"x": x, "y": rng.binomial(1, 1 / (1 + np.exp(-x[:, 0])))})
    assert found.whitened


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("model", [funnel, centred], ids=["funnel", "centred hierarchy"])
def test_hierarchies_are_kept_out(model: Callable[..., None]) -> None:
    assert not gate(model).whitened


@pytest.mark.slow
@pytest.mark.reference
def test_a_network_is_kept_out() -> None:
    name = NETWORK.defaults["data"]
    assert not gate(NETWORK, wb.load_dataset(name)).whitened
