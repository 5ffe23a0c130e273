"""A perceptron is its formula, and its prior keeps the size of functions whatever the width."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from numpyro import handlers

from workbench.errors import ModelError
from workbench.model.network import activation_function, perceptron, sample_weights

FORMULAS = {
    "identity": lambda t: t,
    "relu": lambda t: np.maximum(t, 0),
    "sigmoid": lambda t: 1 / (1 + np.exp(-t)),
    "softplus": lambda t: np.log(1 + np.exp(t)),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_two_hidden_layers_are_the_formula(name, rng):
    phi, x = FORMULAS[name], rng.normal(size=(6, 3))
    shapes = {"W1": (3, 5), "b1": (5,), "W2": (5, 2), "b2": (2,), "W3": (2, 1), "b3": (1,)}
    w = {key: rng.normal(size=shape) for key, shape in shapes.items()}
    h1 = phi(x @ w["W1"] + w["b1"])
    h2 = phi(h1 @ w["W2"] + w["b2"])
    # an entry of another name, such as sigma, is not a layer
    found = perceptron({**w, "sigma": 1.0}, x, name)
    np.testing.assert_allclose(found, h2 @ w["W3"] + w["b3"], rtol=1e-13)


def test_unknown_activation_is_refused():
    with pytest.raises(
        ModelError, match="one of identity, relu, sigmoid, softplus, tanh; got 'sin'"
    ):
        activation_function("sin")


@pytest.mark.parametrize("width", [2, 200])
def test_prior_variance_does_not_grow_with_the_width(width):
    """At one relu layer Var f = omega^2 (1 + E h^2), with E h^2 = omega^2 (1 + x^2) / 2."""
    omega, x, draws = 1.5, 0.8, 20_000

    def f(key):
        with handlers.seed(rng_seed=key):
            return perceptron(sample_weights((1, width, 1), omega), np.array([[x]]), "relu")[0, 0]

    values = np.asarray(jax.vmap(f)(jax.random.split(jax.random.key(0), draws)))
    expected = omega**2 * (1 + omega**2 * (1 + x**2) / 2)
    squares = values**2
    # five standard errors of a mean of squares (the mean of f is 0)
    assert abs(squares.mean() - expected) < 5 * squares.std() / np.sqrt(draws)
