r"""Tests of hypotheses: Wald, likelihood ratio and score; likelihood ratio of nested fits.

For :math:`H_0: R \theta = r` of k equations about the terms :math:`\theta(z)`, with log-likelihood
:math:`\ell`, score U, the estimate :math:`\hat z` and the estimate under the hypothesis
:math:`\tilde z`,

.. math::

    W &= (R \hat\theta - r)^T (R\, G V G^T R^T)^{-1} (R \hat\theta - r),
         \qquad G = \partial\theta / \partial z, \\
    \Lambda &= 2 \{\ell(\hat z) - \ell(\tilde z)\}, \\
    S &= U(\tilde z)^T I(\tilde z)^{-1} U(\tilde z),

each :math:`\chi^2_k` where the hypothesis is true, regular and inside the parameter space. W takes
any covariance V (a sandwich makes it robust) and depends on the scale of the terms;
:math:`\Lambda` and, with the expected information, S do not.

References
----------
Wald (1943), doi:10.1090/S0002-9947-1943-0012401-3; Wilks (1938), doi:10.1214/aoms/1177732360;
Rao (1948), doi:10.1017/S0305004100023987; Self and Liang (1987), for boundaries,
doi:10.1080/01621459.1987.10478472.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from workbench.errors import FitError, UsageError
from workbench.fit.covariance import (
    CovType,
    parameter_covariance,
    term_jacobian,
    term_programs,
)
from workbench.fit.information import (
    fisher_factor,
    inverse_from_factor,
    without_fisher_information,
)
from workbench.fit.linear_hypothesis import LinearHypothesis, read_hypothesis
from workbench.fit.objective import Objective
from workbench.fit.prediction import observed_value
from workbench.fit.restricted import RestrictedOptimum, Surface, maximise_on
from workbench.fit.status import Status
from workbench.model import Density

if TYPE_CHECKING:
    from workbench.fit.mode import ModeFit

TestKind = Literal["wald", "likelihood ratio", "score"]
_MIXTURE = (
    "on the boundary the likelihood ratio is a mixture of chi-squared distributions (chi-bar-"
    "square) and not chi-squared"
)


@dataclass(frozen=True, kw_only=True)
class HypothesisTest:
    """A test of a hypothesis against a wider model.

    Attributes
    ----------
    hypothesis : str
        What is tested.
    kind : str
        ``wald``, ``likelihood ratio`` or ``score``.
    statistic : float
        The statistic; ``nan`` where ``reason`` says why.
    df : int
        Degrees of freedom: number of equations.
    p_value : float
        Upper tail of chi-squared; ``nan`` where ``reason`` says why.
    cov_type : str
        Covariance of a Wald test, information of a score test, else empty.
    reason : str
        Why a number is ``nan`` (empty when none is).

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.fit import fit_mle
    >>> def coin(y=None):
    ...     p = numpyro.sample("p", dist.Beta(1, 1))
    ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
    >>> fit = fit_mle(coin, {"y": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]})
    >>> made = fit.test("p = 0.5", kind="score")  # (0.2 - 0.5)^2 / (0.5 * 0.5 / 10)
    >>> round(made.statistic, 9), made.df, round(made.p_value, 4)
    (3.6, 1, 0.0578)
    """

    hypothesis: str
    kind: TestKind
    statistic: float
    df: int
    p_value: float
    cov_type: str = ""
    reason: str = ""


def hypothesis_test(
    fit: ModeFit,
    hypothesis: str,
    *,
    kind: TestKind = "wald",
    cov_type: CovType | None = None,
    groups: Any = None,
) -> HypothesisTest:
    """Test linear hypotheses about the terms of an MLE, see the head of this file.

    Parameters
    ----------
    fit : ModeFit
        An MLE.
    hypothesis : str
        Equations about terms, such as ``"x1 = x2, sigma = 1"``.
    kind : str
        ``wald``, ``likelihood ratio`` or ``score``.
    cov_type : str, optional
        Covariance of a Wald test (``observed`` by default), or information of a score test:
        ``expected`` (default) or ``observed``.
    groups : array_like, optional
        Label of each row, for a Wald test with ``cov_type="cluster"``.

    Returns
    -------
    HypothesisTest
        With a reason where the test is not defined at this fit: terms that are not identified or
        run off, a hypothesis at the edge of a support, no maximum under the hypothesis.

    Raises
    ------
    FitError
        When the fit is not an MLE, a term is a random effect or moves with one, or the covariance
        is not defined.
    UsageError
        When the hypothesis cannot be read, or the arguments do not go together.
    """
    _check_arguments(kind, cov_type, groups)
    if fit.method != "MLE":
        raise FitError(f"tests are defined for an MLE; got a {fit.method} fit")
    density = fit.require_density()
    read = read_hypothesis(hypothesis, list(fit.estimates.index))
    blank = HypothesisTest(
        hypothesis=hypothesis,
        kind=kind,
        statistic=np.nan,
        df=len(read.values),
        p_value=np.nan,
        cov_type={"wald": cov_type or "observed", "score": cov_type or "expected"}.get(kind, ""),
    )
    gradient = read.weights @ term_jacobian(density, fit.z)
    effects = density.coordinates("random effect")
    if np.any(gradient[:, effects] != 0):
        raise FitError(
            f"hypothesis '{hypothesis}' expects terms of parameters; got one that moves with "
            f"random effect '{density.names('random effect')[0]}'"
        )
    reason = _not_testable(fit, read, gradient)
    if reason:
        return replace(blank, reason=reason)
    if kind == "wald":
        return _wald(fit, blank, read, gradient, groups)
    restricted = _under(fit, density, read)
    if restricted.reason:
        return replace(blank, reason=restricted.reason)
    if kind == "score":
        return _score(density, blank, restricted)
    return _referred(blank, 2 * (fit.log_objective - restricted.value))


def _check_arguments(kind: str, cov_type: str | None, groups: Any) -> None:
    if kind not in get_args(TestKind):
        raise UsageError(f"kind expects one of {', '.join(get_args(TestKind))}; got {kind!r}")
    if kind == "likelihood ratio" and cov_type is not None:
        raise UsageError(f"a likelihood ratio takes no cov_type; got {cov_type!r}")
    if kind == "score" and cov_type not in (None, "expected", "observed"):
        raise UsageError(
            f"a score test expects cov_type 'expected' or 'observed'; got {cov_type!r}"
        )
    if kind != "wald" and groups is not None:
        raise UsageError(f"groups belong to a Wald test; got some with kind={kind!r}")


def _not_testable(fit: ModeFit, read: LinearHypothesis, gradient: np.ndarray) -> str:
    """Why a hypothesis has no test at this fit ("" when it has)."""
    if fit.status in (Status.NOT_CONVERGED, Status.SADDLE):
        return fit.detail
    table = fit.estimates
    for row, value in zip(read.weights, read.values, strict=True):
        named = np.flatnonzero(row)
        for i in named:
            if table["reason"].iloc[i]:
                return f"{table.index[i]}: {table['reason'].iloc[i]}"
        if named.size == 1:
            (i,) = named
            low, high = table["support_lower"].iloc[i], table["support_upper"].iloc[i]
            if not low < value / row[i] < high:
                return (
                    f"{table.index[i]} = {value / row[i]:g} is not inside its support, from "
                    f"{low:g} to {high:g}; {_MIXTURE}"
                )
    if np.linalg.matrix_rank(gradient / np.linalg.norm(gradient, axis=1)[:, None]) < len(gradient):
        return "the equations are not independent in the parameters of the model"
    return ""


def _referred(blank: HypothesisTest, statistic: float) -> HypothesisTest:
    """Refer a statistic to chi-squared; rounding may leave a zero just negative."""
    statistic = max(statistic, 0.0)
    return replace(blank, statistic=statistic, p_value=float(stats.chi2.sf(statistic, blank.df)))


def _wald(
    fit: ModeFit,
    blank: HypothesisTest,
    read: LinearHypothesis,
    gradient: np.ndarray,
    groups: Any,
) -> HypothesisTest:
    covariance = parameter_covariance(fit, blank.cov_type, groups=groups)  # pyright: ignore[reportArgumentType]
    if covariance.reason:
        return replace(blank, reason=covariance.reason)
    difference = read.weights @ fit.params.to_numpy() - read.values
    variance = gradient @ covariance.matrix @ gradient.T
    unit = np.sqrt(np.diag(variance))
    if np.linalg.matrix_rank(variance / np.outer(unit, unit), hermitian=True) < len(variance):
        return replace(blank, reason=f"covariance '{blank.cov_type}' is singular along the test")
    scaled = difference / unit
    solved = np.linalg.solve(variance / np.outer(unit, unit), scaled)
    return _referred(blank, float(scaled @ solved))


def _under(fit: ModeFit, density: Density, read: LinearHypothesis) -> RestrictedOptimum:
    """The maximum under the hypothesis."""
    objective, second = _restriction_programs(density)
    terms, jacobian = term_programs(density)
    free, arrays = objective.free, density.arrays

    def at(theta: np.ndarray) -> jax.Array:
        return jnp.asarray(fit.z).at[free].set(theta)

    parts = np.abs(read.weights) @ np.abs(fit.params.to_numpy())
    surface = Surface(
        residual=lambda t: read.weights @ np.asarray(terms(at(t), arrays)) - read.values,
        jacobian=lambda t: read.weights @ np.asarray(jacobian(at(t), arrays))[:, free],
        hessian=lambda t: np.asarray(second(at(t), arrays, read.weights))[:, free][:, :, free],
        size=np.maximum(parts, np.abs(read.values)),
    )
    return maximise_on(objective, fit.z[free], surface)


@lru_cache(maxsize=8)
def _restriction_programs(density: Density) -> tuple[Objective, Callable[..., jax.Array]]:
    """Log-likelihood and second derivative of combinations of terms, compiled once per model."""
    jacobian = term_programs(density)[1]

    def slopes(z: jax.Array, arrays: Any, weights: jax.Array) -> jax.Array:
        return weights @ jacobian(z, arrays)

    return Objective(density=density, method="MLE"), jax.jit(density.jacobian(slopes))


def _score(
    density: Density, blank: HypothesisTest, restricted: RestrictedOptimum
) -> HypothesisTest:
    u = restricted.gradient
    if blank.cov_type == "observed":
        inside = np.linalg.eigvalsh(restricted.information).min() > 0
        if not inside:
            reason = "the observed information under the hypothesis is not positive definite"
            return replace(blank, reason=reason)
        return _referred(blank, float(u @ np.linalg.solve(restricted.information, u)))
    refusal = without_fisher_information(density)
    if refusal:
        return replace(blank, reason=f"{refusal}, with cov_type='observed'")
    objective = Objective(density=density, method="MLE")
    z = np.asarray(objective.place(jnp.asarray(restricted.theta), jnp.zeros(0)))
    covariance, rank = inverse_from_factor(fisher_factor(density, z))
    if rank < u.size:
        return replace(blank, reason="the expected information under the hypothesis is singular")
    return _referred(blank, float(u @ covariance @ u))


# -- nested fits -----------------------------------------------------------------------------
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
    return replace(blank, reason=reason) if reason else _referred(blank, blank.statistic)


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
            return f"the {which} fit is {fit.detail}; {_MIXTURE}"
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
            f"boundary; {_MIXTURE}"
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
