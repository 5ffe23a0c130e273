"""Eight schools (Rubin 1981): y_j ~ Normal(theta_j, sigma_j), theta_j ~ Normal(mu, tau)."""

from __future__ import annotations

import numpyro
import numpyro.distributions as dist

from ..cases import load_frame
from ..posterior import posterior


def centred(sigma, y=None):
    """Eight schools with the effects sampled as they are: a funnel."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("school", 8):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def non_centred(sigma, y=None):
    """Eight schools with standardised effects: the same posterior."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("school", 8):
        standardised = numpyro.sample("theta_trans", dist.Normal(0.0, 1.0))
        theta = numpyro.deterministic("theta", mu + tau * standardised)
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def data():
    """Estimated effects and their standard errors."""
    frame = load_frame("posteriordb", "eight_schools-eight_schools_noncentered")
    return {name: frame[name].to_numpy(float) for name in ("sigma", "y")}


CASES = {
    "eight_schools-eight_schools_centered": posterior(centred, data),
    "eight_schools-eight_schools_noncentered": posterior(non_centred, data),
}
