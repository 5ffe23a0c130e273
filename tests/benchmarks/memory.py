"""Memory and time of ``fit_nuts`` on large data: ``python -m tests.benchmarks memory``.

Logistic regression of simulated rows, each size in a process of its own. The peak is that of the
resident memory of the process (``VmHWM``), less what it held after the imports and before the
data were made, in multiples of the data's size; the data are one of these multiples. ``--tree``
also makes ArviZ's groups.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.benchmarks._machine import describe


def main(argv: list[str]) -> int:
    """Print the table, or with ``--measure`` one measurement as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks memory")
    parser.add_argument("--rows", default="100000,1000000")
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--precision", default="float32,float64")
    parser.add_argument("--samples", type=int, default=250)
    parser.add_argument("--tree", action="store_true", help="make ArviZ's groups too")
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args(argv)
    if options.measure:
        print(json.dumps(measure(int(options.rows), options)))
        return 0
    head = ("rows", "precision", "data MB", "peak MB", "ratio", "seconds", "ESS", "status")
    print(("{:>9} {:>9}" + " {:>9}" * 5 + "  {}").format(*head))
    for rows in options.rows.split(","):
        for precision in options.precision.split(","):
            words = ["-m", "tests.benchmarks", "memory", "--measure", "--rows", rows]
            words += ["--columns", str(options.columns), "--precision", precision]
            words += ["--samples", str(options.samples), *(["--tree"] if options.tree else [])]
            x64 = "1" if precision == "float64" else "0"
            out = subprocess.run(
                [sys.executable, *words],
                check=True, capture_output=True, text=True, env={**os.environ, "JAX_ENABLE_X64": x64},
            )  # fmt: skip
            got = json.loads(out.stdout.splitlines()[-1])
            print(
                f"{int(rows):>9} {precision:>9} {got['data']:>9.0f} {got['peak']:>9.0f} "
                f"{got['ratio']:>9.2f} {got['seconds']:>9.1f} {got['ess']:>9.0f}  {got['status']}",
                flush=True,
            )
            for group, reason in got["absent"].items():
                print(f"{'':>9} without {group}: {reason}")
    print(describe("jax", "numpyro", "numpy"))
    return 0


def peak() -> float:
    """Most resident memory of this process so far, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("VmHWM")) / 1024


def measure(rows: int, options: argparse.Namespace) -> dict[str, object]:
    """Fit once, and say what it took."""
    import workbench as wb
    from tests.benchmarks._problems import logistic

    _ = wb.fit_nuts  # imported when first used
    import workbench.az  # noqa: F401  (the diagnostics' imports are none of the fit's memory)

    before = peak()
    rng = np.random.default_rng(1)
    x = np.empty((rows, options.columns), dtype=options.precision)
    rng.standard_normal(out=x, dtype=x.dtype)
    slopes = np.linspace(-0.5, 0.5, options.columns, dtype=x.dtype)
    y = (rng.random(rows, dtype=x.dtype) < 1 / (1 + np.exp(-(x @ slopes)))).astype(x.dtype)
    size = (x.nbytes + y.nbytes) / 2**20
    start = time.perf_counter()
    fit = wb.fit_nuts(logistic, {"x": x, "y": y}, num_samples=options.samples)
    seconds = time.perf_counter() - start
    absent = dict(fit.absent) if options.tree else {}
    most = peak() - before
    return {
        "data": size,
        "peak": most,
        "ratio": most / size,
        "seconds": seconds,
        "ess": float(fit.estimands[["ess_bulk", "ess_tail"]].min().min()),
        "status": fit.status.name,
        "absent": absent,
    }
