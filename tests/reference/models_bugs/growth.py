"""Growth curves, a curve for each animal or tree: birats and orange trees."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from ..cases import load_frame
from ..posterior import posterior
from .columns import scale


def birats(x, Y=None):
    """Weights of thirty rats: a line each, intercept (at the mean age) and slope independent."""
    mu = numpyro.sample("mu.beta", dist.Normal(0, 1e5**0.5).expand([2]).to_event(1))
    spread, sigma = scale("sigma.beta", 2), scale("sigma")
    numpyro.deterministic("alpha0", mu[0] - mu[1] * x.mean())
    with numpyro.plate("rats", 30):
        beta = numpyro.sample("beta", dist.Normal(mu, spread).to_event(1))
    mean = beta[:, :1] + beta[:, 1:] * (x - x.mean())
    numpyro.sample("Y", dist.Normal(mean, sigma), obs=Y)


def orange(x, Y=None):
    """Circumferences of five trees: phi_1 / (1 + phi_2 exp(phi_3 x)).

    phi_1 = exp(theta_1), phi_2 = exp(theta_2) - 1, phi_3 = -exp(theta_3). The trees tell theta_1
    well (centred), the two others hardly (non-centred).
    """
    mu = numpyro.sample("mu", dist.Normal(0, 100).expand([3]).to_event(1))
    sigma, noise = scale("sigma", 3), scale("sigmaC")
    with numpyro.plate("trees", 5):
        size = numpyro.sample("size", dist.Normal(mu[0], sigma[0]))
        standardised = numpyro.sample("standardised", dist.Normal(0, 1).expand([2]).to_event(1))
    shape = mu[1:] + sigma[1:] * standardised
    phi2, phi3 = jnp.exp(shape[:, :1]) - 1, -jnp.exp(shape[:, 1:])
    mean = jnp.exp(size[:, None]) / (1 + phi2 * jnp.exp(phi3 * x))
    numpyro.sample("Y", dist.Normal(mean, noise), obs=Y)


def birats_data():
    """Ages in days, and weights (rats, ages)."""
    weights = load_frame("classic_bugs", "birats").to_numpy(float)
    return {"x": np.array([8.0, 15.0, 22.0, 29.0, 36.0]), "Y": weights}


def orange_data():
    """Days since the end of 1968, and circumferences (trees, days)."""
    days = np.array([118.0, 484.0, 664.0, 1004.0, 1231.0, 1372.0, 1582.0])
    return {"x": days, "Y": load_frame("classic_bugs", "orange").to_numpy(float)}


CASES = {
    "birats": posterior(birats, birats_data),
    "orange": posterior(
        orange, orange_data, target_accept_prob=0.95, num_warmup=2000, num_samples=2000
    ),
}
