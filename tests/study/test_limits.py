"""Limits of an exponential model, whose posteriors are gamma distributions."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats

import workbench as wb
from workbench import plot
from workbench.errors import FitError
from workbench.study.limits import _monte_carlo_errors

N, SHAPE, RATE = 300, 3.0, 0.5
Y = np.random.default_rng(6).exponential(0.5, size=N)
S = Y.sum()


def lifetimes(y: Any = None) -> None:
    rate = numpyro.sample("rate", dist.Gamma(SHAPE, RATE))
    numpyro.sample("y", dist.Exponential(rate), obs=y)


@pytest.fixture(scope="module")
def mle() -> wb.ModeFit:
    return wb.fit_mle(lifetimes, {"y": Y}, num_starts=1)


@pytest.fixture(scope="module")
def found(mle) -> wb.Limits:
    return wb.limits(mle.require_density(), mle=mle, seed=3, quick=True)


def part(found: wb.Limits, limit: str) -> Any:
    return found.table[found.table["limit"] == limit]


def apart(shape: float, rate: float, centre: float, error: float) -> float:
    """Wasserstein distance of Gamma(shape, rate) from N(centre, error^2), in its sds."""
    p = (np.arange(200_000) + 0.5) / 200_000
    scaled = (stats.gamma(shape, scale=1 / rate).ppf(p) - centre) / error
    return float(np.mean(np.abs(scaled - stats.norm.ppf(p))))


def test_more_data(found):
    rows = part(found, "data")
    assert list(rows["at"])[-1] == N
    # 8,192 quasi-random draws that posterior and normal share: errors of a few percent
    exact = apart(N + SHAPE, S + RATE, N / S, np.sqrt(N) / S)
    assert rows["distance"].iloc[-1] == pytest.approx(exact, rel=0.05)
    # means over four orders of distances that vary by less than a half: a slope of -1/2 +- 0.2
    assert found.rates["data"] == pytest.approx(-0.5, abs=0.25)
    # four orders of a part; the whole has one
    assert list(rows["refits"]) == [4, 4, 4, 4, 1]
    assert list(rows["std_error"].notna()) == [True, True, True, True, False]


def test_a_wider_prior(found):
    rows = part(found, "prior")
    # log-likelihood plus alpha times the log prior is that of a gamma distribution of the rate
    alpha = rows["at"].to_numpy()
    mode = (N + alpha * (SHAPE - 1)) / (S + alpha * RATE)
    exact = np.abs(mode - N / S) / (np.sqrt(N) / S)
    np.testing.assert_allclose(rows["distance"], exact, rtol=1e-5)
    assert found.rates["prior"] == pytest.approx(1.0, abs=0.02)


def test_a_lower_temperature(found):
    rows = part(found, "temperature")
    shape, rate = N + SHAPE, S + RATE
    centre, error = shape / rate, np.sqrt(shape) / rate
    exact = [apart(shape / T, rate / T, centre, np.sqrt(T) * error) for T in rows["at"]]
    # about the gap between 8,192 draws, in sds
    np.testing.assert_allclose(rows["distance"], exact, rtol=0.03, atol=3e-4)
    # a skew of order T^(1/2)
    assert found.rates["temperature"] == pytest.approx(0.5, abs=0.03)


def test_data_simulated_at_the_estimate_go_on_where_the_data_end(found):
    rows = part(found, "simulated")
    assert list(rows["at"]) == [N, 2 * N, 4 * N, 8 * N]
    # as for the data: nested sets in four orders, the last of which is one
    assert found.rates["simulated"] == pytest.approx(-0.5, abs=0.25)
    # all eight sets: a gamma posterior whose distance depends on n alone, up to the pull of the
    # prior, which is (shape - 1 - rate / mean) / sqrt(n)
    exact = apart(8 * N + SHAPE, 8 * N / (N / S) + RATE, N / S, N / S / np.sqrt(8 * N))
    assert rows["distance"].iloc[-1] == pytest.approx(exact, abs=0.02)


def test_monte_carlo_errors_of_independent_draws_fall_as_the_root_of_their_number():
    draws = np.random.default_rng(5).normal(size=(4, 1600, 1))
    made = _monte_carlo_errors(SimpleNamespace(estimand_draws=draws))  # pyright: ignore[reportArgumentType]
    at, error = made["at"], made["error"]
    assert list(at) == [4 * 25 * 2**k for k in range(7)]
    # an effective sample size is known to a few percent, less well from few draws
    np.testing.assert_allclose(error * np.sqrt(at), 1.0, atol=0.25)
    assert np.polyfit(np.log(at), np.log(error), 1)[0] == pytest.approx(-0.5, abs=0.05)


def test_what_was_kept_is_not_made_again(mle, found):
    parts: dict[str, Any] = {}
    made: list[str] = []

    def keep(name: str, make: Any) -> Any:
        if name not in parts:
            made.append(name)
            parts[name] = make()
        return parts[name]

    density = mle.require_density()
    first = wb.limits(density, mle=mle, seed=3, quick=True, keep=keep)
    assert len(made) == len(set(made)) > 10
    made.clear()
    parts.pop(f"data {N}")
    again = wb.limits(density, mle=mle, seed=3, quick=True, keep=keep)
    assert made == [f"data {N}"]
    for other in (again, found):
        pd.testing.assert_frame_equal(first.table, other.table)


def test_the_rows_from_which_they_agree_lie_on_the_line(found):
    rows = part(found, "data")
    slope, height = np.polyfit(np.log(rows["at"]), np.log(rows["distance"]), 1)
    assert height + slope * np.log(found.agreement) == pytest.approx(np.log(0.05), abs=1e-9)
    assert found.trusted
    assert f"n^{slope:.2f}" in found.sentences[0]


G, ROWS, TAU, NOISE, PRIOR = 40, 3, 0.8, 1.1, 0.5
MEANS = np.random.default_rng(8).normal(0.7, np.sqrt(TAU**2 + NOISE**2 / ROWS), size=G)
SPREAD = np.linspace(-1.0, 1.0, ROWS)  # within a group, about its mean


def classes(group: Any, y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.Normal(0, PRIOR))
    with numpyro.plate("level", G):
        u = numpyro.sample("u", dist.Normal(0, TAU))
    with numpyro.plate("obs", len(group)):
        numpyro.sample("y", dist.Normal(mu + u[group], NOISE), obs=y)


@pytest.mark.slow
def test_random_effects_are_counted_by_groups():
    model = wb.Model(name="classes", fn=classes, random_effects=("u",))
    group, y = np.repeat(np.arange(G), ROWS), (MEANS[:, None] + SPREAD).ravel()
    found = wb.limits(model, {"group": group, "y": y}, quick=True, seed=1)
    rows = part(found, "data")
    assert found.unit == "groups"
    assert list(rows["at"])[-1] == G
    # group means are normal with variance tau^2 + noise^2 / rows, and so is everything else
    error = np.sqrt((TAU**2 + NOISE**2 / ROWS) / G)
    kept = PRIOR**2 / (PRIOR**2 + error**2)
    p = (np.arange(200_000) + 0.5) / 200_000
    shift = (kept - 1) * MEANS.mean() / error
    exact = np.mean(np.abs(shift + (np.sqrt(kept) - 1) * stats.norm.ppf(p)))
    assert rows["distance"].iloc[-1] == pytest.approx(exact, rel=0.05)
    assert found.rates["prior"] == pytest.approx(1.0, abs=0.02)
    assert "groups" in found.sentences[1]


def test_no_limit_is_claimed_at_a_boundary(mle):
    edge = replace(mle, status=wb.Status.AT_BOUNDARY, detail="at the boundary: rate")
    with pytest.raises(FitError, match="a regular maximum.*is at the boundary: rate"):
        wb.limits(mle.require_density(), mle=edge)
    from models.eight_schools import MODEL

    # the marginal likelihood of tau is highest at tau = 0
    with pytest.raises(FitError, match=r"boundary: .*log\(tau\); .* tends to no normal density"):
        wb.limits(MODEL, wb.load_dataset("eight_schools"))


def test_the_picture_has_a_panel_for_each_limit(found):
    *panels, last = plot.limits(found).ravel()
    for ax, limit in zip(panels, ("data", "prior", "temperature"), strict=True):
        drawn = ax.get_lines()[0]
        np.testing.assert_allclose(drawn.get_ydata(), part(found, limit)["distance"])
    assert [t.get_text() for t in last.texts] == ["no draws were made"]
