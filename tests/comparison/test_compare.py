"""What `compare` promises besides numbers: terms, held-out rows, refusals, scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import special, stats

import workbench as wb
from models.linear import MODEL as LINEAR
from workbench import az
from workbench.errors import UsageError

QUICK: dict[str, Any] = {"num_warmup": 200, "num_samples": 250, "num_chains": 4, "seed": 1}


@pytest.fixture(scope="module")
def split() -> tuple[wb.Dataset, wb.Dataset]:
    return wb.load_dataset("kidiq").split(0.8, seed=0)


@pytest.fixture(scope="module")
def kidiq(split: tuple[wb.Dataset, wb.Dataset]) -> wb.Comparison:
    train, test = split
    return wb.compare(LINEAR, train, held_out=test, **QUICK)


def _score(c: wb.Comparison, name: str, method: str) -> float:
    rows = c.scores[(c.scores["score"] == name) & (c.scores["method"] == method)]
    return float(rows["value"].iloc[0])


def test_every_term_has_every_method_in_order(kidiq: wb.Comparison) -> None:
    assert kidiq.terms == ["beta[Intercept]", "beta[mom_hs]", "beta[mom_iq]", "sigma"]
    for term in kidiq.terms:
        assert list(kidiq.rows(term).index) == ["MLE", "MAP", "Laplace", "NUTS"]


def test_held_out_scores_are_recomputed_by_hand(
    kidiq: wb.Comparison, split: tuple[wb.Dataset, wb.Dataset]
) -> None:
    _, test = split
    x, y = test.inputs["x"], test.observed["y"]
    params = kidiq.fits["MLE"].params.to_numpy()
    truth = stats.norm.logpdf(y, x @ params[:3], params[3])
    assert _score(kidiq, "held-out mean log score", "MLE") == pytest.approx(truth.mean(), rel=1e-9)
    rmse = np.sqrt(np.mean((y - x @ params[:3]) ** 2))
    assert _score(kidiq, "held-out RMSE", "MLE") == pytest.approx(rmse, rel=1e-9)
    draws = kidiq.fits["NUTS"].samples
    beta, sigma = draws["beta"].reshape(-1, 3), draws["sigma"].reshape(-1)
    density = stats.norm.logpdf(y, beta @ x.T, sigma[:, None])
    truth = (special.logsumexp(density, axis=0) - np.log(len(sigma))).mean()
    assert _score(kidiq, "held-out mean log score", "NUTS") == pytest.approx(truth, rel=1e-9)


def test_loo_is_arviz_loo(kidiq: wb.Comparison) -> None:
    peer = az.loo(kidiq.fits["NUTS"].datatree, reff=1.0)
    assert _score(kidiq, "elpd_loo", "NUTS") == pytest.approx(peer.elpd, rel=1e-12)
    worst = float(np.max(peer.pareto_k))
    assert _score(kidiq, "worst Pareto k", "NUTS") == pytest.approx(worst, rel=1e-12)


def test_terms_are_chosen_by_scalar_or_array(split: Any, kidiq: wb.Comparison) -> None:
    fits = kidiq.fits
    chosen = wb.compare(LINEAR, split[0], fits=fits, terms=["sigma", "beta"])
    assert chosen.terms == ["sigma", "beta[Intercept]", "beta[mom_hs]", "beta[mom_iq]"]
    assert chosen.fits["NUTS"] is fits["NUTS"]  # nothing is fitted again


def test_unknown_terms_get_the_nearest(split: Any, kidiq: wb.Comparison) -> None:
    with pytest.raises(UsageError, match="did you mean 'sigma'"):
        wb.compare(LINEAR, split[0], fits=kidiq.fits, terms=["sigmas"])


def test_level_is_a_probability(split: Any, kidiq: wb.Comparison) -> None:
    with pytest.raises(UsageError, match="level expects a number between 0 and 1; got 95"):
        wb.compare(LINEAR, split[0], fits=kidiq.fits, level=95)


def test_an_undefined_mle_leaves_the_posterior_standing() -> None:
    sigma = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])

    def schools(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 5))
        tau = numpyro.sample("tau", dist.HalfNormal(5))
        theta = numpyro.sample("theta", dist.Normal(mu, tau).expand([8]).to_event(1))
        numpyro.sample("y", dist.Normal(theta, sigma).to_event(1), obs=y)

    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    c = wb.compare(schools, {"y": y}, **QUICK)
    assert "MLE" in c.refused
    assert "theta" in c.refused["MLE"]
    assert "MLE" not in set(c.table["method"])
    assert "refused" in {f.code for f in c.findings}
    prior = c.ledger[c.ledger["step"] == "prior"]
    assert prior["change"].isna().all()
    assert prior["reason"].str.contains("declare it").all()
    assert "no maximum likelihood estimate" in c.verdict


def test_a_factor_likelihood_has_no_observations_to_score() -> None:
    y = np.array([0.3, 1.2, -0.5, 0.8])

    def kernel(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 10))
        numpyro.factor("likelihood", dist.Normal(mu, 1.0).log_prob(y).sum())

    c = wb.compare(kernel, {"y": y}, **QUICK)
    assert c.rows("mu").loc["MLE", "estimate"] == pytest.approx(y.mean(), rel=1e-8)
    assert np.isnan(_score(c, "elpd_loo", "NUTS"))
    assert np.isnan(_score(c, "BIC", "MLE"))
    assert any(f.code == "reading" and "actor 'likelihood'" in f.sentence for f in c.findings)


def test_text_and_html_hold_verdict_and_terms(kidiq: wb.Comparison) -> None:
    for text in (str(kidiq), kidiq._repr_html_()):
        assert kidiq.verdict in text
        for term in kidiq.terms:
            assert term in text
