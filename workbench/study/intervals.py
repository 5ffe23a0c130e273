r"""Every interval of a term in one row, and a sentence where they part.

====================  ==========  ==============================================================
kind                  type        built from
====================  ==========  ==============================================================
Wald                  confidence  estimate and standard error, on the term's own scale
Wald unconstrained    confidence  the same on the scale of the support, mapped (``conf_int``)
profile               confidence  the likelihood, other parameters re-optimised
sandwich              confidence  as Wald unconstrained, with errors that hold where the model is
                                  wrong (HC1, see :mod:`workbench.fit.covariance`)
bootstrap percentile  confidence  quantiles of refits
bootstrap BCa         confidence  the same, corrected for bias and acceleration
equal-tailed          credible    quantiles of the posterior draws
HDI                   credible    the shortest interval that holds the probability
====================  ==========  ==============================================================

At a normal likelihood with many rows they agree. They part where the likelihood is skewed (Wald
against profile), where it is open or a support ends, where the model is wrong (sandwich against
Wald), and where prior and averaging over the posterior matter (credible against profile).

References
----------
Pawitan (2001), In All Likelihood, sections 2.6 and 2.8; Chen and Shao (1999), "Monte Carlo
estimation of Bayesian credible and HPD intervals", doi:10.1080/10618600.1999.10474802.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from workbench.comparison import Comparison, Finding
from workbench.comparison.compare import choose_terms
from workbench.errors import FitError, UsageError
from workbench.fit import DrawsFit, ModeFit, Profile, profile_likelihood
from workbench.fit.terms import require_level, require_mle
from workbench.study.bootstrap import Bootstrap, bootstrap
from workbench.study.parting import find_partings
from workbench.study.refits import Kind

COLUMNS = ("term", "kind", "lower", "upper", "level", "type", "reason")
_BOOTSTRAP = ("bootstrap percentile", "bootstrap BCa")


@dataclass(frozen=True, kw_only=True, eq=False)
class Intervals:
    """Every interval of every term.

    Attributes
    ----------
    table : pandas.DataFrame
        ``term, kind, lower, upper, level, type, reason``: one row per term and kind; ``type`` is
        ``confidence`` or ``credible``; ``reason`` says why an end is open or ``nan``.
    findings : tuple of Finding
        Where the intervals of a term part, and why.
    level : float
        Their level.
    profiles : dict of str to Profile
        Profile likelihood by term (empty when not asked for).
    bootstrap : Bootstrap or None
        The replicates (``None`` when not asked for, or refused).

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> fit = wb.fit_mle(normal, {"y": [1.0, 2.0, 3.0, 2.0]})
    >>> made = wb.intervals(fit, kinds=("Wald", "profile"))
    >>> made.rows("mu")[["lower", "upper"]].round(4).values.tolist()
    [[1.02, 2.98], [1.02, 2.98]]
    """

    table: pd.DataFrame
    findings: tuple[Finding, ...]
    level: float
    profiles: dict[str, Profile]
    bootstrap: Bootstrap | None

    def rows(self, term: str) -> pd.DataFrame:
        """The intervals of one term, indexed by kind."""
        return self.table[self.table["term"] == term].set_index("kind")

    def __str__(self) -> str:
        """The table, the findings below."""
        body = self.table.drop(columns="level").to_string(
            index=False, float_format=lambda v: f"{v:.5g}"
        )
        notes = "\n".join(f"{f.severity.value}: {f.sentence} {f.advice}" for f in self.findings)
        return f"intervals of level {self.level:g}\n{body}\n{notes}".rstrip()

    def _repr_html_(self) -> str:
        body = self.table.to_html(index=False, float_format=lambda v: f"{v:.5g}", na_rep="-")
        return body + "".join(f"<p>{f.sentence} <i>{f.advice}</i></p>" for f in self.findings)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sources:
    """What the kinds of interval are made from.

    Attributes
    ----------
    fits : mapping of str to ModeFit or DrawsFit
        Fits by method.
    refused : mapping of str to str
        Why a method gave no fit.
    terms : tuple of str
        Terms wanted.
    level : float
        Level of the intervals.
    num, kind, seed
        Of the bootstrap.
    """

    fits: Mapping[str, ModeFit | DrawsFit]
    refused: Mapping[str, str]
    terms: tuple[str, ...]
    level: float
    num: int
    kind: Kind
    seed: int

    @property
    def mle(self) -> ModeFit:
        """The maximum likelihood fit, or an error that says why there is none."""
        found = self.fits.get("MLE")
        if not isinstance(found, ModeFit):
            raise FitError(self.refused.get("MLE", "there is no maximum likelihood fit"))
        return found

    @property
    def draws(self) -> DrawsFit:
        """The posterior draws, or an error that says that there are none."""
        found = self.fits.get("NUTS")
        if not isinstance(found, DrawsFit):
            raise FitError(self.refused.get("NUTS", "there are no posterior draws"))
        return found

    @cached_property
    def profiles(self) -> dict[str, Profile]:
        """Profile likelihood of each term."""
        return {t: profile_likelihood(self.mle, t, level=self.level) for t in self.terms}

    @cached_property
    def bootstrap(self) -> Bootstrap:
        """The replicates."""
        return bootstrap(self.mle, num=self.num, kind=self.kind, seed=self.seed)


def _wald(s: Sources) -> pd.DataFrame:
    e = s.mle.estimates
    half = stats.norm.ppf((1 + s.level) / 2) * e["std_error"]
    return pd.DataFrame(
        {"lower": e["estimate"] - half, "upper": e["estimate"] + half, "reason": e["reason"]}
    )


def _wald_unconstrained(s: Sources) -> pd.DataFrame:
    return s.mle.summary(s.level).set_index("term")[["lower", "upper", "reason"]]


def _sandwich(s: Sources) -> pd.DataFrame:
    made = s.mle.summary(s.level, cov_type="HC1").set_index("term")
    return made[["lower", "upper", "reason"]]


def _profile(s: Sources) -> pd.DataFrame:
    rows = {t: {"lower": p.lower, "upper": p.upper, "reason": p.reason} for t, p in
            s.profiles.items()}  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def _percentile(s: Sources) -> pd.DataFrame:
    return s.bootstrap.intervals(s.level, "percentile")


def _bca(s: Sources) -> pd.DataFrame:
    return s.bootstrap.intervals(s.level, "BCa")


def _equal_tailed(s: Sources) -> pd.DataFrame:
    return s.draws.summary(s.level).set_index("term")[["lower", "upper"]].assign(reason="")


def _hdi(s: Sources) -> pd.DataFrame:
    draws = s.draws.estimand_draws
    low, high = shortest(draws.reshape(-1, draws.shape[-1]), s.level)
    return pd.DataFrame({"lower": low, "upper": high, "reason": ""}, index=s.draws.estimands.index)


# one line per kind: its type, and how it is made (lower, upper, reason by term)
_MAKERS: dict[str, tuple[str, Callable[[Sources], pd.DataFrame]]] = {
    "Wald": ("confidence", _wald),
    "Wald unconstrained": ("confidence", _wald_unconstrained),
    "sandwich": ("confidence", _sandwich),
    "profile": ("confidence", _profile),
    _BOOTSTRAP[0]: ("confidence", _percentile),
    _BOOTSTRAP[1]: ("confidence", _bca),
    "equal-tailed": ("credible", _equal_tailed),
    "HDI": ("credible", _hdi),
}


def shortest(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Shortest interval that holds a share of the draws, for each column.

    Parameters
    ----------
    draws : numpy.ndarray
        Shape (S, Q).
    level : float
        The share.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper ends, shape (Q,) each.

    Examples
    --------
    >>> low, high = shortest(np.array([[0.0], [1.0], [1.1], [1.2], [9.0]]), 0.5)
    >>> low.tolist(), high.tolist()
    ([1.0], [1.2])
    """
    ordered = np.sort(draws, axis=0)
    inside = max(int(np.floor(level * len(ordered))), 1)
    width = ordered[inside:] - ordered[: len(ordered) - inside]
    at = np.argmin(width, axis=0)
    columns = np.arange(ordered.shape[1])
    return ordered[at, columns], ordered[at + inside, columns]


