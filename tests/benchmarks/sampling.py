"""Samplers side by side: ``python -m tests.benchmarks sampling [--problems abcde] [--seeds 5]``.

Every measurement is a process of its own, and samplers take turns within each seed. A process
fits twice: the first fit is *cold* (a new process, with what the compilation cache on the disk
holds; imports are counted apart), the second, with another seed, is *warm*. Judged by the
smallest tail effective sample size of any parameter for each second. ``stock`` is NumPyro's own
``MCMC`` with the persistent compilation cache and 1000 + 1000 steps; ``ours`` has its defaults;
both have 4 chains. The peers BlackJAX, nutpie, PyMC and Stan (pystan) run where they are installed:
in this environment, or in one of their own that ``--peers PYTHON`` names; a missing one is named
below the table.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks import _peers
from tests.benchmarks._problems import Problem, problem


def main(argv: list[str]) -> int:
    """Print the table, or with ``--measure`` one measurement as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks sampling")
    parser.add_argument("--problems", default="abcde")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samplers", default=",".join(SAMPLERS))
    parser.add_argument("--peers", default=sys.executable, help="Python that has the peers")
    parser.add_argument("--measure", nargs=3, metavar=("SAMPLER", "PROBLEM", "SEED"))
    options = parser.parse_args(argv)
    if options.measure:
        sampler, name, seed = options.measure
        print(json.dumps(measure(sampler, name, int(seed))))
        return 0
    samplers = options.samplers.split(",")
    missing = [s for s in samplers if s in _peers.MODULES and not _has(options.peers, s)]
    samplers = [s for s in samplers if s not in missing]
    head = ("problem", "sampler", "cold s", "warm s", "tail ESS", "bulk ESS", "tail ESS/s", "MB")
    print(("{:<52} {:<9}" + " {:>10}" * 6 + "   load").format(*head))
    for name in options.problems:
        found: dict[str, list[dict[str, float]]] = {s: [] for s in samplers}
        load = []
        for seed in range(options.seeds):
            for sampler in samplers if seed % 2 == 0 else samplers[::-1]:
                load.append(os.getloadavg()[0])
                python = options.peers if sampler in _peers.MODULES else sys.executable
                found[sampler].append(_in_a_process(python, sampler, name, seed))
        title = f"{name}: {problem(name).title}"
        for sampler, runs in found.items():
            middle = {k: float(np.median([r[k] for r in runs])) for k in runs[0]}
            rate = float(np.median([r["tail"] / r["warm"] for r in runs]))
            print(
                f"{title:<52} {sampler:<9} {middle['cold']:>10.2f} {middle['warm']:>10.3f} "
                f"{middle['tail']:>10.0f} {middle['bulk']:>10.0f} {rate:>10.0f} "
                f"{middle['memory']:>10.0f}   {min(load):.1f}-{max(load):.1f}",
                flush=True,
            )
    if missing:
        names = ", ".join(_peers.MODULES[s] for s in missing)
        print(f"not installed, so not compared: {names}")
    return 0


def _has(python: str, module: str) -> bool:
    """Whether a Python has a module."""
    word = f"import importlib.util as u; raise SystemExit(u.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", word], check=False).returncode == 0


def _in_a_process(python: str, sampler: str, name: str, seed: int) -> dict[str, float]:
    words = ["-m", "tests.benchmarks", "sampling", "--measure", sampler, name, str(seed)]
    out = subprocess.run([python, *words], check=True, capture_output=True, text=True)
    return json.loads(out.stdout.splitlines()[-1])


def measure(sampler: str, name: str, seed: int) -> dict[str, float]:
    """Seconds of a first and of a second fit, the latter's effective sample sizes, peak memory."""
    start = time.perf_counter()
    import jax
    import numpyro

    flags = os.environ.get("XLA_FLAGS", "")
    import workbench as wb

    if sampler != "ours":  # what workbench asks of XLA is no part of its peers
        os.environ["XLA_FLAGS"] = flags
    from workbench import az
    from workbench.fit.compilation import keep_compiled_programs

    _ = wb.fit_nuts  # imported when first used
    jax.config.update("jax_enable_x64", True)
    if sampler == "stock":
        numpyro.set_host_device_count(4)
    keep_compiled_programs()
    imports = time.perf_counter() - start
    made = problem(name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = []
    draws: dict[str, np.ndarray] = {}
    for number in (2 * seed, 2 * seed + 1):
        start = time.perf_counter()
        draws = SAMPLERS[sampler](made, number)
        seconds.append(time.perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    terms = np.concatenate([v.reshape(*v.shape[:2], -1) for v in draws.values()], axis=-1)
    size = {
        "tail": [az.ess(t, method="tail", prob=(0.05, 0.95)) for t in np.moveaxis(terms, -1, 0)],
        "bulk": [az.ess(t, method="bulk") for t in np.moveaxis(terms, -1, 0)],
    }
    return {
        "imports": imports,
        "cold": seconds[0],
        "warm": seconds[1],
        **{k: float(np.min(v)) for k, v in size.items()},
        "memory": after - before,
    }


# -- samplers: a problem and a seed to draws by parameter, shape (C, S, ...) ---------------------


def ours(made: Problem, seed: int) -> dict[str, np.ndarray]:
    """Fit with the defaults, mode and diagnostics included."""
    import workbench as wb

    fit = wb.fit_nuts(made.fn, made.data, seed=seed)
    return {k: v for k, v in fit.samples.items() if k != "y"}


def stock(made: Problem, seed: int) -> dict[str, np.ndarray]:
    """NumPyro's own driver, chains in parallel where the machine has devices for them."""
    import jax
    from numpyro.infer import MCMC, NUTS

    mcmc = MCMC(
        NUTS(made.fn), num_warmup=1000, num_samples=1000, num_chains=4, progress_bar=False,
        chain_method="parallel" if jax.local_device_count() >= 4 else "vectorized",
    )  # fmt: skip
    mcmc.run(jax.random.key(seed), **made.data)
    return {k: np.asarray(v) for k, v in mcmc.get_samples(group_by_chain=True).items()}


def blackjax(made: Problem, seed: int) -> dict[str, np.ndarray]:
    """BlackJAX's NUTS with window adaptation, chain after chain in one compiled program."""
    import jax
    from blackjax import nuts, window_adaptation  # pyright: ignore[reportMissingImports]

    import workbench as wb

    density = wb.read_density(made.fn, made.data)

    def chain(key: jax.Array, arrays: Any) -> jax.Array:
        def target(z: jax.Array) -> jax.Array:
            return density.log_density(z, arrays)

        first, second, third = jax.random.split(key, 3)
        start = jax.random.uniform(first, (density.size,), minval=-2, maxval=2)
        adapted, _ = window_adaptation(nuts, target).run(second, start, num_steps=1000)
        step = nuts(target, **adapted.parameters).step

        def body(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            state, _ = step(key, state)
            return state, state.position

        return jax.lax.scan(body, adapted.state, jax.random.split(third, 1000))[1]

    keys = jax.random.split(jax.random.key(seed), 4)
    run = jax.jit(chain)
    return {"z": np.stack([np.asarray(run(k, density.arrays)) for k in keys])}


SAMPLERS: dict[str, Callable[[Problem, int], dict[str, np.ndarray]]] = {
    "ours": ours,
    "stock": stock,
    "blackjax": blackjax,
    "nutpie": _peers.nutpie,
    "pymc": _peers.pymc,
    "stan": _peers.stan,
}
