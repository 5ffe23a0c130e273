"""Findings: the rules that read fits, ledger and scores, worst first.

Each rule is a function of the evidence that returns findings; each prints its number, its
threshold, the guilty parameter and what to do, and is silent on a healthy fit. Thresholds and
their sources stand at the top of the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.comparison.chains import (
    chains_apart,
    divergent_transitions,
    undecided_signs,
)
from workbench.comparison.finding import Finding, Severity
from workbench.fit import DrawsFit, ModeFit, Status
from workbench.model import Density

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the rules read.

    Attributes
    ----------
    fits : mapping
        Fits by method.
    ledger, scores : pandas.DataFrame
        Of the comparison.
    refused : mapping
        Sentence of each method that refused.
    density : Density
        The model at its data.
    """

    fits: Mapping[str, ModeFit | DrawsFit]
    ledger: pd.DataFrame
    scores: pd.DataFrame
    refused: Mapping[str, str]
    density: Density

    @property
    def draws(self) -> DrawsFit | None:
        """The NUTS fit, if any."""
        found = self.fits.get("NUTS")
        return found if isinstance(found, DrawsFit) else None

    def mode(self, method: str) -> ModeFit | None:
        """A mode fit, if any."""
        found = self.fits.get(method)
        return found if isinstance(found, ModeFit) else None

    def steps(self, quantity: str, step: str) -> pd.DataFrame:
        """Rows of the ledger for one step, indexed by term."""
        rows = (self.ledger["quantity"] == quantity) & (self.ledger["step"] == step)
        return self.ledger[rows].set_index("term")

    def score(self, name: str, method: str) -> float:
        """A score's value, nan when absent."""
        rows = self.scores[(self.scores["score"] == name) & (self.scores["method"] == method)]
        return float(rows["value"].iloc[0]) if len(rows) else np.nan


def find(
    fits: Mapping[str, ModeFit | DrawsFit],
    ledger: pd.DataFrame,
    scores: pd.DataFrame,
    refused: Mapping[str, str],
    density: Density,
) -> tuple[Finding, ...]:
    """Apply every rule.

    Parameters
    ----------
    fits, ledger, scores, refused, density
        The evidence, see :class:`Evidence`.

    Returns
    -------
    tuple of Finding
        Worst first; empty when nothing needs saying.
    """
    evidence = Evidence(fits=fits, ledger=ledger, scores=scores, refused=refused, density=density)
    found = [finding for rule in RULES for finding in rule(evidence)]
    return tuple(sorted(found, key=lambda f: _ORDER[f.severity]))


# -- is there an answer at all? --------------------------------------------------------------


def refused_methods(e: Evidence) -> Iterator[Finding]:
    """A method that is not defined for this model."""
    for method, sentence in e.refused.items():
        yield Finding(
            code="refused",
            severity=Severity.WARNING,
            terms=(),
            evidence={},
            threshold=np.nan,
            sentence=f"No {method}: {sentence}.",
            advice="Read the other methods; the ledger starts where there is an answer.",
        )


def mode_status(e: Evidence) -> Iterator[Finding]:
    """A mode fit that did not end at a regular maximum."""
    severity = {
        Status.AT_BOUNDARY: Severity.WARNING,
        Status.SEVERAL_OPTIMA: Severity.WARNING,
    }
    for method in ("MLE", "MAP", "Laplace"):
        fit = e.mode(method)
        if fit is None or fit.status.ok:
            continue
        what, _, advice = fit.status.value.partition(": ")
        lacking = fit.estimates.index[fit.estimates["std_error"].isna()]
        # what is reported may be determined although something behind it is not
        grave = method == "MLE" and (len(lacking) > 0 or fit.status is Status.NOT_CONVERGED)
        consequence = (
            f"{len(lacking)} of {len(fit.estimates)} terms have no standard error"
            if len(lacking)
            else "the reported terms are determined all the same"
        )
        yield Finding(
            code=f"{method.lower()}-{fit.status.name.lower().replace('_', '-')}",
            severity=severity.get(fit.status, Severity.ERROR if grave else Severity.WARNING),
            terms=tuple(lacking[:10]),
            evidence={"terms without standard error": float(len(lacking))},
            threshold=0.0,
            sentence=f"{method} is {fit.detail or what}; {consequence}.",
            advice=_sentence(advice.rpartition("; ")[2] or advice),
        )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


# -- can the draws be trusted? ---------------------------------------------------------------


def divergences(e: Evidence) -> Iterator[Finding]:
    """Divergent transitions, Betancourt (2017) arXiv:1701.02434; more than 1 in 200 is bad."""
    if e.draws is not None:
        yield from divergent_transitions(e.draws)


