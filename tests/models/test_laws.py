"""Laws of every model: its log joint is the paper's, and it predicts rows with and without y."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpyro
import pytest
from numpyro import handlers
from numpyro.infer import Predictive
from numpyro.infer.util import log_density
from scipy import stats

import models
from workbench.data import Dataset, load_dataset
from workbench.model import Model, read_density

NAMES = [module.name for module in pkgutil.iter_modules(models.__path__)]
N, NEW = 12, 4  # rows observed, rows predicted


def design(rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([np.ones(rows), rng.normal(3, 2, rows), rng.normal(-1, 0.1, rows)])


X = design(N, 0)
UNITS = {"x_mean": np.array([1.0, 3.0, -1.0]), "x_scale": np.array([1.0, 2.0, 0.1])}
Y_UNITS = {"y_mean": 5.0, "y_scale": 4.0}
# by hand: the covariates' units 4/2 and 4/0.1, shifts 2*3 and 40*1, the intercept's sqrt(5^2+...)
UNIT_OF_BETA = np.array([np.sqrt(25 + 16 + 6**2 + 40**2), 2.0, 40.0])
UNIT_ON_LINK = np.array([np.sqrt(0 + 1 + 1.5**2 + 10**2), 0.5, 10.0])
BETA = np.array([0.3, 0.2, -0.4])
GROUP = np.array([0, 0, 1, 1, 2, 2, 0, 1, 2, 0, 1, 2])
NEW_GROUP = np.array([2, 0, 1, 1])
CONTINUOUS = np.random.default_rng(1).normal(5, 4, N)
COUNTS = np.array([0, 1, 4, 2, 0, 9, 3, 1, 120, 2, 0, 5])
BINARY = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1])
CLASSES = np.array([0, 1, 2, 2, 1, 0, 0, 1, 2, 1, 0, 1])


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model at a point, and the same in numpy: all values by hand, none from the package."""

    data: Mapping[str, Any]
    y: np.ndarray
    new: Mapping[str, Any]
    params: Mapping[str, Any]
    log_likelihood: Callable[..., Any]  # of params, data and y
    log_prior: Callable[..., Any]  # of params
    mean: Callable[..., Any]  # E(y) of params and data, shape (N,)


def beta_prior(beta: np.ndarray, unit: np.ndarray) -> float:
    return stats.norm.logpdf(beta, 0, 2.5 * unit).sum()


