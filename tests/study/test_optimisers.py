"""Six optimisers on a quadratic: their rates are those of the textbooks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench import plot
from workbench.errors import FitError

X = np.random.default_rng(11).normal(size=(40, 4)) @ np.array(
    [[3.0, 2.9, 0, 0], [0, 0.5, 0, 0], [0, 0, 1.0, 0.5], [0, 0, 0, 0.7]]
)
Y = np.random.default_rng(12).normal(size=40)


def quadratic(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 1).expand([4]).to_event(1))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)


@pytest.fixture(scope="module")
def mle() -> wb.ModeFit:
    return wb.fit_mle(quadratic, {"x": X, "y": Y}, num_starts=1)


@pytest.fixture(scope="module")
def found(mle) -> wb.Optimisers:
    return wb.optimisers(mle.require_density(), fit=mle, seed=1)


def test_eigenvalues_are_those_of_the_correlations(found):
    unit = X / np.linalg.norm(X, axis=0)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(unit.T @ unit), rtol=1e-7)


def test_observed_rates_are_the_predicted_ones(found):
    kappa = found.condition_number
    assert kappa > 20
    rate, predicted = found.table["rate"], found.table["predicted"]
    assert predicted["gradient descent"] == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-12)
    assert predicted["momentum"] == pytest.approx(
        (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1), rel=1e-12
    )
    # both ends of the spectrum shrink alike, and nothing shrinks more slowly
    assert rate["gradient descent"] == pytest.approx(predicted["gradient descent"], rel=1e-3)
    # a double root: distance n r^n, whose logarithm has the slope log r + 1/n at n
    for method in ("momentum", "Nesterov"):
        n = found.runs[method].distance.size
        steps = min(n, np.log(1e-6) / np.log(predicted[method]))
        assert abs(np.log(rate[method] / predicted[method])) < 4 / steps


def test_newton_ends_in_one_step_and_momentum_beats_descent(found):
    steps = found.table["iterations"]
    assert steps["Newton"] == 1
    assert steps["momentum"] < steps["gradient descent"]
    assert found.table.loc["L-BFGS", "gradients"] < found.table.loc["momentum", "gradients"]
    assert found.trusted


def test_all_start_three_standard_errors_away(found):
    first = [run.distance[0] for run in found.runs.values()]
    np.testing.assert_allclose(first, 3.0, rtol=1e-6)


def test_the_leapfrog_samples_where_the_others_arrive(found):
    assert np.isnan(found.table.loc["leapfrog", "iterations"])
    # a leap leaves exp(-f - p^2 / 2) nearly as it is, so that d^2 at every leap is about a
    # chi-squared of 4 degrees: mean 4, sd sqrt(8), and of 320 trajectories after the first ones
    # each counts as a half at least
    path, later = found.runs["leapfrog"], found.runs["leapfrog"].distance[1000:]
    assert np.mean(later**2) == pytest.approx(4, abs=4 * np.sqrt(8 * 2 / 320))
    assert path.distance[0] == pytest.approx(3.0, rel=1e-6)


def test_height_over_the_plane_is_half_the_squared_distance(found):
    a, b = found.plane.index.to_numpy(), found.plane.columns.to_numpy()
    exact = 0.5 * (a[:, None] ** 2 + b[None, :] ** 2)
    np.testing.assert_allclose(found.plane, exact, atol=1e-6)


def test_a_likelihood_without_a_regular_maximum_is_refused(mle):
    flat = replace(mle, status=wb.Status.SEPARATED, detail="separated: x")
    with pytest.raises(FitError, match="expects a regular maximum; the MLE of model 'quadratic'"):
        wb.optimisers(mle.require_density(), fit=flat)


def test_the_picture_draws_every_method(found):
    first, second, third = plot.optimisers(found).ravel()
    methods = list(found.runs)
    for ax in (first, second):
        assert [x.get_label() for x in ax.get_lines()][: len(methods)] == methods
    np.testing.assert_allclose(third.get_lines()[0].get_xydata(), found.runs[methods[0]].path)
