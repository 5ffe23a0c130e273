"""Unconstrained coordinates of given values of the latent sites, and of draws from the prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from numpyro import handlers

from workbench.errors import ModelError
from workbench.model.density import Density
from workbench.model.simulation import without_observations
from workbench.model.sites import transform_of


def unconstrain(
    density: Density, values: Mapping[str, jax.Array], arrays: Mapping[str, Any] | None = None
) -> jax.Array:
    """Flat z, shape (D,), at which the latent sites have the given constrained values.

    Parameters
    ----------
    density : Density
        The model at its data.
    values : mapping of str to array
        Constrained value of every latent site.
    arrays : mapping, optional
        Data in the form of ``density.arrays``.

    Returns
    -------
    jax.Array
        The inverse of :meth:`~workbench.model.density.Density.constrain`.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def scale(y=None):
    ...     s = numpyro.sample("s", dist.Exponential(1.0))
    ...     numpyro.sample("y", dist.Normal(0, s), obs=y)
    >>> unconstrain(read_density(scale, {"y": [1.0]}), {"s": jnp.exp(2.0)}).tolist()
    [2.0]
    """
    fn = handlers.seed(density.model.fn, 0)  # only for sites that ask for a key
    placed = handlers.substitute(fn, data=dict(values))
    return _flat(density, handlers.trace(placed).get_trace(**density.arguments.join(arrays)))


def prior_z(density: Density, key: jax.Array, arrays: Mapping[str, Any] | None = None) -> jax.Array:
    """Draw z, shape (D,), from the prior of every latent site, random effects included."""
    fn = handlers.seed(without_observations(density, arrays), key)
    return _flat(density, handlers.trace(fn).get_trace())


def _flat(density: Density, trace: Mapping[str, Any]) -> jax.Array:
    parts = [transform_of(trace[x.name]).inv(trace[x.name]["value"]) for x in density.latents]
    return jnp.concatenate([jnp.ravel(x) for x in parts])


def require_drawable_prior(density: Density) -> None:
    """Refuse a prior that cannot be drawn from.

    Raises
    ------
    ModelError
        For a flat or improper prior, naming the site where it is known.
    """
    name = density.model.name
    improper = [x.name for x in density.latents if x.improper]
    if improper:
        raise ModelError(f"site '{improper[0]}' of model '{name}' has a flat prior")
    extra = density.names("prior")
    if extra:
        raise ModelError(
            f"site '{extra[0]}' of model '{name}' is a factor of the prior, which cannot be drawn"
        )
    try:
        jax.eval_shape(lambda key: prior_z(density, key), jax.random.key(0))
    except (NotImplementedError, AttributeError, TypeError) as err:
        said = str(err).splitlines()[0] if str(err) else "improper"
        raise ModelError(f"the prior of model '{name}' cannot be drawn from: {said}") from err
