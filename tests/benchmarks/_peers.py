"""The problems a to e for other samplers: as PyMC models (nutpie's too) and as Stan programs.

Each runner keeps what it compiled within its process, so that a second fit is warm, and gives
draws by parameter, shape (C, S, ...). All run 4 chains of 1000 + 1000 steps with their defaults.
"""

from __future__ import annotations

import contextlib
import io
from functools import lru_cache
from typing import Any

import numpy as np

from tests.benchmarks._problems import Problem, problem

MODULES = {"blackjax": "BlackJAX", "nutpie": "nutpie", "pymc": "PyMC", "stan": "pystan"}
_DRAWS = {"draws": 1000, "tune": 1000, "chains": 4}


@lru_cache(maxsize=1)
def _pymc_model(name: str) -> Any:
    import pymc as pm  # pyright: ignore[reportMissingImports]

    data = problem(name).data
    with pm.Model() as model:
        if name in "abc":
            x, y = data["x"], data["y"]
            a = pm.Normal("a", 0, 1 if name == "a" else 2)
            b = pm.Normal("b", 0, 1, shape=x.shape[1])
            eta = a + x @ b
            if name == "a":
                pm.Normal("y", eta, pm.HalfNormal("s", 1), observed=y)
            elif name == "b":
                pm.Bernoulli("y", logit_p=eta, observed=y.astype(int))
            else:
                pm.Poisson("y", pm.math.exp(eta), observed=y)
        elif name == "d":
            mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
            unit = pm.Normal("unit", 0, 1, shape=8)
            pm.Normal("y", mu + tau * unit, data["sd"], observed=data["y"])
        else:
            mu, tau = pm.Normal("mu", 0, 2), pm.HalfNormal("tau", 1)
            b, s = pm.Normal("b", 0, 2), pm.HalfNormal("s", 1)
            a = pm.Normal("a", mu, tau, shape=85)
            pm.Normal("y", a[data["group"]] + b * data["x"], s, observed=data["y"])
    return model


@lru_cache(maxsize=1)
def _nutpie_model(name: str) -> Any:
    import nutpie as peer  # pyright: ignore[reportMissingImports]

    return peer.compile_pymc_model(_pymc_model(name))


def nutpie(made: Problem, seed: int) -> dict[str, np.ndarray]:
    """Nutpie on its numba density."""
    import nutpie as peer  # pyright: ignore[reportMissingImports]

    model = _nutpie_model(made.name)
    return _posterior(peer.sample(model, **_DRAWS, seed=seed, progress_bar=False))


def pymc(made: Problem, seed: int) -> dict[str, np.ndarray]:
    """PyMC's own NUTS."""
    import pymc as pm  # pyright: ignore[reportMissingImports]

    with _pymc_model(made.name):
        return _posterior(
            pm.sample(**_DRAWS, cores=2, random_seed=seed, progressbar=False, quiet=True)
        )


def _posterior(data: Any) -> dict[str, np.ndarray]:
    return {str(k): np.asarray(v) for k, v in data.posterior.data_vars.items()}


_REGRESSION = """
data {{ int N; int P; matrix[N, P] x; {response} y; }}
parameters {{ real a; vector[P] b; {scale} }}
model {{ a ~ normal(0, {width}); b ~ normal(0, 1); {rest} }}
"""
_STAN = {
    "a": _REGRESSION.format(
        response="vector[N]", scale="real<lower=0> s;", width=1,
        rest="s ~ normal(0, 1); y ~ normal_id_glm(x, a, b, s);",
    ),
    "b": _REGRESSION.format(
        response="array[N] int", scale="", width=2, rest="y ~ bernoulli_logit_glm(x, a, b);"
    ),
    "c": _REGRESSION.format(
        response="array[N] int", scale="", width=2, rest="y ~ poisson_log_glm(x, a, b);"
    ),
    "d": """
data { int N; vector[N] y; vector[N] sd; }
parameters { real mu; real<lower=0> tau; vector[N] unit; }
model { mu ~ normal(0, 5); tau ~ cauchy(0, 5); unit ~ normal(0, 1);
        y ~ normal(mu + tau * unit, sd); }
""",
    "e": """
data { int N; vector[N] x; array[N] int group; vector[N] y; }
parameters { real mu; real<lower=0> tau; real b; real<lower=0> s; vector[85] a; }
model { mu ~ normal(0, 2); tau ~ normal(0, 1); b ~ normal(0, 2); s ~ normal(0, 1);
        a ~ normal(mu, tau); y ~ normal(a[group] + b * x, s); }
""",
}  # fmt: skip


def stan(made: Problem, seed: int) -> dict[str, np.ndarray]:
    """Stan through pystan, which keeps what it built on disk, so that a build is cold once."""
    import stan as peer  # pyright: ignore[reportMissingImports]

    data = {k: v.tolist() for k, v in made.data.items()}
    data["N"] = len(data["y"])
    if made.name in "abc":
        data["P"] = made.data["x"].shape[1]
    if made.name in "bc":
        data["y"] = [int(v) for v in data["y"]]
    if made.name == "e":
        data["group"] = [g + 1 for g in data["group"]]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        model = peer.build(_STAN[made.name], data=data, random_seed=seed)
        fit = model.sample(num_chains=4, num_samples=1000, num_warmup=1000)
    # (..., draws times chains), the chains next to each other
    return {
        name: np.moveaxis(fit[name].reshape(*fit[name].shape[:-1], 1000, 4), (-1, -2), (0, 1))
        for name in model.param_names
        if name in fit
    }
