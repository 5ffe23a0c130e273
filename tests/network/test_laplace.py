"""Laplace's approximation of networks: exact where a network is linear in its weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import workbench as wb
from models.mlp_classifier import mlp_classifier
from models.mlp_regression import mlp_regression
from workbench.errors import FitError, UsageError
from workbench.network import fit_network_laplace, read_network
from workbench.network.climb import Programs, climb

STACK = wb.load_dataset("stackloss")  # 21 rows, 3 covariates


def standardised(data):
    i = data.inputs
    covariates = slice(1, None)
    return (i["x"] - i["x_mean"])[:, covariates] / i["x_scale"][covariates]


EXACT = {"tolerance": 1e-12}  # nats: a mode to a millionth of a standard error


def blr(features, prior_sd, data, noise):
    """Log evidence, and posterior mean and covariance, of Bayesian linear regression."""
    scale, y = data.inputs["y_scale"], data.observed["y"] - data.inputs["y_mean"]
    root = scale * features * prior_sd
    total = root @ root.T + noise**2 * np.eye(len(y))
    log_evidence = stats.multivariate_normal(np.zeros(len(y)), total).logpdf(y)
    gain = root.T @ np.linalg.inv(total)
    mean, covariance = gain @ y, np.eye(root.shape[1]) - gain @ root
    return log_evidence, prior_sd * mean, covariance * np.outer(prior_sd, prior_sd)


def with_bias(h):
    return np.column_stack([h, np.ones(len(h))])


@pytest.fixture(scope="module")
def linear():
    """A network without hidden layers at its data."""
    return read_network(mlp_regression(hidden=()), STACK)


def test_evidence_of_a_linear_network_is_that_of_bayesian_linear_regression(linear):
    fit = fit_network_laplace(linear, precision=3.0, noise=4.0, **EXACT)
    sd = np.array([2 / np.sqrt(3)] * 3 + [2.0]) / np.sqrt(3.0)
    features = with_bias(standardised(STACK))
    log_evidence, mean, covariance = blr(features, sd, STACK, 4.0)
    assert fit.converged
    assert fit.log_evidence == pytest.approx(log_evidence, rel=1e-10)
    np.testing.assert_allclose(fit.z[linear.positions], mean, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-8, atol=1e-12)
    found = fit.predict(linear.rows)
    scale = STACK.inputs["y_scale"]
    spread = scale**2 * np.einsum("nd,de,ne->n", features, covariance, features)
    np.testing.assert_allclose(found.sd, np.sqrt(spread + 16.0), rtol=1e-8)
    np.testing.assert_allclose(
        found.mean, STACK.inputs["y_mean"] + scale * features @ mean, rtol=1e-6
    )


def test_tuned_precision_and_noise_maximise_the_evidence(linear):
    fit = fit_network_laplace(linear, **EXACT)
    features = with_bias(standardised(STACK))

    def evidence(alpha, noise):
        sd = np.array([2 / np.sqrt(3)] * 3 + [2.0]) / np.sqrt(alpha)
        return blr(features, sd, STACK, noise)[0]

    alpha = fit.precision[0]
    best = evidence(alpha, fit.noise)
    assert fit.log_evidence == pytest.approx(best, abs=1e-6)
    for factor in (0.95, 1.05):
        assert evidence(alpha * factor, fit.noise) < best
        assert evidence(alpha, fit.noise * factor) < best
    # tr(H^-1 C) counts between none and all of the weights
    assert 0 < fit.num_effective < 4


def test_tuned_hyperparameters_of_a_curved_network_maximise_its_evidence():
    """Each neighbour at its own mode: the evidence moves through the mode too."""
    network = read_network(mlp_regression(hidden=(2,)), wb.load_dataset("nile").take(range(40)))
    fit = fit_network_laplace(network, precision="layer", tolerance=1e-6)
    assert fit.converged
    assert fit.history["log_evidence"].is_monotonic_increasing
    programs = Programs.of(network)

    def evidence(log_factors):
        alpha, z = fit.precision * np.exp(log_factors[:2]), fit.z.copy()
        z[network.noise.start] += log_factors[2]
        end = climb(programs, z, alpha, damping=1.0, max_steps=100, tolerance=1e-12)
        return programs.evidence(end.z, alpha)[0]

    best = evidence(np.zeros(3))
    assert fit.log_evidence == pytest.approx(best, abs=1e-6)
    for axis in np.eye(3):
        assert max(evidence(0.05 * axis), evidence(-0.05 * axis)) < best
        # 1e-6 nats still to be won along a curvature of tens leave a slope of a hundredth
        slope = (evidence(1e-3 * axis) - evidence(-1e-3 * axis)) / 2e-3
        assert abs(slope) < 0.02


def test_kronecker_is_exact_where_every_row_has_the_same_derivative(linear):
    full, kron = (
        fit_network_laplace(linear, precision=1.0, noise=4.0, structure=s, **EXACT)
        for s in ("full", "kronecker")
    )
    np.testing.assert_allclose(kron.covariance, full.covariance, rtol=1e-8, atol=1e-12)
    assert kron.log_evidence == pytest.approx(full.log_evidence, rel=1e-10)


@pytest.mark.parametrize(
    "activation",
    ["identity", pytest.param("tanh", marks=[pytest.mark.slow, pytest.mark.reference])],
)
def test_last_layer_is_bayesian_linear_regression_on_the_hidden_units(activation):
    network = read_network(mlp_regression(hidden=(3,), activation=activation), STACK)
    fit = fit_network_laplace(
        network, precision=1.0, noise=4.0, structure="last layer", tolerance=1e-7
    )
    w = network.weights(fit.z)
    hidden = standardised(STACK) @ w["W1"] + w["b1"]
    features = with_bias(hidden if activation == "identity" else np.tanh(hidden))
    sd = np.array([2 / np.sqrt(3)] * 3 + [2.0])
    log_evidence, mean, covariance = blr(features, sd, STACK, 4.0)
    assert fit.converged
    assert len(fit.where) == 4
    # at the mode of all weights the last layer is at its own, to 1e-7 nats
    assert fit.log_evidence == pytest.approx(log_evidence, abs=1e-6)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(fit.z[network.positions][fit.where], mean, atol=1e-3)


@pytest.mark.slow
@pytest.mark.reference
def test_one_row_makes_the_blocks_of_kronecker_and_full_the_same():
    """A sum of one product is the product of the sums."""
    network = read_network(mlp_regression(hidden=(2,)), STACK.take([3]))
    full, kron, diagonal = (
        np.linalg.inv(
            fit_network_laplace(network, precision=1.0, noise=4.0, structure=s, **EXACT).covariance
        )
        for s in ("full", "kronecker", "diagonal")
    )
    same_layer = network.layers[:, None] == network.layers
    np.testing.assert_allclose(kron, np.where(same_layer, full, 0.0), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(diagonal, np.diag(np.diag(full)), rtol=1e-9, atol=1e-12)


def test_logistic_regression_has_its_exact_hessian():
    """For a canonical link Gauss-Newton is Newton: mode, covariance and evidence in closed form."""
    data = wb.load_dataset("spector")
    fit = fit_network_laplace(mlp_classifier(hidden=()), data, precision=1.0, **EXACT)
    X, y = with_bias(standardised(data)), data.observed["y"]
    sd = np.array([2 / np.sqrt(3)] * 3 + [2.0])
    w = fit.z
    p = 1 / (1 + np.exp(-X @ w))
    H = (X.T * p * (1 - p)) @ X + np.diag(sd**-2)
    gradient = X.T @ (y - p) - w / sd**2
    assert gradient @ np.linalg.solve(H, gradient) < 1e-11
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(H), rtol=1e-8, atol=1e-12)
    evidence = (
        np.sum(np.log(np.where(y == 1, p, 1 - p)))
        + stats.norm(0, sd).logpdf(w).sum()
        + 2 * np.log(2 * np.pi)
        - 0.5 * np.linalg.slogdet(H)[1]
    )
    assert fit.log_evidence == pytest.approx(evidence, rel=1e-10)
    # draws of the linearised log-odds pull probabilities towards one half
    averaged = fit.predict(fit.network.rows, num=2000).prob[:, 1]
    far = np.abs(p - 0.5) > 0.2
    assert (np.abs(averaged - 0.5) < np.abs(p - 0.5))[far].all()


def test_what_cannot_be_done_is_said(linear):
    with pytest.raises(UsageError, match="structure expects one of full, .*; got 'block'"):
        fit_network_laplace(linear, structure="block")
    with pytest.raises(UsageError, match="precision expects a number or one of one, layer"):
        fit_network_laplace(linear, precision="all")
    with pytest.raises(UsageError, match="noise expects a positive number; got -1"):
        fit_network_laplace(linear, noise=-1.0)
    with pytest.raises(FitError, match="no constant noise to be given: its family is Categorical"):
        fit_network_laplace(mlp_classifier(hidden=()), wb.load_dataset("spector"), noise=1.0)


def test_noise_that_varies_is_told_from_noise_that_does_not(rng):
    """The evidence decides: a noise head that is not needed is shrunk away."""
    x = np.sort(rng.uniform(-2, 2, size=150))
    shared = {"x_mean": np.zeros(1), "x_scale": np.ones(1), "y_mean": 0.0, "y_scale": 1.0}
    fits = {}
    for kind, log_sd in (("varies", -1.5 + 0.8 * x), ("constant", np.full(150, -1.5))):
        y = x + np.exp(log_sd) * rng.normal(size=150)
        data = wb.Dataset.from_arrays(
            inputs={"x": x[:, None], **shared}, observed={"y": y}, dims={"x": ("obs", "covariate")}
        )
        for noise in ("constant", "input"):
            model = mlp_regression(hidden=(2,), noise=noise)
            fits[kind, noise] = fit_network_laplace(model, data, precision="layer")
    assert all(fit.converged for fit in fits.values())
    gain = {
        k: fits[k, "input"].log_evidence - fits[k, "constant"].log_evidence
        for k in ("varies", "constant")
    }
    # sds from 0.05 to 1.1: tens of nats; where there is nothing to find, the same model but for
    # the prior of one log sd, wide against its error of 1 / sqrt(300)
    assert gain["varies"] > 20
    assert -5 < gain["constant"] < 2
    outputs = fits["varies", "input"].outputs({"x": np.array([[-1.5], [1.5]]), **shared})[0]
    # a slope of 0.8 over 3, its error from 150 rows about 0.15
    assert outputs[1, 1] - outputs[0, 1] == pytest.approx(2.4, abs=0.6)
