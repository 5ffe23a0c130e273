"""Every model of the zoo, fitted: the laws of the MLE, and a short comparison end to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import workbench as wb
from tests.model.zoo import CASES, Case
from workbench.fit import ModeFit

FEW = ("closure",)  # fitted even in a quick run
PROPER = [c for c in CASES if c.mle == "proper"]
REWRITTEN = [c for c in CASES if c.other is not None]


def cases(chosen: list[Case]) -> Callable[..., Any]:
    parameters = [
        pytest.param(c, id=c.id, marks=() if c.id in FEW else pytest.mark.slow) for c in chosen
    ]
    return pytest.mark.parametrize("case", parameters)


def same_estimates(a: ModeFit, b: ModeFit) -> None:
    """Sites of both writings agree to 1e-6 of a standard error or of their size."""
    shared: Mapping[str, Any] = {k: v for k, v in a.values.items() if k in b.values}
    assert shared
    for name, value in shared.items():
        # Newton ends at a decrement of 1e-12 nats, a millionth of a standard error
        scale = 1.0 + np.abs(value).max(initial=0.0)
        np.testing.assert_allclose(value, b.values[name], rtol=0, atol=1e-6 * scale)
    np.testing.assert_allclose(a.llf, b.llf, rtol=1e-9)


@cases(PROPER)
def test_the_mle_does_not_move_with_the_priors(case: Case) -> None:
    a, b = (wb.fit_mle(case.make(scale), case.data) for scale in (1.0, 3.0))
    assert a.status.ok
    same_estimates(a, b)


@cases(REWRITTEN)
def test_the_mle_does_not_move_with_the_coordinates(case: Case) -> None:
    assert case.other is not None
    same_estimates(*(wb.fit_mle(make(1.0), case.data) for make in (case.make, case.other)))


@cases(CASES)
@pytest.mark.filterwarnings("ignore:.*:UserWarning:arviz_stats")  # too few draws, on purpose
def test_a_short_comparison_runs_end_to_end(case: Case) -> None:
    result = wb.compare(
        case.make(1.0), case.data, num_warmup=60, num_samples=50, num_chains=2, seed=1
    )
    assert "NUTS" in result.fits
    if case.mle in ("proper", "flat"):
        assert not result.refused
    else:
        assert case.mle in result.refused["MLE"]
    draws = result.fits["NUTS"].samples
    for name, role in case.roles.items():
        if role in ("parameter", "random effect"):
            assert np.isfinite(draws[name]).all()
    assert str(result)
