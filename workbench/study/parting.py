r"""Where the intervals of a term part, and why.

With the profile interval :math:`(L, U)` of an estimate :math:`\hat\theta`, each rule prints its
number and its threshold:

* *outside the support*: an end of the symmetric Wald interval is not a value of the term;
* *open*: the likelihood never falls far enough on a side;
* *skew*: :math:`(U - \hat\theta) / (\hat\theta - L)` is not near 1;
* *misspecification*: the sandwich interval is not as long as Wald's on the same scale. Where the
  model is right the ratio has standard error :math:`\sqrt{(\kappa - 1) / (4 N)}` for scores of
  kurtosis :math:`\kappa`: three of them are allowed for, at the 9 of exponential rows;
* *prior or averaging*: an end of the equal-tailed credible interval lies away from the profile's,
  in units of :math:`U - L`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from workbench.comparison import Finding, Severity
from workbench.fit import DrawsFit, ModeFit

SKEWED = 1.25  # ratio of the two arms of a profile interval
MISSPECIFIED = 1.25  # ratio of the lengths of the sandwich and the Wald interval
APART = 0.1  # of the profile interval's length: 0.4 standard errors at level 0.95
PULLED = 0.1  # standard errors between the modes with and without the prior


def find_partings(
    table: pd.DataFrame, fits: Mapping[str, ModeFit | DrawsFit]
) -> tuple[Finding, ...]:
    """Apply every rule to every term.

    Parameters
    ----------
    table : pandas.DataFrame
        ``term, kind, lower, upper``; kinds that are absent silence the rules that read them.
    fits : mapping
        Fits by method.

    Returns
    -------
    tuple of Finding
        In the order of the terms.

    Examples
    --------
    >>> find_partings(pd.DataFrame(columns=["term", "kind", "lower", "upper"]), {})
    ()
    """
    mle = fits.get("MLE")
    if not isinstance(mle, ModeFit):
        return ()
    found: list[Finding] = []
    for term, rows in table.groupby("term", sort=False):
        if term in mle.estimates.index:
            ends = rows.set_index("kind")[["lower", "upper"]]
            row = mle.estimates.loc[str(term)]
            found += [
                *_outside(str(term), ends, row),
                *_open(str(term), ends, row),
                *_skew(str(term), ends, float(row["estimate"])),
                *_misspecified(str(term), ends, mle.nobs),
                *_prior(str(term), ends, row, fits.get("MAP")),
            ]
    return tuple(found)


def _outside(term: str, ends: pd.DataFrame, row: pd.Series) -> Iterator[Finding]:
    """Wald's symmetric interval leaves the support."""
    if "Wald" not in ends.index:
        return
    for side, bound, sign in (
        ("lower", row["support_lower"], 1),
        ("upper", row["support_upper"], -1),
    ):
        end = float(ends.loc["Wald", side])
        if sign * end < sign * bound:
            yield Finding(
                code="outside the support",
                severity=Severity.NOTE,
                terms=(term,),
                evidence={"end": end},
                threshold=float(bound),
                sentence=f"The {side} Wald end of {term}, {end:.4g}, lies outside its support, "
                f"which ends at {bound:.4g}.",
                advice="Quote an interval that is built inside the support: Wald unconstrained, "
                "profile or BCa.",
            )  # fmt: skip


def _open(term: str, ends: pd.DataFrame, row: pd.Series) -> Iterator[Finding]:
    """The profile likelihood never falls far enough."""
    if "profile" not in ends.index:
        return
    for side in ("lower", "upper"):
        end, bound = float(ends.loc["profile", side]), float(row[f"support_{side}"])
        if end == bound:
            what = f"down to its bound {bound:.4g}" if np.isfinite(bound) else "at no finite value"
            yield Finding(
                code="open",
                severity=Severity.WARNING,
                terms=(term,),
                evidence={"end": end},
                threshold=bound,
                sentence=f"The likelihood does not rule out {term} on its {side} side, "
                f"{what.replace('down', 'up') if side == 'upper' else what}.",
                advice="Do not read a standard error there; more data or a prior must settle it.",
            )


def _skew(term: str, ends: pd.DataFrame, estimate: float) -> Iterator[Finding]:
    """The profile interval is not symmetric about the estimate, as Wald's is."""
    if "profile" not in ends.index:
        return
    below, above = estimate - ends.loc["profile", "lower"], ends.loc["profile", "upper"] - estimate
    if not (np.isfinite([below, above]).all() and below > 0 and above > 0):
        return
    ratio = float(above / below)
    if max(ratio, 1 / ratio) > SKEWED:
        longer, times = ("above", ratio) if ratio > 1 else ("below", 1 / ratio)
        yield Finding(
            code="skew",
            severity=Severity.NOTE,
            terms=(term,),
            evidence={"ratio": ratio},
            threshold=SKEWED,
            sentence=f"The likelihood of {term} is skewed: its profile interval reaches "
            f"{times:.3g} times as far {longer} the estimate as on the other side (limit "
            f"{SKEWED:g}).",
            advice="Quote the profile or the BCa interval; a symmetric Wald interval is shifted.",
        )


def _misspecified(term: str, ends: pd.DataFrame, num_rows: int) -> Iterator[Finding]:
    """The rows vary more, or less, than the model says."""
    if not {"Wald unconstrained", "sandwich"} <= set(ends.index):
        return
    length = ends["upper"] - ends["lower"]
    ratio = float(length["sandwich"] / length["Wald unconstrained"])
    limit = max(MISSPECIFIED, 1 + 3 * float(np.sqrt(2 / max(num_rows, 1))))
    if not np.isfinite(ratio) or max(ratio, 1 / ratio) <= limit:
        return
    times, what = (ratio, "longer") if ratio > 1 else (1 / ratio, "shorter")
    yield Finding(
        code="misspecification",
        severity=Severity.NOTE,
        terms=(term,),
        evidence={"ratio": ratio},
        threshold=limit,
        sentence=f"The sandwich interval of {term} is {times:.3g} times {what} than Wald's (limit "
        f"{limit:.3g}): the rows do not vary about the model as it says.",
        advice="Let the noise vary (its family, its spread, groups of rows), or quote the sandwich "
        "interval; the posterior shares the model's error.",
    )


def _prior(
    term: str, ends: pd.DataFrame, row: pd.Series, posterior_mode: ModeFit | DrawsFit | None
) -> Iterator[Finding]:
    """The credible interval lies away from the profile's."""
    if not {"profile", "equal-tailed"} <= set(ends.index):
        return
    profile, credible = (ends.loc[k].to_numpy(dtype=float) for k in ("profile", "equal-tailed"))
    apart = float(np.max(np.abs(credible - profile)) / (profile[1] - profile[0]))
    if not np.isfinite(apart) or apart <= APART:
        return
    pull = np.nan
    if isinstance(posterior_mode, ModeFit) and term in posterior_mode.params.index:
        pull = float((posterior_mode.params[term] - row["estimate"]) / row["std_error"])
    if abs(pull) > PULLED:
        why = f"the prior pulls the mode by {pull:.2g} standard errors (limit {PULLED:g})"
    else:
        why = (
            "the posterior averages over the other parameters and the skew, or its prior narrows it"
        )
    yield Finding(
        code="prior or averaging",
        severity=Severity.NOTE,
        terms=(term,),
        evidence={"apart": apart, "pull": pull},
        threshold=APART,
        sentence=f"The credible interval of {term} lies up to {apart:.0%} of the length of "
        f"the profile interval away from it (limit {APART:.0%}): {why}.",
        advice="Say which of the two is quoted; the ledger has the steps between them.",
    )  # fmt: skip
