"""Findings on the draws: each speaks on a built pathology, with the next thing to try."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fit.synthetic import draws_fit
from workbench.comparison.chains import chains_apart, divergent_transitions, undecided_signs
from workbench.comparison.finding import Severity


def healthy(rng):
    return draws_fit(
        {"mu": 5 + rng.normal(size=(4, 500)), "tau": np.exp(rng.normal(size=(4, 500)))}
    )


@pytest.mark.parametrize("rule", [divergent_transitions, chains_apart, undecided_signs])
def test_a_healthy_fit_is_left_in_peace(rng, rule):
    assert list(rule(healthy(rng))) == []


def test_divergences_in_a_neck_name_the_scale(rng):
    terms = {"mu": rng.normal(size=(4, 500)), "tau": np.exp(rng.normal(size=(4, 500)))}
    low = terms["tau"] < np.quantile(terms["tau"], 0.02)
    (found,) = divergent_transitions(draws_fit(terms, diverging=low))
    assert found.terms == ("tau",)
    assert "40 of 2000" in found.sentence
    assert "they lie at small tau" in found.sentence
    assert "whose scale is tau non-centred" in found.advice
    assert found.severity is Severity.ERROR


def test_divergences_in_a_tail_are_not_called_a_neck(rng):
    mu = rng.standard_t(2, size=(4, 500))
    (found,) = divergent_transitions(draws_fit({"mu": mu}, diverging=mu > np.quantile(mu, 0.98)))
    assert "they lie at large mu" in found.sentence
    assert "heavy tail" in found.advice


def test_divergences_anywhere_name_no_term(rng):
    flags = np.zeros((4, 500), dtype=bool)
    flags[:, ::125] = True
    (found,) = divergent_transitions(draws_fit({"mu": rng.normal(size=(4, 500))}, diverging=flags))
    assert found.terms == ()
    assert found.sentence.endswith("bias the tails).")


@pytest.mark.parametrize(
    ("difference", "says"), [(-8.0, "lesser mode caught it"), (0.5, "about as probable")]
)
def test_a_chain_apart_says_which_and_what_to_try(rng, difference, says):
    mu, lp = rng.normal(size=(4, 500)), np.zeros((4, 500))
    mu[3], lp[3] = mu[3] - 9, difference
    (found,) = chains_apart(draws_fit({"mu": mu}, lp=lp))
    assert f"Chain 3 sits elsewhere: mu is {mu[3].mean():.3g} there" in found.sentence
    assert f"{difference:+.3g} nats" in found.sentence
    assert says in found.advice


def test_a_still_chain_is_told_from_a_mode(rng):
    mu = rng.normal(size=(4, 500))
    mu[0] = 0.1
    (found,) = chains_apart(draws_fit({"mu": mu}))
    assert "Chain 0 hardly moves" in found.sentence
    assert "rescale" in found.advice


@pytest.mark.parametrize(("shift", "speaks"), [(0.0, True), (0.5, False), (-0.5, False)])
def test_a_sign_within_monte_carlo_error_is_not_decided(rng, shift, speaks):
    # the interval's lower end is put at `shift`; of 2000 normals its error is about 0.06
    mu = rng.normal(size=(4, 500))
    mu += shift - np.quantile(mu, 0.025)
    found = list(undecided_signs(draws_fit({"mu": mu})))
    assert [f.terms for f in found] == ([("mu",)] if speaks else [])


def test_a_positive_parameter_has_no_sign_to_decide(rng):
    tau = np.abs(rng.normal(size=(4, 500)))  # its lower end lies at 0.03
    assert list(undecided_signs(draws_fit({"tau": tau}))) == []
