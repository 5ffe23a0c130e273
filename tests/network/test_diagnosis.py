"""Each rule speaks of the fault it is meant for, and a sound fit is left alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from models.mlp_regression import mlp_regression
from workbench.errors import UsageError
from workbench.network import (
    NormalMixture,
    by_network_nuts,
    diagnose_network,
    fit_network_laplace,
    fit_network_nuts,
    read_network,
    train_network,
)

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=(60, 1))
F = np.sin(3 * X[:, 0])
DATA = wb.Dataset.from_arrays(
    inputs={
        "x": X,
        "x_mean": X.mean(axis=0),
        "x_scale": X.std(axis=0),
        "y_mean": 0.0,
        "y_scale": 1.0,
    },
    observed={"y": F + 0.1 * RNG.normal(size=60)},
    dims={"x": ("obs", "covariate"), "x_mean": ("covariate",), "x_scale": ("covariate",)},
)
TRAIN, TEST = DATA.take(range(40)), DATA.take(range(40, 60))


def network(prior_scale):
    return read_network(mlp_regression(hidden=(3,), prior_scale=prior_scale), TRAIN)


@pytest.fixture(scope="module")
def sound():
    return network(1.0)


def codes(network, loc, scale, mixing=None):
    """Codes of a fit that predicts what ``loc`` gives, with an sd of ``scale``."""

    def predict(data):
        values = np.atleast_2d(loc(data))
        return NormalMixture(loc=values, scale=np.full(values.shape, scale))

    fit: Any = SimpleNamespace(network=network, predict=predict)
    found = diagnose_network(fit, TRAIN, TEST, mixing=mixing)
    assert all(f"threshold {f.threshold:g}" in f.sentence for f in found)
    return {f.code for f in found}


def true(data):
    return np.sin(3 * data.inputs["x"][:, 0])


def memorised(data):
    """The fitted rows without error, anything at the others."""
    return data.observed["y"] if data.num_rows == 40 else np.zeros(20)


def test_a_sound_fit_is_left_alone(sound):
    assert codes(sound, true, 0.1) == set()


def test_a_flat_function_is_under_fitted(sound):
    assert codes(sound, lambda d: np.zeros(d.num_rows), 0.7) == {"under-fitted"}


def test_a_memory_is_over_fitted_and_has_absorbed_the_noise(sound):
    assert codes(sound, memorised, 0.05) == {"over-fitted", "noise absorbed"}


def test_members_that_are_one_function_are_an_ensemble_collapsed(sound):
    assert codes(sound, lambda d: np.stack([true(d), true(d) + 1e-3]), 0.1) == {
        "ensemble collapsed"
    }


def test_a_wide_prior_is_seen_in_its_functions():
    assert codes(network(10.0), true, 0.1) == {"prior too wide"}


def test_chains_that_disagree_are_not_mixed(sound):
    table = pd.DataFrame({"r_hat": [1.5, 1.02]}, index=["weights", "function at the data"])
    mixing: Any = SimpleNamespace(table=table, num_modes=2)
    assert codes(sound, true, 0.1, mixing) == {"not mixed", "several functions"}


def test_rows_that_were_not_fitted_are_refused(sound):
    fit: Any = SimpleNamespace(network=sound, predict=None)
    with pytest.raises(UsageError, match="expects the 40 rows that were fitted; got 20"):
        diagnose_network(fit, TEST, TRAIN)


def memorising():
    """Two wide layers and no penalty on 40 rows, until the training loss has nothing left."""
    wide = read_network(mlp_regression(hidden=(20, 20), prior_scale=1.0), TRAIN)
    settings: Any = {"penalty": "none", "num_epochs": 3000, "learning_rate": 0.02}
    return train_network(wide, batch_size=40, **settings)


def linear_ensemble():
    """The loss has one minimum, which every member comes to."""
    line = read_network(mlp_regression(hidden=(), prior_scale=1.0), TRAIN)
    return train_network(line, num_members=3, num_epochs=500)


SHORT: Any = {"num_warmup": 10, "num_samples": 20, "num_chains": 2, "max_tree_depth": 3}


def short_chains():
    return fit_network_nuts(network(1.0), **SHORT)


REAL = {
    "sound": (lambda: fit_network_laplace(network(1.0), precision="layer"), set()),
    # weights held a thousand times as tightly as the model asks
    "held": (lambda: fit_network_laplace(network(1.0), precision=1e3), {"under-fitted"}),
    "one function": (linear_ensemble, {"ensemble collapsed", "under-fitted"}),
    "too short": (short_chains, {"not mixed", "several functions"}),
    "wide": (lambda: fit_network_laplace(network(10.0), precision="layer"), {"prior too wide"}),
}


@pytest.mark.parametrize("name", REAL)
def test_real_fits_get_the_word_they_deserve(name):
    make, expected = REAL[name]
    fit = make()
    found = diagnose_network(fit, TRAIN, TEST, mixing=getattr(fit, "mixing", None))
    assert {f.code for f in found} == expected


def test_a_contest_says_of_chains_that_they_are_apart():
    method = by_network_nuts(mlp_regression(hidden=(3,), prior_scale=1.0), **SHORT)
    assert "the chains sit in 2 different functions" in method(TRAIN, 0).note


@pytest.mark.slow
def test_a_network_that_memorises_is_told_so():
    found = diagnose_network(memorising(), TRAIN, TEST)
    assert {f.code for f in found} == {"over-fitted", "noise absorbed"}
