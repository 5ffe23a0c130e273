"""What the compiled programs of a density depend on: everything but the values of its data.

Two densities have one *structure* when a program made for either, with the data as arguments, is
right for the other: the same function, the same sites, shapes and static values, and the same
operations, constants included, when JAX traces them. The last is what tells a function that reads
a variable around it from itself before that variable was changed. Each structure has one *twin*,
a density without values, for which programs are made once
(:func:`workbench.fit.compilation.compiled`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from workbench.data import Dataset
from workbench.model.provenance import constants_of

if TYPE_CHECKING:
    from workbench.model.density import Density

_KEPT = 32  # structures whose programs are kept
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of a function, in JAX's words for an operation
_NOTHING = Dataset.from_arrays(name="none", inputs={}, observed={})
_PLAIN = (bool, int, float, complex, str, bytes, type(None), jax.tree_util.PyTreeDef)


@dataclass(frozen=True)
class _Structure:
    """Equal where the parts are; ``bare`` is the density that asked, without its values."""

    parts: tuple[Hashable, ...]
    bare: Any = field(compare=False)


@dataclass(frozen=True, eq=False)
class _One:
    """An object that equals itself alone."""

    held: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _One) and other.held is self.held

    def __hash__(self) -> int:
        return id(self.held)


def twin_of(density: Density) -> Density:
    """The one density, without values, that stands for all of the same structure.

    Parameters
    ----------
    density : Density
        A model at its data.

    Returns
    -------
    Density
        Its arrays are shapes (``jax.ShapeDtypeStruct``), so that a program made of it cannot hold
        data by mistake; arrays that the model needs while it is traced stay, and are part of the
        structure.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, 1)), 1), obs=y)
    >>> one, other = (read_density(normal, {"y": y}) for y in ([1.0, 2.0], [3.0, 4.0]))
    >>> one.twin is other.twin, one.twin.arrays["y"].shape
    (True, (2,))
    """
    arguments, model = density.arguments, density.model
    # data that programs hold: constants of the function, and what only estimands read
    held = arguments.static or _reads_more(density)
    parts = (
        _same(model.fn),
        _same(model.estimands),
        density.sites,
        density.latents,
        density.observed_arguments,
        arguments.form,
        *(x if isinstance(x, _PLAIN) else _One(x) for x in arguments.statics),
        density.data.fingerprint if held else "",
        density.operations_digest,
    )
    data = density.data if held else _NOTHING
    bare = replace(density, data=data, arguments=arguments.without_values())
    # known without another trace
    vars(bare).update(twin=bare, _trace=density._trace)
    return _first(_Structure(parts, bare))


def digest_of_operations(density: Density) -> str:
    """SHA-256 of what JAX traces: the operations, their constants, and the names of the sites."""
    digest = hashlib.sha256(repr(density.sites_traced).encode())
    for closed in _traced(density):
        digest.update(_digest(closed).encode())
    return digest.hexdigest()


def _digest(closed: ClosedJaxpr) -> str:
    """SHA-256 of operations and their constants."""
    digest = hashlib.sha256(_ADDRESS.sub("", str(closed)).encode())
    for value in constants_of(closed):
        key = jnp.issubdtype(jnp.result_type(value), jax.dtypes.prng_key)
        digest.update(np.asarray(jax.random.key_data(value) if key else value).tobytes())
    return digest.hexdigest()


def _traced(density: Density) -> list[ClosedJaxpr]:
    """The operations of the model, and of the estimands that it declares."""
    if density.model.estimands is None:
        return [density.traced]
    return [density.traced, _traced_estimands(density)]


def _traced_estimands(density: Density) -> ClosedJaxpr:
    def estimands(z: jax.Array, arrays: Any) -> dict[str, Any]:
        return density.estimands(density.constrain(z, arrays), arrays)

    return jax.make_jaxpr(estimands)(jnp.zeros(density.size), density.arrays)


def _reads_more(density: Density) -> bool:
    """Whether the estimands read data that are no arguments of the function."""
    beside = set(density.data.inputs) - set(density.arguments.join())
    if density.model.estimands is None or not beside:
        return False
    without = replace(density, data=_NOTHING)
    try:
        here, there = _traced_estimands(density), _traced_estimands(without)
    except (KeyError, TypeError):  # asked for by name, or None where a number is expected
        return True
    return _digest(here) != _digest(there)


def _same(fn: Any) -> Hashable:
    return fn if isinstance(fn, Hashable) else _One(fn)


@lru_cache(maxsize=_KEPT)
def _first(structure: _Structure) -> Density:
    return structure.bare
