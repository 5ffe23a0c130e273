"""A mixture of two normals: y_i ~ theta Normal(mu_1, sigma_1) + (1 - theta) Normal(mu_2, sigma_2).

The labels are summed out, and mu_1 < mu_2 tells the components apart.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from ..cases import load_frame
from ..posterior import posterior


def two_normals(y=None):
    """Ordered Normal(0, 2) locations, half-Normal(2) scales, a Beta(5, 5) weight."""
    mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.ordered_vector, (), (2,)))
    numpyro.factor("prior of mu", dist.Normal(0, 2).log_prob(mu).sum())
    sigma = numpyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
    theta = numpyro.sample("theta", dist.Beta(5.0, 5.0))
    weights = dist.Categorical(probs=jnp.stack([theta, 1 - theta]))
    with numpyro.plate("rows", 1000):
        numpyro.sample("y", dist.MixtureSameFamily(weights, dist.Normal(mu, sigma)), obs=y)


def data():
    """A thousand simulated values, well separated."""
    return {"y": load_frame("posteriordb", "low_dim_gauss_mix-low_dim_gauss_mix")["y"].to_numpy()}


CASES = {"low_dim_gauss_mix-low_dim_gauss_mix": posterior(two_normals, data)}
