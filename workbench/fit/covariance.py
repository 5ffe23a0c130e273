r"""Covariances of a maximum likelihood estimate: observed, expected, sandwich and clustered.

With row scores :math:`s_i`, leverages :math:`h_i`, observed information :math:`J` at the estimate,
N rows and K parameters of the means:

=============  ===================================================================================
``observed``   :math:`J^{-1}`
``expected``   :math:`I^{-1}`, the Fisher information (:mod:`workbench.fit.information`)
``HC0``        :math:`J^{-1} \big(\sum_i s_i s_i^T\big) J^{-1}` (Huber 1967, White 1982)
``HC1``        HC0 times :math:`N / (N - K)`
``HC2``        rows weighted by :math:`1 / (1 - h_i)`
``HC3``        rows weighted by :math:`1 / (1 - h_i)^2` (MacKinnon and White 1985)
``cluster``    :math:`J^{-1} \big(\sum_g S_g S_g^T\big) J^{-1}`, :math:`S_g = \sum_{i \in g} s_i`,
               times :math:`\frac{G}{G - 1} \frac{N - 1}{N - K}` (as statsmodels' default
               ``use_correction=True``; Liang and Zeger 1986, Cameron and Miller 2015)
=============  ===================================================================================

The scale of a normal model is a parameter like others, and its block of J is apart from that of
the coefficients: theirs are the textbook covariances of least squares. K is the sum of the
leverages (the rank of the design, without the scale), and all P parameters where leverages are
not defined.

References
----------
White (1982), doi:10.2307/1912526; MacKinnon and White (1985), doi:10.1016/0304-4076(85)90158-7;
Liang and Zeger (1986), doi:10.1093/biomet/73.1.13; Cameron and Miller (2015),
doi:10.3368/jhr.50.2.317.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from workbench.errors import FitError, UsageError
from workbench.fit.information import (
    fisher_factor,
    inverse_from_factor,
    without_fisher_information,
)
from workbench.fit.rows import leverages, num_mean_parameters, row_scores
from workbench.fit.terms import term_jacobian
from workbench.model import Density

if TYPE_CHECKING:
    from workbench.fit.mode import ModeFit

CovType = Literal["observed", "expected", "HC0", "HC1", "HC2", "HC3", "cluster"]
_LEVERAGE_ONE = 1 - 1e-10


@dataclass(frozen=True, kw_only=True, eq=False)
class ParameterCovariance:
    """Covariance of the unconstrained coordinates under one assumption about the rows.

    Attributes
    ----------
    cov_type : str
        ``observed``, ``expected``, ``HC0`` to ``HC3`` or ``cluster``.
    matrix : numpy.ndarray
        Shape (D, D), ``nan`` where ``reason`` says why.
    reason : str
        Why there is no such covariance (empty where there is).
    """

    cov_type: CovType
    matrix: np.ndarray
    reason: str = ""


def parameter_covariance(
    fit: ModeFit,
    cov_type: CovType = "observed",
    *,
    groups: Any = None,
    use_correction: bool = True,
) -> ParameterCovariance:
    """Covariance of the unconstrained coordinates of a mode fit, see the head of this file.

    Parameters
    ----------
    fit : ModeFit
        An MLE (any mode fit for ``observed``).
    cov_type : str
        Which covariance.
    groups : array_like, optional
        Label of each row, shape (N,); for ``cluster`` only, where it is required.
    use_correction : bool
        Whether ``cluster`` is multiplied by ``G/(G-1) * (N-1)/(N-K)``.

    Returns
    -------
    ParameterCovariance
        With a reason where the data give none: a leverage of one, too few rows or clusters.

    Raises
    ------
    FitError
        When the likelihood does not have rows (declared random effects, factors), leverages or an
        expected information in closed form, or the fit is not an MLE.
    UsageError
        When the type is unknown or groups do not belong to it.
    """
    if cov_type not in get_args(CovType):
        raise UsageError(
            f"cov_type expects one of {', '.join(get_args(CovType))}; got {cov_type!r}"
        )
    if (groups is not None) != (cov_type == "cluster"):
        got = "none" if groups is None else f"some with cov_type={cov_type!r}"
        raise UsageError(f"groups belong to cov_type='cluster', and to it alone; got {got}")
    if cov_type == "observed":
        return ParameterCovariance(cov_type=cov_type, matrix=fit.covariance)
    if fit.method != "MLE":
        raise FitError(f"covariance '{cov_type}' is defined for an MLE; got a {fit.method} fit")
    density = fit.require_density()
    if cov_type == "expected":
        return _expected(fit, density)
    scores = row_scores(density, fit.z)
    num_rows, num_means = density.num_observations, num_mean_parameters(density, fit.z)
    factor, reason = 1.0, ""
    if num_rows <= fit.num_parameters:
        reason = f"a sandwich expects more rows than the {fit.num_parameters} parameters; got "
        reason += f"{num_rows}"
    elif cov_type == "cluster":
        scores = _sum_by_group(scores, groups)
        size = len(scores)
        if size < 2:
            reason = "clusters expect at least 2 different labels in groups; got 1"
        elif use_correction:
            factor = size / (size - 1) * (num_rows - 1) / (num_rows - num_means)
    elif cov_type == "HC1":
        factor = num_rows / (num_rows - num_means)
    elif cov_type in ("HC2", "HC3"):
        hat = leverages(density, fit.z)
        full = np.flatnonzero(hat > _LEVERAGE_ONE)
        if full.size:
            reason = (
                f"row {full[0]} has leverage 1 (it alone determines a parameter), so that "
                f"{cov_type} divides by zero"
            )
            hat = np.zeros_like(hat)
        scores = scores / (1 - hat[:, None]) ** (0.5 if cov_type == "HC2" else 1.0)
    return _unless(reason, cov_type, factor * fit.covariance @ (scores.T @ scores) @ fit.covariance)


def _unless(reason: str, cov_type: CovType, matrix: np.ndarray) -> ParameterCovariance:
    if reason:
        matrix = np.full_like(matrix, np.nan)
    return ParameterCovariance(cov_type=cov_type, matrix=matrix, reason=reason)


def _expected(fit: ModeFit, density: Density) -> ParameterCovariance:
    refusal = without_fisher_information(density)
    if refusal:
        raise FitError(refusal)
    factor = fisher_factor(density, fit.z)
    if not np.isfinite(factor).all():
        reason = "the expected information is not finite at the estimate"
        return _unless(reason, "expected", fit.covariance)
    matrix, rank = inverse_from_factor(factor)
    missing = rank < fit.num_parameters - len(fit.null_directions)
    reason = f"the expected information has rank {rank} for {fit.num_parameters} parameters"
    return _unless(reason if missing else "", "expected", matrix)


def _sum_by_group(scores: np.ndarray, groups: Any) -> np.ndarray:
    labels = np.asarray(groups)
    if labels.shape != (len(scores),):
        raise UsageError(
            f"groups expect one label for each of the {len(scores)} rows; got shape {labels.shape}"
        )
    codes, names = pd.factorize(labels)
    if (codes < 0).any():
        raise UsageError(
            f"groups expect a label for each row; got {int(np.sum(codes < 0))} missing"
        )
    total = np.zeros((len(names), scores.shape[1]))
    np.add.at(total, codes, scores)
    return total


# -- standard errors by term -----------------------------------------------------------------
def term_std_errors(fit: ModeFit, covariance: ParameterCovariance) -> pd.DataFrame:
    r"""Standard error of every term under a covariance, by the delta method.

    Parameters
    ----------
    fit : ModeFit
        The fit.
    covariance : ParameterCovariance
        Of its coordinates.

    Returns
    -------
    pandas.DataFrame
        Indexed by term, columns ``std_error`` and ``reason``. A term that is refused a standard
        error by the observed information (not identified, no finite optimum) is refused one under
        every covariance.

    Notes
    -----
    :math:`\sqrt{g^T V g}` with g the gradient of the term in z.
    """
    own = fit.estimates[["std_error", "reason"]]
    if covariance.cov_type == "observed":
        return own.copy()
    jacobian = term_jacobian(fit.require_density(), fit.z)
    variance = np.einsum("qi,ij,qj->q", jacobian, covariance.matrix, jacobian)
    reason = own["reason"].where(own["reason"] != "", covariance.reason)
    error = np.where(reason == "", np.sqrt(variance), np.nan)
    return pd.DataFrame({"std_error": error, "reason": reason}, index=own.index)
