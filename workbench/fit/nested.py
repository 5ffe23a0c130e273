r"""Nested fits compared: the likelihood-ratio test and the analysis of deviance.

For a smaller model inside a larger one, :math:`\Lambda = 2 (\ell_{large} - \ell_{small})` is
:math:`\chi^2` with the difference in parameters for degrees of freedom, where the smaller model is
true and its parameters lie inside the larger parameter space.

References
----------
Wilks (1938), doi:10.1214/aoms/1177732360; Self and Liang (1987), for boundaries,
doi:10.1080/01621459.1987.10478472.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import FitError, UsageError
from workbench.fit.hypothesis import BOUNDARY_LAW, HypothesisTest, refer
from workbench.fit.prediction import observed_value
from workbench.fit.status import Status

if TYPE_CHECKING:
    from workbench.fit.mode import ModeFit


def likelihood_ratio_test(small: ModeFit, large: ModeFit) -> HypothesisTest:
    r"""Likelihood-ratio test of a fit nested in another.

    Parameters
    ----------
    small : ModeFit
        The MLE of the smaller model.
    large : ModeFit
        The MLE of the larger model, to the same observations.

    Returns
    -------
    HypothesisTest
        With a reason, and no p-value, where a parameter lies on the boundary (of either fit, or
        of the larger model under the smaller one: a spread of random effects), or the fits are
        not maxima of nested models.

    Raises
    ------
    FitError
        When a fit is not an MLE, the observations differ, or the smaller model does not have
        fewer parameters.

    Notes
    -----
    :math:`\Lambda = 2 (\ell_{large} - \ell_{small})`, chi-squared with
    :math:`P_{large} - P_{small}` degrees of freedom where the smaller model is true. That the
    models are nested is for the caller to know; a larger model that fits worse is found out. On
    the boundary the law is a mixture of chi-squared distributions, for one variance
    half of :math:`\chi^2_0` and half of :math:`\chi^2_1`.

    References
    ----------
    Wilks (1938), doi:10.1214/aoms/1177732360; Self and Liang (1987),
    doi:10.1080/01621459.1987.10478472; Stram and Lee (1994), doi:10.2307/2533455.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.fit import fit_mle, likelihood_ratio_test
    >>> def fixed(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> def free(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     sigma = numpyro.sample("sigma", dist.HalfNormal(1))
    ...     numpyro.sample("y", dist.Normal(mu, sigma), obs=y)
    >>> data = {"y": [-2.0, 2.0, -2.0, 2.0]}
    >>> made = likelihood_ratio_test(fit_mle(fixed, data), fit_mle(free, data))
    >>> round(made.statistic, 6), made.df  # N (s^2 - 1 - log s^2), s^2 = 4
    (6.454823, 1)
    """
    for which, fit in (("small", small), ("large", large)):
        if fit.method != "MLE":
            raise FitError(
                f"a likelihood ratio expects two MLEs; got a {fit.method} for the {which} fit"
            )
    if not _same_observations(small, large):
        raise FitError("a likelihood ratio expects two fits to the same observations; got others")
    df = large.num_parameters - small.num_parameters
    if df <= 0:
        raise FitError(
            "a likelihood ratio expects fewer parameters in the smaller model; got "
            f"{small.num_parameters} and {large.num_parameters}"
        )
    blank = HypothesisTest(
        hypothesis=f"{_name(small)} within {_name(large)}",
        kind="likelihood ratio",
        statistic=2 * (large.llf - small.llf),
        df=df,
        p_value=np.nan,
    )
    reason = _not_chi_squared(small, large, blank.statistic)
    return replace(blank, reason=reason) if reason else refer(blank, blank.statistic)


def _name(fit: ModeFit) -> str:
    return "a model" if fit.density is None else f"'{fit.density.model.name}'"


def _same_observations(small: ModeFit, large: ModeFit) -> bool:
    """Equal data, or equal observations beside other inputs."""
    if small.provenance.data_fingerprint == large.provenance.data_fingerprint:
        return True
    if small.density is None or large.density is None:
        return False
    names = small.density.names("observed")
    if not names or names != large.density.names("observed"):
        return False
    pairs = ((observed_value(small.density, n), observed_value(large.density, n)) for n in names)
    return all(
        a is not None and b is not None and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for a, b in pairs
    )


def _not_chi_squared(small: ModeFit, large: ModeFit, statistic: float) -> str:
    for which, fit in (("smaller", small), ("larger", large)):
        if fit.status is Status.AT_BOUNDARY:
            return f"the {which} fit is {fit.detail}; {BOUNDARY_LAW}"
        if not fit.status.ok and fit.status is not Status.SEVERAL_OPTIMA:
            return f"the {which} fit is no regular maximum: {fit.detail}"
    if statistic < -1e-6:
        return (
            f"the larger model fits worse by {-statistic / 2:.3g} nats: the models are not nested, "
            "or a start is missing (num_starts=)"
        )
    spread = _scales(large) - _scales(small)
    if spread and _effects(large) - _effects(small):
        return (
            f"the smaller model puts '{min(spread)}', a spread of random effects, on the "
            f"boundary; {BOUNDARY_LAW}"
        )
    return ""


def _effects(fit: ModeFit) -> set[str]:
    return set() if fit.density is None else set(fit.density.names("random effect"))


def _scales(fit: ModeFit) -> set[str]:
    """Parameters with a lower bound."""
    if fit.density is None:
        return set()
    parameters = fit.density.names("parameter")
    return {x.name for x in fit.density.latents if x.scale == "log" and x.name in parameters}


def deviance_table(*fits: ModeFit) -> pd.DataFrame:
    r"""Analysis of deviance of nested fits, each tested against the one before.

    Parameters
    ----------
    *fits : ModeFit
        Two MLEs or more, from the smallest model to the largest.

    Returns
    -------
    pandas.DataFrame
        One row per fit: ``model``, ``num_parameters``, ``log_likelihood``, ``deviance`` (minus
        twice the log-likelihood), and from the second fit on ``df``, ``statistic``, ``p_value``
        and ``reason`` (why there is no p-value).

    Raises
    ------
    UsageError
        When fewer than two fits are given.
    FitError
        When a pair cannot be compared, see :func:`workbench.fit.likelihood_ratio_test`.

    Notes
    -----
    Minus twice the log-likelihood differs from the deviance of a generalised linear model by a
    constant of the data (the saturated model), which differences between fits do not see; it
    exists for every model.

    References
    ----------
    McCullagh and Nelder (1989), section 2.3, doi:10.1007/978-1-4899-3242-6.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.fit import deviance_table, fit_mle
    >>> def fixed(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> def free(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     sigma = numpyro.sample("sigma", dist.HalfNormal(1))
    ...     numpyro.sample("y", dist.Normal(mu, sigma), obs=y)
    >>> data = {"y": [-2.0, 2.0, -2.0, 2.0]}
    >>> table = deviance_table(fit_mle(fixed, data), fit_mle(free, data))
    >>> table[["model", "num_parameters", "df", "statistic"]].round(6).values.tolist()
    [['fixed', 1, nan, nan], ['free', 2, 1.0, 6.454823]]
    """
    if len(fits) < 2:
        raise UsageError(f"an analysis of deviance expects two fits or more; got {len(fits)}")
    tests = [likelihood_ratio_test(a, b) for a, b in zip(fits[:-1], fits[1:], strict=True)]
    return pd.DataFrame(
        {
            "model": [f.require_density().model.name for f in fits],
            "num_parameters": [f.num_parameters for f in fits],
            "log_likelihood": [f.llf for f in fits],
            "deviance": [-2 * f.llf for f in fits],
            "df": [np.nan, *(t.df for t in tests)],
            "statistic": [np.nan, *(t.statistic for t in tests)],
            "p_value": [np.nan, *(t.p_value for t in tests)],
            "reason": ["", *(t.reason for t in tests)],
        }
    )
