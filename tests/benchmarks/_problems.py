"""The posteriors that samplers are timed on: data by argument name, and a NumPyro function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A posterior.

    Attributes
    ----------
    name : str
        Its letter.
    title : str
        What it is.
    fn : callable
        NumPyro function.
    data : dict
        Its arguments.
    """

    name: str
    title: str
    fn: Callable[..., None]
    data: dict[str, Any]


def _standard(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Covariates (constant columns left out, standardised) and response of a built-in data set."""
    import workbench as wb

    data = wb.load_dataset(name)
    x, y = np.asarray(data.inputs["x"], dtype=float), np.asarray(data.observed["y"], dtype=float)
    x = x[:, x.std(axis=0) > 0]
    return (x - x.mean(axis=0)) / x.std(axis=0), y


def linear(x: Any, y: Any = None) -> None:
    """Gaussian regression of a standardised response."""
    a = numpyro.sample("a", dist.Normal(0, 1))
    b = numpyro.sample("b", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    s = numpyro.sample("s", dist.HalfNormal(1))
    numpyro.sample("y", dist.Normal(a + x @ b, s), obs=y)


def logistic(x: Any, y: Any = None) -> None:
    """Logistic regression."""
    a = numpyro.sample("a", dist.Normal(0, 2))
    b = numpyro.sample("b", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    numpyro.sample("y", dist.Bernoulli(logits=a + x @ b), obs=y)


def poisson(x: Any, y: Any = None) -> None:
    """Poisson regression."""
    a = numpyro.sample("a", dist.Normal(0, 2))
    b = numpyro.sample("b", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    numpyro.sample("y", dist.Poisson(jnp.exp(a + x @ b)), obs=y)


def schools(sd: Any, y: Any = None) -> None:
    """Eight schools, non-centred."""
    mu, tau = numpyro.sample("mu", dist.Normal(0, 5)), numpyro.sample("tau", dist.HalfCauchy(5))
    unit = numpyro.sample("unit", dist.Normal(0, 1).expand([len(sd)]).to_event(1))
    numpyro.sample("y", dist.Normal(mu + tau * unit, sd), obs=y)


def intercepts(x: Any, group: Any, y: Any = None) -> None:
    """Varying intercepts of 85 groups, centred."""
    mu, tau = numpyro.sample("mu", dist.Normal(0, 2)), numpyro.sample("tau", dist.HalfNormal(1))
    b, s = numpyro.sample("b", dist.Normal(0, 2)), numpyro.sample("s", dist.HalfNormal(1))
    a = numpyro.sample("a", dist.Normal(mu, tau).expand([85]).to_event(1))
    numpyro.sample("y", dist.Normal(a[group] + b * x, s), obs=y)


def problem(name: str) -> Problem:
    """Problem a to g; those without a public data set are simulated from a fixed seed."""
    rng = np.random.default_rng(1)
    if name == "a":
        x, y = _standard("diabetes")
        return _make(name, "linear, diabetes 442 x 10", linear, x=x, y=(y - y.mean()) / y.std())
    if name == "b":
        x, y = _standard("breast_cancer")
        return _make(name, f"logistic, breast cancer {len(x)} x {x.shape[1]}", logistic, x=x, y=y)
    if name == "c":
        x = rng.normal(size=(1000, 5))
        y = rng.poisson(np.exp(0.5 + x @ np.linspace(-0.3, 0.3, 5)))
        return _make(name, "Poisson, simulated 1000 x 5", poisson, x=x, y=y)
    if name == "d":
        sd = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
        y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
        return _make(name, "eight schools, non-centred", schools, sd=sd, y=y)
    if name == "e":
        group = np.sort(rng.integers(0, 85, size=919))
        x, a = rng.binomial(1, 0.2, size=919), 1.5 + 0.3 * rng.normal(size=85)
        y = a[group] - 0.7 * x + 0.75 * rng.normal(size=919)
        title = "varying intercepts, simulated 919 rows in 85 groups"
        return _make(name, title, intercepts, x=x.astype(float), group=group, y=y)
    rows = {"g": 100_000, "h": 1_000_000}[name]
    x = rng.normal(size=(rows, 20))
    y = rng.binomial(1, 1 / (1 + np.exp(-(x @ np.linspace(-0.5, 0.5, 20)))))
    return _make(name, f"logistic, simulated {rows} x 20", logistic, x=x, y=y.astype(float))


def _make(name: str, title: str, fn: Callable[..., None], **data: Any) -> Problem:
    return Problem(name=name, title=title, fn=fn, data=data)
