"""Networks: what tables report is the fitted function, whatever the weights are called."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.mlp_classifier import mlp_classifier
from models.mlp_regression import mlp_regression
from workbench.data import Dataset
from workbench.errors import ModelError
from workbench.model import read_density
from workbench.network import read_network

YEARS = np.linspace(1871.0, 1970.0, 12)
ONE = {
    "x": np.column_stack([np.ones(12), YEARS]),
    "x_mean": np.array([1.0, YEARS.mean()]),
    "x_scale": np.array([1.0, YEARS.std()]),
    "y_mean": 900.0,
    "y_scale": 170.0,
}
TWO = {
    "x": np.random.default_rng(0).normal(size=(9, 2)),
    "x_mean": np.array([0.1, -0.2]),
    "x_scale": np.array([1.1, 0.9]),
}


def weights(inputs: int, hidden: int, outputs: int) -> dict[str, np.ndarray]:
    shapes = {"W1": (inputs, hidden), "b1": (hidden,), "W2": (hidden, outputs), "b2": (outputs,)}
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def exchanged(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same function: hidden units in another order, the first with its sign changed."""
    order = np.roll(np.arange(len(values["b1"])), 1)
    sign = np.where(np.arange(len(order)) == 0, -1.0, 1.0)
    return {
        **values,
        "W1": values["W1"][:, order] * sign,
        "b1": values["b1"][order] * sign,
        "W2": values["W2"][order] * sign[:, None],
    }


def test_one_covariate_is_reported_on_a_grid_over_its_range():
    model = mlp_regression(hidden=(3,), grid=4)
    values = {**weights(1, 3, 1), "sigma": np.array(2.0)}
    found = model.estimands(values, ONE)
    assert list(found) == ["f(1871)", "f(1904)", "f(1937)", "f(1970)", "sigma"]
    h0 = (np.array([[1871.0], [1904], [1937], [1970]]) - YEARS.mean()) / YEARS.std()
    f = np.tanh(h0 @ values["W1"] + values["b1"]) @ values["W2"] + values["b2"]
    expected = [*(900 + 170 * f[:, 0]), 2.0]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-13)


def test_several_covariates_are_reported_at_rows():
    model = mlp_regression(hidden=(3,), rows=(0, 4, 99))
    values = {**weights(2, 3, 1), "sigma": np.array(2.0)}
    found = model.estimands(values, {**TWO, "y_mean": 0.0, "y_scale": 1.0})
    assert list(found) == ["f(x[0])", "f(x[4])", "sigma"]  # row 99 is not there
    h0 = (TWO["x"][4] - TWO["x_mean"]) / TWO["x_scale"]
    f = np.tanh(h0 @ values["W1"] + values["b1"]) @ values["W2"] + values["b2"]
    np.testing.assert_allclose(found["f(x[4])"], f[0], rtol=1e-13)


def test_noise_may_depend_on_the_input():
    model = mlp_regression(hidden=(3,), grid=2, noise="input")
    values = weights(1, 3, 2)
    found = model.estimands(values, ONE)
    assert list(found) == ["f(1871)", "f(1970)", "sigma(1871)", "sigma(1970)"]
    h0 = (np.array([[1871.0], [1970]]) - YEARS.mean()) / YEARS.std()
    f = np.tanh(h0 @ values["W1"] + values["b1"]) @ values["W2"] + values["b2"]
    expected = [*(900 + 170 * f[:, 0]), *(170 * np.exp(f[:, 1]))]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-13)
    # and the model's likelihood is that Normal
    data = Dataset.from_arrays(inputs=ONE, observed={"y": YEARS / 2}, dims={"x": ("obs", "p")})
    network = read_network(model, data)
    assert network.noise is None
    outputs = network.outputs_of_draws({k: v[None] for k, v in values.items()}, network.rows)[0]
    np.testing.assert_allclose(outputs[[0, -1], 0], expected[:2], rtol=1e-12)
    np.testing.assert_allclose(np.exp(outputs[[0, -1], 1]), expected[2:], rtol=1e-12)


