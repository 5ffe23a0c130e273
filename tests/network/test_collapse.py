"""The last layer integrated out: the density is the integral, and the draws are the posterior's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import workbench as wb
from models.mlp_regression import mlp_regression
from workbench.errors import FitError
from workbench.network import read_network
from workbench.network.collapse import Collapsed, log_marginal

STACK = wb.load_dataset("stackloss")


def test_log_marginal_and_its_gradient(rng):
    design, r, sigma = rng.normal(size=(9, 3)), rng.normal(size=9), 0.7
    covariance = sigma**2 * np.eye(9) + design @ design.T
    value, gradient = jax.value_and_grad(log_marginal, argnums=(0, 1, 2))(design, sigma, r)
    assert value == pytest.approx(stats.multivariate_normal(np.zeros(9), covariance).logpdf(r))
    at = (design, np.asarray(sigma), r)
    for k in range(3):
        move = rng.normal(size=np.shape(at[k]))
        ends = [
            float(log_marginal(*[v + (h * move if j == k else 0) for j, v in enumerate(at)]))
            for h in (-1e-5, 1e-5)
        ]
        # central differences: error of order h squared
        assert np.sum(gradient[k] * move) == pytest.approx((ends[1] - ends[0]) / 2e-5, rel=1e-7)


@pytest.fixture(scope="module")
def collapsed():
    return Collapsed.of(read_network(mlp_regression(hidden=(3,)), STACK))


def test_density_without_the_last_layer_is_the_joint_over_its_conditional(collapsed, rng):
    """p(hidden, sigma, y) = p(hidden, sigma, w, y) / p(w given hidden, sigma, y), at any w."""
    network = collapsed.network
    z = 0.5 * rng.normal(size=network.density.size)
    z[network.noise.start] = np.log(4.0)
    weights = network.weights(z)
    marginal = float(collapsed.density.log_terms(jnp.asarray(z[collapsed.kept])).log_joint)
    # both in unconstrained coordinates: the Jacobian of sigma is sigma
    joint = float(network.density.log_terms(jnp.asarray(z)).log_joint) + np.log(4.0)
    x = (STACK.inputs["x"] - STACK.inputs["x_mean"])[:, 1:] / STACK.inputs["x_scale"][1:]
    h = np.tanh(x @ weights["W1"] + weights["b1"])
    features = np.column_stack([h, np.ones(len(h))]) * STACK.inputs["y_scale"]
    sd = np.array([2 / np.sqrt(3)] * 3 + [2.0])
    precision = features.T @ features / 16.0 + np.diag(sd**-2)
    mean = np.linalg.solve(
        precision, features.T @ (STACK.observed["y"] - STACK.inputs["y_mean"]) / 16
    )
    w = np.append(weights["W2"], weights["b2"])
    given = stats.multivariate_normal(mean, np.linalg.inv(precision)).logpdf(w)
    assert marginal == pytest.approx(joint - given, rel=1e-10)
    # the last layer is drawn from that conditional: means within five standard errors
    size = 4000
    many = np.tile(z[collapsed.kept], (size, 1))
    drawn = collapsed.expand(many, jax.random.key(0))
    w = np.column_stack([drawn["W2"][:, :, 0], drawn["b2"]])
    spread = np.sqrt(np.diag(np.linalg.inv(precision)))
    assert (np.abs(w.mean(axis=0) - mean) < 5 * spread / np.sqrt(size)).all()
    np.testing.assert_allclose(np.cov(w.T), np.linalg.inv(precision), atol=0.1 * spread.max() ** 2)


def test_noise_that_is_not_normal_is_refused():
    from models.mlp_classifier import MODEL

    with pytest.raises(FitError, match="got family Categorical and 1 hidden layers: use fit_nuts"):
        Collapsed.of(read_network(MODEL, wb.load_dataset("iris")))


def test_splits_of_one_size_share_their_programs():
    model = mlp_regression(hidden=(3,))
    networks = [read_network(model, train) for train, _ in wb.load_splits("energy")[:2]]
    assert networks[0].twin is networks[1].twin
    # with one covariate too, where what is reported is called by values of the data
    halves = [wb.load_dataset("nile").take(range(j, 100, 2)) for j in range(2)]
    assert len({id(read_network(model, half).twin) for half in halves}) == 1
    one, other = (Collapsed.of(n).density for n in networks)
    assert one.twin is other.twin
    # and each has its own data
    z = jnp.zeros(one.size)
    assert one.log_terms(z).log_joint != other.log_terms(z).log_joint
