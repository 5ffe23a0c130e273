r"""Sites that are normal given the others integrated out of the sampler, and drawn afterwards.

Where sites u are jointly normal given the others :math:`\psi` (:mod:`workbench.model.gaussian`),
:math:`f(\psi, u) = \log p(\psi, u, y)` is quadratic in u, and with any point :math:`u_0`

.. math:: g = \nabla_u f(\psi, u_0), \quad H = -\nabla_u^2 f(\psi, u_0), \quad
          \hat u = u_0 + H^{-1} g, \quad
          \log p(\psi, y) = f(\psi, \hat u) - \tfrac12 \log\det H + \tfrac q2 \log 2\pi

exactly, and :math:`u \mid \psi, y \sim N(\hat u,\ H^{-1})`. Rounding of :math:`\hat u` can only
lower the first term, so that no spread is so large that it seems likely by cancellation. NUTS runs
over :math:`\psi` alone: a few variances and correlations, without the funnel between effects and
their spread. One exact draw of u for each of its draws makes them draws of the joint posterior. H
is an arrow matrix (:mod:`workbench.model.arrow`), one block for each group, so that the cost grows
linearly with the number of groups; normal rows enter by their sufficient statistics
(:mod:`workbench.model.sufficient`).

It is done where the model declares random effects that are normal given the rest, or where normal
sites fall into several independent groups; the coefficients of a regression alone are left to the
sampler unless asked for.

References
----------
Liu (1994), "The collapsed Gibbs sampler", doi:10.1080/01621459.1994.10476829; Lindley and Smith
(1972), J. Royal Statistical Society B 34(1):1-41; Bates, Maechler, Bolker and Walker (2015),
doi:10.18637/jss.v067.i01 (the same integral, profiled).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jax.tree_util import Partial

from workbench.fit.batches import batch_size, in_batches, random_keys
from workbench.fit.compilation import compiled
from workbench.fit.flat import density_of, flat_sites
from workbench.fit.prepared import AtData, arrows_of_rows, log_joint_program, preparation
from workbench.model import Density
from workbench.model.arrow import Arrow, ArrowFactor, find_arrow
from workbench.model.evaluation import elements, evaluate
from workbench.model.gaussian import gaussian_sites


@dataclass(frozen=True, kw_only=True)
class MarginalFunction:
    """The NumPyro function of what is left: flat unconstrained sites, and one factor.

    Attributes
    ----------
    density : Density
        The model without values (its twin).
    sites : tuple of str
        Sites integrated out, in the order of z.
    arrow : Arrow
        Where their elements stand.
    arrows : tuple of Arrow
        Where the arguments of normal rows stand, for each site with statistics.
    """

    density: Density
    sites: tuple[str, ...]
    arrow: Arrow
    arrows: tuple[Arrow, ...]

    def __call__(self, arrays: Any, prepared: Any) -> None:
        """Declare the sites of the marginal density."""
        left = [x for x in self.density.latents if x.name not in self.sites]
        psi = flat_sites(left)
        numpyro.factor("marginal", self.log_marginal(psi, arrays, prepared))

    def log_joint(self, psi: Any, u: jax.Array, arrays: Any, given: Any) -> jax.Array:
        """Log joint density plus log Jacobian at unconstrained sites (scalar, nats)."""
        z = {**psi, **_unflatten(self.density, self.sites, u)}
        return log_joint_program(self.density, self.arrows)(z, arrays, given)

    def solve(
        self, psi: Any, u: jax.Array, arrays: Any, prepared: Any
    ) -> tuple[ArrowFactor, jax.Array, jax.Array]:
        r"""The factor L of H at u, and the parts of :math:`L^{-1} g`."""
        return _solver(self)(psi, u, arrays, prepared["data"])

    def log_marginal(self, psi: Any, arrays: Any, prepared: Any) -> jax.Array:
        """Log density of psi, u integrated out (scalar, nats)."""
        centre = prepared["centre"]
        factor, parts, border = self.solve(psi, centre, arrays, prepared)
        mean = centre + self.arrow.backward(factor, parts, border)
        half_log_2pi = 0.5 * self.arrow.size * jnp.log(2 * jnp.pi)
        value = self.log_joint(psi, mean, arrays, prepared["data"])
        return value + half_log_2pi - self.arrow.half_log_det(factor)

    def mean(self, psi: Any, u: jax.Array, arrays: Any, prepared: Any) -> jax.Array:
        """Mean of the sites integrated out given psi, one Newton step from u."""
        factor, parts, border = self.solve(psi, u, arrays, prepared)
        return u + self.arrow.backward(factor, parts, border)

    def draw(self, psi: Any, arrays: Any, prepared: Any, noise: jax.Array) -> jax.Array:
        """Draw the sites integrated out given psi, from standard normal noise, shape (q,)."""
        u = prepared["centre"]
        factor, parts, border = self.solve(psi, u, arrays, prepared)
        local, edge = self.arrow.split(noise)
        return u + self.arrow.backward(factor, parts + local, border + edge)


@lru_cache(maxsize=16)
def _solver(function: MarginalFunction) -> Callable[..., Any]:
    """Program of :meth:`MarginalFunction.solve`, traced once for all its uses."""
    arrow = function.arrow

    def program(psi: Any, u: jax.Array, arrays: Any, given: Any) -> Any:
        slope = jax.grad(lambda u: function.log_joint(psi, u, arrays, given))
        g, product = jax.linearize(slope, u)
        factor = arrow.factor(arrow.matrix(lambda v: -product(v)))
        return factor, *arrow.forward(factor, g)

    return jax.jit(program)


@dataclass(frozen=True, kw_only=True, eq=False)
class Collapsed:
    """A posterior without the sites that are normal given the others.

    Attributes
    ----------
    density : Density
        The model at its data.
    sites : tuple of str
        What is integrated out.
    target : Density
        Of the others, in their unconstrained coordinates.
    verdict : str
        What was done and why, in words.
    whiten : bool
        Whether the target may be near a normal density.
    """

    density: Density
    sites: tuple[str, ...]
    target: Density
    verdict: str
    whiten: bool = True

    def expand(self, z: np.ndarray, key: jax.Array) -> np.ndarray:
        """Full unconstrained draws, (C, S, D') to (C, S, D), the sites drawn given the others.

        A draw depends on its chain and number alone, so that more draws leave it as it is.
        """
        program, arrays = _expander(self.target), self.target.arrays
        keys = [random_keys(key, len(rows), chain) for chain, rows in enumerate(z)]
        flat = z.reshape(-1, self.target.size), np.concatenate(keys)
        size = batch_size(self.density, most=1024)
        found = in_batches(lambda x: program(*x, arrays), size, flat)
        return found.reshape(*z.shape[:2], self.density.size)


def collapse_normal(density: Density, *, always: bool = False) -> Collapsed | None:
    """Integrate out of a posterior what is normal given the rest.

    Parameters
    ----------
    density : Density
        The model at its data.
    always : bool
        Whatever is normal given the rest, also where it is not known to pay: by default effects
        that the model declares, or of several groups.

    Returns
    -------
    Collapsed or None
        ``None`` where nothing is integrated out.

    Examples
    --------
    >>> from models.eight_schools import MODEL
    >>> import workbench as wb
    >>> found = collapse_normal(wb.read_density(MODEL, wb.load_dataset("eight_schools")))
    >>> found.sites, found.target.z_labels
    (('mu', 'eta'), ('log(tau)',))
    """
    sites = gaussian_sites(density)
    if not sites:
        return None
    arrow, arrows = _arrow(AtData(density), sites), arrows_of_rows(density)
    declared = set(density.names("random effect")) & set(sites)
    if not (always or declared) and len(arrow.blocks) < 2:
        return None
    function = MarginalFunction(density=density.twin, sites=sites, arrow=arrow, arrows=arrows)
    prepared = _preparation(function)(density.arrays)
    name = f"{density.model.name}, {', '.join(sites)} integrated out"
    target = density_of(name, function, {"arrays": density.arrays, "prepared": prepared})
    groups, border = len(arrow.blocks), arrow.border.size
    shape = f"{groups} independent groups" if groups > 1 else "one block"
    if border and groups:
        shape += f" and {border} that all of them meet"
    verdict = f"integrated out: {', '.join(sites)}, normal given the rest ({shape})"
    return Collapsed(density=density, sites=sites, target=target, verdict=verdict)


def _unflatten(density: Density, sites: tuple[str, ...], u: jax.Array) -> dict[str, jax.Array]:
    found, start = {}, 0
    for x in density.latents:
        if x.name in sites:
            stop = start + x.stop - x.start
            found[x.name] = u[start:stop].reshape(x.shape)
            start = stop
    return found


@lru_cache(maxsize=16)
def _arrow(at: AtData, sites: tuple[str, ...]) -> Arrow:
    """Where effects stand at these data."""
    density = at.density
    rng = np.random.default_rng(0)
    latents = [x for x in density.latents if x.name in sites]
    psi = {x.name: 0.3 * rng.normal(size=x.shape) for x in density.latents if x.name not in sites}
    u: Any = 0.3 * rng.normal(size=sum(x.stop - x.start for x in latents))

    terms = Partial(_elements(density, sites), psi, density.arrays)
    return find_arrow(terms, u, [x.shape for x in latents])


@compiled
def _elements(density: Density, sites: tuple[str, ...]) -> Callable[..., jax.Array]:
    """Terms of the log joint density as a function of the sites integrated out."""

    def terms(psi: Any, arrays: Any, u: jax.Array) -> jax.Array:
        z = {**psi, **_unflatten(density, sites, u)}
        found = evaluate(density.model.fn, density.arguments.join(arrays), z)
        return jnp.concatenate([jnp.ravel(elements(found, n)) for n in found.log_probs])

    return terms


@lru_cache(maxsize=16)
def _preparation(function: MarginalFunction) -> Callable[..., dict[str, Any]]:
    """Program of what is computed once for a fit: statistics, and the point u_0."""
    density = function.density

    def program(arrays: Any) -> dict[str, Any]:
        prepared = {"data": preparation(density, function.arrows)(arrays)}
        psi = {x.name: jnp.zeros(x.shape) for x in density.latents if x.name not in function.sites}
        zero = jnp.zeros(function.arrow.size)
        centre = function.mean(psi, zero, arrays, prepared)
        return {**prepared, "centre": jnp.where(jnp.isfinite(centre), centre, 0.0)}

    return jax.jit(program)


@compiled
def _expander(marginal: Density) -> Callable[..., jax.Array]:
    """Program of full draws z from draws of psi and random keys, (B, D') to (B, D)."""
    function: Any = marginal.model.fn
    density = function.density
    inside = np.concatenate(
        [np.arange(x.start, x.stop) for x in density.latents if x.name in function.sites]
    )
    outside = np.setdiff1d(np.arange(density.size), inside)
    names = [x.name for x in density.latents if x.name not in function.sites]

    def one(z: jax.Array, key: jax.Array, arrays: Any) -> jax.Array:
        given = marginal.arguments.join(arrays)
        psi = dict(zip(names, marginal.unflatten(z).values(), strict=True))
        noise = jax.random.normal(jax.random.wrap_key_data(key), (inside.size,))
        u = function.draw(psi, given["arrays"], given["prepared"], noise)
        return jnp.zeros(density.size).at[outside].set(z).at[inside].set(u)

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None)))
