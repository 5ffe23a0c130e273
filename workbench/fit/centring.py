r"""Effects sampled partly centred, the amount learnt for each from what the data say of it.

An effect written as :math:`a \sim N(\mu, \tau)`, with :math:`\mu` and :math:`\tau` to be learnt,
is sampled as w with an amount of centring c between 0 and 1,

.. math:: a = \mu + \tau^{1 - c} (w - c \mu), \qquad
          \log \left| \frac{\partial a}{\partial w} \right| = (1 - c) \log \tau ;

c = 1 is the model as written, c = 0 the non-centred form. Where the likelihood has the information
I about a, and the prior :math:`1 / \tau^2`, a and :math:`\tau` are least dependent at

.. math:: c = \frac{I}{I + 1 / \tau^2},

exactly so for normal models (Papaspiliopoulos, Roberts and Sköld 2007, with 1 - c for their w). I
and :math:`\tau` are read at the mode of the other parameters' marginal posterior, the effects
integrated out by Laplace's method. The change of variables is the sampler's alone: names, priors
and draws stay those of the model as written.

References
----------
Papaspiliopoulos, Roberts and Sköld (2007), "A general framework for the parametrization of
hierarchical models", doi:10.1214/088342307000000014; Gorinova, Moore and Hoffman (2020),
"Automatic reparameterisation of probabilistic programs", arXiv:1906.03028.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import handlers

from workbench.errors import FitError
from workbench.fit.batches import batch_size, in_batches
from workbench.fit.compilation import compiled
from workbench.fit.flat import density_of, flat_sites
from workbench.fit.modes import fit_laplace
from workbench.fit.objective import Objective
from workbench.model import Density, as_model, read_density
from workbench.model.density import Latent
from workbench.model.evaluation import evaluate
from workbench.model.provenance import reach
from workbench.model.sites import bare, transform_of

_FAMILIES = ("Normal", "StudentT")
_LEVEL, _AGREE = 0.1, 0.5  # nats from the mode, and the share of the starts that end there


@dataclass(frozen=True, kw_only=True)
class CentringFunction:
    """The NumPyro function of a model in partly centred coordinates: flat sites, and one factor.

    Attributes
    ----------
    density : Density
        The model without values (its twin).
    sites : tuple of str
        The effects.
    """

    density: Density
    sites: tuple[str, ...]

    def __call__(self, arrays: Any, amounts: Any) -> None:
        """Declare the sites and the density."""
        w = flat_sites(list(self.density.latents))
        with handlers.block():  # the model's own sites are no part of this one's trace
            z, log_jacobian = self.place(w, arrays, amounts)
            value = self.density.log_density(z, arrays) + log_jacobian
        numpyro.factor("joint", value)

    def place(
        self, w: Mapping[str, jax.Array], arrays: Any, amounts: Mapping[str, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        """Flat z of the model as written, shape (D,), and the log Jacobian of z in w."""
        log_jacobian = []
        z = dict(w)

        def value(site: dict[str, Any]) -> jax.Array | None:
            name = site["name"]
            if site["type"] not in ("sample", "param") or name not in w:
                return None
            if name in self.sites:
                fn: Any = bare(site["fn"])
                c, scale = amounts[name], jnp.broadcast_to(fn.scale, w[name].shape)
                z[name] = fn.loc + scale ** (1 - c) * (w[name] - c * fn.loc)
                log_jacobian.append(jnp.sum((1 - c) * jnp.log(scale)))
            return transform_of(site)(z[name])

        seeded = handlers.seed(self.density.model.fn, 0)  # only for sites that ask for a key
        placed = handlers.substitute(seeded, substitute_fn=value)
        handlers.trace(placed).get_trace(**self.density.arguments.join(arrays))
        flat = jnp.concatenate([jnp.ravel(z[x.name]) for x in self.density.latents])
        return flat, sum(log_jacobian, start=jnp.zeros(()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Centred:
    """A posterior in partly centred coordinates.

    Attributes
    ----------
    density : Density
        The model at its data, as written.
    amounts : dict of str to numpy.ndarray
        Amount of centring of each effect, by site.
    target : Density
        Of the coordinates w, which have the layout of z.
    verdict : str
        What was done and why, in words.
    whiten : bool
        Whether the target may be near a normal density.
    """

    density: Density
    amounts: dict[str, np.ndarray]
    target: Density
    verdict: str
    whiten: bool = False

    def expand(self, z: np.ndarray, key: jax.Array) -> np.ndarray:
        """Draws in the coordinates of the model as written, (C, S, D) to (C, S, D)."""
        program, arrays = _placer(self.target), self.target.arrays
        flat = z.reshape(-1, z.shape[-1])
        found = in_batches(lambda rows: program(rows, arrays), batch_size(self.density), flat)
        return found.reshape(z.shape)


def centre_effects(density: Density, *, seed: int = 0) -> Centred | None:
    """Learn amounts of centring for the effects of a hierarchy that is written centred.

    Parameters
    ----------
    density : Density
        The model at its data.
    seed : int
        Seed of the starts of the Laplace fit.

    Returns
    -------
    Centred or None
        ``None`` where no site has a location and a scale that depend on others, or where the
        amounts cannot be learnt: the marginal posterior has no mode, or fewer than half of the
        starts end at it, and another seed would learn other amounts.

    Examples
    --------
    Schools of which the data say little are sampled nearly non-centred:

    >>> import numpyro, numpyro.distributions as dist
    >>> def schools(sd, y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 5))
    ...     tau = numpyro.sample("tau", dist.HalfCauchy(5))
    ...     theta = numpyro.sample("theta", dist.Normal(mu, tau).expand([3]))
    ...     numpyro.sample("y", dist.Normal(theta, sd), obs=y)
    >>> data = {"sd": np.array([0.1, 10.0, 100.0]), "y": np.array([9.0, 0.0, -5.0])}
    >>> centre_effects(read_density(schools, data)).amounts["theta"].round(2).tolist()
    [1.0, 0.16, 0.0]
    """
    sites = _centred_sites(density)
    if not sites:
        return None
    try:
        amounts = _learn(density, sites, seed)
    except FitError:
        return None
    if amounts is None:
        return None
    function = CentringFunction(density=density.twin, sites=sites)
    given = {"arrays": density.arrays, "amounts": amounts}
    target = density_of(f"{density.model.name}, partly centred", function, given)
    said = [
        f"{n} {v.mean():.2f} (from {v.min():.2f} to {v.max():.2f})"
        if v.size > 1
        else f"{n} {v:.2f}"
        for n, v in amounts.items()
    ]
    verdict = f"sampled partly centred, 1 as written and 0 non-centred: {', '.join(said)}"
    return Centred(density=density, amounts=amounts, target=target, verdict=verdict)


@compiled
def _centred_sites(density: Density) -> tuple[str, ...]:
    """Sites on the whole line with a normal or Student's prior whose scale holds another site."""
    names = [x.name for x in density.latents if x.scale == "" and not x.improper]
    shapes = {x.name: jax.ShapeDtypeStruct(x.shape, float) for x in density.latents}
    data = {"": density.arrays}

    def scales(inputs: Mapping[str, Any]) -> dict[str, Any]:
        z = {n: inputs[n] for n in shapes}
        kwargs = density.arguments.join(inputs[""])
        found = {n: bare(evaluate(density.model.fn, kwargs, z).distributions[n]) for n in names}
        return {n: fn.scale for n, fn in found.items() if type(fn).__name__ in _FAMILIES}

    found = reach(scales, {**shapes, **data})
    return tuple(n for n in names if n in found and found[n] & set(shapes))


