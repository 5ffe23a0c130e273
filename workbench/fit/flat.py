"""Densities made of densities: flat unconstrained sites, and one factor that is a function of them.

Such a density is a model like any other, so that optimiser, sampler and diagnostics know nothing
of it. Its function is an object that equals another of the same make, so that it is read, and its
programs are compiled, once for all data of one structure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from workbench.data import Dataset
from workbench.model import Density, Model, read_density
from workbench.model.binding import Arguments
from workbench.model.density import Latent


def flat_sites(latents: list[Latent]) -> dict[str, jax.Array]:
    """Sample a flat site for the unconstrained value of each latent site, by its name."""
    found = {}
    for x in latents:
        flat = dist.ImproperUniform(constraints.real, (), x.shape)
        found[x.name] = numpyro.sample(f"{x.scale}({x.name})" if x.scale else x.name, flat)
    return found


def density_of(name: str, function: Callable[..., None], given: Mapping[str, Any]) -> Density:
    """The density of a function at its arguments.

    Parameters
    ----------
    name : str
        Name of the model.
    function : callable
        Hashable; equal to every other of which the same program is right.
    given : mapping
        Arrays by argument name, in any nesting.

    Returns
    -------
    Density
        Read anew only for a new function.
    """
    read = _read(_Reading(function, (name, given)))
    density = replace(read, arguments=Arguments.split(given))
    vars(density)["twin"] = read.twin  # one function and the same shapes: one structure
    return density


@dataclass(frozen=True)
class _Reading:
    """A function; what it is called and read at are no part of its identity."""

    function: Callable[..., None]
    at: Any = field(compare=False)


@lru_cache(maxsize=16)
def _read(reading: _Reading) -> Density:
    name, given = reading.at
    model = Model(name=name, fn=reading.function)
    read = read_density(model, jax.tree_util.tree_map(np.asarray, given))
    nothing = Dataset.from_arrays(name="none", inputs={}, observed={})
    return replace(read, data=nothing, arguments=read.arguments.without_values())
