"""The design as a linear map: ridge regression's closed forms, null spaces, groups."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench import plot
from workbench.errors import FitError

RNG = np.random.default_rng(21)
X = RNG.normal(size=(25, 4)) * [3.0, 1.0, 0.3, 0.05]
NOISE, PRIOR = 1.5, 0.7
Y = RNG.normal(X @ [1.0, -1.0, 2.0, 0.0], NOISE)


def ridge(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, PRIOR).expand([x.shape[1]]).to_event(1))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(x @ beta, NOISE), obs=y)


@pytest.fixture(scope="module")
def found() -> wb.Design:
    return wb.design(ridge, {"x": X, "y": Y}, quick=True)


def test_shrinkage_is_that_of_the_singular_values(found):
    s = np.linalg.svd(X, compute_uv=False)
    penalty = NOISE**2 / PRIOR**2
    np.testing.assert_allclose(found.table["singular_value"], s * PRIOR / NOISE, rtol=1e-8)
    np.testing.assert_allclose(found.table["kept"], s**2 / (s**2 + penalty), rtol=1e-8)


def test_effective_parameters_are_the_trace_of_the_hat_matrix(found):
    penalty = NOISE**2 / PRIOR**2
    hat = X @ np.linalg.solve(X.T @ X + penalty * np.eye(4), X.T)
    assert found.effective_parameters == pytest.approx(np.trace(hat), rel=1e-10)
    np.testing.assert_allclose(found.rows["shrunken"], np.diag(hat), rtol=1e-8)
    projection = X @ np.linalg.solve(X.T @ X, X.T)
    np.testing.assert_allclose(found.rows["leverage"], np.diag(projection), rtol=1e-8)
    assert found.rank == 4
    assert found.null_space == ()
    assert found.trusted


def test_a_null_space_is_named_in_few_coordinates():
    # two relations among five columns: the third is the first doubled, the last the sum of two
    x = np.column_stack([X[:, 0], X[:, 1], 2 * X[:, 0], X[:, 2], X[:, 1] + X[:, 2]])
    found = wb.design(ridge, {"x": x, "y": Y}, quick=True)
    assert found.rank == 3
    vectors = {
        "beta[0] - 0.5 beta[2]": [1, 0, -0.5, 0, 0],
        "beta[1] - beta[4] + beta[3]": [0, 1, 0, 1, -1],
    }
    assert set(found.null_space) == set(vectors)
    for vector in vectors.values():
        np.testing.assert_allclose(x @ vector, 0, atol=1e-12)
    # along them the prior decides alone
    np.testing.assert_allclose(found.table["kept"].iloc[3:], 0, atol=1e-12)


def test_weights_of_a_logistic_design_are_p_times_one_less_p():
    def logistic(x: Any, y: Any = None) -> None:
        beta = numpyro.sample("beta", dist.Normal(0, 2).expand([2]).to_event(1))
        with numpyro.plate("obs", len(x)):
            numpyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=y)

    y = (RNG.random(25) < 0.5).astype(int)
    mode = wb.fit_laplace(logistic, {"x": X[:, :2], "y": y}, num_starts=1)
    found = wb.design(mode.require_density(), laplace=mode, quick=True)
    p = 1 / (1 + np.exp(-X[:, :2] @ mode.z))
    factor = np.sqrt(p * (1 - p))[:, None] * X[:, :2]
    s = np.linalg.svd(factor * 2, compute_uv=False)
    np.testing.assert_allclose(found.table["singular_value"], s, rtol=1e-8)


def test_random_effects_are_columns_that_their_spread_shrinks():
    group = np.repeat(np.arange(4), 5)

    def groups(group: Any, y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), ()))
        with numpyro.plate("level", 4):
            u = numpyro.sample("u", dist.Normal(0, 0.5))
        with numpyro.plate("obs", 20):
            numpyro.sample("y", dist.Normal(mu + jnp.take(u, group), 1.0), obs=y)

    model = wb.Model(name="groups", fn=groups, random_effects=("u",))
    found = wb.design(model, {"group": group, "y": RNG.normal(size=20)}, quick=True)
    # the mean under its flat prior is kept whole, each of three contrasts by n / (n + 1 / 0.25)
    np.testing.assert_allclose(found.table["kept"], [1, *[5 / 9] * 3, 0], atol=1e-10)
    assert found.rank == 4
    assert len(found.null_space) == 1


def test_what_neither_data_nor_prior_determine_is_refused():
    def flat(y: Any = None) -> None:
        a, b = (
            numpyro.sample(n, dist.ImproperUniform(dist.constraints.real, (), ())) for n in "ab"
        )
        numpyro.sample("y", dist.Normal(a - b, 1.0).expand([3]), obs=y)

    with pytest.raises(FitError, match="every direction of model 'flat'; neither does a \\+ b"):
        wb.design(flat, {"y": np.arange(3.0)}, quick=True)


def test_the_picture_puts_every_direction_on_the_curve(found):
    first, _ = plot.design(found).ravel()
    d, kept = first.get_lines()[1].get_data()
    np.testing.assert_allclose(kept, d**2 / (d**2 + 1), rtol=1e-10)