def _learn(density: Density, sites: tuple[str, ...], seed: int) -> dict[str, np.ndarray] | None:
    """Amounts at the mode of the other parameters, the effects integrated out."""
    model = replace(as_model(density.model), random_effects=sites, estimands=None)
    hierarchy = read_density(model, density.data)
    fit = fit_laplace(hierarchy, seed=seed)
    level = fit.starts.log_objective > fit.log_objective - _LEVEL
    if not fit.status.ok or np.mean(level) < _AGREE:
        return None
    objective = Objective(density=hierarchy, method="Laplace")
    theta, u = jnp.asarray(fit.z[objective.free]), jnp.asarray(fit.z[objective.effects])
    blocks = objective.marginal.blocks
    information = np.asarray(objective.marginal.information(theta, u, objective.arrays))
    total = np.zeros(objective.effects.size + 1)
    total[blocks] = np.diagonal(information, axis1=1, axis2=2)
    found = hierarchy.evaluate(jnp.asarray(fit.z)).distributions
    amounts, start = {}, 0
    for x in (x for x in density.latents if x.name in sites):
        prior = 1 / np.asarray(jnp.broadcast_to(bare(found[x.name]).scale, x.shape)) ** 2
        of_site = total[start : start + x.stop - x.start].reshape(x.shape)
        start += x.stop - x.start
        if not (np.isfinite(of_site).all() and np.isfinite(prior).all()):
            return None
        amounts[x.name] = np.asarray(np.clip(1 - prior / np.maximum(of_site, prior), 0.0, 1.0))
    return amounts


@compiled
def _placer(target: Density) -> Callable[..., jax.Array]:
    """Program of draws z from draws w, (B, D) to (B, D)."""
    function: Any = target.model.fn
    latents: tuple[Latent, ...] = function.density.latents

    def one(w: jax.Array, arrays: Any) -> jax.Array:
        given = target.arguments.join(arrays)
        parts = {x.name: w[x.start : x.stop].reshape(x.shape) for x in latents}
        return function.place(parts, given["arrays"], given["amounts"])[0]

    return jax.jit(jax.vmap(one, in_axes=(0, None)))
