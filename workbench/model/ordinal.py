r"""Ordered categories: a latent variable cut at K - 1 points.

With linear predictor :math:`\eta` and increasing cuts :math:`c_1 < \dots < c_{K-1}`

.. math:: P(y \le k) = F(c_{k+1} - \eta), \qquad
          P(y = k) = F(b) - F(a), \quad a = c_k - \eta,\ b = c_{k+1} - \eta,

for categories 0 to K - 1, with :math:`c_0 = -\infty, c_K = \infty` and F the logistic or the normal
distribution function (McCullagh 1980). The differences lose no digits in the tails when written as

.. math::

    \log(\sigma(b) - \sigma(a)) &= \log \sigma(b) + \log \sigma(-a) + \log(1 - e^{a - b}) \\
    \log(\Phi(b) - \Phi(a)) &= \log \Phi(b) + \log(1 - e^{\log \Phi(a) - \log \Phi(b)}),

the second with (a, b) replaced by (-b, -a) where a is positive.

References
----------
McCullagh, P. (1980). Regression models for ordinal data. Journal of the Royal Statistical Society
B 42(2). doi:10.1111/j.2517-6161.1980.tb01109.x
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import log_ndtr
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.util import validate_sample


class Ordinal(dist.Distribution):
    """Ordered categories 0 to K - 1 by a linear predictor and K - 1 cuts.

    Parameters
    ----------
    predictor : array_like
        Linear predictor; its shape is the shape of the distribution.
    cuts : array_like
        Increasing cuts, shape (K - 1,).
    link : str
        ``logit`` or ``probit``.
    validate_args : bool, optional
        Check the parameters, as for every NumPyro distribution.

    Examples
    --------
    >>> ordinal = Ordinal(0.0, jnp.array([-1.0, 1.0]))
    >>> [round(float(jnp.exp(ordinal.log_prob(k))), 6) for k in range(3)]
    [0.268941, 0.462117, 0.268941]
    """

    arg_constraints = {"predictor": constraints.real, "cuts": constraints.ordered_vector}
    pytree_data_fields = ("predictor", "cuts")
    pytree_aux_fields = ("link",)

    def __init__(
        self,
        predictor: ArrayLike,
        cuts: ArrayLike,
        link: str = "logit",
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.predictor, self.cuts, self.link = jnp.asarray(predictor), jnp.asarray(cuts), link
        super().__init__(jnp.shape(predictor), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> constraints.Constraint:
        """The categories 0 to K - 1."""
        return constraints.integer_interval(0, self.cuts.shape[-1])

    def sample(self, key: jax.Array | None, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw the latent variable and count the cuts below it."""
        assert key is not None
        draw = jax.random.logistic if self.link == "logit" else jax.random.normal
        latent = self.predictor + draw(key, sample_shape + self.batch_shape)
        return jnp.sum(latent[..., None] > self.cuts, axis=-1)

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: object = None) -> jax.Array:
        """Log probability of a category, by the forms at the head of this file."""
        k, last = jnp.asarray(value), self.cuts.shape[-1]
        lowest, highest = k == 0, k == last
        # both branches are differentiated, so the unused one is kept at finite cuts
        a = self.cuts[jnp.where(lowest, 0, k - 1)] - self.predictor
        b = jnp.where(highest, a + 1, self.cuts[jnp.where(highest, 0, k)] - self.predictor)
        a = jnp.where(lowest, b - 1, a)
        below, above, between = _LOGS[self.link](a, b)
        return jnp.where(lowest, below, jnp.where(highest, above, between))

    @property
    def mean(self) -> jax.Array:
        """The mean of the category numbers: the sum of the P(y > k)."""
        log_cdf = jax.nn.log_sigmoid if self.link == "logit" else log_ndtr
        above = jnp.exp(log_cdf(self.predictor[..., None] - self.cuts))
        return jnp.sum(above, axis=-1)


def _logistic(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Logs of F(b), 1 - F(a) and F(b) - F(a)."""
    below, above = jax.nn.log_sigmoid(b), jax.nn.log_sigmoid(-a)
    return below, above, below + above + jnp.log(-jnp.expm1(a - b))


def _normal(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Logs of F(b), 1 - F(a) and F(b) - F(a)."""
    right = a > 0
    low, high = jnp.where(right, -b, a), jnp.where(right, -a, b)
    larger = log_ndtr(high)
    between = larger + jnp.log(-jnp.expm1(log_ndtr(low) - larger))
    return log_ndtr(b), log_ndtr(-a), between


_LOGS = {"logit": _logistic, "probit": _normal}
