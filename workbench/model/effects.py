"""Which elements of a declared random effect are none: their prior holds no parameter."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.model.density import Density
from workbench.model.labels import scalar_labels


def mixed_effects(density: Density) -> dict[str, str]:
    """Random-effects sites that mix fixed and random effects.

    The elements of a centred site are told apart by their own log density, pushed once along the
    parameters and once along the effects: an element that feels itself but no parameter, next to
    one that feels a parameter, is a fixed effect, and its prior would enter the marginal
    likelihood.

    Parameters
    ----------
    density : Density
        The model at its data.

    Returns
    -------
    dict of str to str
        Label of the first fixed element, by site; empty when no site mixes.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import Model, read_density
    >>> def model(y=None):
    ...     tau = numpyro.sample("tau", dist.HalfNormal(1))
    ...     b = numpyro.sample("b", dist.Normal(0, jnp.stack([10.0, tau, tau])))
    ...     numpyro.sample("y", dist.Normal(b[0] + b[1:], 1), obs=y)
    >>> model = Model(name="m", fn=model, random_effects=("b",))
    >>> mixed_effects(read_density(model, {"y": [1.0, 2.0]}))
    {'b': 'b[0]'}
    """
    parameters = set(density.names("parameter"))
    sites = [density.site(n) for n in density.names("random effect")]
    names = [s.name for s in sites if parameters & set(s.depends_on) and s.shape]
    if not names:
        return {}
    found = _slopes(density.twin, tuple(names))(density.arrays)
    along_parameters, along_effects = jax.tree_util.tree_map(np.asarray, found)
    mixed = {}
    for name in names:
        random = along_parameters[name] != 0.0
        fixed = ~random & (along_effects[name] != 0.0)
        if random.any() and fixed.any():
            dims = density.site(name).dims[: fixed.ndim]
            labels = scalar_labels(name, fixed.shape, dims, density.data.coords)
            mixed[name] = labels[int(np.argmax(fixed))]
    return mixed


@lru_cache(maxsize=32)
def _slopes(density: Density, names: tuple[str, ...]) -> Callable[..., list[dict[str, jax.Array]]]:
    """Compiled change of the sites' log densities along the parameters, and along the effects."""
    rng = np.random.default_rng(0)
    point, direction = (jnp.asarray(0.3 * rng.normal(size=density.size)) for _ in range(2))

    def along(role: str, arrays: Any) -> dict[str, jax.Array]:
        chosen = np.isin(np.arange(density.size), density.coordinates(role))
        _, tangent = jax.jvp(
            lambda z: {n: density.evaluate(z, arrays).log_probs[n] for n in names},
            (point,),
            (jnp.where(chosen, direction, 0.0),),
        )
        return tangent

    return jax.jit(lambda arrays: [along(r, arrays) for r in ("parameter", "random effect")])
