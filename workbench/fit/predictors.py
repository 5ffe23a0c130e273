r"""The linear predictors of counts and choices, read off a model by differentiation.

A model is not asked for its design. Its distributions give the predictor :math:`\eta(z)` of every
outcome on the scale of a link (log-odds, probit or complementary log-log of a probability,
logarithm of a mean, logits of categories); the design is :math:`X = \partial\eta/\partial z`. A
coordinate is linear where its column of X is the same at two generic points, so that
:math:`\eta(z + t d) = \eta(z) + t X d` for every d along linear coordinates, whatever the others
are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from workbench.fit.compilation import compiled
from workbench.model import Density
from workbench.model.evaluation import floating_parameters, unmasked
from workbench.model.sites import bare

_CONSTANT = 1e-7  # of the largest entry of a column
_LINKS: Mapping[str, Callable[[Any], jax.Array]] = {
    "logit": lambda fn: fn.logits,
    "probit": lambda fn: ndtri(fn.probs),
    "complementary log-log": lambda fn: jnp.log(-jnp.log1p(-fn.probs)),
    "log": lambda fn: jnp.log(fn.mean),
}
_LINKS_OF = {
    "Bernoulli": ("logit", "probit", "complementary log-log"),
    "Binomial": ("logit", "probit", "complementary log-log"),
    "Poisson": ("log",),
    "NegativeBinomial2": ("log",),
    "Categorical": ("logit",),
    "Multinomial": ("logit",),
}
_CATEGORIES = ("Categorical", "Multinomial")


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictors:
    """Rows of a design, each with the side to which the likelihood does not fall.

    Attributes
    ----------
    design : numpy.ndarray
        Change of each predictor with the parameters, shape (R, P); a column of zeros for a
        coordinate that is not linear.
    side : numpy.ndarray
        Shape (R,): 1 or -1 where the likelihood never falls as the predictor goes to plus or
        minus infinity, 0 where it falls on both sides.
    owner : numpy.ndarray
        Observation that a row belongs to, shape (R,).
    linear : numpy.ndarray
        Which parameters are linear, shape (P,), boolean.
    links : dict of str to str
        Link of each observed site of counts or choices.
    """

    design: np.ndarray
    side: np.ndarray
    owner: np.ndarray
    linear: np.ndarray
    links: dict[str, str]

    @property
    def num_observations(self) -> int:
        """Number of observations that have rows."""
        return len(np.unique(self.owner))


def linear_predictors(density: Density) -> Predictors | None:
    """Read the linear predictors of a model's counts and choices.

    Parameters
    ----------
    density : Density
        The model at its data.

    Returns
    -------
    Predictors or None
        ``None`` where no parameter is linear in the predictor of a count or choice, or where a
        factor is part of the likelihood. Observed sites of other families, and a count's own
        dispersion, give rows that may not move.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def poisson(x, y=None):
    ...     a, b = (numpyro.sample(n, dist.Normal(0, 10)) for n in "ab")
    ...     numpyro.sample("y", dist.Poisson(jnp.exp(a + b * x)), obs=y)
    >>> found = linear_predictors(read_density(poisson, {"x": [1.0, 2.0], "y": [0, 3]}))
    >>> found.design.round(12).tolist(), found.side.tolist()
    ([[1.0, 1.0], [1.0, 2.0]], [-1, 0])
    """
    names = density.names("observed")
    families = dict(zip(names, density.observed_families, strict=True))
    if density.names("factor") or not set(families.values()) & set(_LINKS_OF):
        return None
    first, second = _jacobians(density, families)
    free = density.coordinates("parameter")
    linear = np.array([density.latents_at(i).scale == "" for i in free], dtype=bool)
    found = density.evaluate(jnp.zeros(density.size))
    blocks, links, count = [], {}, 0
    for name in names:
        constant = {key: _same(x, second[name][key]) for key, x in first[name].items()}
        link = max(_LINKS_OF.get(families[name], ()), key=lambda k: constant[k].sum(), default="")
        linear &= constant["other"] & constant.get(link, linear)
        other = first[name]["other"]
        blocks.append((other, np.zeros(len(other), dtype=int), np.full(len(other), -1)))
        if link:
            links[name] = link
            rows = _rows(families[name], found.distributions[name], found.observations[name])
            design, side, owner = rows.of(first[name][link])
            blocks.append((design, side, owner + count))
            count += rows.size
    design, side, owner = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    design = np.where(linear, design, 0.0)
    if not np.any(design[side != 0]):
        return None
    return Predictors(design=design, side=side, owner=owner, linear=linear, links=links)


def _jacobians(
    density: Density, families: Mapping[str, str]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, dict[str, np.ndarray]]]:
    """Derivatives in the parameters of every link, and of what has none, at two generic points."""
    free = density.coordinates("parameter")
    program = _derivatives(density, tuple(families.items()))

    def at(z: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        got = program(jnp.asarray(z), density.arrays)
        return {n: {k: np.asarray(x) for k, x in of.items()} for n, of in got.items()}

    centre = [x.reshape(-1, density.size) for of in at(np.zeros(density.size)).values()
              for x in of.values()]  # fmt: skip
    size = np.abs(np.concatenate(centre)).max(axis=0)
    # steps that leave every predictor far from extreme
    step = 0.3 / np.maximum(1.0, np.where(np.isfinite(size), size, 1.0))
    points = np.random.default_rng(0).normal(size=(2, density.size)) * step
    first, second = (
        {n: {k: x[..., free] for k, x in of.items()} for n, of in at(z).items()} for z in points
    )
    return first, second


@compiled
def _derivatives(density: Density, families: tuple[tuple[str, str], ...]) -> Callable[..., Any]:
    """Compiled derivatives of the predictors in z, under every link of each site's family."""

    def predictors(z: jax.Array, arrays: Any) -> dict[str, dict[str, jax.Array]]:
        found = density.evaluate(z, arrays)
        return {n: _by_link(f, found.distributions[n], found.observations[n]) for n, f in families}

    return jax.jit(density.jacobian(predictors))


