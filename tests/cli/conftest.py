"""A user's folder: a table and a model in a file, and one run of a comparison."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

MODEL = '''
"""Tosses with a bias for each hand."""

import numpyro
import numpyro.distributions as dist


def helper(a):
    return a


def tosses(hand, num_hand, heads=None):
    """Heads by hand."""
    with numpyro.plate("hands", num_hand):
        p = numpyro.sample("p", dist.Beta(2, 2))
    with numpyro.plate("rows", hand.shape[0]):
        numpyro.sample("heads", dist.Bernoulli(p[hand]), obs=heads)
'''
# a warning is an error, but for one worker reading a compiled program that another still writes
STRICT = ["-W", "error", "-W", "ignore:Error reading persistent compilation cache"]
# enough for R-hat below 1.01 on two coins; most of the time goes into compiling
FAST = ["--num-warmup", "200", "--num-samples", "500", "--num-chains", "4"]


def run(*words: str, folder: Path, **options) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, where a warning is an error."""
    code = "import sys; sys.argv[0] = 'workbench'; from workbench.cli import main; main()"
    command = [sys.executable, *STRICT, "-c", code, *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, **options
    )


def fill(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    hand = np.array(["left", "right"] * 30)
    heads = rng.uniform(size=60) < np.where(hand == "left", 0.4, 0.6)
    frame = pd.DataFrame({"hand": hand, "heads": heads.astype(int), "other": 1.5})
    frame.to_csv(folder / "tosses.csv", index=False)
    (folder / "my_model.py").write_text(MODEL)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return fill(tmp_path)


@pytest.fixture(scope="session")
def done(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder where a comparison was made from the shell, and what the shell said."""
    folder = fill(tmp_path_factory.mktemp("shell"))
    words = ["compare", "./my_model.py", "--data", "tosses.csv", "--held-out", "0.25"]
    return folder, run(*words, "--seed", "2", *FAST, folder=folder)
