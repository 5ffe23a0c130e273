r"""The bootstrap: the spread of the estimate over data sets like the one at hand.

With replicates :math:`\hat\theta^{(b)}`, the percentile interval of level :math:`1 - 2\alpha`
runs between their quantiles :math:`\alpha` and :math:`1 - \alpha`. BCa moves the probabilities to

.. math:: \Phi\Big(z_0 + \frac{z_0 + z_\alpha}{1 - a (z_0 + z_\alpha)}\Big), \qquad
          z_0 = \Phi^{-1}\{\Pr(\hat\theta^{(b)} < \hat\theta)\}, \qquad
          a = \frac{\sum_i U_i^3}{6 (\sum_i U_i^2)^{3/2}},

for the bias in the median and the change of the standard error with the parameter.
:math:`U_i = g^T V s_i` is the influence of row i: score of the row, inverse information,
gradient of the term. For the parametric bootstrap a is a sixth of the skewness of
:math:`g^T V s^{(b)}`, with the score of whole simulated data sets at the estimate.

References
----------
Efron (1987), "Better bootstrap confidence intervals", doi:10.1080/01621459.1987.10478410;
Davison and Hinkley (1997), Bootstrap Methods and their Application, sections 5.3 and 7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import FitError, UsageError
from workbench.fit import ModeFit
from workbench.fit.compilation import compiled
from workbench.fit.covariance import sum_by_group
from workbench.fit.objective import Objective
from workbench.fit.terms import (
    PREDICTED,
    predicted_terms,
    require_level,
    require_mle,
    term_vector,
)
from workbench.study.refits import Kind, refit

Method = Literal["percentile", "BCa"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bootstrap:
    """Replicates of the terms of a maximum likelihood fit.

    Attributes
    ----------
    kind : str
        ``cases`` (rows drawn with replacement) or ``parametric`` (data drawn from the fit).
    num : int
        Number of replicates made.
    seed : int
        Their seed.
    estimate : pandas.Series
        Maximum likelihood estimate, by term.
    replicates : pandas.DataFrame
        One row for each replicate with an estimate, one column per term; ``nan`` for terms that
        have none.
    excluded : dict of str to int
        How many replicates have no estimate, by reason (empty when all have).
    acceleration : pandas.Series
        BCa's a, by term.
    reason : pandas.Series
        Why a term has no replicates, by term (empty where it has).

    Examples
    --------
    The standard deviation of resampled means is that of the data over the root of N:

    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> made = wb.bootstrap(wb.fit_mle(normal, {"y": [1.0, 2.0, 3.0, 2.0]}), num=2000)
    >>> len(made.replicates), made.std_error.round(1).to_dict()
    (2000, {'mu': 0.4})
    """

    kind: Kind
    num: int
    seed: int
    estimate: pd.Series
    replicates: pd.DataFrame
    excluded: dict[str, int]
    acceleration: pd.Series
    reason: pd.Series

    @property
    def std_error(self) -> pd.Series:
        """Standard deviation of the replicates, by term."""
        return self.replicates.std(ddof=1)

    @property
    def bias(self) -> pd.Series:
        """Mean of the replicates less the estimate, by term."""
        return self.replicates.mean() - self.estimate

    def intervals(self, level: float = 0.95, method: Method = "BCa") -> pd.DataFrame:
        """Bootstrap interval of every term.

        Parameters
        ----------
        level : float
            Confidence level.
        method : {"BCa", "percentile"}
            How the interval is read off the replicates.

        Returns
        -------
        pandas.DataFrame
            Columns ``lower, upper, reason``; index term. Ends are ``nan``, with a reason, where
            more replicates lack an estimate than lie beyond an end.

        Raises
        ------
        UsageError
            For an unknown method, or a level outside (0, 1).
        """
        require_level(level)
        if method not in ("percentile", "BCa"):
            raise UsageError(f"method expects 'percentile' or 'BCa'; got '{method}'")
        tail = (1 - level) / 2
        rows = []
        for term in self.estimate.index:
            probabilities = np.array([tail, 1 - tail])
            reason = self.reason[term] or self._too_few(tail)
            if method == "BCa" and not reason:
                probabilities, reason = self._moved(term, probabilities)
            low, high = np.nan, np.nan
            if not reason:
                low, high = np.quantile(self.replicates[term], probabilities)
                reason = self._left_out()
            rows.append({"term": term, "lower": low, "upper": high, "reason": reason})
        return pd.DataFrame(rows).set_index("term")

    def _left_out(self) -> str:
        """How many replicates are left out, and why ("" when none is)."""
        parts = [f"{n} with {what}" for what, n in self.excluded.items()]
        return f"left out of {self.num} replicates: {', '.join(parts)}" if parts else ""

    def _too_few(self, tail: float) -> str:
        """Why the replicates cannot tell an end ("" when they can).

        Those left out might all lie beyond one end, which then says nothing.
        """
        lost = sum(self.excluded.values())
        if lost >= tail * self.num and lost:
            return f"{self._left_out()}, as many as lie beyond an end"
        if len(self.replicates) * tail < 1:
            return f"{self.num} replicates are too few: an end expects one or more beyond it"
        return ""

    def _moved(self, term: str, probabilities: np.ndarray) -> tuple[np.ndarray, str]:
        """BCa's probabilities of a term, or why there are none."""
        draws, estimate = self.replicates[term].to_numpy(), float(self.estimate[term])
        below = np.mean(draws < estimate) + 0.5 * np.mean(draws == estimate)
        a = float(self.acceleration[term])
        if not 0 < below < 1 or not np.isfinite(a):
            return probabilities, "the estimate lies beyond every replicate: BCa does not exist"
        z0 = stats.norm.ppf(below)
        z = z0 + stats.norm.ppf(probabilities)
        if np.any(a * z >= 1):
            return probabilities, f"BCa does not exist at this level: the acceleration is {a:.2g}"
        return stats.norm.cdf(z0 + z / (1 - a * z)), ""


