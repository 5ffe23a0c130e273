"""No speed-up changes an answer: every fast path has the posterior of the plain coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import workbench as wb
from workbench.fit.convergence import diagnose
from workbench.fit.prepared import log_joint_program, prepare_data

X = np.random.default_rng(5).normal(size=(120, 3)) @ np.array(
    [[1.0, 0.6, 0], [0, 1, 0.3], [0, 0, 2]]
)
ETA = X @ np.array([0.5, -0.3, 0.2])


def line(x: Any, y: Any = None) -> None:
    a = numpyro.sample("a", dist.Normal(0, 1))
    b = numpyro.sample("b", dist.Normal(0, 1).expand([3]).to_event(1))
    s = numpyro.sample("s", dist.HalfNormal(1))
    numpyro.sample("y", dist.Normal(a + x @ b, s), obs=y)


def choice(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 1).expand([3]).to_event(1))
    numpyro.sample("y", dist.Bernoulli(logits=x @ b), obs=y)


def count(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 1).expand([3]).to_event(1))
    numpyro.sample("y", dist.Poisson(jnp.exp(x @ b)), obs=y)


def weighted(x: Any, y: Any = None) -> None:
    """Every row counts half."""
    b = numpyro.sample("b", dist.Normal(0, 1).expand([3]).to_event(1))
    with numpyro.handlers.scale(scale=0.5):
        numpyro.sample("y", dist.Normal(x @ b, 1.0), obs=y)


def uneven(x: Any, y: Any = None) -> None:
    """A scale of its own for every row."""
    b = numpyro.sample("b", dist.Normal(0, 1).expand([3]).to_event(1))
    numpyro.sample("y", dist.Normal(x @ b, jnp.exp(x[:, 0])), obs=y)


def curved(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 1).expand([3]).to_event(1))
    numpyro.sample("y", dist.Normal((x @ b) ** 2, 1.0), obs=y)


def data(fn: Callable[..., None]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    y = {
        choice: rng.binomial(1, 1 / (1 + np.exp(-ETA))),
        count: rng.poisson(np.exp(ETA)),
    }.get(fn, ETA + 0.7 * rng.normal(size=len(ETA)))
    return {"x": X, "y": y}


@pytest.mark.parametrize("fn", [line, weighted, uneven, curved, choice], ids=lambda f: f.__name__)
def test_prepared_data_give_the_log_density_and_its_gradient(
    fn: Callable[..., None], rng: np.random.Generator
) -> None:
    density = wb.read_density(fn, data(fn))
    found = prepare_data(density, np.zeros(density.size))
    assert found is not None
    arrays, program = density.arrays, log_joint_program(density, found.arrows)
    by_row = jax.jit(jax.value_and_grad(lambda z: density.log_density(z, arrays)))
    short = jax.jit(jax.value_and_grad(lambda z: program(density.unflatten(z), arrays, found.made)))
    for z in rng.normal(size=(3, density.size)):
        (value, gradient), (wanted, its) = short(z), by_row(z)
        np.testing.assert_allclose(value, wanted, rtol=1e-10)
        np.testing.assert_allclose(gradient, its, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("fn", [line, uneven, curved, choice], ids=lambda f: f.__name__)
def test_normal_rows_with_affine_means_have_statistics(fn: Callable[..., None]) -> None:
    found = prepare_data(wb.read_density(fn, data(fn)), np.full(5 if fn is line else 3, 0.1))
    assert found is not None
    assert len(found.made["rows"]) == (fn in (line, uneven))
    # the linear predictor is computed along columns where the rows are gone through
    assert [x.shape for x in found.made["columns"]] == ([] if found.made["rows"] else [(3, 120)])


def moments(fit: wb.DrawsFit) -> tuple[np.ndarray, np.ndarray]:
    """Means and mean squares of every term, and their Monte Carlo standard errors."""
    both = np.concatenate([fit.estimand_draws, fit.estimand_draws**2], axis=-1)
    return both.mean(axis=(0, 1)), diagnose(both)["mcse_mean"]


@pytest.mark.slow
@pytest.mark.parametrize("fn", [line, choice, count], ids=lambda f: f.__name__)
def test_fast_and_plain_paths_have_one_posterior(
    fn: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = wb.fit_nuts(fn, data(fn), seed=1, num_samples=10_000)
    assert fast.provenance.settings["coordinates"].startswith("whitened")
    assert fast.provenance.settings["likelihood"].startswith(
        "by sufficient statistics" if fn is line else "by row"
    )
    # without a guide: coordinates as they are, the usual warm-up, the likelihood row by row
    guide = wb.fit_laplace(fn, data(fn))
    none = replace(guide, covariance=np.full_like(guide.covariance, np.nan))
    monkeypatch.setattr("workbench.fit.nuts.prepare_data", lambda *_: None)
    plain = wb.fit_nuts(fn, data(fn), seed=2, num_samples=10_000, laplace=none)
    assert plain.provenance.settings["coordinates"].startswith("plain")
    (one, error), (other, its) = moments(fast), moments(plain)
    z = (one - other) / np.hypot(error, its)
    # the largest of n normal scores, two-sided, at a level of one in a thousand (Bonferroni)
    assert np.abs(z).max() < stats.norm.isf(0.5 * 1e-3 / len(z))
