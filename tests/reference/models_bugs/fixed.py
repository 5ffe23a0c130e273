"""Examples without random effects: beetles, line, mice."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import xlogy

from ..posterior import posterior
from .columns import columns, scale


def beetles(x, n, r=None):
    """Binomial regression with a logit link; D is the deviance from the saturated model."""
    centred = x - x.mean()
    star = numpyro.sample("alpha.star", dist.Normal(0, 1e3**0.5))
    beta = numpyro.sample("beta", dist.Normal(0, 1e3**0.5))
    eta = star + beta * centred
    numpyro.deterministic("alpha", star - beta * x.mean())
    p = numpyro.deterministic("r.hat", n * jax.nn.sigmoid(eta)) / n
    numpyro.sample("r", dist.Binomial(n, logits=eta), obs=r)
    if r is not None:
        saturated = xlogy(r, r / n) + xlogy(n - r, 1 - r / n)
        numpyro.deterministic("D", 2 * (saturated - xlogy(r, p) - xlogy(n - r, 1 - p)).sum())


def line(x, Y=None):
    """A line through five points."""
    alpha = numpyro.sample("alpha", dist.Normal(0, 100))
    beta = numpyro.sample("beta", dist.Normal(0, 100))
    sigma = scale("sigma")
    numpyro.deterministic("tau", 1 / sigma**2)
    numpyro.sample("Y", dist.Normal(alpha + beta * (x - x.mean()), sigma), obs=Y)


def mice(group, late, late_group, t=None):
    """Weibull times in four groups, the late ones censored: density r m t^(r-1) exp(-m t^r)."""
    beta = numpyro.sample("beta", dist.Normal(0, 100).expand([4]).to_event(1))
    r = numpyro.sample("r", dist.Gamma(1.0, 0.0001))
    for name, j in [("veh.control", 1), ("test.sub", 2), ("pos.control", 3)]:
        numpyro.deterministic(name, beta[j] - beta[0])
    numpyro.deterministic("median", (jnp.log(2.0) * jnp.exp(-beta)) ** (1 / r))
    numpyro.sample("t", dist.Weibull(jnp.exp(-beta[group] / r), r), obs=t)
    numpyro.factor("censored", -(jnp.exp(beta[late_group]) * late**r).sum())


def mice_data():
    """Times of death, and the times at which the survivors were last seen."""
    c = columns("mice")
    seen = c["censored"] == 0
    group, t = c["group"] - 1, c["t"].astype(float)
    return {"group": group[seen], "t": t[seen], "late": t[~seen], "late_group": group[~seen]}


def floats(case: str) -> dict[str, np.ndarray]:
    """The table of a case, in floating point."""
    return {name: column.astype(float) for name, column in columns(case).items()}


CASES = {
    "beetles": posterior(beetles, partial(floats, "beetles")),
    "line": posterior(line, partial(floats, "line")),
    "mice": posterior(mice, mice_data, target_accept_prob=0.9),
}
