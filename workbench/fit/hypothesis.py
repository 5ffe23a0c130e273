r"""Tests of hypotheses about the terms of a fit: Wald, likelihood ratio and score.

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
from typing import TYPE_CHECKING, Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from workbench.errors import FitError, UsageError
from workbench.fit.compilation import compiled
from workbench.fit.covariance import (
    CovType,
    parameter_covariance,
)
from workbench.fit.curvature import moves_along
from workbench.fit.information import (
    fisher_factor,
    inverse_from_factor,
    without_fisher_information,
)
from workbench.fit.linear_hypothesis import LinearHypothesis, read_hypothesis
from workbench.fit.objective import Objective
from workbench.fit.restricted import Equations, RestrictedOptimum, Surface, maximise_on
from workbench.fit.status import Status
from workbench.fit.terms import term_jacobian, term_programs
from workbench.model import Density

if TYPE_CHECKING:
    from workbench.fit.mode import ModeFit

TestKind = Literal["wald", "likelihood ratio", "score"]
BOUNDARY_LAW = (
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
    return refer(blank, 2 * (fit.log_objective - restricted.value))


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
    # terms that are not determined may be so in a combination, such as the sum of two equal columns
    directions = np.array([[d.get(x, 0.0) for d in fit.null_directions] for x in fit.z_labels])
    free = fit.require_density().coordinates("parameter")
    moves = moves_along(gradient[:, free], directions[free], fit.information)
    for row, value, along in zip(read.weights, read.values, moves, strict=True):
        named = np.flatnonzero(row)
        for i in named:
            if table["reason"].iloc[i] and (along.any() or not fit.null_directions):
                return f"{table.index[i]}: {table['reason'].iloc[i]}"
        if named.size == 1:
            (i,) = named
            low, high = table["support_lower"].iloc[i], table["support_upper"].iloc[i]
            if not low < value / row[i] < high:
                return (
                    f"{table.index[i]} = {value / row[i]:g} is not inside its support, from "
                    f"{low:g} to {high:g}; {BOUNDARY_LAW}"
                )
    if np.linalg.matrix_rank(gradient / np.linalg.norm(gradient, axis=1)[:, None]) < len(gradient):
        return "the equations are not independent in the parameters of the model"
    return ""


def refer(blank: HypothesisTest, statistic: float) -> HypothesisTest:
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
    return refer(blank, float(scaled @ solved))


def _under(fit: ModeFit, density: Density, read: LinearHypothesis) -> RestrictedOptimum:
    """The maximum under the hypothesis."""
    objective, second = Objective(density=density, method="MLE"), _bend(density)
    terms, jacobian = term_programs(density)
    free, arrays = objective.free, density.arrays
    parts = np.abs(read.weights) @ np.abs(fit.params.to_numpy())

    def equations(theta: np.ndarray) -> Equations:
        z = jnp.asarray(fit.z).at[free].set(theta)
        return Equations(
            residual=read.weights @ np.asarray(terms(z, arrays)) - read.values,
            jacobian=read.weights @ np.asarray(jacobian(z, arrays))[:, free],
            hessian=np.asarray(second(z, arrays, read.weights))[:, free][:, :, free],
        )

    size = np.maximum(parts, np.abs(read.values))
    return maximise_on(objective, fit.z[free], Surface(at=equations, size=size))


@compiled
def _bend(density: Density) -> Callable[..., jax.Array]:
    """Compiled second derivative of combinations of terms, shape (k, D, D)."""
    jacobian = term_programs(density)[1]

    def slopes(z: jax.Array, arrays: Any, weights: jax.Array) -> jax.Array:
        return weights @ jacobian(z, arrays)

    return jax.jit(density.jacobian(slopes))


def _score(
    density: Density, blank: HypothesisTest, restricted: RestrictedOptimum
) -> HypothesisTest:
    u = restricted.gradient
    if blank.cov_type == "observed":
        inside = np.linalg.eigvalsh(restricted.information).min() > 0
        if not inside:
            reason = "the observed information under the hypothesis is not positive definite"
            return replace(blank, reason=reason)
        return refer(blank, float(u @ np.linalg.solve(restricted.information, u)))
    refusal = without_fisher_information(density)
    if refusal:
        return replace(blank, reason=f"{refusal}, with cov_type='observed'")
    objective = Objective(density=density, method="MLE")
    z = np.asarray(objective.place(jnp.asarray(restricted.theta), jnp.zeros(0)))
    covariance, rank = inverse_from_factor(fisher_factor(density, z))
    if rank < u.size:
        return replace(blank, reason="the expected information under the hypothesis is singular")
    return refer(blank, float(u @ covariance @ u))
