"""The score of an exponential model, whose derivatives are written in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench import plot
from workbench.errors import FitError, UsageError

N = 60
Y = np.random.default_rng(41).exponential(2.0, size=N)
S = Y.sum()


def lifetimes(y: Any = None) -> None:
    rate = numpyro.sample("rate", dist.Gamma(1.0, 1.0))
    with numpyro.plate("obs", len(y) if y is not None else N):
        numpyro.sample("y", dist.Exponential(rate), obs=y)


@pytest.fixture(scope="module")
def found() -> wb.Score:
    return wb.score(lifetimes, {"y": Y})


def test_the_score_is_zero_at_the_maximum_and_its_slope_is_minus_one(found):
    # l(z) = n z - exp(z) sum(y), z = log(rate): standard error n^(-1/2)
    assert found.coordinate == "log(rate)"
    assert abs(found.table["score"].iloc[0]) < 1e-10
    t = found.curve["at"].to_numpy()
    exact = np.sqrt(N) * (1 - np.exp(t / np.sqrt(N)))
    np.testing.assert_allclose(found.curve["score"], exact, atol=1e-9)
    height = N * (t / np.sqrt(N) - np.exp(t / np.sqrt(N)) + 1)
    np.testing.assert_allclose(found.curve["log_likelihood"], height, atol=1e-9)


def test_truncation_falls_as_h_and_as_h_squared(found):
    # where truncation is far above rounding
    part = found.differences.loc[1e-3:0.2].abs()
    h = np.log(part.index.to_numpy())
    assert np.polyfit(h, np.log(part["forward"]), 1)[0] == pytest.approx(1.0, abs=0.02)
    assert np.polyfit(h, np.log(part["central"]), 1)[0] == pytest.approx(2.0, abs=0.02)
    # and rounding rises as 1/h: a step of 1e-12 has lost at least four digits to one of 1e-6
    assert found.differences["central"].abs().iloc[0] > 1e4 * part["central"].iloc[0] ** 1.5


def test_leaving_a_row_out_moves_the_estimate_as_its_score_says_to_first_order(found):
    # z without row i: log((n - 1) / (sum(y) - y_i))
    exact = np.sqrt(N) * (np.log((N - 1) / (S - Y)) - np.log(N / S))
    np.testing.assert_allclose(found.influence["refit"], exact, atol=1e-8)
    first = -(1 - N / S * Y) / np.sqrt(N)
    np.testing.assert_allclose(found.influence["first_order"], first, atol=1e-10)
    # sqrt(n) times terms of second order: log(1 - a) = -a - a^2 / (2 (1 - a)^2) at most
    a = np.maximum(Y / S, 1 / N)
    bound = np.sqrt(N) * a**2 / (1 - a) ** 2
    assert (np.abs(exact - first) <= bound).all()


def test_second_order_means_a_quarter_when_the_data_double(found):
    # each row twice: leaving one of them out is half the change, its error a quarter, in units
    # of the estimate; a standard error is sqrt(2) smaller
    twice = wb.score(lifetimes, {"y": np.tile(Y, 2)})

    def error(made: wb.Score) -> float:
        i = made.influence["refit"].abs().argmax()
        row = made.influence.iloc[i]
        return abs(row["refit"] - row["first_order"]) / np.sqrt(len(made.influence))

    # up to a term of third order, here a tenth
    assert error(twice) / error(found) == pytest.approx(0.25, rel=0.15)


def test_rows_of_groups_have_no_score_of_their_own():
    def groups(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 10))
        with numpyro.plate("level", 4):
            u = numpyro.sample("u", dist.Normal(mu, 1.0))
            numpyro.sample("y", dist.Normal(u, 0.5), obs=y)

    model = wb.Model(name="groups", fn=groups, random_effects=("u",))
    made = wb.score(model, {"y": np.array([1.0, 2.0, 3.0, 6.0])})
    assert made.influence.empty
    assert "given the parameters alone its rows are not independent" in made.sentences[-1]
    # the marginal is normal with variance 1.25: the score at t standard errors is -t
    np.testing.assert_allclose(made.curve["score"], -made.curve["at"], atol=1e-9)


def test_refusals():
    with pytest.raises(UsageError, match="coordinate expects one of log\\(rate\\); got 'rate'"):
        wb.score(lifetimes, {"y": Y}, coordinate="rate")

    def flat(y: Any = None) -> None:
        a, b = (numpyro.sample(n, dist.Normal(0, 1)) for n in "ab")
        numpyro.sample("y", dist.Normal(a + b, 1.0), obs=y)

    with pytest.raises(FitError, match="score expects a regular maximum of the likelihood"):
        wb.score(flat, {"y": np.array([1.0, 2.0])})


def test_the_picture_draws_rows_against_their_refits(found):
    *_, third = plot.score(found).ravel()
    x, y = third.get_lines()[1].get_data()
    np.testing.assert_allclose(x, found.influence["first_order"])
    np.testing.assert_allclose(y, found.influence["refit"])
