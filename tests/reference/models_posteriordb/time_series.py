"""Series: an autoregression of order 5 (arK), and a GARCH(1, 1).

arK: y_t ~ Normal(alpha + sum_k beta_k y_(t-k), sigma), given the first five values.
GARCH: y_t ~ Normal(mu, s_t), s_t^2 = alpha0 + alpha1 (y_(t-1) - mu)^2 + beta1 s_(t-1)^2,
s_1 = 0.5 (Bollerslev 1986, doi:10.1016/0304-4076(86)90063-1).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from ..cases import load_frame
from ..posterior import posterior


def autoregression(lags, y=None):
    """AR(K) with Normal(0, 10) coefficients and a half-Cauchy(2.5) on sigma."""
    alpha = numpyro.sample("alpha", dist.Normal(0, 10))
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([lags.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    numpyro.sample("y", dist.Normal(alpha + lags @ beta, sigma), obs=y)


def garch(y):
    """GARCH(1, 1), flat where 0 < alpha0, 0 < alpha1 < 1 and 0 < beta1 < 1 - alpha1."""
    mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), ()))
    alpha0 = numpyro.sample("alpha0", dist.ImproperUniform(dist.constraints.positive, (), ()))
    alpha1 = numpyro.sample("alpha1", dist.Uniform(0, 1))
    # Uniform(0, 1 - alpha1) has density 1 / (1 - alpha1): the factor makes the joint prior flat
    beta1 = numpyro.sample("beta1", dist.Uniform(0, 1 - alpha1))
    numpyro.factor("flat", jnp.log1p(-alpha1))

    def step(variance, before):
        variance = alpha0 + alpha1 * (before - mu) ** 2 + beta1 * variance
        return variance, variance

    first = jnp.asarray(0.5**2)
    _, later = jax.lax.scan(step, first, y[:-1])
    numpyro.sample("y", dist.Normal(mu, jnp.sqrt(jnp.concatenate([first[None], later]))), obs=y)


def lagged():
    """The series from its sixth value on, each with the five before it, latest first."""
    y = load_frame("posteriordb", "arK-arK")["y"].to_numpy()
    windows = np.lib.stride_tricks.sliding_window_view(y, 6)
    return {"lags": windows[:, 4::-1], "y": windows[:, 5]}


def series():
    """The simulated returns."""
    return {"y": load_frame("posteriordb", "garch-garch11")["y"].to_numpy()}


CASES = {
    "arK-arK": posterior(autoregression, lagged),
    "garch-garch11": posterior(garch, series),
}
