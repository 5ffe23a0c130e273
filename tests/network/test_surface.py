"""Surfaces of networks: quadratic where the network is linear, flat between copies of one mode."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from models.mlp_regression import mlp_regression
from workbench.errors import UsageError
from workbench.network import (
    find_symmetry,
    fit_network_laplace,
    loss_surface,
    other_mode,
    prior_outputs,
    read_network,
)
from workbench.network.probes import gap_split, telling_columns

STACK = wb.load_dataset("stackloss")  # 21 rows, 3 covariates


@pytest.fixture(scope="module")
def linear():
    """A network without hidden layers at its mode, noise 4."""
    return fit_network_laplace(mlp_regression(hidden=()), STACK, precision=1.0, noise=4.0)


@pytest.fixture(scope="module")
def curved():
    """Three tanh units at a mode of the model's own prior."""
    data = wb.load_dataset("nile").take(range(0, 100, 2))
    return fit_network_laplace(mlp_regression(hidden=(3,)), data, precision=1.0, tolerance=1e-6)


def test_spectrum_and_cuts_of_a_linear_network_are_those_of_least_squares(linear):
    made = loss_surface(linear.network, linear.z)
    i = STACK.inputs
    x = ((i["x"] - i["x_mean"]) / i["x_scale"])[:, 1:]
    features = np.column_stack([x, np.ones(len(x))]) * i["y_scale"] / 4.0
    features = features * np.array([2 / np.sqrt(3)] * 3 + [2.0])
    values = np.linalg.eigvalsh(features.T @ features)[::-1]
    np.testing.assert_allclose(made.eigenvalues, values, rtol=1e-9)
    np.testing.assert_allclose(made.gauss_newton, values, rtol=1e-9)
    for plane, second in ((made.plane, values[1]), (made.flat, values[-1])):
        a, b = plane.index.to_numpy()[:, None], plane.columns.to_numpy()
        bowl = 0.5 * ((values[0] + 1) * a**2 + (second + 1) * b**2) / 21
        # the mode is exact to the tolerance of its fit, 1e-8 nats
        np.testing.assert_allclose(plane, bowl, atol=1e-6)
    assert made.line.empty
    assert np.isnan(made.barrier())


def test_a_copy_is_at_the_end_of_a_flat_line_once_its_units_are_matched(curved, rng):
    network, z = curved.network, curved.z
    moved = find_symmetry(network).random(network.weights(z), rng)
    twin = z.copy()
    twin[network.positions] = np.concatenate([moved[n].ravel() for n in network.weight_names])
    assert np.abs(twin - z).max() > 0.1
    np.testing.assert_array_equal(other_mode(network, np.stack([z, twin])), twin)
    made = loss_surface(network, z, twin)
    # the same point, but for the order of the sums
    np.testing.assert_allclose(made.line["units matched"], 0.0, atol=1e-12)
    assert made.barrier("as found") > 0.01
    assert made.line["as found"].iloc[-1] == pytest.approx(0.0, abs=1e-12)


def test_a_saddle_is_no_other_mode(curved):
    zero = curved.z.copy()
    zero[curved.network.positions] = 0.0
    assert other_mode(curved.network, np.stack([curved.z, zero])) is None


def test_functions_of_the_prior_have_its_spread(linear):
    network = linear.network
    drawn = prior_outputs(network, network.rows, num=20_000)[..., 0]
    i = STACK.inputs
    x = ((i["x"] - i["x_mean"]) / i["x_scale"])[:, 1:]
    sd = i["y_scale"] * np.sqrt(4 / 3 * np.sum(x**2, axis=1) + 4)
    # sds of 20,000 normal draws: error 1 / sqrt(40,000), five of them
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=5 / 200)


def test_gap_parts_the_rows_and_shares_no_value():
    data = wb.load_dataset("energy")
    train, inside = gap_split(data, 7)
    assert train.num_rows + inside.num_rows == 768
    outer, inner = (set(d.inputs["x"][:, 7]) for d in (train, inside))
    assert not outer & inner
    assert min(outer) < min(inner) <= max(inner) < max(outer)
    with pytest.raises(UsageError, match="a gap expects a covariate of three values at least; got"):
        gap_split(data, 0)


def test_a_plane_needs_two_covariates():
    network = read_network(mlp_regression(hidden=(2,)), wb.load_dataset("nile"))
    with pytest.raises(UsageError, match="a plane expects two covariates that vary; got 1"):
        telling_columns(network, np.zeros(network.density.size))
