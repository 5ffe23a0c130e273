r"""Multilayer perceptrons, with priors scaled by fan-in.

.. math::

    h_0 = x, \qquad h_l = \phi(W_l^\top h_{l-1} + b_l) \quad (l < L), \qquad
    f(x) = W_L^\top h_{L-1} + b_L

.. math::

    W_l \sim \mathrm{Normal}\big(0,\ \omega / \sqrt{H_{l-1}}\big), \qquad
    b_l \sim \mathrm{Normal}(0,\ \omega)

Layer l has :math:`H_l` units, and :math:`H_0` is the number of covariates. The sum over a layer's
:math:`H_{l-1}` inputs then has the same spread however many they are, so that a wider layer means
neither larger nor wilder functions; as the width grows, the prior of f tends to a Gaussian process
(Neal, R. M. 1996, Bayesian Learning for Neural Networks, chapter 2, Springer,
doi:10.1007/978-1-4612-0745-0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from workbench.errors import ModelError

_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "identity": lambda a: a,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}


def activation_function(name: str) -> Callable[[jax.Array], jax.Array]:
    """Look an activation up by its name.

    Parameters
    ----------
    name : str
        One of ``identity``, ``relu``, ``sigmoid``, ``softplus``, ``tanh``.

    Returns
    -------
    callable
        An elementwise function of an array.

    Raises
    ------
    ModelError
        When the name is unknown.

    Examples
    --------
    >>> print(float(activation_function("relu")(-1.0)))
    0.0
    """
    if name not in _ACTIVATIONS:
        raise ModelError(f"activation expects one of {', '.join(_ACTIVATIONS)}; got '{name}'")
    return _ACTIVATIONS[name]


def perceptron(weights: Mapping[str, Any], x: jax.Array, activation: str) -> jax.Array:
    """Evaluate a network at some rows.

    Parameters
    ----------
    weights : mapping
        ``W1`` (fan-in, width), ``b1`` (width,), ``W2``, ``b2`` and so on, a pair for each layer;
        other entries are ignored.
    x : jax.Array
        Standardised covariates, shape (N, P).
    activation : str
        Of the hidden layers: one of ``identity``, ``relu``, ``sigmoid``, ``softplus``, ``tanh``.

    Returns
    -------
    jax.Array
        Outputs of the last layer, which is linear, shape (N, width).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> ones = {"W1": jnp.ones((1, 2)), "b1": jnp.zeros(2), "W2": jnp.ones((2, 1)), "b2": 1.0}
    >>> print(float(perceptron(ones, jnp.ones((1, 1)), "relu")[0, 0]))
    3.0
    """
    phi = activation_function(activation)
    h, layer = x, 1
    while f"W{layer + 1}" in weights:
        h = phi(h @ weights[f"W{layer}"] + weights[f"b{layer}"])
        layer += 1
    return h @ weights[f"W{layer}"] + weights[f"b{layer}"]


def sample_weights(widths: Sequence[int], prior_scale: float) -> dict[str, jax.Array]:
    """Declare the sites of a network's weights.

    Parameters
    ----------
    widths : sequence of int
        Numbers of covariates, of units in each hidden layer, and of outputs.
    prior_scale : float
        The factor omega of the priors' sd.

    Returns
    -------
    dict
        The values of the sites ``W1``, ``b1``, ``W2``, ``b2`` and so on.

    Examples
    --------
    >>> from numpyro import handlers
    >>> with handlers.seed(rng_seed=0):
    ...     {name: value.shape for name, value in sample_weights((3, 4, 1), 1.0).items()}
    {'W1': (3, 4), 'b1': (4,), 'W2': (4, 1), 'b2': (1,)}
    """
    weights = {}
    for layer, (fan_in, width) in enumerate(zip(widths[:-1], widths[1:], strict=True), start=1):
        W = dist.Normal(0, prior_scale / np.sqrt(fan_in)).expand([fan_in, width])
        weights[f"W{layer}"] = numpyro.sample(f"W{layer}", W.to_event(2))
        b = dist.Normal(0, prior_scale).expand([width])
        weights[f"b{layer}"] = numpyro.sample(f"b{layer}", b.to_event(1))
    return weights
