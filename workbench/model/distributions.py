r"""Distributions whose densities NumPyro gives too few digits of.

Both densities below are ratios of gamma functions, and lose digits where the log of a gamma
function is large and the ratio is not. Stirling's remainder

.. math:: S(z) = \log \Gamma(z + 1) - (z + \tfrac12) \log z + z - \tfrac12 \log 2\pi
               = \frac{1}{12 z} - \frac{1}{360 z^3} + \frac{1}{1260 z^5} - \dots

takes the large part out by algebra, before any rounding (Loader 2000, for the binomial).

Negative binomial with mean :math:`\mu` and concentration :math:`\phi`, variance
:math:`\mu + \mu^2 / \phi`:

.. math::

    p(y) = \frac{\Gamma(y + \phi)}{\Gamma(\phi)\, y!}
           \Big(\frac{\phi}{\phi + \mu}\Big)^{\phi} \Big(\frac{\mu}{\phi + \mu}\Big)^{y},
    \qquad
    \log p(y) = \tfrac12 \log \frac{\phi}{2 \pi y (\phi + y)} + S(\phi + y) - S(\phi) - S(y) - D,

.. math::

    D = y \log \frac{y\, (\phi + \mu)}{\mu\, (\phi + y)} - \phi \log \frac{\phi + y}{\phi + \mu}

for :math:`y > 0`, and :math:`-\phi \log(1 + \mu / \phi)` for :math:`y = 0`.

Student-t, with :math:`a = \nu / 2` and :math:`t = (y - m) / \sigma`:

.. math::

    \log p(y) = -\tfrac12 \log 2\pi - \log \sigma + c(a) - (a + \tfrac12) \log(1 + t^2 / \nu),
    \qquad
    c(a) = \log \frac{\Gamma(a + 1/2)}{\sqrt{a}\, \Gamma(a)}
         = a \log\Big(1 + \frac{1}{2 a}\Big) - \tfrac12 + S(a + \tfrac12) - S(a) .

References
----------
Loader, C. (2000). Fast and accurate computation of binomial probabilities. (The algorithm of R's
``dbinom`` and ``dnbinom``.)
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.util import promote_shapes, validate_sample

# 1/12, -1/360, ...: B_2k / (2k (2k - 1)) with Bernoulli numbers B; the next term, 1 / (156 z^13),
# is below 1e-15 from z = 10 on
_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)


def stirling_remainder(z: ArrayLike) -> jax.Array:
    r"""Give what Stirling's formula leaves of the log of the gamma function.

    Parameters
    ----------
    z : array_like
        Positive.

    Returns
    -------
    jax.Array
        :math:`S(z) = \log\Gamma(z + 1) - (z + 1/2)\log z + z - \frac12\log 2\pi`, with an absolute
        error of a few 1e-15 in float64.

    Notes
    -----
    Ten steps of :math:`\Gamma(z + 1) = z\,\Gamma(z)` lead to :math:`w = z + 10`, where six terms of
    the series suffice:

    .. math:: S(z) = S(w) + (z + \tfrac12) \log(1 + 10 / z) - 10
                     - \sum_{k=1}^{9} \log\frac{z + k}{w} .

    Only elementary functions are left, so that derivatives of every order are cheap.

    Examples
    --------
    >>> print(f"{stirling_remainder(1.0):.12f}")  # 1 - log(2 pi) / 2
    0.081061466795
    """
    z = jnp.asarray(z, dtype=jnp.result_type(float))
    inverse = 1 / (z + 10)
    square = inverse * inverse
    series = jnp.zeros_like(z)
    for coefficient in reversed(_SERIES):
        series = series * square + coefficient
    product = jnp.ones_like(z)
    for k in range(1, 10):
        product = product * (z + k) * inverse
    return series * inverse + (z + 0.5) * jnp.log1p(10 / z) - 10 - jnp.log(product)


class NegativeBinomial2(dist.Distribution):
    r"""Negative binomial by its mean and concentration, true to 12 digits.

    Parameters
    ----------
    mu : array_like
        Mean, positive.
    phi : array_like
        Concentration, positive: the variance is :math:`\mu + \mu^2/\phi`, and the Poisson
        distribution is the limit :math:`\phi \to \infty`.
    validate_args : bool, optional
        Check the parameters, as for every NumPyro distribution.

    Notes
    -----
    NumPyro's own ``NegativeBinomial2`` uses ``jax.scipy.special.betaln``, whose relative error
    reaches 4e-7 in float64, and loses all digits of the overdispersion when :math:`\phi` is large.

    Examples
    --------
    >>> print(f"{NegativeBinomial2(3.0, 10.0).log_prob(4):.12f}")
    -1.916708377155
    """

    arg_constraints = {"mu": constraints.positive, "phi": constraints.positive}
    support = constraints.nonnegative_integer
    pytree_data_fields = ("mu", "phi")

    def __init__(self, mu: ArrayLike, phi: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.mu, self.phi = promote_shapes(mu, phi)
        batch_shape = jnp.broadcast_shapes(jnp.shape(mu), jnp.shape(phi))
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: jax.Array | None, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw a gamma rate with mean mu and shape phi, and a Poisson count at that rate."""
        assert key is not None
        key_rate, key_count = jax.random.split(key)
        shape = sample_shape + self.batch_shape
        rate = jax.random.gamma(key_rate, self.phi, shape) * self.mu / self.phi
        return jax.random.poisson(key_count, rate, shape)

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: object = None) -> jax.Array:
        """Log probability of a count, by the saddle-point form at the head of this file."""
        y = jnp.asarray(value, dtype=jnp.result_type(float))
        mu, phi = self.mu, self.phi
        at_zero = -phi * jnp.log1p(mu / phi)
        y = jnp.where(y == 0, 1.0, y)  # both branches are evaluated, and differentiated
        # both logs as log(1 + t) with t >= 0 (or their negatives), which keeps every digit
        up = y >= mu
        sign = jnp.where(up, 1.0, -1.0)
        apart = sign * (y - mu)
        odds = jnp.log1p(phi * apart / jnp.where(up, mu * (phi + y), y * (phi + mu)))
        rest = jnp.log1p(apart / jnp.where(up, phi + mu, phi + y))
        deviance = sign * (y * odds - phi * rest)
        at_mean = -0.5 * (jnp.log(2 * math.pi * y) + jnp.log1p(y / phi))
        remainder = stirling_remainder(phi + y) - stirling_remainder(phi) - stirling_remainder(y)
        return jnp.where(jnp.asarray(value) == 0, at_zero, at_mean + remainder - deviance)

    @property
    def mean(self) -> jax.Array:
        """The mean mu."""
        return jnp.broadcast_to(self.mu, self.batch_shape)

    @property
    def variance(self) -> jax.Array:
        """The variance mu + mu^2 / phi."""
        return jnp.broadcast_to(self.mu + jnp.square(self.mu) / self.phi, self.batch_shape)


