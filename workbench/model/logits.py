r"""Distributions by logits, with the right derivative where a logit is exactly 0.

NumPyro's log densities of Bernoulli and binomial sites hold :math:`\max(x, 0)` as a clipped
logit, whose derivative JAX gives as 0 at :math:`x = 0`, where 1/2 is the one that makes the whole
:math:`y - n / 2`. Zero is where fits begin, and where a score test of zero coefficients is made.
Half of the logit, taken off at zero alone, changes no value and mends the derivative.
"""

from __future__ import annotations

import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro.primitives import Messenger


class BernoulliLogits(dist.BernoulliLogits):
    """NumPyro's, with the right derivative at 0."""

    def log_prob(self, value: Any) -> jax.Array:
        """Log probability of the value."""
        return super().log_prob(value) - _half_at_zero(self.logits)


class BinomialLogits(dist.BinomialLogits):
    """NumPyro's, with the right derivative at 0."""

    def log_prob(self, value: Any) -> jax.Array:
        """Log probability of the value."""
        return super().log_prob(value) - self.total_count * _half_at_zero(self.logits)


_RIGHT = {dist.BernoulliLogits: BernoulliLogits, dist.BinomialLogits: BinomialLogits}


def _half_at_zero(x: Any) -> jax.Array:
    x = jnp.asarray(x)
    return jnp.where(x == 0, 0.5 * x, jnp.zeros_like(x))


def right_at_zero(fn: Any) -> Any:
    """The same distribution, with the right derivative where a logit is exactly 0.

    Parameters
    ----------
    fn : numpyro.distributions.Distribution
        Any; others than Bernoulli and binomial by logits, expanded, masked or of event
        dimensions or not, are returned as they are.

    Returns
    -------
    numpyro.distributions.Distribution
        Equal in all values.

    Examples
    --------
    >>> slope = jax.grad(lambda x: right_at_zero(dist.Bernoulli(logits=x)).log_prob(1))
    >>> float(slope(0.0)), float(jax.grad(lambda x: dist.Bernoulli(logits=x).log_prob(1))(0.0))
    (0.5, 1.0)
    """
    if type(fn) in _RIGHT:
        given = {"total_count": fn.total_count} if isinstance(fn, dist.BinomialLogits) else {}
        return _RIGHT[type(fn)](logits=fn.logits, **given, validate_args=fn._validate_args)
    inner = getattr(fn, "base_dist", None)
    if inner is None or right_at_zero(inner) is inner:
        return fn
    outer = copy.copy(fn)
    outer.base_dist = right_at_zero(inner)
    return outer


class RightAtZero(Messenger):
    """NumPyro handler that gives every site its :func:`right_at_zero`."""

    def process_message(self, msg: Any) -> None:
        """Replace the distribution of a sample site."""
        if msg["type"] == "sample":
            msg["fn"] = right_at_zero(msg["fn"])
