r"""One site whose elements have priors of their own, and coordinates about a chosen point.

.. math:: p(\beta) = \prod_j p_j(\beta_j), \qquad \beta_j = c_j + s_j z_j

The second holds where a centre c is given: it changes the unconstrained coordinates z that
optimisers start and step in, and neither the density of :math:`\beta` nor, since the map is
affine, any mode. It is for likelihoods that are zero at :math:`\beta = 0`, such as those of the
inverse link, where :math:`z = 0` would be no place to start.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.transforms import AffineTransform, biject_to
from numpyro.distributions.util import validate_sample

from workbench.model.prior_text import PriorText


class About(constraints.Constraint):
    """All real numbers, in coordinates about a centre.

    Parameters
    ----------
    centre, unit : array_like
        Elementwise: the value at z = 0 and its change per unit of z.
    """

    def __init__(self, centre: ArrayLike, unit: ArrayLike) -> None:
        self.centre, self.unit = jnp.asarray(centre), jnp.asarray(unit)

    def __call__(self, x: ArrayLike) -> jax.Array:
        """Whether values are real numbers."""
        return jnp.isfinite(jnp.asarray(x))

    def feasible_like(self, prototype: ArrayLike) -> jax.Array:
        """The centre, in the shape of a value."""
        return jnp.broadcast_to(self.centre, jnp.shape(prototype))

    def tree_flatten(self):
        """Centre and unit are data."""
        return (self.centre, self.unit), (("centre", "unit"), {})


@biject_to.register(About)
def _about(constraint: About) -> AffineTransform:
    return AffineTransform(constraint.centre, constraint.unit)


class Elementwise(dist.Distribution):
    """Independent elements, each with its own distribution.

    Parameters
    ----------
    parts : sequence of distributions
        Scalar distributions of one support, one for each element.
    about : About, optional
        Coordinates of the elements.

    Examples
    --------
    >>> prior = Elementwise([dist.Normal(0.0, 1.0), dist.StudentT(3.0, 0.0, 1.0)])
    >>> [f"{x:.4f}" for x in prior.log_prob(jnp.zeros(2))]
    ['-0.9189', '-1.0009']
    """

    pytree_data_fields = ("parts", "about")

    def __init__(self, parts: Sequence[dist.Distribution], about: About | None = None) -> None:
        self.parts, self.about = tuple(parts), about
        super().__init__((len(self.parts),))

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        """The support of every element."""
        return self.parts[0].support if self.about is None else self.about

    def sample(self, key: jax.Array | None, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw each element."""
        assert key is not None
        keys = jax.random.split(key, len(self.parts))
        draws = [part.sample(k, sample_shape) for part, k in zip(self.parts, keys, strict=True)]
        return jnp.stack(draws, axis=-1)

    @validate_sample
    def log_prob(self, value: ArrayLike, intermediates: object = None) -> jax.Array:
        """Log density of each element."""
        value = jnp.asarray(value)
        parts = [part.log_prob(value[..., j]) for j, part in enumerate(self.parts)]
        return jnp.stack(parts, axis=-1)


def joint_prior(priors: Sequence[PriorText], about: About | None = None) -> dist.Distribution:
    """Distribution of a vector from the priors of its elements.

    Parameters
    ----------
    priors : sequence of PriorText
        One for each element.
    about : About, optional
        Coordinates of the elements.

    Returns
    -------
    Distribution
        NumPyro's own with an array for each argument, where all priors are of one kind and no
        coordinates are given.

    Examples
    --------
    >>> joint_prior([PriorText(name="Normal", arguments=(0.0, s)) for s in (1.0, 2.0)]).scale
    Array([1., 2.], dtype=float64)
    """
    kinds = {(p.name, len(p.arguments), tuple(p.named)) for p in priors}
    if len(kinds) > 1 or about is not None:
        return Elementwise([p.distribution() for p in priors], about)
    arguments = [jnp.array(column) for column in zip(*(p.arguments for p in priors), strict=True)]
    named = {k: jnp.array([p.named[k] for p in priors]) for k in priors[0].named}
    return getattr(dist, priors[0].name)(*arguments, **named)