class StudentT(dist.StudentT):
    r"""Student-t by degrees of freedom, location and scale, also where it is nearly normal.

    Parameters are those of ``numpyro.distributions.StudentT``; only the density is computed
    otherwise.

    Notes
    -----
    The difference of two log gamma functions in NumPyro's density has an absolute error of 1e-7
    at :math:`\nu = 10^8`, thirty times the distance from the normal density: a maximum-likelihood
    fit to normal data, whose :math:`\nu` grows without limit, would climb that noise.

    Examples
    --------
    >>> normal = dist.Normal().log_prob(0.5)
    >>> print(f"{StudentT(1e8).log_prob(0.5) - normal:.2e}")  # -0.359375 / nu
    -3.59e-09
    """

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: object = None) -> jax.Array:
        """Log density, with the gamma functions by Stirling's remainder."""
        a = jnp.asarray(self.df, dtype=jnp.result_type(float)) / 2
        gammas = a * jnp.log1p(0.5 / a) - 0.5 + stirling_remainder(a + 0.5) - stirling_remainder(a)
        t = (value - self.loc) / self.scale
        tail = (a + 0.5) * jnp.log1p(jnp.square(t) / self.df)
        return gammas - 0.5 * math.log(2 * math.pi) - jnp.log(self.scale) - tail


class InverseGaussian(dist.Distribution):
    r"""Inverse Gaussian by its mean and shape: the variance is :math:`\mu^3 / \lambda`.

    .. math::

        \log p(y) = \tfrac12 \log \frac{\lambda}{2 \pi y^3} - \frac{\lambda (y - \mu)^2}{2 \mu^2 y}

    Parameters
    ----------
    mu : array_like
        Mean, positive.
    shape : array_like
        Shape :math:`\lambda`, positive, in the unit of y.
    validate_args : bool, optional
        Check the parameters, as for every NumPyro distribution.

    References
    ----------
    Chhikara, R. S. & Folks, J. L. (1989). The Inverse Gaussian Distribution. Marcel Dekker.

    Michael, J. R., Schucany, W. R. & Haas, R. W. (1976). Generating random variates using
    transformations with multiple roots. American Statistician 30(2).
    doi:10.1080/00031305.1976.10479147

    Examples
    --------
    >>> print(f"{InverseGaussian(2.0, 3.0).log_prob(2.0):.12f}")  # log(3 / (16 pi)) / 2
    -1.409353159711
    """

    arg_constraints = {"mu": constraints.positive, "shape_": constraints.positive}
    support = constraints.positive
    pytree_data_fields = ("mu", "shape_")

    def __init__(
        self, mu: ArrayLike, shape: ArrayLike, *, validate_args: bool | None = None
    ) -> None:
        self.mu, self.shape_ = promote_shapes(mu, shape)
        batch_shape = jnp.broadcast_shapes(jnp.shape(mu), jnp.shape(shape))
        super().__init__(batch_shape, validate_args=validate_args)

    def sample(self, key: jax.Array | None, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw one of the two roots of a chi-square equation (Michael, Schucany & Haas)."""
        assert key is not None
        key_root, key_choice = jax.random.split(key)
        size = sample_shape + self.batch_shape
        w = self.mu * jnp.square(jax.random.normal(key_root, size)) / self.shape_
        # the smaller root over mu, as 1 / (larger): no difference of nearly equal numbers
        small = 1 / (1 + 0.5 * w + jnp.sqrt(w + 0.25 * jnp.square(w)))
        first = jax.random.uniform(key_choice, size) * (1 + small) <= 1
        return self.mu * jnp.where(first, small, 1 / small)

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: object = None) -> jax.Array:
        """Log density of a positive value."""
        y = jnp.asarray(value)
        distance = self.shape_ * jnp.square(y / self.mu - 1) / y
        return 0.5 * (jnp.log(self.shape_ / (2 * math.pi)) - 3 * jnp.log(y) - distance)

    @property
    def mean(self) -> jax.Array:
        """The mean mu."""
        return jnp.broadcast_to(self.mu, self.batch_shape)

    @property
    def variance(self) -> jax.Array:
        """The variance mu^3 / lambda."""
        return jnp.broadcast_to(self.mu**3 / self.shape_, self.batch_shape)
