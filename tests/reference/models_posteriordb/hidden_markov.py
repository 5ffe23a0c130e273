"""Two-state hidden Markov chains, the states summed out by the forward recursion.

log a_1k = log p(y_1 | k);  log a_tk = log sum_j a_(t-1)j theta_jk + log p(y_t | k);
log p(y) = log sum_k a_Tk. As in the references, the first state has weight 1, not 1/2.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from ..cases import load_frame
from ..posterior import posterior

_ORDERED = dist.constraints.positive_ordered_vector


def forward(log_emission, transition):
    """Log-likelihood of a chain; emissions (T, K) and transitions (K, K), rows summing to 1."""

    def step(weights, emission):
        ahead = jax.nn.logsumexp(weights[:, None] + jnp.log(transition), axis=0) + emission
        return ahead, None

    last, _ = jax.lax.scan(step, log_emission[0], log_emission[1:])
    return jax.nn.logsumexp(last)


def ordered(name, location):
    """0 < value[1] < value[2], each Normal(location, 1) there."""
    value = numpyro.sample(name, dist.ImproperUniform(_ORDERED, (), (2,)))
    numpyro.factor(f"prior of {name}", dist.Normal(jnp.array(location), 1).log_prob(value).sum())
    return value


def normal_emissions(y):
    """y_t | k ~ Normal(mu_k, 1)."""
    theta1 = numpyro.sample("theta1", dist.Dirichlet(jnp.ones(2)))
    theta2 = numpyro.sample("theta2", dist.Dirichlet(jnp.ones(2)))
    mu = ordered("mu", [3.0, 10.0])
    emission = dist.Normal(mu, 1).log_prob(y[:, None])
    numpyro.factor("y", forward(emission, jnp.stack([theta1, theta2])))


def drives(u, v):
    """Basketball: inverse speed and distance to the hoop are exponential in each state."""
    theta1 = numpyro.sample("theta1", dist.Dirichlet(jnp.array([4.0, 2.0])))
    theta2 = numpyro.sample("theta2", dist.Dirichlet(jnp.array([2.0, 4.0])))
    phi, rate = ordered("phi", [0.0, 3.0]), ordered("lambda", [0.0, 3.0])
    emission = dist.Exponential(phi).log_prob(u[:, None])
    emission = emission + dist.Exponential(rate).log_prob(v[:, None])
    numpyro.factor("uv", forward(emission, jnp.stack([theta1, theta2])))


def example():
    """A simulated series."""
    return {"y": load_frame("posteriordb", "hmm_example-hmm_example")["y"].to_numpy()}


def event():
    """One tracked event."""
    frame = load_frame("posteriordb", "bball_drive_event_0-hmm_drive_0")
    return {name: frame[name].to_numpy() for name in ("u", "v")}


CASES = {
    "hmm_example-hmm_example": posterior(normal_emissions, example),
    "bball_drive_event_0-hmm_drive_0": posterior(drives, event),
}
