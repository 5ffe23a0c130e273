"""Findings on the draws themselves: divergences located, chains apart, ends not decided."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import stats

from workbench.comparison.finding import Finding, Severity
from workbench.fit import DrawsFit, locate_divergences, stuck_chains

_BAD = 0.005  # share of divergent transitions
_FEW = 5  # divergences that cannot be located
_RISK = 0.01  # of naming a term by chance, over all terms


def divergent_transitions(fit: DrawsFit) -> Iterator[Finding]:
    """Divergent transitions, and the term whose range they concentrate in."""
    diverging = fit.sample_stats["diverging"]
    count, share = int(diverging.sum()), float(diverging.mean())
    if not count:
        return
    where, terms, advice = _place(fit, count)
    yield Finding(
        code="divergences",
        severity=Severity.ERROR if share > _BAD else Severity.WARNING,
        terms=terms,
        evidence={"divergences": float(count), "share": share},
        threshold=_BAD,
        sentence=f"{count} of {diverging.size} transitions diverged "
        f"({share:.2%}; threshold 0.5%, a few near it may bias the tails){where}.",
        advice=advice,
    )


def _place(fit: DrawsFit, count: int) -> tuple[str, tuple[str, ...], str]:
    """Where they are (a clause), the guilty term, and what to do."""
    general = "Raise target_accept_prob towards 0.99, or write the effects non-centred."
    table = locate_divergences(fit)
    needed = stats.norm.isf(_RISK / 2 / max(len(table), 1))
    if count < _FEW or table.empty or not abs(table["z"].iloc[0]) > needed:
        return "", (), general
    term, row = str(table.index[0]), table.iloc[0]
    where = (
        f"; they lie at {'small' if row['z'] > 0 else 'large'} {term}: their median is "
        f"{row['divergent']:.3g}, the {row['quantile']:.0%} quantile of the other draws"
    )
    if row["z"] > 0 and fit.term(term).min() > 0:
        advice = (
            f"Write the effects whose scale is {term} non-centred: near zero they squeeze the "
            "posterior into a neck that one step size cannot follow. Or raise target_accept_prob "
            "towards 0.99."
        )
    else:
        advice = (
            f"Look at what {term} does to the density there: a heavy tail wants a tighter prior "
            "or a rescaled parameter; else raise target_accept_prob towards 0.99."
        )
    return where, (term,), advice


def chains_apart(fit: DrawsFit) -> Iterator[Finding]:
    """A chain in another mode, or one that does not move."""
    for chain, row in stuck_chains(fit).iterrows():
        difference = float(row["log_density"])
        density = f"its log density is {difference:+.3g} nats on average"
        if np.isnan(row["gap"]):
            sentence = (
                f"Chain {chain} hardly moves: {row['term']} stays at {row['mean']:.3g} "
                f"({row['others']:.3g} in the other chains); {density}."
            )
            advice = (
                "It began where no step is accepted: rescale covariates or parameters so that "
                "their plausible values are of order one, or start anew with another seed."
            )
        else:
            sentence = (
                f"Chain {chain} sits elsewhere: {row['term']} is {row['mean']:.3g} there and "
                f"{row['others']:.3g} in the others ({row['gap']:.1f} within-chain sd apart, "
                f"threshold 2); {density}."
            )
            advice = (
                "A lesser mode caught it: start anew with another seed and a longer num_warmup."
                if difference < -3
                else "Both places are about as probable: order or label what can be swapped, or "
                "report the modes apart; no single chain can be trusted for their weights."
            )
        yield Finding(
            code="chain-apart",
            severity=Severity.ERROR,
            terms=(str(row["term"]),),
            evidence={"chain": float(str(chain)), "gap": float(row["gap"])},
            threshold=2.0,
            sentence=sentence,
            advice=advice,
        )


def undecided_signs(fit: DrawsFit) -> Iterator[Finding]:
    """Intervals with an end so near zero that the draws do not say on which side."""
    table = fit.summary().set_index("term")
    # a parameter of one sign has no side to decide
    both = (fit.estimand_draws.min(axis=(0, 1)) < 0) & (fit.estimand_draws.max(axis=(0, 1)) > 0)
    near = []
    for term in table.index[both]:
        for end, prob in (("lower", 0.025), ("upper", 0.975)):
            value = float(table.loc[term, end])
            # an end further off than its sd is decided by any draws worth reading
            if abs(value) < table.loc[term, "std_error"]:
                error = fit.quantile_mcse(str(term), prob)
                if abs(value) < 2 * error:
                    near.append((str(term), value, error))
    if near:
        term, value, error = min(near, key=lambda x: abs(x[1]) / x[2])
        more = f"; {len(near)} ends in all" if len(near) > 1 else ""
        yield Finding(
            code="undecided-sign",
            severity=Severity.NOTE,
            terms=tuple(dict.fromkeys(t for t, _, _ in near)),
            evidence={"end": value, "mcse": error},
            threshold=2.0,
            sentence=f"The 95% credible interval of {term} ends at {value:.2g}, within 2 of its "
            f"Monte Carlo errors ({error:.2g}) from zero: these draws do not say whether it "
            f"excludes zero{more}.",
            advice="Raise num_samples before calling its sign clear or unclear.",
        )