def bootstrap(
    fit: ModeFit, *, num: int = 1000, kind: Kind = "cases", seed: int = 0, groups: Any = None
) -> Bootstrap:
    """Refit a model to many data sets like its own, in one compiled program.

    Parameters
    ----------
    fit : ModeFit
        A regular maximum, from :func:`~workbench.fit.fit_mle`.
    num : int
        Number of replicates.
    kind : {"cases", "parametric"}
        ``cases`` draws rows (the first axis of the observed sites) with replacement and does
        not believe the model; ``parametric`` draws observations, and random effects, from the
        model at the estimate, given the covariates.
    seed : int
        Seed; the same seed gives the same numbers.
    groups : array_like, optional
        Label of each row, for ``cases``: whole groups are drawn with replacement, where the rows
        of one are not independent.

    Returns
    -------
    Bootstrap
        Replicates, counts of those without an estimate, and intervals.

    Raises
    ------
    FitError
        When the fit is no regular maximum of a likelihood, or has no rows to resample.
    UsageError
        When ``num`` or ``kind`` is out of range, or groups do not belong to it.

    Notes
    -----
    Each replicate starts at the estimate, so that a replicate with several maxima ends at the
    one near by. A series keeps its observed lags.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 6 and 14.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def waiting(y=None):
    ...     rate = numpyro.sample("rate", dist.Gamma(1, 1))
    ...     numpyro.sample("y", dist.Exponential(rate), obs=y)
    >>> fit = wb.fit_mle(waiting, {"y": [0.5, 1.0, 2.0, 0.1, 0.4]})
    >>> made = wb.bootstrap(fit, num=400, kind="parametric")
    >>> made.intervals(0.9).loc["rate", "lower"] < 1.25 < made.intervals(0.9).loc["rate", "upper"]
    np.True_
    """
    density = require_mle(fit, "a bootstrap")
    if kind not in ("cases", "parametric"):
        raise UsageError(f"kind expects 'cases' or 'parametric'; got '{kind}'")
    if groups is not None and kind != "cases":
        raise UsageError(f"groups belong to kind='cases'; got some with kind='{kind}'")
    if num < 2:
        raise UsageError(f"num expects 2 or more replicates; got {num}")
    if fit.null_directions or not np.isfinite(fit.information).all():
        raise FitError(
            f"a bootstrap expects a regular maximum; the fit of model '{density.model.name}' is "
            f"{fit.detail or fit.status.value}"
        )
    objective = Objective(density=density, method="MLE")
    theta = fit.z[objective.free]
    made = refit(objective, theta, kind=kind, num=num, key=jax.random.key(seed), groups=groups)
    outcomes = made.outcomes
    kept = np.array([not x for x in outcomes])
    influence = _influence(objective, fit, made.score if kind == "parametric" else None)
    if groups is not None:
        influence = sum_by_group(influence, groups)
    predicted = predicted_terms(fit)
    terms = fit.estimates.index
    draws = np.where(predicted, np.nan, made.terms[kept])
    return Bootstrap(
        kind=kind,
        num=num,
        seed=seed,
        estimate=fit.params.copy(),
        replicates=pd.DataFrame(draws, columns=terms),
        excluded=dict(Counter(x for x in outcomes if x)),
        acceleration=pd.Series(_acceleration(influence, kind), index=terms),
        reason=pd.Series(np.where(predicted, PREDICTED, ""), index=terms),
    )


@compiled
def _derivatives(objective: Objective) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Compiled gradients of the terms (Q, P), and scores of the rows (N, P), in theta."""
    density, effects = objective.density, jnp.zeros(objective.effects.size)

    def terms(t: jax.Array, arrays: Any) -> jax.Array:
        return term_vector(density, objective.place(t, effects), arrays)

    def rows(t: jax.Array, arrays: Any) -> jax.Array:
        each = density.pointwise_log_likelihood(objective.place(t, effects), arrays).values()
        return sum((x.reshape(len(x), -1).sum(axis=1) for x in each), start=jnp.zeros(()))

    return jax.jit(density.jacobian(terms)), jax.jit(density.jacobian(rows))


def _influence(objective: Objective, fit: ModeFit, score: np.ndarray | None) -> np.ndarray:
    """First-order change of each term with each row, or with each score given, shape (., Q)."""
    arrays, free = objective.arrays, objective.free
    theta = jnp.asarray(fit.z[free])
    terms, rows = _derivatives(objective)
    score = np.asarray(rows(theta, arrays)) if score is None else score
    return score @ fit.covariance[np.ix_(free, free)] @ np.asarray(terms(theta, arrays)).T


def _acceleration(influence: np.ndarray, kind: Kind) -> np.ndarray:
    """BCa's a of each term, see the head of the file; nan for a term that never moves."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "parametric":
            centred = influence - influence.mean(axis=0)
            return np.mean(centred**3, axis=0) / (6 * np.mean(centred**2, axis=0) ** 1.5)
        return np.sum(influence**3, axis=0) / (6 * np.sum(influence**2, axis=0) ** 1.5)
