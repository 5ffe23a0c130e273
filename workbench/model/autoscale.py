r"""Default priors of a regression, in the units of its data.

With :math:`\eta = g(\mu)` the linear predictor, :math:`m = g(\bar y)` less the mean of the offset,
and s the size of a change in :math:`\eta` (the sd of y, carried to :math:`\eta` by
:math:`|g'(\bar y)|`, for the links that keep the unit of y, identity and inverse; 1 for the others,
whose :math:`\eta` is a logarithm or a quantile):

====================================  =====================================================
coefficient of a column x             Normal(0, 2.5 s / sd(x))
intercept                             Normal(0, 2.5 :math:`\sqrt{m^2 + s^2 + \dots}`), as in
                                      :mod:`workbench.model.priors`
first cut of ordered categories       the same; log distances to the next: Normal(0, 1)
sigma                                 Exponential(1 / sd(y))
nu - 1                                Exponential(1 / 29)
phi, shape                            InverseGamma(0.4, 0.3), in the unit of y for the inverse
                                      Gaussian's shape
sd of the effects of x over groups    Exponential(sd(x) / s)
correlations of effects               LKJ(2)
====================================  =====================================================

The rule 2.5 sd(y) / sd(x) for coefficients and Exponential(1 / sd(y)) for sigma are the documented
defaults of rstanarm (Goodrich, Gabry, Ali & Brilleman, "Prior distributions for rstanarm models");
its intercept is that of centred covariates, ours that of the covariates as given, which is why its
scale grows with their means. InverseGamma(0.4, 0.3) is Vehtari's for the concentration of a
negative binomial: the relative variance 1 / phi, or 1 / shape, may be anything from 0 to a few.
All numbers are rounded to 3 digits before they are used, so that what is printed is what is used.

References
----------
Gelman, A., Jakulin, A., Pittau, M. G. & Su, Y.-S. (2008). A weakly informative default prior
distribution for logistic and other regression models. Annals of Applied Statistics 2(4).
doi:10.1214/08-AOAS191

Lewandowski, D., Kurowicka, D. & Joe, H. (2009). Generating random correlation matrices based on
vines and extended onion method. Journal of Multivariate Analysis 100(9).
doi:10.1016/j.jmva.2009.04.008

Vehtari, A. (2024). Default prior for negative-binomial shape parameter.

Kruschke, J. K. (2013). Bayesian estimation supersedes the t test. Journal of Experimental
Psychology: General 142(2). doi:10.1037/a0029146
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from workbench.data.design import Coded
from workbench.errors import DataError
from workbench.model.families import Family
from workbench.model.priors import coefficient_scale


@dataclass(frozen=True, kw_only=True)
class PredictorScale:
    """Place and size of the linear predictor.

    Attributes
    ----------
    mean : float
        m, the predictor of the mean response, less the mean offset.
    scale : float
        s, the size of a change in the predictor.
    y_mean, y_scale : float
        Mean and sd of the response (0 and 1 for categories).
    """

    mean: float
    scale: float
    y_mean: float
    y_scale: float


def predictor_scale(coded: Coded, family: Family, response: str) -> PredictorScale:
    """Place and size of the linear predictor of a family at its data.

    Parameters
    ----------
    coded : Coded
        The rows of a design.
    family : Family
        The family.
    response : str
        Name of the response, for the sentence of an error.

    Returns
    -------
    PredictorScale

    Raises
    ------
    DataError
        When the mean response is not one that the link can take.
    """
    if family.categories:
        return PredictorScale(mean=0.0, scale=1.0, y_mean=0.0, y_scale=1.0)
    y = coded.observed["y"].astype(float)
    y_mean = float(y.sum() / np.sum(coded.inputs.get("trials", np.ones_like(y))))
    y_scale = float(y.std())
    eta, slope = jax.value_and_grad(family.link.predictor)(y_mean)
    if not (np.isfinite(eta) and np.isfinite(slope)):
        raise DataError(
            f"family '{family.label}' has no mean {y_mean:.6g}, which is the mean of response "
            f"'{response}'; expected another link"
        )
    offset = float(np.mean(coded.inputs.get("offset", 0.0)))
    scale = float(abs(slope)) * y_scale if family.link.keeps_unit else 1.0
    return PredictorScale(mean=float(eta) - offset, scale=scale, y_mean=y_mean, y_scale=y_scale)


def coefficient_priors(coded: Coded, scale: PredictorScale) -> dict[str, str]:
    """Default prior of each coefficient, as text by its label."""
    units = coefficient_scale(
        coded.inputs["x_mean"], coded.inputs["x_scale"], scale.mean, scale.scale
    )
    labels = coded.coords["coefficient"]
    return {
        str(label): f"Normal(0, {2.5 * float(unit):.3g})"
        for label, unit in zip(labels, units, strict=True)
    }


def cut_prior(coded: Coded) -> str:
    """Default prior of the first cut of ordered categories: that of an intercept."""
    shifts = coded.inputs["x_mean"] / coded.inputs["x_scale"]
    return f"Normal(0, {2.5 * float(np.sqrt(1 + np.sum(shifts**2))):.3g})"


def parameter_priors(family: Family, scale: PredictorScale) -> dict[str, str]:
    """Default priors of the parameters of a family besides its mean, as text."""
    known = {
        "sigma": f"Exponential({1 / scale.y_scale:.3g})",
        "nu": "Exponential(0.0345)",
        "phi": "InverseGamma(0.4, 0.3)",
        "shape": "InverseGamma(0.4, 0.3)",
    }
    if family.name == "inverse_gaussian":
        known["shape"] = f"InverseGamma(0.4, {0.3 * scale.y_mean:.3g})"
    return {name: known[name] for name in family.parameters}


def spread_priors(z: np.ndarray, scale: PredictorScale) -> list[str]:
    """Default prior of the sd of each group effect, from its columns (N, Q)."""
    spread = np.where(np.ptp(z, axis=0) == 0, np.abs(z).max(axis=0), z.std(axis=0))
    return [f"Exponential({column / scale.scale:.3g})" for column in spread]
