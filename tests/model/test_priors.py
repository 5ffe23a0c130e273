"""The units of coefficients, and covariates standardised without the intercept."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.model.priors import coefficient_scale, standardise

MEAN, SCALE = np.array([1.0, 30.0, -2.0]), np.array([1.0, 10.0, 0.5])


def test_units_by_hand():
    found = coefficient_scale(MEAN, SCALE, 3.0, 4.0)
    # slopes 4/10 and 4/0.5; intercept sqrt(3^2 + 4^2 + (0.4*30)^2 + (8*2)^2)
    np.testing.assert_allclose(found, [np.sqrt(9 + 16 + 144 + 256), 0.4, 8.0], rtol=1e-15)


def test_link_scale_takes_a_response_of_unit_sd():
    np.testing.assert_array_equal(
        coefficient_scale(MEAN, SCALE), coefficient_scale(MEAN, SCALE, 0.0, 1.0)
    )


def test_without_intercept_every_column_is_a_covariate():
    found = coefficient_scale(MEAN[1:], SCALE[1:], 3.0, 4.0)
    np.testing.assert_allclose(found, [0.4, 8.0], rtol=1e-15)


@pytest.mark.parametrize("factor", [1e-6, 7.0, 1e6])
def test_prior_moves_with_the_unit_of_a_covariate(factor):
    """In another unit of x the slope's unit is divided by the factor; the rest stays."""
    other = np.array([1.0, factor, 1.0])
    here = coefficient_scale(MEAN, SCALE, 3.0, 4.0)
    there = coefficient_scale(MEAN * other, SCALE * other, 3.0, 4.0)
    np.testing.assert_allclose(there, here / other, rtol=1e-14)


@pytest.mark.parametrize("factor", [1e-6, 7.0, 1e6])
def test_prior_moves_with_the_unit_of_the_response(factor):
    here = coefficient_scale(MEAN, SCALE, 3.0, 4.0)
    there = coefficient_scale(MEAN, SCALE, 3.0 * factor, 4.0 * factor)
    np.testing.assert_allclose(there, here * factor, rtol=1e-14)


def test_intercept_unit_is_the_sd_of_an_uncentred_intercept():
    """Alpha = alpha_c - sum_j beta_j m_j has the variance of its independent terms."""
    rng = np.random.default_rng(0)
    alpha_c = rng.normal(0, np.sqrt(3.0**2 + 4.0**2), 400_000)
    slopes = rng.normal(0, [0.4, 8.0], (400_000, 2))
    alpha = alpha_c - slopes @ MEAN[1:]
    # the sd of 400,000 normal draws has a relative error of 1 / sqrt(800,000) = 0.0011
    assert abs(alpha.std() / coefficient_scale(MEAN, SCALE, 3.0, 4.0)[0] - 1) < 0.005


def test_standardised_columns_have_mean_0_and_sd_1(rng):
    x = np.column_stack([np.ones(50), rng.normal(30, 10, 50), rng.normal(-2, 0.5, 50)])
    mean, scale = x.mean(0), np.where(x.std(0) == 0, 1.0, x.std(0))
    h = np.asarray(standardise(x, mean, scale))
    assert h.shape == (50, 2)
    np.testing.assert_allclose(h.mean(0), 0, atol=1e-13)  # 50 terms of size 1, rounded at 1e-15
    np.testing.assert_allclose(h.std(0), 1, rtol=1e-13)
