"""Likelihood against prior curvature: ridge regression's shrinkage, and laws of any model."""

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

RNG = np.random.default_rng(8)
X = RNG.normal(size=(30, 4)) * [3.0, 1.0, 0.3, 0.05]
Y = RNG.normal(X @ [1.0, -1.0, 2.0, 0.0], 1.5)
NOISE, PRIOR = 1.5, 0.7


def ridge(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, PRIOR).expand([4]).to_event(1))
    with numpyro.plate("obs", len(x)):
        numpyro.sample("y", dist.Normal(x @ beta, NOISE), obs=y)


@pytest.fixture(scope="module")
def mode() -> wb.ModeFit:
    return wb.fit_laplace(ridge, {"x": X, "y": Y}, num_starts=1)


@pytest.fixture(scope="module")
def found(mode) -> wb.Spectrum:
    return wb.spectrum(mode.require_density(), laplace=mode, quick=True)


def test_shares_are_ridge_shrinkage_of_the_singular_values(found):
    d = np.linalg.svd(X, compute_uv=False)
    penalty = NOISE**2 / PRIOR**2
    np.testing.assert_allclose(found.table["data_share"], d**2 / (d**2 + penalty), rtol=1e-8)
    # degrees of freedom: the trace of the hat matrix of ridge regression
    hat = X @ np.linalg.solve(X.T @ X + penalty * np.eye(4), X.T)
    assert found.effective_parameters == pytest.approx(np.trace(hat), rel=1e-8)


def test_standard_errors_from_the_spectrum_are_those_from_the_inverse(found):
    posterior = np.linalg.inv(X.T @ X / NOISE**2 + np.eye(4) / PRIOR**2)
    errors = found.standard_errors
    np.testing.assert_allclose(errors["from_spectrum"], errors["from_inverse"], rtol=1e-10)
    np.testing.assert_allclose(errors["from_inverse"], np.sqrt(np.diag(posterior)), rtol=1e-8)


def test_directions_are_uncorrelated_posterior_sds(found):
    posterior = np.linalg.inv(X.T @ X / NOISE**2 + np.eye(4) / PRIOR**2)
    directions = found.directions.to_numpy()
    np.testing.assert_allclose(directions @ directions.T, posterior, rtol=1e-8, atol=1e-12)


def test_the_sentence_counts_what_decides(found):
    # shares of the four columns, nearly orthogonal: near 1, near 0.9, in between, near 0
    assert found.table["decided_by"].iloc[0] == "data"
    assert found.table["decided_by"].iloc[-1] == "prior"
    assert "beta[3]" in found.table["combination"].iloc[-1]
    assert found.sentences[0].startswith("Of 4 directions the data decide ")
    assert found.trusted


def test_a_posterior_without_a_regular_mode_is_refused(mode):
    flat = replace(mode, status=wb.Status.NOT_IDENTIFIED, detail="flat along a - b")
    with pytest.raises(FitError, match="expects a regular posterior mode.*is flat along a - b"):
        wb.spectrum(mode.require_density(), laplace=flat, quick=True)


def test_the_picture_shows_every_share(found):
    ax = plot.spectrum(found)
    drawn = [bar.get_width() for bar in ax.containers[0]]
    np.testing.assert_allclose(drawn, found.table["data_share"])
    short = plot.spectrum(found, limit=2)
    assert len(short.containers[0]) == 2
    assert "the 2 of 4 directions" in short.get_xlabel()


@pytest.mark.slow
@pytest.mark.reference
def test_shares_add_up_to_p_loo_of_a_regular_model():
    from models.linear import MODEL

    # Laplace and leave-one-out differ by the fourth moments of the residuals, of order 1 here
    found = wb.spectrum(MODEL, wb.load_dataset("kidiq"))
    assert found.effective_parameters == pytest.approx(4, abs=0.1)
    assert found.p_loo == pytest.approx(4, abs=1)
