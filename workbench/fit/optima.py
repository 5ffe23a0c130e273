r"""The maxima that the starts of a mode fit found: which are one, how high, how heavy.

Every start is polished by Newton's method. Two ends are one optimum when they have the same
objective and the same *function*: the parameters :math:`\phi` of the observed sites'
distributions at the data (for mixtures, whose components may change places, the log density of
each observation). Their distance is

.. math:: \delta(a, b) = \sqrt{\tfrac1K \sum_{k=1}^K w_k (\phi_k(a) - \phi_k(b))^2},

with :math:`w_k` the size of the log density's second derivative in :math:`\phi_k` at a (1 for
mixtures): a root mean square in standard deviations of one observation. So the mirror images of
a network or a mixture are one optimum in several places. Its mass, by Laplace's method, is

.. math:: \log m = \ell(\hat z) + \tfrac P2 \log 2\pi - \tfrac12 \log\det I(\hat z)
          + \log(\text{number of places found}),

the integral near it of the exponential of the objective over z: posterior mass for the objective
of ``fit_laplace``, and for the others a weight that says how much more than the height counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro import handlers
from scipy.special import logsumexp

from workbench.errors import FitError
from workbench.fit.compilation import compiled
from workbench.fit.newton import CONVERGED_DECREMENT, Point, newton
from workbench.fit.objective import Method, Objective
from workbench.model import Density
from workbench.model.evaluation import family, leaf_curvatures

if TYPE_CHECKING:
    from workbench.fit.draws import DrawsFit
    from workbench.fit.mode import ModeFit

_SAME_HEIGHT = 1e-6  # nats, and of the objective's size
_SAME_FUNCTION = 1e-4  # standard deviations of an observation
_SAME_PLACE = 1e-3  # standard errors


@dataclass(frozen=True, kw_only=True, eq=False)
class Optima:
    """The distinct maxima of an objective, best first (K of them).

    Attributes
    ----------
    table : pandas.DataFrame
        Indexed by optimum: ``log_objective``, ``below_best`` (nats), ``num_starts`` that ended
        there, ``num_places`` (distinct points of unconstrained space with the same function),
        ``log_mass``, ``mass`` (share of the mass of all; ``nan`` where the information is
        singular or not positive definite), ``maximum`` (whether Newton's method ended at rounding
        level with negative curvature).
    z : numpy.ndarray
        One point of each, shape (K, D).
    optimum_of_start : numpy.ndarray
        Which optimum each start ended at, shape (number of starts,); -1 where it failed.
    functions, weights : numpy.ndarray
        Parameters of the observed distributions at each, and their weights, shape (K, F).
    """

    table: pd.DataFrame
    z: np.ndarray
    optimum_of_start: np.ndarray
    functions: np.ndarray
    weights: np.ndarray


def find_optima(fit: ModeFit) -> Optima:
    """Cluster the ends of a mode fit's starts.

    Parameters
    ----------
    fit : ModeFit
        A fit from several starts, with its model.

    Returns
    -------
    Optima
        Best first.

    Raises
    ------
    FitError
        When the fit was loaded without its model.

    Examples
    --------
    The square of m is 2.25 or so, m is on either side: one function in two places.

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.fit import fit_mle
    >>> def squared(y=None):
    ...     m = numpyro.sample("m", dist.Normal(0, 3))
    ...     numpyro.sample("y", dist.Normal(m**2, 1), obs=y)
    >>> found = find_optima(fit_mle(squared, {"y": [2.0, 2.5]}, starts="latin hypercube"))
    >>> found.table[["num_starts", "num_places", "mass"]].iloc[0].tolist()
    [8.0, 2.0, 1.0]
    """
    density = fit.require_density()
    objective = Objective(density=density, method=cast(Method, fit.method))
    ends = fit.starts.z
    kept = np.flatnonzero(np.isfinite(fit.starts.log_objective))
    polished = {int(k): newton(objective, ends[k])[-1] for k in kept}
    order = sorted(polished, key=lambda k: -polished[k].value)
    read = _reader(objective)
    functions = {k: _plain(read(jnp.asarray(polished[k].theta), objective.arrays)) for k in order}
    groups: list[list[int]] = []
    for k in order:
        for group in groups:
            if _one(polished[group[0]], polished[k], functions[group[0]], functions[k]):
                group.append(k)
                break
        else:
            groups.append([k])
    owner = np.full(len(ends), -1)
    for number, group in enumerate(groups):
        owner[group] = number
    best = [polished[g[0]] for g in groups]
    places = [_places([polished[k] for k in g]) for g in groups]
    height = np.array([p.value for p in best])
    mass = np.array([log_mass(p) for p in best]) + np.log(places)
    known = np.isfinite(mass)
    table = pd.DataFrame(
        {
            "log_objective": height,
            "below_best": height[:1].repeat(len(height)) - height,
            "num_starts": [len(g) for g in groups],
            "num_places": places,
            "log_mass": mass,
            "mass": np.exp(mass - logsumexp(mass[known])) if known.any() else mass,
            "maximum": [_is_maximum(p) for p in best],
        },
        index=pd.RangeIndex(len(groups), name="optimum"),
    )
    complete = [np.asarray(objective.complete(jnp.asarray(p.theta))) for p in best]
    return Optima(
        table=table,
        z=np.array(complete).reshape(len(groups), density.size),
        optimum_of_start=owner,
        functions=np.array([functions[g[0]][0] for g in groups]),
        weights=np.array([functions[g[0]][1] for g in groups]),
    )


def basin_visits(draws: DrawsFit, fit: ModeFit, *, max_draws: int = 200) -> pd.DataFrame:
    """Say which optimum each chain of a posterior visited: the nearest by function.

    Parameters
    ----------
    draws : DrawsFit
        Draws of the same model at the same data.
    fit : ModeFit
        The mode fit whose optima are meant.
    max_draws : int
        Draws read of each chain, evenly spaced.

    Returns
    -------
    pandas.DataFrame
        One row per chain (index ``chain``), one column per optimum: the share of the chain's
        draws that are nearer to that optimum than to the others.

    Raises
    ------
    FitError
        When the draws are of another model or of other data, or without their model.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.fit import fit_mle, fit_nuts
    >>> def normal(y=None):
    ...     m = numpyro.sample("m", dist.Normal(0, 3))
    ...     numpyro.sample("y", dist.Normal(m, 1), obs=y)
    >>> data = {"y": [2.0, 2.5]}
    >>> draws = fit_nuts(normal, data, num_warmup=100, num_samples=50, num_chains=2)
    >>> basin_visits(draws, fit_mle(normal, data, num_starts=2)).to_numpy().tolist()
    [[1.0], [1.0]]
    """
    density = fit.require_density()
    for what in ("model_fingerprint", "data_fingerprint"):
        if getattr(draws.provenance, what) != getattr(fit.provenance, what):
            raise FitError(
                f"basin_visits expects draws and a mode fit of one model at one data set; their "
                f"{what.replace('_', ' ')}s differ"
            )
    optima = find_optima(fit)
    size = next(iter(draws.samples.values())).shape[1]
    rows = np.unique(np.linspace(0, size - 1, min(size, max_draws)).astype(int))
    names = [x.name for x in density.latents]
    values = {n: jnp.asarray(draws.samples[n][:, rows]) for n in names}

    def one(values: Mapping[str, jax.Array], arrays: Any) -> jax.Array:
        placed = handlers.substitute(handlers.seed(density.model.fn, 0), data=dict(values))
        trace = handlers.trace(placed).get_trace(**density.arguments.join(arrays))
        parts = [
            _site_function(trace[n]["fn"], trace[n]["value"], trace[n]["scale"])[0]
            for n in density.names("observed")
        ]
        return jnp.concatenate(parts)

    program = jax.jit(jax.vmap(jax.vmap(one, in_axes=(0, None)), in_axes=(0, None)))
    found = np.asarray(program(values, density.arrays))
    apart = [_distance(f, w, found) for f, w in zip(optima.functions, optima.weights, strict=True)]
    nearest = np.argmin(apart, axis=0)
    share = np.stack([(nearest == k).mean(axis=1) for k in range(len(optima.table))], axis=1)
    index = pd.RangeIndex(len(share), name="chain")
    return pd.DataFrame(share, index=index, columns=pd.Index(optima.table.index, name="optimum"))


def _site_function(fn: Any, value: jax.Array, scale: Any) -> tuple[jax.Array, jax.Array]:
    """Parameters of one observed distribution, and their weights, both flat."""
    if family(fn).startswith("Mixture"):
        log_prob = jnp.ravel(fn.log_prob(value))
        return log_prob, jnp.ones_like(log_prob)
    leaves = leaf_curvatures(fn, value, scale)
    flat = jnp.concatenate([jnp.ravel(x.leaf) for x in leaves])
    return flat, jnp.abs(jnp.concatenate([jnp.ravel(x.curvature) for x in leaves]))


def _function(density: Density, z: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array]:
    """Parameters of all observed distributions at z, and their weights."""
    found = density.evaluate(z, arrays)
    parts = [
        _site_function(found.distributions[n], found.observations[n], found.scales[n])
        for n in density.names("observed")
    ]
    first, second = zip(*parts, strict=True)
    return jnp.concatenate(first), jnp.concatenate(second)


@compiled
def _reader(objective: Objective) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Compiled parameters of the observed distributions, and their weights."""
    return jax.jit(
        lambda theta, arrays: _function(
            objective.density, objective.complete(theta, arrays), arrays
        )
    )


