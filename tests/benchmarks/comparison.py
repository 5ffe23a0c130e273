"""The whole comparison beside Bambi's posterior alone: ``python -m tests.benchmarks comparison``.

Each run is a process of its own, from start to end, and the two take turns. Ours is ``workbench
compare linear --data diabetes``: both fits, the comparison, its pictures and report. Bambi reads
the same table, builds the same regression from a formula and samples its posterior, with its
defaults for everything. ``--peers PYTHON`` names a Python that has Bambi. The first round of each
fills its caches and is not counted. Both may keep the bytecode of what they import, as an installed
package does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks._machine import describe

_BAMBI = """
import sys
import bambi, pandas
if __name__ == "__main__":
    table = pandas.read_csv(sys.argv[1])
    formula = "y ~ " + " + ".join(c for c in table.columns if c != "y")
    bambi.Model(formula, table).fit(random_seed=1, progressbar=False)
"""


def main(argv: list[str]) -> int:
    """Print seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks comparison")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=sys.executable, help="Python that has Bambi")
    options = parser.parse_args(argv)
    probe = "import importlib.util as u; raise SystemExit(u.find_spec('bambi') is None)"
    if subprocess.run([options.peers, "-c", probe], check=False).returncode:
        print("not installed, so not compared: Bambi")
        return 1
    seconds: dict[str, list[float]] = {"ours": [], "bambi": []}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder, "diabetes.csv"), Path(folder, "bambi_posterior.py")
        _table().to_csv(table, index=False)
        script.write_text(_BAMBI, encoding="utf-8")
        out = str(Path(folder, "run"))
        commands = {
            "ours": [
                str(Path(sys.executable).with_name("workbench")),
                *("compare", "linear", "--data", "diabetes", "--quiet", "--out", out),
            ],
            "bambi": [options.peers, str(script), str(table)],
        }
        for number in range(options.rounds + 1):
            for name in list(seconds)[:: 1 if number % 2 else -1]:
                start = time.perf_counter()
                subprocess.run(commands[name], check=True, capture_output=True, env=environment)
                seconds[name].append(time.perf_counter() - start)
    ours, bambi = (np.array(seconds[name][1:]) for name in ("ours", "bambi"))
    print(f"workbench compare linear --data diabetes: {np.median(ours):.2f} s")
    print(f"Bambi's posterior of the same regression: {np.median(bambi):.2f} s")
    print(f"ratio: {np.median(ours / bambi):.2f} (median of {options.rounds} alternating rounds)")
    print(f"load {os.getloadavg()[0]:.1f}; {describe('jax', 'numpyro', 'arviz')}")
    return 0


def _table() -> pd.DataFrame:
    """Covariates and response of the built-in data."""
    import workbench as wb

    data = wb.load_dataset("diabetes")
    names = [n for n in list(data.coords["coefficient"]) if n != "Intercept"]
    x = np.asarray(data.inputs["x"])[:, -len(names) :]
    return pd.DataFrame(x, columns=names).assign(y=np.asarray(data.observed["y"]))
