"""Warm maximum likelihood fits and bootstrap refits, beside statsmodels', in one process.

Each round draws new data of the same shapes and gives them to both, in alternating order; a first
round, which compiles, is not counted. The figure to believe is the median of the rounds' ratios:
other work on the machine slows both alike.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm

import workbench as wb
from models import linear, logistic, poisson
from tests.benchmarks._machine import describe

_SAME = 1e-6  # of an estimate, in standard errors: else the two did not do the same


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that both packages do.

    Attributes
    ----------
    name : str
        As in the table.
    make : callable
        Draws data from a random generator.
    ours, theirs : callable
        Take the data; return what is compared.
    target : float
        The ratio of our time to theirs that is asked for.
    """

    name: str
    make: Callable[[np.random.Generator], dict[str, Any]]
    ours: Callable[[dict[str, Any]], np.ndarray]
    theirs: Callable[[dict[str, Any]], np.ndarray]
    target: float


def main(argv: list[str]) -> None:
    """Print the table of medians."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks likelihood")
    parser.add_argument("--rows", type=int, default=100_000, help="of the fits")
    parser.add_argument("--columns", type=int, default=20, help="of the fits")
    parser.add_argument("--refit-rows", type=int, default=2_000, help="of the bootstrap")
    parser.add_argument("--refits", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    table = pd.DataFrame([_row(case, chosen.rounds) for case in _cases(chosen)])
    print(table.to_string(index=False))
    print("seconds: medians; ratio: median of ours over theirs, round by round")
    print(describe("probabilistic-workbench", "jax", "numpyro", "statsmodels", "numpy"))


def _cases(chosen: argparse.Namespace) -> list[Case]:
    n, p = chosen.rows, chosen.columns
    logit = "logistic", logistic.MODEL, _choices, lambda d: sm.Logit(d["y"], d["x"]).fit(disp=0)
    normal = "linear", linear.MODEL, _numbers, lambda d: sm.OLS(d["y"], d["x"]).fit()
    count = "Poisson", poisson.MODEL, _counts, lambda d: sm.Poisson(d["y"], d["x"]).fit(disp=0)
    glm = (
        "logistic, beside sm.GLM", logistic.MODEL, _choices,
        lambda d: sm.GLM(d["y"], d["x"], family=sm.families.Binomial()).fit(),
    )  # fmt: skip
    fits = [
        Case(
            name=f"{name} {n:,} x {p}",
            make=_maker(response, n, p),
            ours=lambda d, m=model: np.asarray(wb.fit_mle(m, d).params.iloc[:p]),
            theirs=lambda d, f=fit: np.asarray(f(d).params),
            target=target,
        )
        for (name, model, response, fit), target in zip(
            (logit, glm, normal, count), (1.0, 1.0, 2.0, 2.0), strict=True
        )
    ]
    rows, num = chosen.refit_rows, chosen.refits
    return [*fits, _bootstrap(rows, p, num)]


def _bootstrap(n: int, p: int, num: int) -> Case:
    """Refits by cases; what is compared are the replicates' standard deviations, loosely."""

    def theirs(d: dict[str, Any]) -> np.ndarray:
        rng = np.random.default_rng(0)
        found = []
        for _ in range(num):
            rows = rng.integers(0, n, n)
            found.append(sm.Logit(d["y"][rows], d["x"][rows]).fit(disp=0).params)
        return np.std(found, axis=0)

    def make(rng: np.random.Generator) -> dict[str, Any]:
        data = _maker(_choices, n, p)(rng)
        return {**data, "fit": wb.fit_mle(logistic.MODEL, data)}

    return Case(
        name=f"{num} refits of logistic {n:,} x {p}",
        make=make,
        ours=lambda d: np.asarray(wb.bootstrap(d["fit"], num=num).std_error),
        theirs=theirs,
        target=0.1,
    )


def _row(case: Case, rounds: int) -> dict[str, Any]:
    """Medians of one case."""
    times: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        data = case.make(np.random.default_rng(number))
        order = (case.ours, case.theirs) if number % 2 else (case.theirs, case.ours)
        spent, found = {}, {}
        for run in order:
            start = time.perf_counter()
            found[run] = run(data)
            spent[run] = time.perf_counter() - start
        apart = np.abs(found[case.ours] / found[case.theirs] - 1).max()
        if "refits" not in case.name and apart > _SAME:
            raise AssertionError(f"{case.name}: estimates differ by {apart:.2g}")
        times.append((spent[case.ours], spent[case.theirs]))
    ours, theirs = np.array(times[1:]).T
    ratio = float(np.median(ours / theirs))
    return {
        "what": case.name,
        "first": round(times[0][0], 2),
        "workbench": round(float(np.median(ours)), 4),
        "statsmodels": round(float(np.median(theirs)), 4),
        "ratio": round(ratio, 3),
        "target": case.target,
        "met": ratio <= case.target,
    }


def _maker(
    response: Callable[..., np.ndarray], n: int, p: int
) -> Callable[[np.random.Generator], dict[str, Any]]:
    """Data with an intercept and p - 1 normal covariates, and the inputs that priors ask for."""

    def make(rng: np.random.Generator) -> dict[str, Any]:
        x = rng.normal(size=(n, p))
        x[:, 0] = 1.0
        y = response(rng, x @ rng.normal(0.1, 0.2, p))
        scale = x.std(axis=0)
        scale[0] = 1.0
        scales = {"y_mean": y.mean(), "y_scale": y.std()}
        return {"x": x, "x_mean": x.mean(axis=0), "x_scale": scale, "y": y, **scales}

    return make


def _choices(rng: np.random.Generator, eta: np.ndarray) -> np.ndarray:
    return (rng.random(eta.size) < 1 / (1 + np.exp(-eta))).astype(float)


def _numbers(rng: np.random.Generator, eta: np.ndarray) -> np.ndarray:
    return eta + rng.normal(size=eta.size)


def _counts(rng: np.random.Generator, eta: np.ndarray) -> np.ndarray:
    return rng.poisson(np.exp(eta)).astype(float)
