r"""Links: how the mean of a response follows from a linear predictor.

.. math:: g(\mu) = \eta = x^\top \beta, \qquad \mu = g^{-1}(\eta)

========  =========================  ===========================
link      :math:`g(\mu)`             :math:`g^{-1}(\eta)`
========  =========================  ===========================
identity  :math:`\mu`                :math:`\eta`
log       :math:`\log \mu`           :math:`e^\eta`
logit     :math:`\log \mu/(1-\mu)`   :math:`1 / (1 + e^{-\eta})`
probit    :math:`\Phi^{-1}(\mu)`     :math:`\Phi(\eta)`
cloglog   :math:`\log -\log(1-\mu)`  :math:`1 - e^{-e^\eta}`
inverse   :math:`1 / \mu`            :math:`1 / \eta`
========  =========================  ===========================

Of a probability the log odds are computed straight from :math:`\eta`, so that a probability near 0
or 1 keeps its digits: :math:`\log \Phi(\eta) - \log \Phi(-\eta)` for probit,
:math:`\log(1 - e^{-e^\eta}) + e^\eta` for cloglog and :math:`\eta - \log(1 - e^\eta)` for log.

References
----------
McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd edition, chapter 2.
Chapman & Hall. doi:10.1007/978-1-4899-3242-6
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr, ndtri


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link.

    Attributes
    ----------
    name : str
        Its name in a family such as ``poisson(log)``.
    predictor : callable
        g, from means to linear predictors.
    mean : callable
        The inverse of g.
    log_odds : callable or None
        Log odds of a probability with this link, from its linear predictor.
    keeps_unit : bool
        Whether the predictor changes with the unit of the response (identity, inverse), so that
        coefficients are of that unit.
    """

    name: str
    predictor: Callable[[jax.Array], jax.Array]
    mean: Callable[[jax.Array], jax.Array]
    log_odds: Callable[[jax.Array], jax.Array] | None = None
    keeps_unit: bool = False


def _identity(value: jax.Array) -> jax.Array:
    return value


LINKS = {
    link.name: link
    for link in (
        Link(name="identity", predictor=_identity, mean=_identity, keeps_unit=True),
        Link(
            name="log", predictor=jnp.log, mean=jnp.exp,
            log_odds=lambda eta: eta - jnp.log(-jnp.expm1(eta)),
        ),
        Link(
            name="logit", predictor=lambda mu: jnp.log(mu) - jnp.log1p(-mu), mean=jax.nn.sigmoid,
            log_odds=_identity,
        ),
        Link(
            name="probit", predictor=ndtri, mean=ndtr,
            log_odds=lambda eta: log_ndtr(eta) - log_ndtr(-eta),
        ),
        Link(
            name="cloglog", predictor=lambda mu: jnp.log(-jnp.log1p(-mu)),
            mean=lambda eta: -jnp.expm1(-jnp.exp(eta)),
            log_odds=lambda eta: jnp.log(-jnp.expm1(-jnp.exp(eta))) + jnp.exp(eta),
        ),
        Link(
            name="inverse", predictor=lambda mu: 1 / mu, mean=lambda eta: 1 / eta, keeps_unit=True
        ),
    )
}  # fmt: skip
