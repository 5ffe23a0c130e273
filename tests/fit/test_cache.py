"""A cache of compiled programs that is damaged or cannot be written costs a warning, never a fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import workbench

PROGRAM = """
import jax
from workbench.fit.compilation import keep_compiled_programs

keep_compiled_programs()
print(jax.jit(lambda x: 3 * x + 1)(2.0))
"""


def compute(cache: Path) -> subprocess.CompletedProcess[str]:
    """Compile and run a program in a process of its own, with its cache there."""
    root = Path(workbench.__file__).parents[1]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "JAX_COMPILATION_CACHE_DIR": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_damaged_cache_costs_a_warning(tmp_path: Path) -> None:
    assert compute(tmp_path).stdout == "7.0\n"
    kept = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(b"damaged")
    again = compute(tmp_path)
    assert again.stdout == "7.0\n"
    assert "Error reading persistent compilation cache" in again.stderr


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = compute(tmp_path / "file" / "cache")
    assert done.stdout == "7.0\n"
    assert "Warning" in done.stderr
