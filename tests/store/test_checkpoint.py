"""A run killed at any moment goes on from its checkpoint, to the very draws it would have had."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workbench as wb
from workbench.errors import FitError, WorkbenchError

CHUNKS = 10  # at least, of 2 chains: 100 steps of warm-up and 700 draws each
SCRIPT = """
import sys

import numpy as np
import numpyro
import numpyro.distributions as dist

import workbench as wb


def counts(y=None):
    rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
    with numpyro.plate("obs", 7):
        numpyro.sample("y", dist.Poisson(rate), obs=y)


def fit(checkpoint=None, progress=None, y=(2, 0, 3, 1, 4, 2, 1), **settings):
    settings = {"num_chains": 2, "num_samples": 700, **settings}
    data = {"y": np.array(y)}
    return wb.fit_nuts(counts, data, checkpoint=checkpoint, progress=progress, **settings)


if __name__ == "__main__":
    fit(wb.Checkpoint(sys.argv[1], every=0.0), lambda _: print("chunk", flush=True))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("script") / "counts.py"
    path.write_text(SCRIPT)
    spec = importlib.util.spec_from_file_location("counts", path)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def whole(script: Any) -> wb.DrawsFit:
    return script.fit()


def kill_after(script: Any, checkpoint: Path, chunks: int) -> None:
    """Run the script and kill it, without notice, once it has said so many chunks."""
    words = [sys.executable, script.__file__, str(checkpoint)]
    root = Path(wb.__file__).parents[1]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        for number, _ in enumerate(process.stdout, start=1):
            if number == chunks:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


def check(script: Any, whole: wb.DrawsFit, checkpoint: Path, chunks: int) -> None:
    kill_after(script, checkpoint, chunks)
    again = script.fit(wb.Checkpoint(checkpoint))
    np.testing.assert_array_equal(again.samples["rate"], whole.samples["rate"])
    for name, values in whole.sample_stats.items():
        np.testing.assert_array_equal(again.sample_stats[name], values)


def test_a_killed_run_ends_with_the_draws_it_would_have_had(
    script: Any, whole: wb.DrawsFit, tmp_path: Path
) -> None:
    check(script, whole, tmp_path / "run", CHUNKS // 2)


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("chunks", np.random.default_rng(4).integers(1, CHUNKS, size=10))
def test_at_any_moment(script: Any, whole: wb.DrawsFit, tmp_path: Path, chunks: int) -> None:
    check(script, whole, tmp_path / "run", int(chunks))


def test_going_on_makes_only_the_draws_that_are_missing(
    script: Any, whole: wb.DrawsFit, tmp_path: Path
) -> None:
    place = wb.Checkpoint(tmp_path / "run")
    script.fit(place, num_samples=300)
    steps: list[int] = []
    more = script.fit(place, lambda p: steps.append(p.step))
    assert min(steps) > 100 + 300
    assert max(steps) == 100 + 700
    np.testing.assert_array_equal(more.samples["rate"], whole.samples["rate"])


def test_another_run_is_refused(script: Any, tmp_path: Path) -> None:
    place = wb.Checkpoint(tmp_path / "run")
    script.fit(place, num_samples=100)
    for settings, said in (
        ({"y": (2, 0, 3, 1, 4, 2, 2)}, "of another run: expected data fingerprint"),
        ({"seed": 1}, "of another run: expected seed 1; got 0"),
        ({"num_warmup": 50}, "expected num_warmup 50; got None"),
    ):
        with pytest.raises(FitError, match=said):
            script.fit(place, **settings)


def test_a_file_of_another_kind_is_refused(script: Any, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("not a checkpoint")
    with pytest.raises(WorkbenchError, match="is not a checkpoint, or is damaged"):
        script.fit(wb.Checkpoint(tmp_path / "run"))


def test_a_place_that_cannot_be_written_is_said(script: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match="cannot be written"):
        script.fit(wb.Checkpoint(tmp_path / "file" / "run"), num_samples=100)