def chain_apart(e: Evidence) -> Iterator[Finding]:
    """A chain in another mode, or stuck: two within-chain sd from the others."""
    if e.draws is not None:
        yield from chains_apart(e.draws)


def undecided_sign(e: Evidence) -> Iterator[Finding]:
    """A credible interval that ends within two Monte Carlo errors of zero."""
    if e.draws is not None:
        yield from undecided_signs(e.draws)


def r_hat(e: Evidence) -> Iterator[Finding]:
    """R-hat above 1.01, Vehtari et al. (2021) doi:10.1214/20-BA1221."""
    if e.draws is None:
        return
    values = e.draws.estimands["r_hat"]
    bad = values[values > 1.01].sort_values(ascending=False)
    if len(bad):
        yield Finding(
            code="r-hat",
            severity=Severity.ERROR,
            terms=tuple(bad.index[:10]),
            evidence={"r_hat": float(bad.iloc[0])},
            threshold=1.01,
            sentence=f"R-hat of {bad.index[0]} is {bad.iloc[0]:.3f} (threshold 1.01); "
            f"{len(bad)} terms are above it: the chains disagree.",
            advice="Raise num_warmup, or reparameterise; look at the trace of that term.",
        )


def effective_sample_size(e: Evidence) -> Iterator[Finding]:
    """Fewer than 100 effective draws per chain, Vehtari et al. (2021)."""
    if e.draws is None:
        return
    need = 100.0 * e.draws.num_chains
    ess = e.draws.estimands[["ess_bulk", "ess_tail"]].min(axis=1)
    low = ess[ess < need].sort_values()
    if len(low):
        yield Finding(
            code="ess",
            severity=Severity.ERROR if low.iloc[0] < need / 4 else Severity.WARNING,
            terms=tuple(low.index[:10]),
            evidence={"ess": float(low.iloc[0])},
            threshold=need,
            sentence=f"The effective sample size of {low.index[0]} is {low.iloc[0]:.0f} "
            f"(threshold {need:.0f}, 100 per chain); {len(low)} terms are below it.",
            advice="Raise num_samples.",
        )


def energy(e: Evidence) -> Iterator[Finding]:
    """E-BFMI below 0.3, Betancourt (2016) arXiv:1604.00695.

    The squared changes of the energy from draw to draw, over its squared deviations in the chain.
    """
    if e.draws is None or e.draws.sample_stats["energy"].shape[1] < 4:
        return
    chains = e.draws.sample_stats["energy"]
    deviations = chains - chains.mean(axis=1, keepdims=True)
    values = np.square(np.diff(chains, axis=1)).sum(axis=1) / np.square(deviations).sum(axis=1)
    worst = float(values.min())
    if worst < 0.3:
        yield Finding(
            code="e-bfmi",
            severity=Severity.WARNING,
            terms=(),
            evidence={"e_bfmi": worst},
            threshold=0.3,
            sentence=f"E-BFMI of chain {int(values.argmin())} is {worst:.2f} (threshold 0.3): "
            "the sampler explores the energy levels slowly.",
            advice="Reparameterise heavy tails and scales (non-centred), or run longer.",
        )


def tree_depth(e: Evidence) -> Iterator[Finding]:
    """More than 1 in 100 transitions at the deepest trajectory."""
    if e.draws is None:
        return
    limit = e.draws.provenance.settings["max_tree_depth"]
    share = float(np.mean(e.draws.sample_stats["tree_depth"] >= limit))
    if share > 0.01:
        yield Finding(
            code="tree-depth",
            severity=Severity.WARNING,
            terms=(),
            evidence={"share": share},
            threshold=0.01,
            sentence=f"{share:.0%} of the transitions reached the deepest trajectory "
            f"(2^{limit} steps; threshold 1%).",
            advice="Rescale covariates, give tighter priors, or raise max_tree_depth.",
        )


def monte_carlo_error(e: Evidence) -> Iterator[Finding]:
    """Monte Carlo error above a tenth of the posterior sd: the digits are not there."""
    if e.draws is None:
        return
    table = e.draws.estimands
    share = (table["mcse_mean"] / table["std_error"]).dropna()
    bad = share[share > 0.1].sort_values(ascending=False)
    if len(bad):
        yield Finding(
            code="monte-carlo-error",
            severity=Severity.WARNING,
            terms=tuple(bad.index[:10]),
            evidence={"mcse_over_sd": float(bad.iloc[0])},
            threshold=0.1,
            sentence=f"The Monte Carlo error of {bad.index[0]} is {bad.iloc[0]:.2f} posterior sd "
            "(threshold 0.1).",
            advice="Raise num_samples before reading differences this small.",
        )


