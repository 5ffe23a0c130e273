"""NUTS for a small network: ``python -m tests.benchmarks network_sampling [--rounds 2]``.

A 1-16-1 tanh network on 200 simulated rows. ``stock`` is NumPyro's own ``MCMC`` over all weights,
with the persistent compilation cache; ``ours`` is :func:`workbench.network.fit_network_nuts`, the
last layer integrated out; ``ours, 15`` bounds its trees at 15 steps. Four chains of 1000 draws, in
turns, after 1000 steps of warm-up, of which ours, learning no metric, need half. Judged by the
least bulk or tail effective sample size of the function at the data, for each second of CPU time
(all threads, compilation included): other work on the machine changes that less than it changes
seconds on the clock.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import jax
import numpy as np

import workbench as wb
from models.mlp_regression import mlp_regression
from tests.benchmarks._machine import describe
from workbench.network import fit_network_nuts, read_network
from workbench.network.mixing import mixing_of_draws

CHAINS = 4


def data() -> wb.Dataset:
    """A sine with noise, 200 rows."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=(200, 1))
    y = np.sin(2 * x[:, 0]) + 0.2 * rng.normal(size=200)
    scales = {"x_mean": x.mean(0), "x_scale": x.std(0), "y_mean": y.mean(), "y_scale": y.std()}
    return wb.Dataset.from_arrays(
        name="sine",
        inputs={"x": x, "num_covariates": 1, **scales},
        observed={"y": y},
        dims={"x": ("obs", "covariate")},
    )


def stock(model: wb.Model, rows: wb.Dataset, num: int, seed: int) -> tuple[Any, ...]:
    """Draws, log density and steps of NumPyro's MCMC."""
    from numpyro.infer import MCMC, NUTS

    run = MCMC(
        NUTS(model.fn),
        num_warmup=num,
        num_samples=num,
        num_chains=CHAINS,
        chain_method="sequential",
        progress_bar=False,
    )
    kwargs = {**rows.inputs, **rows.observed}
    run.run(jax.random.key(seed), **kwargs, extra_fields=("num_steps", "potential_energy"))
    extra = run.get_extra_fields(group_by_chain=True)
    draws = {k: np.asarray(v) for k, v in run.get_samples(group_by_chain=True).items()}
    return draws, -np.asarray(extra["potential_energy"]), np.asarray(extra["num_steps"])


def ours(model: wb.Model, rows: wb.Dataset, num: int, seed: int, depth: int) -> tuple[Any, ...]:
    """The same of the workbench's sampler."""
    fit = fit_network_nuts(
        model,
        rows,
        seed=seed,
        num_warmup=num // 2,
        num_samples=num,
        num_chains=CHAINS,
        max_tree_depth=depth,
    )
    return fit.draws, fit.log_density, fit.statistics["n_steps"]


SAMPLERS = {
    "stock": stock,
    "ours": lambda *a: ours(*a, 10),
    "ours, 15": lambda *a: ours(*a, 4),
}


def main(argv: list[str]) -> None:
    """Print one line for each run."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks network_sampling")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS))
    parser.add_argument("--num", type=int, default=1000, help="draws")
    given = parser.parse_args(argv)
    model, rows = mlp_regression(hidden=(16,)), data()
    network = read_network(model, rows)
    head = ("sampler", "seconds", "CPU s", "steps/draw", "R-hat", "ESS", "ESS/CPU s", "ratio")
    print(describe("numpyro", "jax"))
    print(("{:<10}" + " {:>10}" * 7).format(*head))
    for seed in range(given.rounds):
        first = np.nan
        for name in given.samplers:
            wall, cpu = time.perf_counter(), time.process_time()
            draws, log_density, steps = SAMPLERS[name](model, rows, given.num, seed)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            table = mixing_of_draws(network, draws, log_density).table.loc["function at the data"]
            ess = min(table["ess_bulk"], table["ess_tail"])
            first = ess / cpu if name == "stock" else first
            figures = (wall, cpu, steps.mean(), table["r_hat"], ess, ess / cpu, ess / cpu / first)
            line = "{:<10} {:>10.1f} {:>10.1f} {:>10.0f} {:>10.3f} {:>10.0f} {:>10.1f} {:>10.1f}"
            print(line.format(name, *figures), flush=True)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
