"""Each finding speaks when it should, with its number and its parameter, and is silent else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest

import workbench as wb
import workbench.az as az
from workbench.comparison import findings as rules
from workbench.comparison.finding import Severity
from workbench.comparison.findings import Evidence
from workbench.fit import Status
from workbench.fit.quantities import Groups

Y = np.random.default_rng(3).normal(1.0, 1.0, size=60)


def healthy_model(y: Any = None) -> None:
    """Two parameters, sixty observations, wide priors."""
    mu = numpyro.sample("mu", dist.Normal(0, 10))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    with numpyro.plate("obs", 60):
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)


@pytest.fixture(scope="module")
def comparison() -> wb.Comparison:
    return wb.compare(healthy_model, {"y": Y}, seed=0)


@pytest.fixture(scope="module")
def healthy(comparison: wb.Comparison) -> Evidence:
    return Evidence(
        fits=comparison.fits,
        ledger=comparison.ledger,
        scores=comparison.scores,
        refused={},
        density=wb.read_density(healthy_model, {"y": Y}),
    )


def test_a_healthy_fit_has_no_findings(comparison: wb.Comparison) -> None:
    assert comparison.findings == ()
    assert comparison.trustworthy
    assert "Nothing speaks against" in comparison.verdict


def _draws(e: Evidence, **changes: Any) -> Evidence:
    return replace(e, fits={**e.fits, "NUTS": replace(e.fits["NUTS"], **changes)})


def _mode(e: Evidence, method: str, **changes: Any) -> Evidence:
    return replace(e, fits={**e.fits, method: replace(e.fits[method], **changes)})


def _statistic(e: Evidence, name: str, values: np.ndarray) -> Evidence:
    tree = e.fits["NUTS"].datatree.copy()
    stats = tree["sample_stats"].to_dataset()
    stats[name] = (("chain", "draw"), values)
    tree["sample_stats"] = type(tree)(stats)
    groups = Groups(datatree=tree, absent={})
    changed = {**e.fits["NUTS"].sample_stats, name: values}
    return _draws(e, sample_stats=changed, complete=lambda: groups)


def _estimand(e: Evidence, column: str, value: float) -> Evidence:
    table = e.fits["NUTS"].estimands.copy()
    table.loc["mu", column] = value
    return _draws(e, estimands=table)


def _step(e: Evidence, step: str, value: float) -> Evidence:
    ledger = e.ledger.copy()
    rows = (ledger["term"] == "mu") & (ledger["step"] == step)
    ledger.loc[rows, "change_in_units"] = value
    ledger.loc[rows, "mc_error_in_units"] = 0.01
    return replace(e, ledger=ledger)


def _score(e: Evidence, name: str, method: str, value: float, note: str = "row 7") -> Evidence:
    kept = e.scores[~((e.scores["score"] == name) & (e.scores["method"] == method))]
    row = pd.DataFrame([(name, method, value, 0.0, note)], columns=list(e.scores.columns))
    return replace(e, scores=pd.concat([kept, row], ignore_index=True))


def _diverging(share: float) -> np.ndarray:
    flags = np.zeros((4, 1000), dtype=bool)
    flags.flat[: int(share * 4000)] = True
    return flags


def _depth(share: float) -> np.ndarray:
    depth = np.full((4, 1000), 3)
    depth.flat[: int(share * 4000)] = 10
    return depth


def _walk() -> np.ndarray:
    return np.cumsum(np.random.default_rng(0).normal(size=(4, 1000)), axis=1)


def _one_chain_away(e: Evidence) -> Evidence:
    draws = e.draws.estimand_draws.copy()
    draws[1] += 5.0
    return _draws(e, estimand_draws=draws)


def _end_at_zero(e: Evidence) -> Evidence:
    draws = e.draws.estimand_draws.copy()
    draws[..., 0] -= np.quantile(draws[..., 0], 0.025)
    return _draws(e, estimand_draws=draws)


def _separated(e: Evidence) -> Evidence:
    estimates = e.fits["MLE"].estimates.copy()
    estimates.loc["mu", "std_error"] = np.nan
    return _mode(e, "MLE", status=Status.SEPARATED, detail="separated: mu", estimates=estimates)


def _opposite(e: Evidence) -> Evidence:
    estimates = e.fits["MLE"].estimates.copy()
    estimates.loc["mu", "estimate"] = -9.0
    return _mode(e, "MLE", estimates=estimates)


ILL: dict[str, tuple[Callable[[Evidence], Evidence], str, Severity, str]] = {
    "refused": (lambda e: replace(e, refused={"MLE": "declare u"}), "refused",
                Severity.WARNING, "declare u"),
    "separated": (_separated, "mle-separated", Severity.ERROR, "1 of 2 terms have no"),
    "weights-run-off": (lambda e: _mode(e, "MLE", status=Status.UNBOUNDED, detail="unbounded: w"),
                        "mle-unbounded", Severity.WARNING, "are determined all the same"),
    "boundary": (lambda e: _mode(e, "MLE", status=Status.AT_BOUNDARY, detail="at the boundary"),
                 "mle-at-boundary", Severity.WARNING, "boundary"),
    "map-saddle": (lambda e: _mode(e, "MAP", status=Status.SADDLE, detail=""), "map-saddle",
                   Severity.WARNING, "saddle"),
    "divergences": (lambda e: _statistic(e, "diverging", _diverging(0.01)), "divergences",
                    Severity.ERROR, "40 of 4000"),
    "one-divergence": (lambda e: _statistic(e, "diverging", _diverging(1 / 4000)), "divergences",
                       Severity.WARNING, "1 of 4000"),
    "r-hat": (lambda e: _estimand(e, "r_hat", 1.05), "r-hat", Severity.ERROR, "1.050"),
    "ess": (lambda e: _estimand(e, "ess_tail", 250.0), "ess", Severity.WARNING, "250"),
    "tiny-ess": (lambda e: _estimand(e, "ess_bulk", 30.0), "ess", Severity.ERROR, "30"),
    "e-bfmi": (lambda e: _statistic(e, "energy", _walk()), "e-bfmi", Severity.WARNING, "0.3"),
    "tree-depth": (lambda e: _statistic(e, "tree_depth", _depth(0.05)), "tree-depth",
                   Severity.WARNING, "5%"),
    "monte-carlo-error": (lambda e: _estimand(e, "mcse_mean", 0.5 * e.draws.estimands.loc[
        "mu", "std_error"]), "monte-carlo-error", Severity.WARNING, "0.50"),
    "chain-apart": (_one_chain_away, "chain-apart", Severity.ERROR, "Chain 1"),
    "undecided-sign": (_end_at_zero, "undecided-sign", Severity.NOTE, "interval of mu"),
    "prior-pull": (lambda e: _step(e, "prior", -0.8), "prior-pull", Severity.NOTE, "-0.80"),
    "coordinates": (lambda e: _step(e, "coordinates", 0.5), "coordinates", Severity.NOTE, "+0.50"),
    "skew": (lambda e: _step(e, "averaging", 0.9), "skew", Severity.NOTE, "+0.90"),
    "prior-information": (lambda e: _step(e, "prior information", -0.4), "prior-information",
                          Severity.NOTE, "-40%"),
    "non-normal": (lambda e: _step(e, "departure from normality", 0.6), "non-normal",
                   Severity.NOTE, "+60%"),
    "opposite-signs": (_opposite, "opposite-signs", Severity.ERROR, "-9"),
    "few-observations": (lambda e: _mode(e, "MLE", num_observations=8), "few-observations",
                         Severity.NOTE, "4.0 each"),
    "ill-conditioned": (lambda e: _mode(e, "MLE", condition_number=1e9), "ill-conditioned",
                        Severity.NOTE, "1.0e+09"),
    "pareto-k": (lambda e: _score(e, "worst Pareto k", "NUTS", 0.9), "pareto-k", Severity.NOTE,
                 "0.90 at row 7"),
    "p-loo": (lambda e: _score(e, "p_loo", "NUTS", 12.0), "p-loo", Severity.WARNING, "12.0"),
    "coverage": (lambda e: _score(e, "in-sample coverage", "NUTS", 0.5, "of 95%"),
                 "coverage-in-sample-nuts", Severity.NOTE, "50.0%"),
    "reading": (lambda e: replace(e, density=replace(e.density, notes=("a factor counts",))),
                "reading", Severity.NOTE, "A factor counts."),
}  # fmt: skip


@pytest.mark.parametrize("name", ILL)
def test_finding_speaks(healthy: Evidence, name: str) -> None:
    make, code, severity, says = ILL[name]
    ill = make(healthy)
    found = [f for f in rules.find(ill.fits, ill.ledger, ill.scores, ill.refused, ill.density)]
    assert [f.code for f in found] == [code]  # it alone: the rules do not talk over each other
    assert found[0].severity is severity
    assert says in found[0].sentence
    assert found[0].sentence.endswith(".")


def test_every_rule_is_spoken_for(healthy: Evidence) -> None:
    spoken = {code for _, code, _, _ in ILL.values()}
    assert len(spoken) >= len(rules.RULES)
    assert len(rules.RULES) >= 12


def test_energy_is_arviz_bfmi(healthy: Evidence) -> None:
    energy = _walk()
    peer = az.bfmi(az.from_dict({"sample_stats": {"energy": energy}}))["energy"].to_numpy()
    (found,) = rules.energy(_statistic(healthy, "energy", energy))
    assert found.evidence["e_bfmi"] == pytest.approx(peer.min(), rel=1e-12)


def test_a_step_within_its_monte_carlo_error_is_silent(healthy: Evidence) -> None:
    ledger = healthy.ledger.copy()
    rows = (ledger["term"] == "mu") & (ledger["step"] == "averaging")
    ledger.loc[rows, ["change_in_units", "mc_error_in_units"]] = [0.5, 0.3]
    quiet = replace(healthy, ledger=ledger)
    assert list(rules.averaging(quiet)) == []


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [(0.1, 0.02, "agree"), (0.3, 0.2, "cannot be told"), (0.2, 0.2, "cannot be told"),
     (0.9, 0.02, "part for 1 of 2 terms, most for mu")],
)  # fmt: skip
def test_the_verdict_is_no_finer_than_the_monte_carlo_error(
    comparison: wb.Comparison, value: float, error: float, says: str
) -> None:
    # steps from maximum likelihood to posterior of 0 and, for mu, the last one alone
    ledger = comparison.ledger.copy()
    ledger["change_in_units"], ledger["mc_error_in_units"] = 0.0, 0.0
    rows = (ledger["term"] == "mu") & (ledger["step"] == "averaging")
    ledger.loc[rows, ["change_in_units", "mc_error_in_units"]] = [value, error]
    assert says in replace(comparison, ledger=ledger).verdict


def test_findings_are_sorted_worst_first(healthy: Evidence) -> None:
    ill = _step(_estimand(healthy, "r_hat", 1.2), "prior", 2.0)
    found = rules.find(ill.fits, ill.ledger, ill.scores, ill.refused, ill.density)
    assert [f.severity for f in found] == [Severity.ERROR, Severity.NOTE]
