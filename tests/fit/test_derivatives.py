"""The Hessian of normal rows with affine means, and the bound on what a likelihood loses."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers

from workbench.fit import fit_mle
from workbench.fit.curvature import examine
from workbench.fit.derivatives import coordinates_of_scales, derivatives
from workbench.fit.least_loss import least_loss
from workbench.fit.objective import Objective
from workbench.fit.optimiser import maximise
from workbench.model import read_density

_RNG = np.random.default_rng(4)
_X = _RNG.normal(size=(12, 3))
_DATA = {"x": _X, "y": _X @ [1.0, -2.0, 0.5] + _RNG.normal(size=12)}


def plain(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 2).expand([3]).to_event(1))
    s = numpyro.sample("s", dist.HalfNormal(1))
    numpyro.sample("y", dist.Normal(x @ b, s), obs=y)


def masked_and_weighted(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.StudentT(3.0, 0, 2).expand([3]))
    s = numpyro.sample("s", dist.LogNormal(0, 1))
    with handlers.scale(scale=jnp.arange(1.0, 13.0)), handlers.mask(mask=x[:, 0] > -0.5):
        numpyro.sample("y", dist.Normal(x @ b, s * jnp.exp(x[:, 1])), obs=y)


def scale_of_two(x: Any, y: Any = None) -> None:
    """Two sites, one intercept; standard deviations move with a coefficient of the means."""
    a, b = numpyro.sample("a", dist.Normal(0, 5)), numpyro.sample("b", dist.Normal(0, 5))
    c = numpyro.sample("c", dist.Gamma(2.0, 2.0))
    numpyro.sample("y", dist.Normal(a + b * x[:, 0], jnp.sqrt(1.0 + a**2) * c), obs=y)
    numpyro.sample("w", dist.Normal(2.0 * a, 0.5), obs=x[:, 2])


@pytest.mark.parametrize("method", ["MLE", "MAP", "Laplace"])
@pytest.mark.parametrize("model", [plain, masked_and_weighted, scale_of_two])
def test_hessian_of_normal_rows_is_that_of_differentiating_twice(model: Any, method: Any) -> None:
    density = read_density(model, _DATA)
    assert coordinates_of_scales(density) is not None
    objective = Objective(density=density, method=method)
    rng = np.random.default_rng(0)
    theta, scale = rng.normal(size=density.size), rng.normal(size=(density.size, density.size))
    found = objective.derivatives_in(theta, scale, objective.arrays)
    direct = jax.jit(derivatives(objective, density))(theta, scale, objective.arrays)
    for one, other in zip(found, direct, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10 * np.abs(other).max())


def curved(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(jnp.exp(b * x[:, 0]), 1.0), obs=y)


def heavy(x: Any, y: Any = None) -> None:
    numpyro.sample("y", dist.StudentT(4.0, numpyro.sample("b", dist.Normal(0, 1)), 1.0), obs=y)


@pytest.mark.parametrize("model", [curved, heavy])
def test_other_means_and_families_are_differentiated_twice(model: Any) -> None:
    assert coordinates_of_scales(read_density(model, _DATA)) is None


def logistic(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 2).expand([3]))
    numpyro.sample("y", dist.Bernoulli(logits=x @ b), obs=y)


def poisson(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 2).expand([3]))
    numpyro.sample("y", dist.Poisson(jnp.exp(1.0 + x @ b)), obs=y)


def categories(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 2).expand([3, 2]))
    numpyro.sample(
        "y", dist.Categorical(logits=jnp.concatenate([jnp.zeros((12, 1)), x @ b], axis=1)), obs=y
    )


_CASES = {
    "normal": (plain, _DATA["y"]),
    "logistic": (logistic, (_DATA["y"] + _RNG.normal(scale=3.0, size=12) > 0).astype(float)),
    "poisson": (poisson, np.arange(12) % 5),
    "categories": (categories, np.arange(12) % 3),
}


@pytest.mark.parametrize("name", _CASES)
def test_no_direction_loses_less_than_the_bound(name: str) -> None:
    model, y = _CASES[name]
    objective = Objective(density=read_density(model, {"x": _X, "y": y}), method="MLE")
    best = maximise(objective, key=jax.random.key(0), num_starts=1, max_iterations=200)
    values, vectors = np.linalg.eigh(best.information)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=vectors.shape))[0]
    two = 2.0 * best.scale @ (vectors / np.sqrt(values)) @ turn  # two standard errors, any way
    bound = least_loss(objective, best, two)
    ends = best.theta + np.concatenate([two.T, -two.T])
    assert 0.01 < bound <= (best.value - objective.values_at(ends)).min()


def test_bound_is_not_met_where_data_are_separated() -> None:
    y = (_X[:, 0] > 0).astype(float)
    objective = Objective(density=read_density(logistic, {"x": _X, "y": y}), method="MLE")
    best = maximise(objective, key=jax.random.key(0), num_starts=1, max_iterations=500)
    assert examine(objective, best).runaway.size
    assert fit_mle(logistic, {"x": _X, "y": y}).status.name == "SEPARATED"


def test_no_bound_is_known_for_other_likelihoods() -> None:
    density = read_density(heavy, {"x": _X, "y": _DATA["y"]})
    objective = Objective(density=density, method="MLE")
    best = maximise(objective, key=jax.random.key(0), num_starts=1, max_iterations=200)
    assert least_loss(objective, best, np.ones((1, 1))) == -np.inf


def known_mean(y: Any = None) -> None:
    sigma = numpyro.sample("sigma", dist.HalfNormal(3))
    numpyro.sample("y", dist.Normal(0, sigma), obs=y)


def test_spread_about_a_known_mean_is_the_root_mean_square() -> None:
    # sigma^2 = mean(y^2), and the information of log(sigma) is 2 n
    y = np.array([1.0, -2.0, 0.5, 3.0])
    fit = fit_mle(known_mean, {"y": y})
    sigma = np.sqrt(np.mean(y**2))
    assert fit.params["sigma"] == pytest.approx(sigma, rel=1e-10)
    assert fit.bse["sigma"] == pytest.approx(sigma / np.sqrt(2 * len(y)), rel=1e-8)


def test_few_tangents_at_once_give_the_same_curvature(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(x: Any, y: Any = None) -> None:
        logistic(x, y)

    data = {"x": _DATA["x"], "y": (_DATA["y"] > 0) * 1.0}
    at_once = fit_mle(logistic, data)
    monkeypatch.setattr("workbench.model.density._ROWS_HELD", 2 * len(data["y"]))
    in_turn = fit_mle(again, data)
    assert in_turn.require_density().tangents_at_once == 2
    np.testing.assert_allclose(in_turn.information, at_once.information, rtol=1e-10)