def _by_link(name: str, fn: Any, value: jax.Array) -> dict[str, jax.Array]:
    """Predictors of a site under every link of its family, and its ``other`` parameters."""
    inner = bare(fn)
    links = {k: _LINKS[k](inner) for k in _LINKS_OF.get(name, ())}
    if name in _CATEGORIES:
        shape = (*jnp.shape(value)[: jnp.ndim(value) - inner.event_dim], links["logit"].shape[-1])
    else:
        shape = jnp.shape(value)
    if not links:
        other = floating_parameters(fn)
    else:
        other = [inner.concentration] if name == "NegativeBinomial2" else []
    flat = [jnp.reshape(x, -1) for x in other]
    return {
        **{k: jnp.broadcast_to(x, shape) for k, x in links.items()},
        "other": jnp.concatenate(flat) if flat else jnp.zeros(0),
    }


def _same(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which columns (last axis) of a derivative are the same at both points."""
    a, b = (x.reshape(-1, x.shape[-1]) for x in (first, second))
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b).max(axis=0, initial=0.0)
    return apart <= _CONSTANT * np.abs(a).max(axis=0, initial=0.0)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Outcomes of one site: how often each category, and which observations count."""

    counts: np.ndarray  # (n,), or (n, K) for categories
    trials: np.ndarray  # (n,): the largest possible count
    kept: np.ndarray  # (n,)

    @property
    def size(self) -> int:
        return len(self.counts)

    def of(self, jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Design, side and observation of the site's rows."""
        if self.counts.ndim == 1:
            design = jacobian.reshape(self.size, -1)[self.kept]
            counts = self.counts[self.kept]
            side = np.where(counts == 0, -1, np.where(counts == self.trials[self.kept], 1, 0))
            return design, side, np.flatnonzero(self.kept)
        x = jacobian.reshape(*self.counts.shape, -1)
        seen = self.counts > 0
        chosen = seen.argmax(axis=1)
        rows = np.arange(self.size)
        # the predictor of a chosen category over that of each other one
        less = x[rows, chosen][:, None] - x
        keep = np.broadcast_to(self.kept[:, None], seen.shape).copy()
        keep[rows, chosen] = False
        owner = np.broadcast_to(rows[:, None], seen.shape)
        return less[keep], np.where(seen, 0, 1)[keep], owner[keep]


def _rows(name: str, fn: Any, value: jax.Array) -> _Rows:
    """Read a site's outcomes."""
    inner, y = bare(fn), np.asarray(value)
    if name in _CATEGORIES:
        categories = inner.logits.shape[-1]
        if name == "Categorical":
            y = (y[..., None] == np.arange(categories)).astype(int)
        batch = y.shape[:-1]
        y = y.reshape(-1, categories)
        trials = y.sum(axis=1)
    else:
        batch = y.shape
        y = y.reshape(-1)
        limit = {"Bernoulli": 1, "Binomial": getattr(inner, "total_count", 1)}.get(name, np.inf)
        trials = np.broadcast_to(np.asarray(limit), batch).reshape(-1)
    mask = unmasked(fn, batch)
    kept = np.ones(batch, dtype=bool) if mask is None else np.broadcast_to(mask, batch)
    return _Rows(counts=y, trials=trials, kept=kept.reshape(-1) & (trials > 0))