def test_unknown_noise_is_refused():
    with pytest.raises(ModelError, match="noise expects one of constant, input; got 'none'"):
        mlp_regression(noise="none")


def test_class_probabilities_are_softmax_with_the_first_class_as_reference():
    model = mlp_classifier(hidden=(3,), rows=(0, 5))
    values = weights(2, 3, 2)
    found = model.estimands(values, TWO)
    h0 = (TWO["x"][[0, 5]] - TWO["x_mean"]) / TWO["x_scale"]
    f = np.tanh(h0 @ values["W1"] + values["b1"]) @ values["W2"] + values["b2"]
    odds = np.exp(np.column_stack([np.zeros(2), f]))
    expected = odds / odds.sum(1, keepdims=True)
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-13)
    assert set(found) <= set(model.estimand_dims)


@pytest.mark.parametrize(
    ("model", "inputs", "values"),
    [
        (mlp_regression(hidden=(3,)), ONE, {**weights(1, 3, 1), "sigma": np.array(2.0)}),
        (mlp_classifier(hidden=(3,)), TWO, weights(2, 3, 2)),
    ],
    ids=["regression", "classifier"],
)
def test_estimands_do_not_see_names_and_signs_of_hidden_units(model, inputs, values):
    here, there = model.estimands(values, inputs), model.estimands(exchanged(values), inputs)
    for name, value in here.items():
        # the sums over hidden units run in another order
        np.testing.assert_allclose(there[name], value, rtol=1e-12)
    compiled = jax.jit(lambda v: model.estimands(v, inputs))(values)
    assert set(compiled) == set(here)


def test_intercept_column_is_left_out():
    without = {**ONE, **{key: ONE[key][..., 1:] for key in ("x", "x_mean", "x_scale")}}
    model = mlp_regression(hidden=(3,))
    here, there = (
        read_density(model, Dataset.from_arrays(inputs=inputs, observed={"y": YEARS / 2}))
        for inputs in (ONE, without)
    )
    z = np.random.default_rng(3).normal(size=here.size)
    assert here.size == there.size == 3 + 3 + 3 + 1 + 1
    np.testing.assert_array_equal(here.log_terms(z), there.log_terms(z))


def test_hidden_layers_are_stacked():
    model = mlp_regression(hidden=(5, 2), activation="softplus")
    density = read_density(model, Dataset.from_arrays(inputs=ONE, observed={"y": YEARS}))
    shapes = {s.name: s.shape for s in density.sites if s.role == "parameter"}
    assert shapes == {
        "W1": (1, 5), "b1": (5,), "W2": (5, 2), "b2": (2,), "W3": (2, 1), "b3": (1,), "sigma": (),
    }  # fmt: skip


def test_two_classes_need_no_num_classes():
    data = Dataset.from_arrays(inputs=TWO, observed={"y": np.arange(9) % 2})
    density = read_density(mlp_classifier(hidden=(3,)), data)
    assert density.site("W2").shape == (3, 1)


@pytest.mark.parametrize("factory", [mlp_regression, mlp_classifier])
def test_unknown_activation_is_refused(factory):
    with pytest.raises(ModelError, match="expects one of identity, .*, tanh; got 'step'"):
        factory(activation="step")


def test_response_unit_moves_the_function_not_its_shape():
    """Metres or kilometres: the same weights give the same function in the other unit."""
    model, values = mlp_regression(hidden=(3,)), {**weights(1, 3, 1), "sigma": jnp.ones(())}
    here = model.estimands(values, ONE)
    scaled = model.estimands(values, {**ONE, "y_mean": 0.9, "y_scale": 0.17})
    for name in here.keys() - {"sigma"}:
        np.testing.assert_allclose(here[name], 1000 * scaled[name], rtol=1e-13)
