"""The derivative of a choice's log probability in its logit is y - n/2 where the logit is 0."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench.model.logits import right_at_zero

Y = np.array([0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
X = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0])


@pytest.mark.parametrize("trials", [1, 3])
@pytest.mark.parametrize("wrap", ["plain", "expanded", "event", "masked"])
def test_derivative_at_zero_is_the_limit_from_both_sides(trials: int, wrap: str) -> None:
    def log_prob(x: jax.Array) -> jax.Array:
        fn: Any = dist.Bernoulli(logits=x) if trials == 1 else dist.Binomial(trials, logits=x)
        fn = fn if wrap == "plain" else fn.expand([2, 3])
        fn = fn.to_event(1) if wrap == "event" else fn
        fn = fn.mask(jnp.ones((2, 3), dtype=bool)) if wrap == "masked" else fn
        right = right_at_zero(fn)
        assert right.batch_shape == fn.batch_shape
        return jnp.sum(right.log_prob(jnp.ones(fn.shape())))

    at_zero, near = (float(jax.grad(log_prob)(jnp.asarray(v))) for v in (0.0, 1e-9))
    size = 1 if wrap == "plain" else 6
    assert at_zero == pytest.approx(size * (1 - trials / 2), abs=1e-12)
    assert near == pytest.approx(at_zero, abs=1e-7)


def test_other_distributions_are_left_as_they_are() -> None:
    for fn in (dist.Normal(0, 1), dist.Bernoulli(probs=0.5), dist.Poisson(1.0).expand([2])):
        assert right_at_zero(fn) is fn


def choice(x: Any, y: Any = None) -> None:
    a = numpyro.sample("a", dist.Normal(0, 5))
    b = numpyro.sample("b", dist.Normal(0, 5))
    numpyro.sample("y", dist.Bernoulli(logits=a + b * x), obs=y)


def test_score_test_of_zero_coefficients_has_its_closed_form() -> None:
    # U = X'(y - 1/2) and I = X'X / 4 at the hypothesis, where every logit is exactly 0
    fit = wb.fit_mle(choice, {"x": X, "y": Y})
    design = np.column_stack([np.ones_like(X), X])
    score = design.T @ (Y - 0.5)
    statistic = score @ np.linalg.solve(0.25 * design.T @ design, score)
    found = fit.test("a = 0, b = 0", kind="score")
    assert found.statistic == pytest.approx(statistic, rel=1e-8)


@pytest.mark.parametrize("trials", [1, 3])
def test_value_and_two_derivatives_have_their_closed_forms(trials: int) -> None:
    # log p = log C + k x - n log(1 + e^x); the sigmoid p and n p (1 - p), to 50 digits
    x, k = np.array([-800.0, -40.0, -1.5, 0.0, 0.3, 37.0, 800.0]), 1

    def log_prob(x: jax.Array) -> jax.Array:
        fn = dist.Bernoulli(logits=x) if trials == 1 else dist.Binomial(trials, logits=x)
        return right_at_zero(fn).log_prob(k)

    with localcontext(prec=50):
        grown = [Decimal(v).exp() for v in x]
        value = [float(Decimal(trials).ln() + k * Decimal(v) - trials * (1 + g).ln())
                 for v, g in zip(x, grown, strict=True)]  # fmt: skip
        first = [float(k - trials * g / (1 + g)) for g in grown]
        second = [float(-trials * g / (1 + g) ** 2) for g in grown]
    first_and_second = jax.vmap(jax.grad(log_prob))(x), jax.vmap(jax.grad(jax.grad(log_prob)))(x)
    np.testing.assert_allclose(jax.vmap(log_prob)(x), value, rtol=1e-14)
    np.testing.assert_allclose(first_and_second[0], first, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(first_and_second[1], second, rtol=1e-14, atol=1e-15)


def test_a_certain_choice_has_probability_one_or_zero() -> None:
    logits = jnp.array([np.inf, np.inf, -np.inf, -np.inf])
    certain = right_at_zero(dist.Bernoulli(logits=logits, validate_args=False))
    assert np.asarray(certain.log_prob(np.array([1, 0, 1, 0]))).tolist() == [0, -np.inf, -np.inf, 0]