# -- do the two answers part, and why? -------------------------------------------------------


def prior_pull(e: Evidence) -> Iterator[Finding]:
    """The prior moves a term by more than a third of a unit."""
    yield from _large_step(
        e, "location", "prior", 1 / 3, "prior-pull",
        "the prior pulls {term} by {value:+.2f} {unit} (threshold 0.33)",
        "Defend this prior, or widen it: the data do not overrule it.",
    )  # fmt: skip


def coordinates(e: Evidence) -> Iterator[Finding]:
    """The mode moves by more than a third of a unit with the coordinates."""
    yield from _large_step(
        e, "location", "coordinates", 1 / 3, "coordinates",
        "the mode of {term} moves by {value:+.2f} {unit} between constrained and unconstrained "
        "space (threshold 0.33)",
        "Do not quote a posterior mode of it; the mean or the median does not depend on the "
        "coordinates so much.",
    )  # fmt: skip


def averaging(e: Evidence) -> Iterator[Finding]:
    """The posterior mean parts from its mode by more than a third of a unit."""
    yield from _large_step(
        e, "location", "averaging", 1 / 3, "skew",
        "averaging over the posterior moves {term} by {value:+.2f} {unit} (threshold 0.33): it "
        "is skewed, or nuisance parameters matter",
        "Quote the posterior interval; a mode with a symmetric interval misleads here.",
    )  # fmt: skip


def spread(e: Evidence) -> Iterator[Finding]:
    """Posterior sd and MLE standard error differ by more than a quarter."""
    yield from _large_step(
        e, "spread", "prior information", 0.25, "prior-information",
        "the prior changes the spread of {term} by {value:+.0%} of the standard error "
        "(threshold 25%)",
        "The prior carries information comparable with the data's.",
    )  # fmt: skip
    yield from _large_step(
        e, "spread", "departure from normality", 0.25, "non-normal",
        "the posterior sd of {term} differs from its normal approximation by {value:+.0%} "
        "(threshold 25%)",
        "Trust the draws, not the curvature at the mode.",
    )  # fmt: skip


def _large_step(
    e: Evidence, quantity: str, step: str, threshold: float, code: str, text: str, advice: str
) -> Iterator[Finding]:
    rows = e.steps(quantity, step)
    rows = rows[np.isfinite(rows["change_in_units"])]
    # a step inside its own Monte Carlo error says nothing
    beyond = rows["change_in_units"].abs() - 2 * rows["mc_error_in_units"].fillna(0.0)
    large = rows[beyond > threshold]
    if len(large):
        order = large["change_in_units"].abs().sort_values(ascending=False).index
        worst = large.loc[order[0]]
        value = float(worst["change_in_units"])
        unit = "standard errors" if worst["unit"].startswith("MLE") else "posterior sd"
        more = f"; {len(large)} terms in all" if len(large) > 1 else ""
        sentence = text.format(term=order[0], value=value, unit=unit) + more + "."
        yield Finding(
            code=code,
            severity=Severity.NOTE,
            terms=tuple(order[:10]),
            evidence={"change_in_units": value},
            threshold=threshold,
            sentence=sentence[:1].upper() + sentence[1:],
            advice=advice,
        )


def opposite_signs(e: Evidence) -> Iterator[Finding]:
    """Both intervals exclude zero, on different sides."""
    mle, draws = e.mode("MLE"), e.draws
    if mle is None or draws is None:
        return
    both = mle.summary().merge(draws.summary(), on="term", suffixes=("", "_b")).set_index("term")
    clash = both[
        ((both["lower"] > 0) & (both["upper_b"] < 0))
        | ((both["upper"] < 0) & (both["lower_b"] > 0))
    ]
    for term, row in clash.iterrows():
        yield Finding(
            code="opposite-signs",
            severity=Severity.ERROR,
            terms=(str(term),),
            evidence={"mle": float(row["estimate"]), "posterior": float(row["estimate_b"])},
            threshold=0.0,
            sentence=f"Maximum likelihood and posterior give {term} opposite signs, both clear "
            f"of zero ({row['estimate']:.3g} and {row['estimate_b']:.3g}; threshold 0).",
            advice="The prior contradicts the data: check its location and units.",
        )


# -- is the likelihood side well posed? ------------------------------------------------------


def few_observations(e: Evidence) -> Iterator[Finding]:
    """Fewer than five observations per parameter: asymptotics do not hold."""
    mle = e.mode("MLE")
    if mle is None or mle.nobs == 0 or mle.num_parameters == 0:
        return
    ratio = mle.nobs / mle.num_parameters
    if ratio < 5:
        yield Finding(
            code="few-observations",
            severity=Severity.NOTE,
            terms=(),
            evidence={"observations per parameter": ratio},
            threshold=5.0,
            sentence=f"{mle.nobs} observations for {mle.num_parameters} parameters "
            f"({ratio:.1f} each; threshold 5).",
            advice="Standard errors and AIC rest on large samples; prefer the posterior.",
        )


