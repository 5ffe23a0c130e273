"""Memory and time of ``fit_nuts`` on large data: ``python -m tests.benchmarks memory``.

Logistic regression of simulated rows, each size in a process of its own. The peak is that of the
resident memory of the process (``VmHWM``, Linux), less its peak after the imports. A process that
fits 1,000 rows has nearly the same programs and hardly any data: its peak is the compiler's
(``compiler MB``), and what is left without it grows with the data (``less it``). Ratios are to the
data's size; the data are one of these multiples. ``--tree`` also makes ArviZ's groups.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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
    head = ("rows", "precision", "data MB", "peak MB", "ratio", "compiler MB", "less it", "seconds")
    print(("{:>9} {:>9}" + " {:>11}" * 6 + "  status").format(*head))
    for precision in options.precision.split(","):
        compiler = measured("1000", precision, options)["peak"]
        for rows in options.rows.split(","):
            got = measured(rows, precision, options)
            got |= {"compiler": compiler, "ratio": got["peak"] / got["data"]}
            got["beyond"] = (got["peak"] - compiler) / got["data"]
            figures = "".join(
                f" {got[k]:>11.{digits}f}"
                for k, digits in (
                    ("data", 0), ("peak", 0), ("ratio", 2), ("compiler", 0), ("beyond", 2),
                    ("seconds", 1),
                )
            )  # fmt: skip
            print(f"{int(rows):>9} {precision:>9}{figures}  {got['status']}", flush=True)
            for group, reason in got["absent"].items():
                print(f"{'':>9} without {group}: {reason}")
    print(describe("jax", "numpyro", "numpy"))
    return 0


def measured(rows: str, precision: str, options: argparse.Namespace) -> dict[str, Any]:
    """What :func:`measure` gives in a process of its own."""
    words = ["-m", "tests.benchmarks", "memory", "--measure", "--rows", rows]
    words += ["--columns", str(options.columns), "--precision", precision]
    words += ["--samples", str(options.samples), *(["--tree"] if options.tree else [])]
    x64 = "1" if precision == "float64" else "0"
    environment = {**os.environ, "JAX_ENABLE_X64": x64}
    out = subprocess.run(
        [sys.executable, *words], check=True, capture_output=True, text=True, env=environment
    )
    return json.loads(out.stdout.splitlines()[-1])


def peak() -> float:
    """Most resident memory of this process so far, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("VmHWM")) / 1024


def measure(rows: int, options: argparse.Namespace) -> dict[str, Any]:
    """Fit once, and say what it took."""
    import workbench as wb
    from tests.benchmarks._problems import logistic

    _ = wb.fit_nuts  # imported when first used
    import workbench.az  # noqa: F401  (the diagnostics' imports are none of the fit's memory)

    imported = peak()
    data = make(rows, options)
    size = sum(v.nbytes for v in data.values()) / 2**20
    start = time.perf_counter()
    fit = wb.fit_nuts(logistic, data, num_samples=options.samples)
    seconds = time.perf_counter() - start
    absent = dict(fit.absent) if options.tree else {}
    return {
        "data": size,
        "peak": peak() - imported,
        "seconds": seconds,
        "status": fit.status.name,
        "absent": absent,
    }


def make(rows: int, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Data of a logistic regression in the precision asked for."""
    rng = np.random.default_rng(1)
    x = np.empty((rows, options.columns), dtype=options.precision)
    rng.standard_normal(out=x, dtype=x.dtype)
    slopes = np.linspace(-0.5, 0.5, options.columns, dtype=x.dtype)
    y = (rng.random(rows, dtype=x.dtype) < 1 / (1 + np.exp(-(x @ slopes)))).astype(x.dtype)
    return {"x": x, "y": y}
