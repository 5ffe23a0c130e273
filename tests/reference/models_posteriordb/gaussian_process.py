"""Gaussian-process regression: y ~ Normal(0, K + sigma I).

K_ij = alpha^2 exp(-(x_i - x_j)^2 / (2 rho^2)); sigma is the *variance* of the noise.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from ..cases import load_frame
from ..posterior import posterior


def regression(x, y=None):
    """An exponentiated quadratic kernel, the function integrated out."""
    rho = numpyro.sample("rho", dist.Gamma(25.0, 4.0))
    alpha = numpyro.sample("alpha", dist.HalfNormal(2.0))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    kernel = alpha**2 * jnp.exp(-0.5 * ((x[:, None] - x) / rho) ** 2)
    covariance = kernel + sigma * jnp.eye(len(x))
    numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(len(x)), covariance), obs=y)


def data():
    """Eleven simulated points."""
    frame = load_frame("posteriordb", "gp_pois_regr-gp_regr")
    return {name: frame[name].to_numpy(float) for name in ("x", "y")}


CASES = {"gp_pois_regr-gp_regr": posterior(regression, data)}
