"""Examples with an effect for each trial, patient, subject, pump or plate."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from ..posterior import posterior
from .columns import columns, scale


def blocker(nc, nt, rc=None, rt=None):
    """Meta-analysis of 22 trials; delta.new is the effect of another one."""
    d = numpyro.sample("d", dist.Normal(0, 1000))
    sigma = scale("sigma")
    numpyro.sample("delta.new", dist.Normal(d, sigma))
    with numpyro.plate("trials", 22):
        mu = numpyro.sample("mu", dist.Normal(0, 1e5**0.5))
        standardised = numpyro.sample("standardised", dist.Normal(0, 1))
        numpyro.sample("rc", dist.Binomial(nc, logits=mu), obs=rc)
        numpyro.sample("rt", dist.Binomial(nt, logits=mu + d + sigma * standardised), obs=rt)


def epil(base, treated, age, last, y=None):
    """Seizures of 59 patients; alpha0 belongs to the covariates before they were centred."""
    covariates = {"Base": base, "Trt": treated, "BT": base * treated, "Age": age}
    level = numpyro.sample("level", dist.Normal(0, 100))
    eta, alpha0 = level, level
    for name, x in covariates.items():
        slope = numpyro.sample(f"alpha.{name}", dist.Normal(0, 100))
        eta, alpha0 = eta + slope * (x - x.mean()), alpha0 - slope * x.mean()
    slope = numpyro.sample("alpha.V4", dist.Normal(0, 100))
    numpyro.deterministic("alpha0", alpha0 - slope * last.mean())
    sigma = scale("sigma.b1")
    with numpyro.plate("patients", 59):
        b1 = numpyro.sample("b1", dist.Normal(0, sigma))
    rate = jnp.exp((eta + b1)[:, None] + slope * (last - last.mean()))
    numpyro.sample("y", dist.Poisson(rate), obs=y)


def epil_data():
    """Counts of four visits, the last one marked."""
    c = columns("epil")
    return {
        "base": np.log(c["Base"] / 4),
        "treated": c["Trt"].astype(float),
        "age": np.log(c["Age"]),
        "last": np.array([0.0, 0.0, 0.0, 1.0]),
        "y": np.stack([c[f"y_{k}"] for k in range(1, 5)], axis=1),
    }


def equiv(order, Y=None):
    """Two periods, two treatments in either order, ten subjects: is the ratio near one."""
    mu, phi, pi = (numpyro.sample(name, dist.Normal(0, 1000)) for name in ("mu", "phi", "pi"))
    sigma = scale("sigma", 2)
    theta = numpyro.deterministic("theta", jnp.exp(phi))
    numpyro.deterministic("equivalence", 1.0 * ((theta > 0.8) & (theta < 1.2)))
    with numpyro.plate("subjects", 10):
        standardised = numpyro.sample("standardised", dist.Normal(0, 1))
    period = jnp.array([1.0, -1.0])  # (-1)^(k - 1)
    treatment = order[:, None] * period  # (-1)^(Treat - 1)
    mean = mu + treatment * phi / 2 + period * pi / 2 + sigma[1] * standardised[:, None]
    numpyro.sample("Y", dist.Normal(mean, sigma[0]), obs=Y)


def equiv_data():
    """The order of the treatments, 1 or -1, and the two responses."""
    c = columns("equiv")
    return {"order": c["group"].astype(float), "Y": np.stack([c["Y_1"], c["Y_2"]], axis=1)}


def pump(t, x=None):
    """Failures of ten pumps at gamma rates."""
    alpha = numpyro.sample("alpha", dist.Exponential(1.0))
    beta = numpyro.sample("beta", dist.Gamma(0.1, 1.0))
    with numpyro.plate("pumps", 10):
        theta = numpyro.sample("theta", dist.Gamma(alpha, beta))
        numpyro.sample("x", dist.Poisson(theta * t), obs=x)


def salm(x, y=None):
    """Revertant colonies at six doses on three plates each, overdispersed."""
    log_x = jnp.log(x + 10)
    star = numpyro.sample("alpha.star", dist.Normal(0, 100))
    beta = numpyro.sample("beta", dist.Normal(0, 100))
    # per 1000 units of dose: in the table's units the slope is 1e-3, far below where chains start
    gamma = numpyro.deterministic("gamma", numpyro.sample("slope", dist.Normal(0, 1e8)) / 1000)
    numpyro.deterministic("alpha", star - beta * log_x.mean() - gamma * x.mean())
    sigma = scale("sigma")
    standardised = numpyro.sample("standardised", dist.Normal(0, 1).expand([6, 3]).to_event(2))
    eta = star + beta * (log_x - log_x.mean()) + gamma * (x - x.mean())
    counts = dist.Poisson(jnp.exp(eta[:, None] + sigma * standardised))
    numpyro.sample("y", counts, obs=y)
    if y is not None:
        numpyro.deterministic("deviance", -2 * counts.log_prob(y).sum())


def salm_data():
    """Doses, and the counts (doses, plates)."""
    c = columns("salm")
    return {"x": c["x"].astype(float), "y": np.stack([c[f"y_{k}"] for k in (1, 2, 3)], axis=1)}


def seeds(n, x1, x2, r=None):
    """Germination: a binomial logit with an effect for each plate."""
    names = ("alpha0", "alpha1", "alpha2", "alpha12")
    a0, a1, a2, a12 = (numpyro.sample(name, dist.Normal(0, 1000)) for name in names)
    sigma = numpyro.sample("sigma", dist.Exponential(1.0))
    with numpyro.plate("plates", 21):
        b = numpyro.sample("b", dist.Normal(0, 1))
        eta = a0 + a1 * x1 + a2 * x2 + a12 * x1 * x2 + sigma * b
        numpyro.sample("r", dist.Binomial(n, logits=eta), obs=r)


CASES = {
    "blocker": posterior(blocker, partial(columns, "blocker"), target_accept_prob=0.95),
    # hundreds of terms: with 1000 draws R-hat of one is above 1.01 for some seeds
    "epil": posterior(epil, epil_data, num_samples=2000),
    "equiv": posterior(equiv, equiv_data),
    "pump": posterior(pump, partial(columns, "pump")),
    "salm": posterior(salm, salm_data),
    "seeds": posterior(seeds, partial(columns, "seeds")),
}
