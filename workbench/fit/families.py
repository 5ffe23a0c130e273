r"""Facts of the families of distributions that tests and residuals need in closed form.

Of each family: its parameters :math:`\phi`, their Fisher information
:math:`F(\phi) = E\{-\partial^2 \log p(y \mid \phi) / \partial\phi\, \partial\phi^T\}`, the unit
deviance :math:`d(y, \mu) = 2 \{\log p(y \mid \mu = y) - \log p(y \mid \mu)\}` (all parameters but
the mean kept), and its cumulative distribution function.

References
----------
Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions;
McCullagh and Nelder (1989), Generalized Linear Models, table 2.1, doi:10.1007/978-1-4899-3242-6;
Lange, Little and Taylor (1989), for the Student-t, doi:10.1080/01621459.1989.10478852.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import polygamma
from scipy import special, stats

from workbench.model.distributions import NegativeBinomial2
from workbench.model.sites import bare

Parameters = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Family:
    """What is known in closed form of one family; arrays are elementwise over rows.

    Attributes
    ----------
    parameters : callable
        The parameters of a NumPyro distribution, by name.
    fisher : callable or None
        Their Fisher information, shape (..., m, m), over the parameters in that order
        (a number of trials is not one of them).
    deviance : callable or None
        Unit deviance of observations given their means and the parameters.
    distribution : callable
        SciPy's frozen distribution at the parameters.
    """

    parameters: Callable[[Any], dict[str, jax.Array]]
    fisher: Callable[[Parameters], jax.Array] | None
    deviance: Callable[[np.ndarray, np.ndarray, Parameters], np.ndarray] | None
    distribution: Callable[[Parameters], Any]


def family_of(fn: Any) -> Family | None:
    """Facts of a distribution's family; ``None`` where this file holds none.

    Examples
    --------
    >>> import numpyro.distributions as dist
    >>> poisson = family_of(dist.Poisson(2.0))
    >>> poisson.fisher(poisson.parameters(dist.Poisson(2.0))).tolist()
    [[0.5]]
    """
    return _FAMILIES.get(type(bare(fn)).__name__)


def _named(*names: str) -> Callable[[Any], dict[str, jax.Array]]:
    return lambda fn: {name: jnp.asarray(getattr(fn, name)) for name in names}


def _diagonal(*entries: jax.Array) -> jax.Array:
    return jnp.stack(entries, axis=-1)[..., None] * jnp.eye(len(entries))


def _matrix(rows: list[list[jax.Array]]) -> jax.Array:
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


# -- Fisher information ----------------------------------------------------------------------
def _fisher_location_scale(p: Parameters) -> jax.Array:
    return _diagonal(1 / p["scale"] ** 2, 2 / p["scale"] ** 2)


def _fisher_logits(p: Parameters) -> jax.Array:
    success = jax.nn.sigmoid(p["logits"])
    return _diagonal(p.get("total_count", 1) * success * (1 - success))


def _fisher_probs(p: Parameters) -> jax.Array:
    return _diagonal(p.get("total_count", 1) / (p["probs"] * (1 - p["probs"])))


def _fisher_gamma(p: Parameters) -> jax.Array:
    a, b = p["concentration"], p["rate"]
    return _matrix([[polygamma(1, a), -1 / b], [-1 / b, a / b**2]])


def _fisher_beta(p: Parameters) -> jax.Array:
    a, b = p["concentration1"], p["concentration0"]
    both = polygamma(1, a + b)
    return _matrix([[polygamma(1, a) - both, -both], [-both, polygamma(1, b) - both]])


def _fisher_student(p: Parameters) -> jax.Array:
    nu, s = p["df"], p["scale"]
    tails = (polygamma(1, nu / 2) - polygamma(1, (nu + 1) / 2)) / 4
    tails -= (nu + 5) / (2 * nu * (nu + 1) * (nu + 3))
    cross = -2 / (s * (nu + 1) * (nu + 3))
    zero = jnp.zeros_like(cross)
    location, scale = (nu + 1) / ((nu + 3) * s**2), 2 * nu / ((nu + 3) * s**2)
    return _matrix([[tails, zero, cross], [zero, location, zero], [cross, zero, scale]])


# -- unit deviances --------------------------------------------------------------------------
def _deviance_normal(y: np.ndarray, mean: np.ndarray, p: Parameters) -> np.ndarray:
    return ((y - mean) / p["scale"]) ** 2


def _deviance_binomial(y: np.ndarray, mean: np.ndarray, p: Parameters) -> np.ndarray:
    n = p.get("total_count", 1)
    return 2 * (special.rel_entr(y, mean) + special.rel_entr(n - y, n - mean))


def _deviance_poisson(y: np.ndarray, mean: np.ndarray, p: Parameters) -> np.ndarray:
    return 2 * special.kl_div(y, mean)


def _deviance_negative_binomial(y: np.ndarray, mean: np.ndarray, p: Parameters) -> np.ndarray:
    phi = p["concentration"]
    return 2 * (special.rel_entr(y, mean) - (y + phi) * np.log((y + phi) / (mean + phi)))


def _deviance_gamma(y: np.ndarray, mean: np.ndarray, p: Parameters) -> np.ndarray:
    return 2 * p.get("concentration", 1.0) * ((y - mean) / mean - np.log(y / mean))


# -- distributions ---------------------------------------------------------------------------
def _binomial(p: Parameters) -> Any:
    success = p["probs"] if "probs" in p else special.expit(p["logits"])
    return stats.binom(p.get("total_count", 1), success)


def _negative_binomial_parameters(fn: Any) -> dict[str, jax.Array]:
    concentration = fn.phi if isinstance(fn, NegativeBinomial2) else fn.concentration
    return {"mean": jnp.asarray(fn.mean), "concentration": jnp.asarray(concentration)}


def _negative_binomial(p: Parameters) -> Any:
    return stats.nbinom(p["concentration"], p["concentration"] / (p["concentration"] + p["mean"]))


_FAMILIES = {
    "Normal": Family(
        parameters=_named("loc", "scale"),
        fisher=_fisher_location_scale,
        deviance=_deviance_normal,
        distribution=lambda p: stats.norm(p["loc"], p["scale"]),
    ),
    "LogNormal": Family(
        parameters=_named("loc", "scale"),
        fisher=_fisher_location_scale,  # of the logarithms, which are normal
        deviance=None,
        distribution=lambda p: stats.lognorm(p["scale"], scale=np.exp(p["loc"])),
    ),
    "StudentT": Family(
        parameters=_named("df", "loc", "scale"),
        fisher=_fisher_student,
        deviance=None,
        distribution=lambda p: stats.t(p["df"], p["loc"], p["scale"]),
    ),
    "BernoulliLogits": Family(
        parameters=_named("logits"),
        fisher=_fisher_logits,
        deviance=_deviance_binomial,
        distribution=_binomial,
    ),
    "BernoulliProbs": Family(
        parameters=_named("probs"),
        fisher=_fisher_probs,
        deviance=_deviance_binomial,
        distribution=_binomial,
    ),
    "BinomialLogits": Family(
        parameters=_named("logits", "total_count"),
        fisher=_fisher_logits,
        deviance=_deviance_binomial,
        distribution=_binomial,
    ),
    "BinomialProbs": Family(
        parameters=_named("probs", "total_count"),
        fisher=_fisher_probs,
        deviance=_deviance_binomial,
        distribution=_binomial,
    ),
    "Poisson": Family(
        parameters=_named("rate"),
        fisher=lambda p: _diagonal(1 / p["rate"]),
        deviance=_deviance_poisson,
        distribution=lambda p: stats.poisson(p["rate"]),
    ),
    "NegativeBinomial2": Family(
        parameters=_negative_binomial_parameters,
        fisher=None,  # that of the concentration is an infinite sum
        deviance=_deviance_negative_binomial,
        distribution=_negative_binomial,
    ),
    "Exponential": Family(
        parameters=_named("rate"),
        fisher=lambda p: _diagonal(1 / p["rate"] ** 2),
        deviance=_deviance_gamma,
        distribution=lambda p: stats.expon(scale=1 / p["rate"]),
    ),
    "Gamma": Family(
        parameters=_named("concentration", "rate"),
        fisher=_fisher_gamma,
        deviance=_deviance_gamma,
        distribution=lambda p: stats.gamma(p["concentration"], scale=1 / p["rate"]),
    ),
    "Beta": Family(
        parameters=_named("concentration1", "concentration0"),
        fisher=_fisher_beta,
        deviance=None,
        distribution=lambda p: stats.beta(p["concentration1"], p["concentration0"]),
    ),
}