def _plain(pair: tuple[jax.Array, jax.Array]) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(pair[0]), np.nan_to_num(np.asarray(pair[1]), posinf=0.0)


def _distance(function: np.ndarray, weight: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Root mean square distance, over the last axis, in standard deviations of an observation."""
    apart = np.where(weight > 0, others - function, 0.0)
    return np.sqrt(np.mean(weight * apart**2, axis=-1))


def _one(
    a: Point, b: Point, f: tuple[np.ndarray, np.ndarray], g: tuple[np.ndarray, np.ndarray]
) -> bool:
    """Whether two polished ends are one optimum: the same height and the same function."""
    height = abs(a.value - b.value) <= _SAME_HEIGHT * (1.0 + abs(a.value))
    return bool(height and _distance(*f, g[0]) <= _SAME_FUNCTION)


def _places(points: list[Point]) -> int:
    """Number of distinct points of unconstrained space, told apart in standard errors."""
    found: list[Point] = []
    for p in points:
        inverse = np.linalg.inv(p.scale)
        if all(np.linalg.norm(inverse @ (q.theta - p.theta)) > _SAME_PLACE for q in found):
            found.append(p)
    return len(found)


def _is_maximum(p: Point) -> bool:
    """Whether the decrement is at rounding level and every curvature is negative."""
    level = max(CONVERGED_DECREMENT, 1e-14 * abs(p.value))
    if p.decrement > level or not np.isfinite(p.information).all():
        return False
    return bool(np.linalg.eigvalsh(p.information).min(initial=1.0) > 0)


def log_mass(p: Point) -> float:
    """Log of the integral near a maximum, by Laplace's method; nan where it is none.

    Parameters
    ----------
    p : Point
        Where Newton's method ended.

    Returns
    -------
    float
        Nats.
    """
    if not _is_maximum(p):
        return np.nan
    half_log_det = 0.5 * np.linalg.slogdet(p.information)[1]
    # information in z is P^-T I_w P^-1
    return float(
        p.value
        + 0.5 * p.theta.size * np.log(2 * np.pi)
        - half_log_det
        + np.linalg.slogdet(p.scale)[1]
    )
