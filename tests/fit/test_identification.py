"""What the data cannot tell apart is named, with what would settle it; what they can is not."""

from __future__ import annotations

import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench.fit import Status
from workbench.fit.curvature import examine
from workbench.fit.newton import Point
from workbench.fit.objective import Objective
from workbench.fit.optimiser import History, Optimum, Starts
from workbench.model import Model, read_density

N = 30
RNG = np.random.default_rng(3)
X1, X2, NOISE = RNG.normal(size=(3, N))
LINE = np.linspace(-2, 2, N)


def linear(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    numpyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)


def network(x: Any, y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0, 1).expand([2]).to_event(1))
    v = numpyro.sample("v", dist.Normal(0, 1).expand([2]).to_event(1))
    numpyro.sample("y", dist.Normal(jnp.tanh(x[:, None] * w) @ v, 0.3), obs=y)


def one_row_per_group(y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfNormal(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1))
    u = numpyro.sample("u", dist.Normal(mu, tau).expand([N]).to_event(1))
    numpyro.sample("y", dist.Normal(u, sigma), obs=y)


def test_a_sum_beside_its_terms_is_named_with_what_settles_it() -> None:
    # x1 + x2 given with both, in other units: beta[1] + beta[3] and beta[2] + beta[3] are all
    # that the data tell
    x = np.column_stack([np.ones(N), X1, 100 * X2, X1 + 100 * X2])
    fit = wb.fit_mle(linear, {"x": x, "y": NOISE}, num_starts=2)
    assert fit.status is Status.NOT_IDENTIFIED
    (direction,) = fit.null_directions
    weights = np.array([direction[f"beta[{j}]"] for j in range(4)])
    np.testing.assert_allclose(weights / weights[3], [0, -1, -1, 1], atol=1e-8)
    assert "data in which beta[" in fit.detail
    assert "or an informative prior on one of them, would settle it" in fit.detail
    assert fit.bse.isna().tolist() == [False, True, True, True]
    alone = wb.fit_mle(linear, {"x": x[:, :3], "y": NOISE}, num_starts=2)
    assert fit.bse["beta[0]"] == pytest.approx(alone.bse["beta[0]"], rel=1e-8)


def test_a_column_of_zeros_says_nothing_of_its_coefficient() -> None:
    x = np.column_stack([np.ones(N), np.zeros(N)])
    fit = wb.fit_mle(linear, {"x": x, "y": NOISE}, num_starts=2)
    assert fit.status is Status.NOT_IDENTIFIED
    assert "the data say nothing of beta[1]: drop it" in fit.detail


def test_two_variances_with_one_row_per_group_are_one() -> None:
    # the rows are independent Normal(mu, tau^2 + sigma^2): only the sum is determined
    model = Model(name="h", fn=one_row_per_group, random_effects=("u",))
    fit = wb.fit_mle(model, {"y": NOISE}, num_starts=2)
    assert fit.status is Status.NOT_IDENTIFIED
    assert "log(tau)" in fit.detail
    assert "log(sigma)" in fit.detail
    assert fit.params["tau"] ** 2 + fit.params["sigma"] ** 2 == pytest.approx(NOISE.var(), rel=1e-8)
    assert fit.bse[["tau", "sigma"]].isna().all()
    # the mean is as if there were no groups
    assert fit.bse["mu"] == pytest.approx(NOISE.std() / np.sqrt(N), rel=1e-6)
    # along the ridge of constant tau^2 + sigma^2, d log(tau) tau^2 + d log(sigma) sigma^2 = 0
    (direction,) = fit.null_directions
    slope = direction["log(tau)"] * fit.params["tau"] ** 2
    slope += direction["log(sigma)"] * fit.params["sigma"] ** 2
    assert slope == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_unit_too_many_gets_no_standard_error(seed: int) -> None:
    # one unit made the data: of two, either one has no weight or the two share one place, and
    # the likelihood is flat to second order there, with curvatures of either sign by rounding
    fit = wb.fit_mle(network, {"x": LINE, "y": np.tanh(1.5 * LINE)}, num_starts=6, seed=seed)
    assert fit.status is Status.NOT_IDENTIFIED
    assert re.search(r"[vw]\[", fit.detail)
    assert fit.bse.isna().all()


def test_correlation_of_0999_is_not_accused() -> None:
    # the standard error is inflated by 1 / sqrt(1 - r^2), and that is all
    x1 = X1 / np.linalg.norm(X1)
    rest = X2 - x1 * (x1 @ X2)
    x2 = 0.999 * x1 + np.sqrt(1 - 0.999**2) * rest / np.linalg.norm(rest)
    fit = wb.fit_mle(linear, {"x": np.column_stack([x1, x2]), "y": NOISE}, num_starts=2)
    assert fit.status is Status.CONVERGED
    np.testing.assert_allclose(fit.bse, 1 / np.sqrt(1 - 0.999**2), rtol=1e-8)


def test_a_saddle_is_told_from_a_boundary() -> None:
    # y = 2 for m^2: m = 0 is stationary, and the objective rises to both sides; for exp(m) it
    # falls to one side only
    def squared(y: Any = None) -> None:
        m = numpyro.sample("m", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(m**2, 1.0), obs=y)

    objective = Objective(density=read_density(squared, {"y": np.full(4, 2.0)}), method="MLE")
    point = Point.at(objective, np.zeros(1), np.eye(1))
    nothing = np.zeros((0, 1))
    found = examine(
        objective,
        Optimum(
            theta=point.theta,
            value=point.value,
            gradient=point.gradient,
            scale=point.scale,
            information=point.information,
            decrement=point.decrement,
            starts=Starts(
                z0=nothing,
                z=nothing,
                log_objective=np.zeros(0),
                gradient_norm=np.zeros(0),
                iterations=np.zeros(0, dtype=int),
            ),
            history=History(log_objective=np.zeros(0), gradient_norm=np.zeros(0), num_newton=0),
        ),
    )
    assert found.status is Status.SADDLE
    # sum of (m^2 - 2)^2 / 2 over four rows: second derivative of the objective 4 * 4 at m = 0
    assert found.eigenvalues == pytest.approx([-16.0], rel=1e-8)

    def scale(y: Any = None) -> None:
        tau = numpyro.sample("tau", dist.HalfNormal(1))
        numpyro.sample("y", dist.Normal(tau, 1.0), obs=y)

    fit = wb.fit_mle(scale, {"y": np.full(4, -1.0)}, num_starts=2)
    assert fit.status is Status.AT_BOUNDARY
    assert "tau" in fit.detail