def ill_conditioned(e: Evidence) -> Iterator[Finding]:
    """Condition number of the scaled information above 1e6 (1000 on the scale of the design).

    Belsley, Kuh and Welsch (1980), Regression Diagnostics, call 30 to 100 on the design strong.
    """
    mle = e.mode("MLE")
    if mle is None or mle.null_directions or not mle.condition_number > 1e6:
        return
    yield Finding(
        code="ill-conditioned",
        severity=Severity.NOTE,
        terms=(),
        evidence={"condition number": mle.condition_number},
        threshold=1e6,
        sentence=f"The observed information has condition number {mle.condition_number:.1e} "
        "after scaling (threshold 1e6): parameters are strongly correlated.",
        advice="Center the covariates; read predictions rather than single coefficients.",
    )


# -- do the predictions hold? ----------------------------------------------------------------


def pareto_k(e: Evidence) -> Iterator[Finding]:
    """Pareto k above 0.7: leave-one-out is unreliable there, Vehtari et al. (2024)."""
    worst = e.score("worst Pareto k", "NUTS")
    if worst > 0.7:
        note = e.scores.loc[e.scores["score"] == "worst Pareto k", "note"].iloc[0]
        yield Finding(
            code="pareto-k",
            severity=Severity.WARNING if worst > 1 else Severity.NOTE,
            terms=(),
            evidence={"pareto_k": worst},
            threshold=0.7,
            sentence=f"The largest Pareto k is {worst:.2f} at {note} (threshold 0.7): that "
            "observation moves the posterior by itself.",
            advice="Look at that observation; refit without it to get its leave-one-out score.",
        )


def effective_parameters(e: Evidence) -> Iterator[Finding]:
    """p_loo far above the number of parameters: the model is misspecified or too flexible."""
    p_loo = e.score("p_loo", "NUTS")
    count = e.density.size
    if p_loo > 1.5 * count + 1:
        yield Finding(
            code="p-loo",
            severity=Severity.WARNING,
            terms=(),
            evidence={"p_loo": p_loo},
            threshold=1.5 * count + 1,
            sentence=f"The effective number of parameters {p_loo:.1f} exceeds 1.5 x {count} + 1: "
            "the model misses structure in the data.",
            advice="Look at the predictive check; heavier tails or overdispersion may be missing.",
        )


def coverage(e: Evidence) -> Iterator[Finding]:
    """Held-out (or in-sample) coverage more than three binomial errors off its level."""
    for label, severity in (("held-out", Severity.WARNING), ("in-sample", Severity.NOTE)):
        for method in ("MLE", "NUTS"):
            rows = e.scores[
                (e.scores["score"] == f"{label} coverage") & (e.scores["method"] == method)
            ]
            scored = e.scores[e.scores["score"] == f"{label} mean log score"]
            if rows.empty or not np.isfinite(rows["value"].iloc[0]):
                continue
            level = float(rows["note"].iloc[0].split()[1].rstrip("%")) / 100
            number = int(scored["note"].iloc[0].split()[0])
            error = np.sqrt(level * (1 - level) / max(number, 1))
            value = float(rows["value"].iloc[0])
            if value < level - 3 * error:
                yield Finding(
                    code=f"coverage-{label}-{method.lower()}",
                    severity=severity,
                    terms=(),
                    evidence={"coverage": value},
                    threshold=level - 3 * error,
                    sentence=f"{label.capitalize()} coverage of {method} is {value:.1%} for a "
                    f"{level:.0%} interval (threshold {level - 3 * error:.1%}).",
                    advice="Predictive intervals are too narrow: noise or shift is not modelled.",
                )


def notes_of_reading(e: Evidence) -> Iterator[Finding]:
    """What reading the model decided for the user."""
    for note in e.density.notes:
        yield Finding(
            code="reading",
            severity=Severity.NOTE,
            terms=(),
            evidence={},
            threshold=np.nan,
            sentence=_sentence(note),
            advice="",
        )


RULES: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    refused_methods,
    mode_status,
    divergences,
    chain_apart,
    r_hat,
    effective_sample_size,
    energy,
    tree_depth,
    monte_carlo_error,
    undecided_sign,
    prior_pull,
    coordinates,
    averaging,
    spread,
    opposite_signs,
    few_observations,
    ill_conditioned,
    pareto_k,
    effective_parameters,
    coverage,
    notes_of_reading,
)
