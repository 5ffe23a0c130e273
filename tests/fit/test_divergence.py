"""Divergences are located where they are, and nowhere when they are anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import workbench as wb
from tests.fit.synthetic import draws_fit


def test_a_funnels_neck_is_found(rng):
    # effects of scale tau; the transitions below its 5 % quantile diverge
    log_tau = rng.normal(size=(4, 500))
    tau = np.exp(log_tau)
    theta = tau * rng.normal(size=(4, 500))
    low = tau < np.quantile(tau, 0.05)
    table = wb.locate_divergences(draws_fit({"theta": theta, "tau": tau}, diverging=low))
    assert table.index[0] == "tau"
    # every divergent draw lies below every other: A = 1, and 0 of the others below their median
    assert table.loc["tau", "below"] == 1.0
    assert table.loc["tau", "quantile"] == 0.0
    assert table.loc["tau", "z"] > 10
    assert table.loc["tau", "divergent"] == pytest.approx(np.median(tau[low]), rel=1e-12)


def test_z_is_the_mann_whitney_statistic(rng):
    draws, flags = rng.normal(size=(4, 100)), rng.uniform(size=(4, 100)) < 0.1
    found = wb.locate_divergences(draws_fit({"mu": draws}, diverging=flags)).loc["mu"]
    peer = stats.mannwhitneyu(
        draws[flags], draws[~flags], method="asymptotic", use_continuity=False
    )
    assert found["below"] == pytest.approx(1 - peer.statistic / (flags.sum() * (~flags).sum()))
    assert 2 * stats.norm.sf(abs(found["z"])) == pytest.approx(peer.pvalue, abs=1e-12)


def test_divergences_anywhere_are_not_placed(rng):
    draws = {f"beta[{i}]": rng.normal(size=(4, 500)) for i in range(10)}
    flags = rng.uniform(size=(4, 500)) < 0.02
    table = wb.locate_divergences(draws_fit(draws, diverging=flags))
    # the largest of ten standard normals: 1 in 1000 exceeds this
    assert abs(table["z"].iloc[0]) < stats.norm.isf(0.001 / 20)


@pytest.mark.parametrize("every", [False, True])
def test_nothing_to_compare_is_an_empty_table(rng, every):
    fit = draws_fit({"mu": rng.normal(size=(2, 50))}, diverging=np.full((2, 50), every))
    assert wb.locate_divergences(fit).empty
