"""What is computed from the draws: sites, estimands, log-likelihood, prior, predictive draws.

What diagnostics read (sites and estimands) is computed with the fit. The rest of ArviZ's groups is
computed when the fit's tree is first asked for, from the same random keys. A group with one number
for each draw and each observation grows with both: above :data:`MOST` numbers it is left out, with
the reason, since it would take many times the memory of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from workbench.errors import ModelError
from workbench.fit.batches import batch_size, in_batches, random_keys
from workbench.fit.compilation import compiled
from workbench.fit.prediction import simulate
from workbench.fit.tree import build_tree
from workbench.model import Density
from workbench.model.simulation import without_observations

MOST = 50_000_000  # numbers in a group: 400 MB of float64
_NUM_PRIOR = 1000  # prior draws


@dataclass(frozen=True, kw_only=True)
class Quantities:
    """Draws of the sites and of what tables report.

    Attributes
    ----------
    values : dict of str to numpy.ndarray
        Latent and deterministic sites, shape (C, S, ...).
    estimands : dict of str to numpy.ndarray
        The same for the estimands.
    too_large : dict of str to str
        Reason for each deterministic site left out.
    """

    values: dict[str, np.ndarray]
    estimands: dict[str, np.ndarray]
    too_large: dict[str, str]


def evaluate_draws(density: Density, z: np.ndarray) -> Quantities:
    """Sites and estimands of every draw, (C, S, D) to (C, S, ...)."""
    latent = {x.name for x in density.latents}
    num = z.shape[0] * z.shape[1]
    reasons = {
        s.name: _too_large(num, s.shape, f"values of site '{s.name}'")
        for s in density.sites
        if s.role == "deterministic" and s.name not in latent
    }
    left_out = tuple(sorted(name for name, reason in reasons.items() if reason))
    found = _per_draw(_values(density, left_out), density, z)
    return Quantities(**found, too_large={n: reasons[n] for n in left_out})


@dataclass(frozen=True, kw_only=True)
class Groups:
    """ArviZ's groups, and why those that are missing are.

    Attributes
    ----------
    datatree : xarray.DataTree
        The groups.
    absent : dict of str to str
        Reason for each missing one.
    """

    datatree: Any
    absent: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Everything from which the groups can be made when they are asked for.

    Attributes
    ----------
    density : Density
        The model at its data.
    z : numpy.ndarray
        Draws, shape (C, S, D).
    quantities : Quantities
        Of the draws.
    statistics : dict of str to numpy.ndarray
        Sampler statistics, shape (C, S).
    keys : tuple of jax.Array
        Keys of the predictive and of the prior draws.
    """

    density: Density
    z: np.ndarray
    quantities: Quantities
    statistics: dict[str, np.ndarray]
    keys: tuple[jax.Array, jax.Array]

    def __call__(self) -> Groups:
        """Make the groups."""
        density, z = self.density, self.z
        absent = dict(self.quantities.too_large)
        num = z.shape[0] * z.shape[1]
        observed = [density.site(n) for n in density.names("observed")]
        large = [_too_large(num, s.shape, f"draws of site '{s.name}'") for s in observed]
        large = [reason for reason in large if reason]
        if large:
            absent |= dict.fromkeys(
                ("log_likelihood", "posterior_predictive", "prior_predictive"), large[0]
            )
        parts = _per_draw(_densities(density, not large), density, z)
        parts["values"] = self.quantities.values
        predictive: dict[str, np.ndarray] = {}
        if not large:
            try:
                predictive = self._predictive()
            except ModelError as err:
                absent["posterior_predictive"] = str(err)
        improper = [x.name for x in density.latents if x.improper]
        prior: dict[str, np.ndarray] = {}
        if improper:
            absent["prior"] = f"site '{improper[0]}' has a flat prior, which cannot be drawn from"
        else:
            try:
                prior = _prior_draws(density, self.keys[1], not large)
            except (NotImplementedError, ModelError) as err:
                absent["prior"] = f"the prior cannot be drawn from: {str(err) or 'improper'}"
        tree = build_tree(density, self.statistics, parts, predictive, prior)
        return Groups(datatree=tree, absent=absent)

    def _predictive(self) -> dict[str, np.ndarray]:
        values, shape = self.quantities.values, self.z.shape[:2]
        latent = {x.name: values[x.name] for x in self.density.latents}
        flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in latent.items()}
        drawn = simulate(self.density, flat, self.keys[0]).draws
        return {k: v.reshape(*shape, *v.shape[1:]) for k, v in drawn.items()}


def _too_large(num: int, shape: tuple[int, ...], what: str) -> str:
    """Reason for leaving a group out ("" where it is small enough)."""
    size = num * int(np.prod(shape, dtype=int))
    if size <= MOST:
        return ""
    return (
        f"{num} {what} of {size // num} numbers each would take {size * 8 / 1e9:.1f} GB; expected "
        f"at most {MOST * 8 / 1e9:.1f} GB"
    )


def _per_draw(program: Callable[..., Any], density: Density, z: np.ndarray) -> dict[str, Any]:
    """Run a program over draws of z, (C, S, D), keeping the first two axes."""
    arrays = density.arrays
    flat, size = z.reshape(-1, density.size), batch_size(density, most=1024)
    found = in_batches(lambda rows: program(rows, arrays), size, flat)
    return jax.tree_util.tree_map(lambda x: x.reshape(*z.shape[:2], *x.shape[1:]), found)


@compiled
def _values(density: Density, left_out: tuple[str, ...]) -> Callable[..., Any]:
    def one(z: jax.Array, arrays: Any) -> dict[str, Any]:
        values = density.point(z, arrays).values
        return {
            "values": {k: v for k, v in values.items() if k not in left_out},
            "estimands": density.estimands(values, arrays),
        }

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


@compiled
def _densities(density: Density, pointwise: bool) -> Callable[..., Any]:
    prior = density.names("parameter", "random effect", "prior")

    def one(z: jax.Array, arrays: Any) -> dict[str, Any]:
        log_probs = density.point(z, arrays).log_probs
        observed = density.names("observed") if pointwise else ()
        return {
            "log_likelihood": {n: log_probs[n] for n in observed},
            "log_prior": {n: jnp.sum(log_probs[n]) for n in prior if n in log_probs},
        }

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


def _prior_draws(density: Density, key: jax.Array, observed: bool) -> dict[str, np.ndarray]:
    """Draws of every site from the prior, the observed ones included if asked, shape (num, ...)."""
    size = batch_size(density)
    program, arrays = _prior(density, observed), density.arrays
    try:
        return in_batches(lambda keys: program(keys, arrays), size, random_keys(key, _NUM_PRIOR))
    except (AttributeError, TypeError) as err:
        raise ModelError(str(err).splitlines()[0]) from err


@compiled
def _prior(density: Density, observed: bool) -> Callable[..., dict[str, jax.Array]]:
    roles = ("parameter", "random effect", "deterministic", *(["observed"] if observed else []))
    names = density.names(*roles)

    def one(key: jax.Array, arrays: Any) -> dict[str, jax.Array]:
        fn = handlers.seed(without_observations(density, arrays), jax.random.wrap_key_data(key))
        trace = handlers.trace(fn).get_trace()
        return {n: trace[n]["value"] for n in names if n in trace}

    return jax.jit(jax.vmap(one, in_axes=(0, None)))