def intervals(
    source: Comparison | ModeFit | DrawsFit,
    *,
    level: float = 0.95,
    kinds: Sequence[str] | None = None,
    terms: Sequence[str] | None = None,
    num: int = 1000,
    bootstrap_kind: Kind = "cases",
    seed: int = 0,
) -> Intervals:
    """Every interval of every term, side by side.

    Parameters
    ----------
    source : Comparison, ModeFit or DrawsFit
        A comparison gives confidence and credible intervals, a fit those of its half.
    level : float
        Level of all of them.
    kinds : sequence of str, optional
        ``Wald``, ``Wald unconstrained``, ``sandwich``, ``profile``, ``bootstrap percentile``,
        ``bootstrap BCa``, ``equal-tailed``, ``HDI``; by default all that the source has a fit
        for.
    terms : sequence of str, optional
        Terms, or sites for all of their elements; all that the source reports by default.
    num : int
        Bootstrap replicates.
    bootstrap_kind : {"cases", "parametric"}
        How they are made, see :func:`~workbench.study.bootstrap`.
    seed : int
        Their seed.

    Returns
    -------
    Intervals
        The table, and a finding for each term whose intervals part. An interval that does not
        exist is ``nan`` with a reason.

    Raises
    ------
    FitError
        For a posterior mode.
    UsageError
        For an unknown kind or term, or a level outside (0, 1).

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def waiting(y=None):
    ...     rate = numpyro.sample("rate", dist.Gamma(1, 1))
    ...     numpyro.sample("y", dist.Exponential(rate), obs=y)
    >>> fit = wb.fit_mle(waiting, {"y": [1.0, 2.0, 3.0]})
    >>> made = wb.intervals(fit, kinds=("Wald", "profile"))
    >>> [f.code for f in made.findings]
    ['outside the support', 'skew']
    """
    require_level(level)
    fits, refused = _fits(source)
    if terms is None and isinstance(source, Comparison):
        terms = source.terms
    wanted = _wanted(kinds, fits, refused)
    sources = Sources(
        fits=fits,
        refused=refused,
        terms=tuple(choose_terms(fits, terms)),
        level=level,
        num=num,
        kind=bootstrap_kind,
        seed=seed,
    )
    parts, given = [], set()
    for kind in wanted:
        of_type, make = _MAKERS[kind]
        try:
            made = make(sources)
            missing = "the fit has no such term"
            given.add(kind)
        except FitError as refusal:
            made = pd.DataFrame(columns=["lower", "upper", "reason"])
            missing = str(refusal)
        made = made.reindex(list(sources.terms)).rename_axis("term").reset_index()
        made["reason"] = made["reason"].fillna(missing)
        parts.append(made.assign(kind=kind, level=level, type=of_type, rank=made.index))
    table = pd.concat(parts).sort_values("rank", kind="stable").reset_index(drop=True)
    table = table[list(COLUMNS)].astype({"lower": float, "upper": float})
    return Intervals(
        table=table,
        findings=find_partings(table, fits),
        level=level,
        profiles=sources.profiles if "profile" in given else {},
        bootstrap=sources.bootstrap if given & set(_BOOTSTRAP) else None,
    )


def _fits(
    source: Comparison | ModeFit | DrawsFit,
) -> tuple[Mapping[str, ModeFit | DrawsFit], Mapping[str, str]]:
    """Fits by method, and why others are missing."""
    if isinstance(source, Comparison):
        return source.fits, source.refused
    if isinstance(source, ModeFit):
        require_mle(source, "a row of intervals")
    return {source.method: source}, {}


def _wanted(
    kinds: Sequence[str] | None,
    fits: Mapping[str, ModeFit | DrawsFit],
    refused: Mapping[str, str],
) -> list[str]:
    """The kinds asked for, or all of the halves that were fitted or tried."""
    if kinds is None:
        halves = {"confidence": "MLE", "credible": "NUTS"}
        tried = {*fits, *refused}
        return [k for k, (name, _) in _MAKERS.items() if halves[name] in tried]
    unknown = [k for k in kinds if k not in _MAKERS]
    if unknown or not kinds:
        got = f"'{unknown[0]}'" if unknown else "none"
        raise UsageError(f"kinds expects some of {', '.join(_MAKERS)}; got {got}")
    return list(kinds)
