"""A chain elsewhere is named with its term; chains together are left in peace."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from tests.fit.synthetic import draws_fit


def test_chains_together_are_silent(rng):
    # also where they mix badly: means of slow chains differ by less than two sd
    slow = rng.normal(size=(4, 1)) * 0.5 + rng.normal(size=(4, 500))
    assert wb.stuck_chains(draws_fit({"mu": slow, "nu": rng.normal(size=(4, 500))})).empty


def test_a_chain_in_another_mode_is_named(rng):
    mu = rng.normal(size=(4, 500))
    mu[2] += 10
    lp = np.zeros((4, 500))
    lp[2] = -7.0
    table = wb.stuck_chains(draws_fit({"nu": rng.normal(size=(4, 500)), "mu": mu}, lp=lp))
    assert list(table.index) == [2]
    assert table.loc[2, "term"] == "mu"
    assert table.loc[2, "gap"] == pytest.approx(10, abs=1)
    assert table.loc[2, "mean"] == pytest.approx(mu[2].mean())
    assert table.loc[2, "others"] == pytest.approx(np.delete(mu, 2, axis=0).mean())
    assert table.loc[2, "log_density"] == pytest.approx(-7.0)


def test_two_and_two_names_those_of_the_lower_density(rng):
    mu = rng.normal(size=(4, 500)) + np.array([0, 8, 0, 8])[:, None]
    lp = np.array([-1.0, 0.0, -1.0, 0.0])[:, None] * np.ones((4, 500))
    assert list(wb.stuck_chains(draws_fit({"mu": mu}, lp=lp)).index) == [0, 2]


def test_a_chain_that_does_not_move_is_named_without_a_gap(rng):
    mu, nu = rng.normal(size=(4, 500)), rng.normal(size=(4, 500))
    mu[1], nu[1] = 0.3, -0.2
    table = wb.stuck_chains(draws_fit({"mu": mu, "nu": nu}))
    assert list(table.index) == [1]
    assert np.isnan(table.loc[1, "gap"])


def test_one_chain_has_no_others(rng):
    assert wb.stuck_chains(draws_fit({"mu": rng.normal(size=(1, 500))})).empty


def test_a_constant_term_says_nothing(rng):
    fixed = np.ones((4, 200))
    assert wb.stuck_chains(draws_fit({"one": fixed, "mu": rng.normal(size=(4, 200))})).empty


def test_errors_of_every_figure(rng):
    # of n independent normals: sd / sqrt(n), sd / sqrt(2 n), and at a quantile p
    # sqrt(p (1 - p) / n) / density there, which rests on the few draws near that quantile: 60 %
    fit = draws_fit({"mu": rng.normal(size=(4, 1000))})
    errors = fit.monte_carlo_errors().loc["mu"]
    n = 4000
    end = np.sqrt(0.025 * 0.975 / n) / (np.exp(-0.5 * 1.96**2) / np.sqrt(2 * np.pi))
    expected = {"estimate": n**-0.5, "std_error": (2 * n) ** -0.5, "lower": end, "upper": end}
    assert errors[["estimate", "std_error"]].to_dict() == pytest.approx(
        {k: expected[k] for k in ("estimate", "std_error")}, rel=0.1
    )
    assert errors.to_dict() == pytest.approx(expected, rel=0.6)
    assert list(fit.monte_carlo_errors(0.5).columns) == list(expected)
