"""Stochastic training ends where the objective has its mode, and tempering is its power."""

from __future__ import annotations

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from models.mlp_regression import mlp_regression
from workbench.errors import UsageError
from workbench.fit.provenance import model_fingerprint
from workbench.network import read_network, tempered, train_network

STACK = wb.load_dataset("stackloss")


@pytest.fixture(scope="module")
def linear():
    return read_network(mlp_regression(hidden=()), STACK)


def least_squares():
    design = np.column_stack([STACK.inputs["x"]])
    beta = np.linalg.lstsq(design, STACK.observed["y"], rcond=None)[0]
    return design @ beta


def test_full_batches_without_a_penalty_end_at_least_squares(linear):
    made = train_network(
        linear, penalty="none", batch_size=21, num_epochs=800, learning_rate=0.05, num_members=2
    )
    found = made.predict(STACK)
    fitted = least_squares()
    sigma = np.sqrt(np.mean((STACK.observed["y"] - fitted) ** 2))
    for member in range(2):
        # Adam's last steps, of a cosine that ends at zero
        np.testing.assert_allclose(found.loc[member], fitted, atol=0.01 * sigma)
        np.testing.assert_allclose(found.scale[member], sigma, rtol=0.01)
    assert made.num_gradients == 2 * 800
    losses = made.history.groupby("epoch")["loss"].mean()
    assert losses.iloc[-1] < losses.iloc[0]


def test_the_prior_is_weight_decay():
    """Its mode is ridge regression with penalty sigma squared over tau squared."""
    narrow = mlp_regression(hidden=(), prior_scale=0.2)
    made = train_network(
        narrow,
        STACK,
        penalty="prior",
        batch_size=21,
        num_epochs=800,
        learning_rate=0.05,
        num_members=1,
    )
    found, tau = made.predict(STACK), 0.2 * np.array([3**-0.5] * 3 + [1.0])
    sigma, i = found.scale[0, 0], STACK.inputs
    design = np.column_stack([((i["x"] - i["x_mean"]) / i["x_scale"])[:, 1:], np.ones(21)])
    design *= i["y_scale"]
    decay = np.diag((sigma / tau) ** 2)
    ridge = np.linalg.solve(
        design.T @ design + decay, design.T @ (STACK.observed["y"] - i["y_mean"])
    )
    # Adam's last steps, of a cosine that ends at zero; the decay moves them by more than that
    np.testing.assert_allclose(found.loc[0] - i["y_mean"], design @ ridge, atol=0.01 * sigma)
    assert np.abs(design @ ridge + i["y_mean"] - least_squares()).max() > 0.5 * sigma


def test_members_differ_in_start_and_order_and_a_seed_fixes_both(linear):
    settings = {"num_epochs": 2, "batch_size": 5, "num_members": 2, "optimiser": "momentum"}
    one, again, other = (train_network(linear, seed=s, **settings) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.z, again.z)
    assert np.abs(one.z[0] - one.z[1]).max() > 0.01
    assert np.abs(one.z - other.z).max() > 0.01


def test_early_stopping_keeps_the_best_epoch_of_each_member(linear):
    made = train_network(
        linear, num_epochs=40, learning_rate=0.3, optimiser="adam", schedule="constant",
        batch_size=4, validation=0.25, patience=5, num_members=2,
    )  # fmt: skip
    assert len(made.set_aside) == 5
    table = made.history.pivot(index="epoch", columns="member", values="validation")
    np.testing.assert_array_equal(table.idxmin().to_numpy(), made.best_epoch)
    # none had improved for five epochs, or the epochs were used up
    last = table.index[-1]
    assert last == 40 or last - made.best_epoch.max() == 5
    rows = {k: v[made.set_aside] for k, v in made.network.rows.items()}
    kept, y = made.predict(rows), rows["y"]
    density = [
        np.mean(
            0.5 * ((y - kept.loc[m]) / kept.scale[m]) ** 2
            + np.log(kept.scale[m])
            + 0.5 * np.log(2 * np.pi)
        )
        for m in range(2)
    ]
    # the kept point has the loss that was seen
    np.testing.assert_allclose(density, table.min().to_numpy(), rtol=1e-10)


def test_unknown_choices_are_refused(linear):
    with pytest.raises(UsageError, match="optimiser expects one of adam, momentum, sgd; got 'rms'"):
        train_network(linear, optimiser="rms")
    with pytest.raises(UsageError, match="validation expects a share of the rows; got 1"):
        train_network(linear, validation=1.0)
    with pytest.raises(UsageError, match="batch_size expects a positive number; got 0"):
        train_network(linear, batch_size=0)


Y = np.array([1.0, 2.0, 4.0, 5.0])


def normal_mean(y=None):
    """A conjugate model: the mean of normal observations with sd 2."""
    mu = numpyro.sample("mu", dist.Normal(0, 3))
    with numpyro.plate("obs", 4):
        numpyro.sample("y", dist.Normal(mu, 2), obs=y)


@pytest.mark.parametrize("part", ["likelihood", "joint"])
def test_temperature_divides_the_terms_it_is_said_to(part):
    T, z = 2.5, np.array([0.7])
    plain = wb.read_density(normal_mean, {"y": Y}).log_terms(z)
    terms = wb.read_density(tempered(normal_mean, T, part=part), {"y": Y}).log_terms(z)
    assert float(terms.log_likelihood) == pytest.approx(float(plain.log_likelihood) / T, rel=1e-14)
    divided = T if part == "joint" else 1.0
    assert float(terms.log_prior) == pytest.approx(float(plain.log_prior) / divided, rel=1e-14)


def test_two_temperatures_of_one_model_have_fingerprints_of_their_own():
    made = [tempered(normal_mean, t, part="joint").fn for t in (2.5, 1.5)]
    assert model_fingerprint(made[0]) != model_fingerprint(made[1])


def test_temperature_is_positive():
    with pytest.raises(UsageError, match="temperature expects a positive number; got 0"):
        tempered(normal_mean, 0.0)
