"""The same model with the priors of some sites made wider or narrower about their centre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.primitives import Messenger

from workbench.model import Density

_LOCATION_SCALE = (dist.Normal, dist.Laplace, dist.Cauchy)


def widened(density: Density, names: tuple[str, ...], factor: Any) -> Density:
    """Multiply the scale of location-scale priors.

    Parameters
    ----------
    density : Density
        The model at its data.
    names : tuple of str
        Sites whose prior is normal, Laplace, Cauchy or Student t (independent elements).
    factor : float or jax.Array
        Of the scale; may be traced.

    Returns
    -------
    Density
        The same model with these priors wider by ``factor``.

    Examples
    --------
    >>> import numpyro
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> wide = widened(read_density(normal, {"y": [0.0]}), ("mu",), 10.0)
    >>> float(wide.evaluate(jnp.zeros(1)).distributions["mu"].scale)
    10.0
    """
    fn = _Widen(density.model.fn, names, factor)
    return replace(density, model=replace(density.model, fn=fn))


def can_widen(density: Density) -> tuple[str, ...]:
    """Parameter sites with a location-scale prior that holds no other site."""
    known: list[str] = []

    def look(z: jax.Array) -> jax.Array:
        found = density.evaluate(z).distributions
        known.extend(n for n, fn in found.items() if _scaled(fn, 1.0) is not None)
        return z

    jax.eval_shape(look, jnp.zeros(density.size))
    parameters = density.names("parameter")
    return tuple(n for n in parameters if n in known and not density.site(n).depends_on)


def prior_of(density: Density, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Location and scale of a site's location-scale prior, both flat, shape (P,).

    Examples
    --------
    >>> import numpyro
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(1, 2).expand([2]).to_event(1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> [x.tolist() for x in prior_of(read_density(normal, {"y": [0.0, 0.0]}), "mu")]
    [[1.0, 1.0], [2.0, 2.0]]
    """
    fn: Any = density.evaluate(jnp.zeros(density.size)).distributions[name]
    shape = fn.batch_shape + fn.event_shape
    while not hasattr(fn, "scale"):
        fn = fn.base_dist
    loc, scale = (
        np.ravel(np.asarray(jnp.broadcast_to(x, shape), dtype=float)) for x in (fn.loc, fn.scale)
    )
    return loc, scale


def _scaled(fn: Any, factor: Any) -> Any:
    """The distribution with its scale multiplied (``None`` where it is of another kind)."""
    if type(fn) in _LOCATION_SCALE:
        return type(fn)(fn.loc, fn.scale * factor)
    if type(fn) is dist.StudentT:
        return dist.StudentT(fn.df, fn.loc, fn.scale * factor)
    if type(fn).__name__ not in ("Independent", "ExpandedDistribution"):
        return None
    inner = _scaled(fn.base_dist, factor)
    if inner is None:
        return None
    if type(fn).__name__ == "Independent":
        return inner.to_event(fn.reinterpreted_batch_ndims)
    return inner.expand(fn.batch_shape)


class _Widen(Messenger):
    """Put the wider prior in the place of the site's own."""

    def __init__(self, fn: Callable[..., Any], names: tuple[str, ...], factor: Any) -> None:
        self.names, self.factor = names, factor
        super().__init__(fn)

    def process_message(self, msg: Any) -> None:
        """Replace the distribution of a named sample site."""
        if msg["type"] == "sample" and msg["name"] in self.names:
            msg["fn"] = _scaled(msg["fn"], self.factor)
