"""Covariances of least squares, side by side: each has a closed form."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench import plot
from workbench.errors import FitError
from workbench.model.latents import unconstrain

RNG = np.random.default_rng(31)
N = 40
X = np.column_stack([np.ones(N), RNG.normal(size=N)])
# the noise grows with the covariate's square, which the model does not know
Y = X @ [1.0, 2.0] + RNG.normal(size=N) * X[:, 1] ** 2
PRIOR = 3.0


def regression(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, PRIOR).expand([2]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    with numpyro.plate("obs", N):
        numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


@pytest.fixture(scope="module")
def found() -> wb.Covariance:
    return wb.covariance(regression, {"x": X, "y": Y}, quick=True)


def test_parameters_are_one_vector_and_come_back():
    density = wb.read_density(regression, {"x": X, "y": Y})
    z = jnp.asarray(RNG.normal(size=3))
    assert density.z_labels == ("beta[0]", "beta[1]", "log(sigma)")
    values = density.constrain(z)
    # rounding of one exponential and one logarithm
    np.testing.assert_allclose(unconstrain(density, values), z, rtol=1e-12, atol=1e-14)


def test_information_is_that_of_least_squares(found):
    inverse = np.linalg.inv(X.T @ X)
    residual = Y - X @ inverse @ X.T @ Y
    variance = residual @ residual / N
    exact = np.zeros((3, 3))
    exact[:2, :2], exact[2, 2] = variance * inverse, 1 / (2 * N)
    for kind in ("observed", "expected"):
        np.testing.assert_allclose(found.matrices[kind], exact, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.table["observed"], np.sqrt(np.diag(exact)), rtol=1e-8)


def test_the_sandwich_is_whites(found):
    inverse = np.linalg.inv(X.T @ X)
    residual = Y - X @ inverse @ X.T @ Y
    white = inverse @ (X.T * residual**2) @ X @ inverse
    np.testing.assert_allclose(found.matrices["sandwich"].iloc[:2, :2], white, rtol=1e-7)
    ratio = np.sqrt(white[1, 1] / found.matrices["observed"].iloc[1, 1])
    assert ratio > 1.25
    assert any(s.startswith("The sandwich gives beta[1]") for s in found.sentences)


def test_extreme_ratios_are_generalised_eigenvalues(found):
    ours = np.linalg.solve(found.matrices["observed"], found.matrices["Laplace"])
    own = np.linalg.eigvals(ours).real
    row = found.ratios.loc["Laplace"]
    np.testing.assert_allclose([row["smallest"], row["largest"]], [own.min(), own.max()], rtol=1e-8)


def test_draws_give_the_covariance_of_the_posterior():
    def known(x: Any, y: Any = None) -> None:
        beta = numpyro.sample("beta", dist.Normal(0, PRIOR).expand([2]).to_event(1))
        with numpyro.plate("obs", N):
            numpyro.sample("y", dist.Normal(x @ beta, 2.0), obs=y)

    nuts = wb.fit_nuts(known, {"x": X, "y": Y}, seed=4, num_samples=500)
    found = wb.covariance(nuts.density, nuts=nuts)
    posterior = np.linalg.inv(X.T @ X / 4 + np.eye(2) / PRIOR**2)
    np.testing.assert_allclose(found.matrices["Laplace"], posterior, rtol=1e-8)
    # a variance from 2,000 nearly independent draws has a relative error of sqrt(2 / 2000)
    np.testing.assert_allclose(np.diag(found.matrices["posterior"]), np.diag(posterior), rtol=0.15)


def test_a_kind_that_is_not_there_has_its_reason():
    def flat(y: Any = None) -> None:
        a, b = (numpyro.sample(n, dist.Normal(0, 1)) for n in "ab")
        numpyro.sample("y", dist.Normal(a + b, 1.0), obs=y)

    with pytest.raises(FitError, match="covariance expects a regular maximum of the likelihood"):
        wb.covariance(flat, {"y": np.array([1.0, 2.0])}, quick=True)

    def factor(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        numpyro.factor("y", -0.5 * jnp.sum((y - mu) ** 2))

    found = wb.covariance(factor, {"y": np.arange(3.0)}, quick=True)
    assert set(found.reasons) == {"expected", "sandwich"}
    assert "likelihood as the factor 'y'" in found.reasons["sandwich"]


def test_the_picture_has_a_panel_for_each_kind(found):
    panels = plot.covariance(found).ravel()
    titles = [ax.get_title(loc="left") for ax in panels]
    assert titles[:4] == ["observed", "expected", "sandwich", "Laplace"]
    drawn = panels[0].get_images()[0].get_array()
    np.testing.assert_allclose(np.diag(drawn), 1.0)
