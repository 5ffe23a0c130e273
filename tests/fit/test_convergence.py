"""Diagnostics of all terms at once are those that ArviZ computes one by one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from workbench import az
from workbench.fit.convergence import DIAGNOSTICS, diagnose


def one(name: str, draws: np.ndarray) -> float:
    """The diagnostic of one term by ArviZ; nan where it moves too little to have one."""
    if draws.shape[1] < 4 or np.ptp(draws) == 0:
        return np.nan
    if name == "r_hat":
        return float(az.rhat(draws))
    if name.startswith("mcse"):
        return float(az.mcse(draws, method=name.removeprefix("mcse_")))
    prob = {"prob": (0.05, 0.95)} if name == "ess_tail" else {}
    return float(az.ess(draws, method=name.removeprefix("ess_"), **prob))


def autoregressive(rng: np.random.Generator, phi: float, shape: tuple[int, int]) -> np.ndarray:
    x = rng.normal(size=shape)
    for t in range(1, shape[1]):
        x[:, t] += phi * x[:, t - 1]
    return x


@pytest.mark.parametrize("shape", [(4, 500), (2, 101), (3, 8), (4, 4), (1, 50), (4, 3)], ids=str)
def test_agrees_with_arviz(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    level = np.arange(shape[0])[:, None] * np.ones(shape)
    terms = {
        "antithetic": autoregressive(rng, -0.9, shape),
        "independent": autoregressive(rng, 0.0, shape),
        "slow": autoregressive(rng, 0.98, shape),
        "heavy": rng.standard_cauchy(shape),
        "two values": rng.integers(0, 2, shape).astype(float),
        "ties": rng.integers(0, 3, shape).astype(float),
        "rare": (rng.random(shape) < 0.03).astype(float),
        "apart": level + 1e-3 * rng.normal(size=shape),
        "still": level,
        "constant": np.ones(shape),
    }
    found = diagnose(np.stack(list(terms.values()), axis=-1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of ArviZ: chains that never move
        wanted = {n: [one(n, x) for x in terms.values()] for n in DIAGNOSTICS}
    for name, values in found.items():
        # float64 algebra in another order
        np.testing.assert_allclose(values, wanted[name], rtol=1e-12, err_msg=name)


def test_a_term_that_is_not_finite_has_none_and_spoils_no_other(rng: np.random.Generator) -> None:
    draws = rng.normal(size=(4, 100, 2))
    alone = diagnose(draws[..., 1:])
    draws[2, 50, 0] = np.inf
    for name, values in diagnose(draws).items():
        assert np.isnan(values[0])
        assert values[1] == alone[name][0]
