"""Nonlinear regression: any mean function, certified optimum, refused priors."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from models.nonlinear import MODEL, nonlinear
from workbench.data import load_dataset
from workbench.errors import ModelError
from workbench.fit import fit_mle
from workbench.model import read_density


def test_real_and_positive_parameters_reach_the_mean():
    model = nonlinear(
        lambda x, a, b: a + b * x[:, -1],
        {"a": dist.Normal(2.0, 3.0), "b": dist.LogNormal(1.0, 0.5)},
    )
    data = {"x": np.array([[0.0], [1.0]]), "y_scale": 1.0, "y": np.zeros(2)}
    density = read_density(model, data)
    values = density.constrain(jnp.array([0.5, -1.0, 0.0]))
    a, b = 2 + 3 * 0.5, np.exp(1 - 0.5)
    found = density.estimands(values)
    assert list(found) == ["a", "b", "sigma"]
    np.testing.assert_allclose(list(found.values()), [a, b, 1.0], rtol=1e-14)
    expected = -0.5 * (a**2 + (a + b) ** 2) - np.log(2 * np.pi)
    found = density.log_terms(jnp.array([0.5, -1.0, 0.0])).log_likelihood
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_default_finds_the_certified_optimum_from_generic_starts(seed):
    """NIST certifies b1, b2 and the residual sum of squares of Misra1a to 11 digits."""
    fit = fit_mle(MODEL, load_dataset(MODEL.defaults["data"]), seed=seed)
    # 11 digits are certified, and Newton's method ends at rounding level
    np.testing.assert_allclose(fit.values["b1"], 2.3894212918e02, rtol=1e-10)
    np.testing.assert_allclose(fit.values["b2"], 5.5015643181e-04, rtol=1e-10)
    np.testing.assert_allclose(fit.values["sigma"], np.sqrt(1.2455138894e-01 / 14), rtol=1e-10)
    # log likelihood 13.19; a start that drifts to the straight line (b2 = 0) ends at -30.5
    assert (fit.starts.log_objective > 13).all()


def test_other_priors_are_refused():
    with pytest.raises(ModelError, match="parameter 'b' .* LogNormal or Normal prior; got Gamma"):
        nonlinear(lambda x, b: b * x[:, 0], {"b": dist.Gamma(2.0, 1.0)})
