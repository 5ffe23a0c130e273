from __future__ import annotations

import numpy as np
import pytest

import workbench.az as az
from workbench.comparison.leave_one_out import psis_loo


def terms(draws: int, rows: int, spread: float) -> np.ndarray:
    """Log-likelihood of normal rows whose last are far from all means."""
    rng = np.random.default_rng(draws)
    mean = rng.normal(0, spread, size=(draws, 1))
    y = np.concatenate([rng.normal(size=rows - 2), [6.0, 12.0]])
    return -0.5 * (y - mean) ** 2 - 0.5 * np.log(2 * np.pi)


@pytest.mark.parametrize(("draws", "spread"), [(100, 0.1), (2000, 0.3), (4000, 1.0)])
def test_leaving_out_is_that_of_arviz(draws: int, spread: float) -> None:
    log_likelihood = terms(draws, 30, spread)
    log_likelihood[:, 0] = -1.0  # a row that does not move with the draws
    found = psis_loo(log_likelihood)
    shaped = log_likelihood.reshape(4, -1, 30)
    tree = az.from_dict({"posterior": {"one": shaped[..., 0]}, "log_likelihood": {"y": shaped}})
    truth = az.loo(tree, reff=1.0)
    # sums of up to 4000 terms in another order
    np.testing.assert_allclose(found.elpd_i, truth.elpd_i.to_numpy(), rtol=1e-10)
    np.testing.assert_allclose(found.pareto_k, truth.pareto_k.to_numpy(), rtol=1e-7, atol=1e-7)
    assert found.elpd == pytest.approx(truth.elpd, rel=1e-10)
    assert found.p == pytest.approx(truth.p, rel=1e-8)
    assert found.se == pytest.approx(truth.se, rel=1e-10)
    assert found.good_k == pytest.approx(truth.good_k, abs=1e-12)


def test_rows_of_one_block_are_those_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    log_likelihood = terms(400, 30, 0.5)
    whole = psis_loo(log_likelihood)
    monkeypatch.setattr("workbench.comparison.leave_one_out._NUMBERS", 7 * 20 * 400)
    parts = psis_loo(log_likelihood)
    np.testing.assert_array_equal(parts.elpd_i, whole.elpd_i)
    np.testing.assert_array_equal(parts.pareto_k, whole.pareto_k)


def test_a_draw_that_outweighs_all_others_has_no_shape() -> None:
    log_likelihood = terms(1000, 5, 0.1)
    log_likelihood[17, 2] = -800.0
    assert np.isinf(psis_loo(log_likelihood).pareto_k[2])