def network(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """One hidden layer of tanh units on the two standardised covariates."""
    h0 = (x[:, 1:] - [3.0, -1.0]) / [2.0, 0.1]
    return np.tanh(h0 @ params["W1"] + params["b1"]) @ params["W2"] + params["b2"]


def network_params(outputs: int) -> dict[str, np.ndarray]:
    shapes = {"W1": (2, 4), "b1": (4,), "W2": (4, outputs), "b2": (outputs,)}
    rng = np.random.default_rng(2)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def network_prior(params: Mapping[str, Any]) -> float:
    # prior_scale 2 over the square root of the fan-in: 2 covariates, 4 hidden units
    sds = {"W1": 2 / np.sqrt(2), "b1": 2.0, "W2": 2 / np.sqrt(4), "b2": 2.0}
    return sum(stats.norm.logpdf(params[name], 0, sd).sum() for name, sd in sds.items())


def class_probabilities(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    odds = np.exp(np.column_stack([np.zeros(len(x)), network(params, x)]))
    return odds / odds.sum(axis=1, keepdims=True)


REGRESSION = {
    "data": {"x": X, **UNITS, **Y_UNITS},
    "new": {"x": design(NEW, 3), **UNITS, **Y_UNITS},
}
ON_LINK = {"data": {"x": X, **UNITS}, "new": {"x": design(NEW, 3), **UNITS}}
PRESSURE = np.linspace(80, 760, N)[:, None]

CASES = {
    "linear": Case(
        **REGRESSION,
        y=CONTINUOUS,
        params={"beta": BETA, "sigma": 2.5},
        log_likelihood=lambda p, d, y: stats.norm.logpdf(y, d["x"] @ p["beta"], p["sigma"]).sum(),
        log_prior=lambda p: (
            beta_prior(p["beta"], UNIT_OF_BETA) + stats.expon.logpdf(p["sigma"], scale=4)
        ),
        mean=lambda p, d: d["x"] @ p["beta"],
    ),
    "robust": Case(
        **REGRESSION,
        y=CONTINUOUS,
        params={"beta": BETA, "sigma": 2.5, "nu": 4.5},
        log_likelihood=lambda p, d, y: stats.t.logpdf(
            y, p["nu"], d["x"] @ p["beta"], p["sigma"]
        ).sum(),
        log_prior=lambda p: (
            beta_prior(p["beta"], UNIT_OF_BETA)
            + stats.expon.logpdf(p["sigma"], scale=4)
            + stats.expon.logpdf(p["nu"], loc=1, scale=29)
        ),
        mean=lambda p, d: d["x"] @ p["beta"],
    ),
    "logistic": Case(
        **ON_LINK,
        y=BINARY,
        params={"beta": BETA},
        log_likelihood=lambda p, d, y: stats.bernoulli.logpmf(
            y, 1 / (1 + np.exp(-d["x"] @ p["beta"]))
        ).sum(),
        log_prior=lambda p: beta_prior(p["beta"], UNIT_ON_LINK),
        mean=lambda p, d: 1 / (1 + np.exp(-d["x"] @ p["beta"])),
    ),
    "poisson": Case(
        **ON_LINK,
        y=COUNTS,
        params={"beta": BETA},
        log_likelihood=lambda p, d, y: stats.poisson.logpmf(y, np.exp(d["x"] @ p["beta"])).sum(),
        log_prior=lambda p: beta_prior(p["beta"], UNIT_ON_LINK),
        mean=lambda p, d: np.exp(d["x"] @ p["beta"]),
    ),
    "negative_binomial": Case(
        **ON_LINK,
        y=COUNTS,
        params={"beta": BETA, "phi": 1.7},
        # scipy counts failures before phi successes of probability phi / (phi + mu)
        log_likelihood=lambda p, d, y: stats.nbinom.logpmf(
            y, p["phi"], p["phi"] / (p["phi"] + np.exp(d["x"] @ p["beta"]))
        ).sum(),
        log_prior=lambda p: (
            beta_prior(p["beta"], UNIT_ON_LINK) + stats.invgamma.logpdf(p["phi"], 0.4, scale=0.3)
        ),
        mean=lambda p, d: np.exp(d["x"] @ p["beta"]),
    ),
    "varying_intercepts": Case(
        data={**REGRESSION["data"], "group": GROUP, "num_groups": 3},
        new={**REGRESSION["new"], "group": NEW_GROUP, "num_groups": 3},
        y=CONTINUOUS,
        params={"beta": BETA, "sigma": 2.5, "tau": 1.5, "alpha": np.array([0.7, -2.0, 1.1])},
        log_likelihood=lambda p, d, y: stats.norm.logpdf(
            y, p["alpha"][d["group"]] + d["x"][:, 1:] @ p["beta"][1:], p["sigma"]
        ).sum(),
        log_prior=lambda p: (
            beta_prior(p["beta"], UNIT_OF_BETA)
            + stats.norm.logpdf(p["alpha"], p["beta"][0], p["tau"]).sum()
            + stats.expon.logpdf([p["sigma"], p["tau"]], scale=4).sum()
        ),
        mean=lambda p, d: p["alpha"][d["group"]] + d["x"][:, 1:] @ p["beta"][1:],
    ),
    "eight_schools": Case(
        data={"sigma": np.linspace(9, 18, N)},
        new={"sigma": np.linspace(9, 18, N)},  # its rows are the schools themselves
        y=CONTINUOUS,
        params={"mu": 4.0, "tau": 3.0, "eta": np.linspace(-1, 1, N)},
        log_likelihood=lambda p, d, y: stats.norm.logpdf(
            y, p["mu"] + p["tau"] * p["eta"], d["sigma"]
        ).sum(),
        log_prior=lambda p: (
            stats.norm.logpdf(p["mu"], 0, 5)
            + stats.halfcauchy.logpdf(p["tau"], scale=5)
            + stats.norm.logpdf(p["eta"]).sum()
        ),
        mean=lambda p, d: p["mu"] + p["tau"] * p["eta"],
    ),
    "nonlinear": Case(
        data={"x": PRESSURE, "y_scale": 4.0},
        new={"x": PRESSURE[:NEW] + 7, "y_scale": 4.0},
        y=CONTINUOUS,
        params={"b1_unit": -0.5, "b2_unit": 0.8, "sigma": 2.5},
        log_likelihood=lambda p, d, y: stats.norm.logpdf(
            y, CASES["nonlinear"].mean(p, d), p["sigma"]
        ).sum(),
        log_prior=lambda p: (
            stats.norm.logpdf([p["b1_unit"], p["b2_unit"]]).sum()
            + stats.expon.logpdf(p["sigma"], scale=4)
        ),
        # LogNormal(log 100, 1) and LogNormal(log 1e-3, 1)
        mean=lambda p, d: (
            100 * np.exp(p["b1_unit"]) * (1 - np.exp(-1e-3 * np.exp(p["b2_unit"]) * d["x"][:, 0]))
        ),
    ),
    "mlp_regression": Case(
        **REGRESSION,
        y=CONTINUOUS,
        params={**network_params(1), "sigma": 2.5},
        log_likelihood=lambda p, d, y: stats.norm.logpdf(
            y, 5 + 4 * network(p, d["x"])[:, 0], p["sigma"]
        ).sum(),
        log_prior=lambda p: network_prior(p) + stats.expon.logpdf(p["sigma"], scale=4),
        mean=lambda p, d: 5 + 4 * network(p, d["x"])[:, 0],
    ),
    "mlp_classifier": Case(
        data={**ON_LINK["data"], "num_classes": 3},
        new={**ON_LINK["new"], "num_classes": 3},
        y=CLASSES,
        params=network_params(2),
        log_likelihood=lambda p, d, y: np.log(
            class_probabilities(p, d["x"])[np.arange(len(y)), y]
        ).sum(),
        log_prior=network_prior,
        mean=lambda p, d: class_probabilities(p, d["x"]) @ np.arange(3),
    ),
}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str) -> Model:
    return importlib.import_module(f"models.{name}").MODEL


@pytest.fixture
def case(name: str) -> Case:
    return CASES[name]  # a model file without a case fails here


def test_log_joint_is_the_formula(model, case):
    found, _ = log_density(model.fn, (), {**case.data, "y": case.y}, case.params)
    expected = case.log_likelihood(case.params, case.data, case.y) + case.log_prior(case.params)
    # sums of at most 40 terms, each true to 1e-14
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_density_parts_the_log_joint_by_role(model, case):
    density = read_density(model, Dataset.from_arrays(inputs=case.data, observed={"y": case.y}))
    latent = {site.name for site in density.sites if site.role in ("parameter", "random effect")}
    assert latent == set(case.params)
    assert density.names("random effect") == model.random_effects
    assert density.names("observed") == ("y",)
    z = 0.3 * np.random.default_rng(4).normal(size=density.size)
    values = {key: np.asarray(value) for key, value in density.constrain(z).items()}
    expected = case.log_likelihood(values, case.data, case.y)
    np.testing.assert_allclose(density.log_terms(z).log_likelihood, expected, rtol=1e-12)


def test_prior_predictive_fills_the_rows(model, case):
    draws = Predictive(model.fn, num_samples=5)(jax.random.key(0), **case.data)
    assert draws["y"].shape == (5, N)
    assert np.isfinite(draws["y"]).all()
    for site, value in case.params.items():
        assert draws[site].shape == (5, *np.shape(value))


def test_predictive_of_new_rows_has_the_mean_of_the_formula(model, case):
    draws = 4000
    posterior = {k: np.broadcast_to(v, (draws, *np.shape(v))) for k, v in case.params.items()}
    y = np.asarray(Predictive(model.fn, posterior)(jax.random.key(1), **case.new)["y"])
    expected = case.mean(case.params, case.new)
    assert y.shape == (draws, *expected.shape)
    # means of 4000 independent draws: none of 12 lies beyond 5 Monte Carlo standard errors
    assert (np.abs(y.mean(0) - expected) < 5 * y.std(0) / np.sqrt(draws)).all()


def test_seed_decides_every_draw(model, case):
    def draw(seed):
        trace = handlers.trace(handlers.seed(model.fn, seed)).get_trace(**case.data)
        return np.asarray(trace["y"]["value"], dtype=float)

    np.testing.assert_array_equal(draw(0), draw(0))
    assert any((draw(0) != draw(seed)).any() for seed in range(1, 4))


def test_plates_are_named_after_dimensions(model, case):
    trace = handlers.trace(handlers.seed(model.fn, 0)).get_trace(**case.data, y=case.y)
    plates = {name for name, site in trace.items() if site["type"] == "plate"}
    assert plates <= {"obs", "coefficient", "level", "school"}
    assert plates & {"obs", "school"}


def test_arguments_are_valid_by_numpyros_own_checks(model, case):
    with numpyro.validation_enabled():
        log_joint, _ = log_density(model.fn, (), {**case.data, "y": case.y}, case.params)
    assert np.isfinite(log_joint)


def test_gradient_is_finite_where_fits_start(model, case):
    density = read_density(model, Dataset.from_arrays(inputs=case.data, observed={"y": case.y}))
    gradient = jax.grad(lambda z: density.log_terms(z).log_joint)(np.zeros(density.size))
    assert np.isfinite(gradient).all()


def test_model_says_what_it_is(name, model):
    module = importlib.import_module(f"models.{name}")
    assert model.name == name
    assert "~" in model.description
    assert "doi:" in (module.__doc__ or "")


def test_default_data_fit_the_model(model):
    data = load_dataset(model.defaults["data"])
    density = read_density(model, data)
    assert density.num_observations == data.num_observations
    assert np.isfinite(density.log_terms(np.zeros(density.size)).log_prior)
