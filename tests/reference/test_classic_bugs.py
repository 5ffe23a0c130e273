"""Classic BUGS examples with random effects: Laplace, quadrature and scipy's integrals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import integrate, special, stats

import workbench as wb
from workbench.model import Model

from .cases import load_frame

pytestmark = pytest.mark.slow


def seeds(r, n, x1, x2):
    """Germination: a binomial logit with an effect for each plate."""
    alpha = numpyro.sample("alpha", dist.Normal(0, 1000).expand([4]).to_event(1))
    sigma = numpyro.sample("sigma", dist.Exponential(1.0))
    with numpyro.plate("plates", 21):
        b = numpyro.sample("b", dist.Normal(0, 1))
        eta = alpha[0] + alpha[1] * x1 + alpha[2] * x2 + alpha[3] * x1 * x2 + sigma * b
        numpyro.sample("r", dist.Binomial(n, logits=eta), obs=r)


def epil(base, treated, age, last, y):
    """Seizures at four visits: a Poisson regression with an effect for each patient."""
    alpha = numpyro.sample("alpha", dist.Normal(0, 100).expand([6]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
    with numpyro.plate("patients", 59):
        b = numpyro.sample("b", dist.Normal(0, sigma))
    eta = alpha[0] + alpha[1] * base + alpha[2] * treated + alpha[3] * base * treated
    eta = (eta + alpha[4] * age + b)[:, None] + alpha[5] * last
    numpyro.sample("y", dist.Poisson(jnp.exp(eta)), obs=y)


def pump(t, x):
    """Failures of pumps at gamma rates."""
    alpha = numpyro.sample("alpha", dist.Exponential(1.0))
    beta = numpyro.sample("beta", dist.Gamma(0.1, 1.0))
    with numpyro.plate("pumps", 10):
        rate = numpyro.sample("rate", dist.Gamma(alpha, beta))
        numpyro.sample("x", dist.Poisson(rate * t), obs=x)


def columns(case: str) -> dict[str, np.ndarray]:
    return {k: v.to_numpy() for k, v in load_frame("classic_bugs", case).items()}


def epil_data() -> dict[str, Any]:
    c = columns("epil")
    base = np.log(c["Base"] / 4)
    return {
        "base": base - base.mean(),
        "treated": c["Trt"] - c["Trt"].mean(),
        "age": np.log(c["Age"]) - np.log(c["Age"]).mean(),
        "last": np.array([0.0, 0.0, 0.0, 1.0]),
        "y": np.stack([c[f"y_{k}"] for k in range(1, 5)], axis=1),
    }


def log_integral(log_density: Callable[[float], float], spread: float) -> float:
    """Log of the integral of exp(log_density) by scipy, around its largest value."""
    grid = np.linspace(-10 * spread, 10 * spread, 2001)
    values = np.array([log_density(u) for u in grid])
    top, centre = values.max(), grid[values.argmax()]
    width = 8 * min(spread, 2.0)
    inside = integrate.quad(
        lambda u: np.exp(log_density(u) - top),
        max(centre - width, -12 * spread),
        min(centre + width, 12 * spread),
        epsabs=0,
        epsrel=1e-11,
        limit=300,
        points=[centre],
    )[0]
    return top + np.log(inside)


def seeds_truth(v: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> float:
    a, s = v["alpha"], float(v["sigma"])
    x1, x2 = data["x1"], data["x2"]
    eta = a[0] + a[1] * x1 + a[2] * x2 + a[3] * x1 * x2

    def log_density(u: float, i: int) -> float:
        p = special.expit(eta[i] + u)
        return float(stats.binom.logpmf(data["r"][i], data["n"][i], p) + stats.norm.logpdf(u, 0, s))

    return sum(log_integral(lambda u, i=i: log_density(u, i), s) for i in range(21))


def epil_truth(v: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> float:
    a, s = v["alpha"], float(v["sigma"])
    eta = a[0] + a[1] * data["base"] + a[2] * data["treated"] + a[4] * data["age"]
    eta = (eta + a[3] * data["base"] * data["treated"])[:, None] + a[5] * data["last"]

    def log_density(u: float, i: int) -> float:
        law = stats.poisson.logpmf(data["y"][i], np.exp(eta[i] + u))
        return float(law.sum() + stats.norm.logpdf(u, 0, s))

    return sum(log_integral(lambda u, i=i: log_density(u, i), s) for i in range(59))


def pump_truth(v: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> float:
    # a gamma mixture of Poisson counts is negative binomial
    p = v["beta"] / (v["beta"] + data["t"])
    return float(stats.nbinom.logpmf(data["x"], v["alpha"], p).sum())


# Laplace's error as it was measured: 0.0120 and 0.0676 nats, 0.0151 and 0.0214 standard errors
CASES = {
    "seeds": (seeds, "b", seeds_truth, 0.013, 0.016),
    "epil": (epil, "b", epil_truth, 0.07, 0.022),
}


@pytest.mark.parametrize("case", CASES)
def test_laplace_quadrature_and_scipy(case: str) -> None:
    fn, effect, truth, nats, errors = CASES[case]
    data = epil_data() if case == "epil" else columns(case)
    model = Model(name=case, fn=fn, random_effects=(effect,))
    laplace = wb.fit_mle(model, data, num_starts=2)
    exact = wb.fit_mle(model, data, num_starts=2, quadrature=25)
    assert exact.status.ok
    assert laplace.status.ok
    assert exact.llf == pytest.approx(truth(exact.values, data), abs=1e-8)
    # what is said of Laplace's error is what scipy's integrals say
    error = wb.laplace_error(laplace)
    assert error.laplace == pytest.approx(laplace.llf, abs=1e-10)
    assert error.quadrature == pytest.approx(truth(laplace.values, data), abs=1e-8)
    assert 0 < abs(error.difference) < nats
    rows = exact.estimates["role"] == "parameter"
    shift = ((laplace.params - exact.params) / exact.bse)[rows].abs().max()
    assert 0 < shift < errors


def test_laplace_error_of_pumps() -> None:
    """A gamma effect is skew on its log scale: Laplace's method loses 0.22 nats in ten pumps."""
    data = columns("pump")
    model = Model(name="pump", fn=pump, random_effects=("rate",))
    fit = wb.fit_mle(model, data, num_starts=2)
    assert fit.status.ok
    error = wb.laplace_error(fit)
    # the tails fall as exp(alpha u), not as a normal's, so 25 points are good to 1.4e-5 only
    assert error.quadrature == pytest.approx(pump_truth(fit.values, data), abs=1e-4)
    assert error.difference == pytest.approx(0.216, abs=1e-3)
