"""A study that was interrupted after its draws goes on without sampling again."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest

import workbench as wb
from workbench import study
from workbench.store import StudyParts

X = np.linspace(-1.0, 1.0, 20)
Y = np.random.default_rng(1).normal(0.5 * X, 1.0)


def slope(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 2))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(beta * x, 1.0), obs=y)


@pytest.fixture(scope="module")
def draws() -> wb.DrawsFit:
    return wb.fit_nuts(slope, {"x": X, "y": Y}, num_warmup=100, num_samples=200, num_chains=2)


SLOW = [pytest.param(x, marks=pytest.mark.slow) for x in ("limits", "penalties")]


@pytest.mark.parametrize("instrument", ["covariance", "design", "spectrum", "evidence", *SLOW])
def test_draws_are_made_once(instrument, draws, tmp_path, monkeypatch):
    made: list[int] = []

    def fit_nuts(*_: Any, seed: int, **settings: Any) -> wb.DrawsFit:
        made.append(seed)
        return draws

    monkeypatch.setattr(sys.modules[f"workbench.study.{instrument}"], "fit_nuts", fit_nuts)
    function, what = getattr(study, instrument), {"study": instrument}
    density = wb.read_density(slope, {"x": X, "y": Y})
    settings: dict[str, Any] = {"seed": 3}
    if instrument == "evidence":
        settings["estimators"] = ("Laplace", "bridge sampling")
    found = [
        function(density, keep=StudyParts(tmp_path / "parts.npz", what), **settings)
        for _ in range(2)
    ]
    assert made == [3]
    pd.testing.assert_frame_equal(found[0].table, found[1].table)
    assert found[0].sentences == found[1].sentences
