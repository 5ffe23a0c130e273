r"""Residuals and influence of the rows of a mode fit.

With mean :math:`\mu_i`, variance :math:`v_i` and law :math:`F_i` of row i at the estimate:

============  ====================================================================================
``response``  :math:`y_i - \mu_i`
``pearson``   :math:`(y_i - \mu_i) / \sqrt{v_i}`; the variance holds the scale, so these are of
              order 1 also for normal rows
``deviance``  :math:`\mathrm{sign}(y_i - \mu_i) \sqrt{d_i}`, with the unit deviance
              :math:`d_i = 2 \{\log p(y_i \mid \mu = y_i) - \log p(y_i \mid \mu_i)\}`
``quantile``  :math:`\Phi^{-1}(F_i(y_i))`, standard normal where the model is true; for counts
              :math:`\Phi^{-1}(U_i)` with :math:`U_i` uniform between
              :math:`F_i(y_i - 1)` and :math:`F_i(y_i)`
============  ====================================================================================

Row i left out moves the parameters by about :math:`V s_i / (1 - h_i)`, with score :math:`s_i`,
leverage :math:`h_i` and covariance V (one step of Newton's method; exact for the coefficients of
least squares), and its Cook's distance is :math:`r_i^2 h_i / \{K (1 - h_i)^2\}`, with r the
Pearson residual and K the number of parameters of the means.

References
----------
Dunn and Smyth (1996), doi:10.1080/10618600.1996.10474708; Pregibon (1981),
doi:10.1214/aos/1176345513; Cook (1977), doi:10.1080/00401706.1977.10489493;
McCullagh and Nelder (1989), doi:10.1007/978-1-4899-3242-6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import FitError, UsageError
from workbench.fit.families import Family
from workbench.fit.rows import Rows, leverages, read_rows, row_index, row_scores
from workbench.fit.terms import term_jacobian

if TYPE_CHECKING:
    from workbench.fit.mode import ModeFit

ResidualKind = Literal["response", "pearson", "deviance", "quantile"]


def residuals(fit: ModeFit, kind: ResidualKind = "response", *, seed: int = 0) -> pd.Series:
    """Residual of every row, see the head of this file.

    Parameters
    ----------
    fit : ModeFit
        A mode fit.
    kind : str
        ``response``, ``pearson``, ``deviance`` or ``quantile``.
    seed : int
        Seed of the uniform numbers that make quantile residuals of counts continuous.

    Returns
    -------
    pandas.Series
        By row, shape (N,); ``nan`` where the model masks the row.

    Raises
    ------
    FitError
        When rows have no means (several observed sites, random effects), or the family's deviance
        or distribution function is not known.
    UsageError
        When the kind is unknown.
    """
    if kind not in get_args(ResidualKind):
        raise UsageError(f"kind expects one of {', '.join(get_args(ResidualKind))}; got {kind!r}")
    density = fit.require_density()
    rows = read_rows(density, fit.z)
    if kind == "response":
        values = rows.observed - rows.mean
    elif kind == "pearson":
        values = (rows.observed - rows.mean) / np.sqrt(rows.variance)
    elif kind == "deviance":
        values = np.sign(rows.observed - rows.mean) * np.sqrt(unit_deviances(rows))
    else:
        values = _quantile(rows, np.random.default_rng(seed))
    values = np.where(rows.kept, values, np.nan)
    return pd.Series(values, index=row_index(density, len(values)), name=kind)


def unit_deviances(rows: Rows) -> np.ndarray:
    """Unit deviance of each row, shape (N,), not negative."""
    facts = _known(rows, "deviance")
    if facts.deviance is None:
        raise FitError(
            f"the deviance of family {rows.family} is not known: expected one with a saturated "
            "model (Normal, Bernoulli, Binomial, Poisson, NegativeBinomial2, Gamma, Exponential)"
        )
    # rounding may leave a zero just negative
    return np.maximum(facts.deviance(rows.observed, rows.mean, rows.parameters), 0.0)


def _known(rows: Rows, what: str) -> Family:
    if rows.facts is None:
        raise FitError(
            f"{what} residuals expect a family whose {what} is known; observed site "
            f"'{rows.name}' is of family {rows.family}"
        )
    return rows.facts


def _quantile(rows: Rows, rng: np.random.Generator) -> np.ndarray:
    """Normal quantile of each observation, from the nearer tail so that none is infinite."""
    law = _known(rows, "quantile").distribution(rows.parameters)
    y = rows.observed
    if not isinstance(law.dist, stats.rv_discrete):
        below, above = law.cdf(y), law.sf(y)
    else:
        u = rng.uniform(size=y.shape)
        below = law.cdf(y - 1) + u * law.pmf(y)
        above = law.sf(y) + (1 - u) * law.pmf(y)
    return np.where(below < 0.5, stats.norm.ppf(below), stats.norm.isf(above))


def influence(fit: ModeFit) -> pd.DataFrame:
    """Leverage, Cook's distance and one-step change of every term by leaving out a row.

    Parameters
    ----------
    fit : ModeFit
        An MLE.

    Returns
    -------
    pandas.DataFrame
        By row: ``leverage``, ``standardised_residual`` (Pearson, over the square root of
        ``1 - leverage``), ``cooks_distance``, and ``dfbeta TERM`` for each term: the estimate
        minus the one without the row, ``nan`` where the term has no standard error. ``nan`` also
        for a row of leverage 1, which nothing can be left out of.

    Raises
    ------
    FitError
        When the fit is not an MLE, or leverages are not defined (several observed sites, random
        effects).
    """
    if fit.method != "MLE":
        raise FitError(f"influence is defined for an MLE; got a {fit.method} fit")
    density = fit.require_density()
    rows, hat = read_rows(density, fit.z), leverages(density, fit.z)
    rest = np.where(hat < 1 - 1e-10, 1 - hat, np.nan)
    pearson = (rows.observed - rows.mean) / np.sqrt(rows.variance)
    change = row_scores(density, fit.z) @ fit.covariance / rest[:, None]
    terms = change @ term_jacobian(density, fit.z).T
    terms[:, (fit.estimates["reason"] != "").to_numpy()] = np.nan
    table = pd.DataFrame(
        {
            "leverage": hat,
            "standardised_residual": pearson / np.sqrt(rest),
            "cooks_distance": pearson**2 * hat / (rest**2 * round(float(hat.sum()))),
            **{f"dfbeta {t}": terms[:, q] for q, t in enumerate(fit.estimates.index)},
        },
        index=row_index(density, len(hat)),
    )
    table.loc[~rows.kept] = np.nan
    return table
