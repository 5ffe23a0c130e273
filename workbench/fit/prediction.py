r"""Predictions from draws of the parameters, of new or of the fitted rows.

With draws :math:`\theta^{(s)}` the predictive density of a row is
:math:`p(\tilde y) = S^{-1} \sum_s p(\tilde y \mid \theta^{(s)})`; its log at the observed value is
the row's log score (Gneiting and Raftery 2007, doi:10.1198/016214506000001437).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from scipy import special

from workbench.errors import ModelError
from workbench.fit.batches import batch_size, in_batches, random_keys
from workbench.fit.compilation import compiled
from workbench.model import Density
from workbench.model.binding import Arguments, as_dataset
from workbench.model.simulation import without_observations


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predictive distribution of the observed site, one entry per row.

    Attributes
    ----------
    method : str
        The fit it comes from.
    name : str
        Observed site.
    mean, sd, lower, upper : numpy.ndarray
        Of the predictive draws, shape (N, ...); equal-tailed interval.
    draws : numpy.ndarray
        Predictive draws, shape (S, N, ...).
    level : float
        Level of the interval.
    observed : numpy.ndarray or None
        The observed values, where known.
    log_score : numpy.ndarray
        Log predictive density of each observed row, nats; ``nan`` where not observed.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.linear import MODEL
    >>> made = wb.fit_mle(MODEL, wb.load_dataset("kidiq")).predict(num=100)
    >>> made.draws.shape, round(made.rmse, 3)
    ((100, 434), 18.073)
    """

    method: str
    name: str
    mean: np.ndarray
    sd: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    draws: np.ndarray
    level: float
    observed: np.ndarray | None
    log_score: np.ndarray

    @property
    def rmse(self) -> float:
        """Root mean squared error of the predictive mean; ``nan`` without observations."""
        if self.observed is None:
            return np.nan
        return float(np.sqrt(np.mean((self.observed - self.mean) ** 2)))

    @property
    def coverage(self) -> float:
        """Share of the observed rows inside the interval; ``nan`` without observations."""
        if self.observed is None:
            return np.nan
        inside = (self.observed >= self.lower) & (self.observed <= self.upper)
        return float(np.mean(inside))


def predict_from_draws(
    density: Density,
    latent: Mapping[str, np.ndarray],
    new_data: Any = None,
    *,
    method: str,
    key: jax.Array | None = None,
    level: float = 0.95,
) -> Prediction:
    """Predictive distribution of the first observed site from draws of the latent sites.

    Parameters
    ----------
    density : Density
        The model at its data.
    latent : mapping
        Constrained draws of each latent site, shape (S, ...).
    new_data : Dataset or mapping, optional
        Rows to predict; the density's own by default.
    method : str
        Name of the fit, kept in the result.
    key : jax.Array, optional
        Random key.
    level : float
        Level of the interval.

    Returns
    -------
    Prediction
        Mean, sd, interval, draws and log scores.

    Raises
    ------
    ModelError
        When the model has no observed site, or cannot be run without its observations.
    """
    names = density.names("observed")
    if not names:
        raise ModelError(
            f"model '{density.model.name}' has no observed site to predict: its likelihood is "
            "written as a factor"
        )
    name = names[0]
    key = jax.random.key(0) if key is None else key
    here = density if new_data is None else at_new_data(density, new_data)
    made = simulate(here, latent, key)
    if name not in made.draws:
        raise ModelError(f"observed site '{name}' vanishes when its data are not given")
    y, mean = made.draws[name], made.means[name]
    tail = (1 - level) / 2
    lower, upper = np.quantile(y.astype(float), [tail, 1 - tail], axis=0)
    observed = observed_value(here, name)
    if observed is None:
        log_score = np.full(made.batch_shapes[name], np.nan)
    else:
        log_score = log_predictive(here, latent, name)
    return Prediction(
        method=method,
        name=name,
        mean=mean,
        sd=y.astype(float).std(axis=0),
        lower=lower,
        upper=upper,
        draws=y,
        level=level,
        observed=observed,
        log_score=log_score,
    )


def observed_value(density: Density, name: str) -> np.ndarray | None:
    """Value of an observed site as the model sees it; ``None`` where its data are not given."""
    if not _has_observations(density):
        return None
    return np.asarray(_observed(density, name)(np.zeros(density.size), density.arrays))


def _has_observations(density: Density) -> bool:
    kwargs = density.arguments.join()
    return all(kwargs.get(k) is not None for k in density.observed_arguments)


@compiled
def _observed(density: Density, name: str) -> Callable[..., jax.Array]:
    return jax.jit(lambda z, arrays: density.evaluate(z, arrays).observations[name])


def at_new_data(density: Density, new_data: Any) -> Density:
    """The same model and layout at other data (observations may be missing).

    Arguments that the new data do not offer keep their values (sizes, scales of the priors),
    except the observations.
    """
    data = as_dataset(new_data)
    offered = {**data.inputs, **data.observed}
    kwargs = {**density.arguments.join(), **dict.fromkeys(density.observed_arguments)}
    kwargs.update({k: v for k, v in offered.items() if k in kwargs})
    form = density.arguments.form if density.arguments.static else "jax constant"
    return replace(density, data=data, arguments=Arguments.split(kwargs, form))


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Draws of the observed sites.

    Attributes
    ----------
    draws : dict of str to numpy.ndarray
        One draw of each site for each draw of the latent sites, shape (S, ...).
    means : dict of str to numpy.ndarray
        Predictive mean of each site: of the distributions' means where they have finite ones,
        so free of simulation noise given the latent draws, else of the draws.
    batch_shapes : dict of str to tuple
        Shape of each site's log density.
    """

    draws: dict[str, np.ndarray]
    means: dict[str, np.ndarray]
    batch_shapes: dict[str, tuple[int, ...]]


def simulate(density: Density, latent: Mapping[str, np.ndarray], key: jax.Array) -> Simulated:
    """Simulate the observed sites, once for each draw of the latent sites.

    Raises
    ------
    ModelError
        When the model cannot run without its observations.
    """
    num = len(next(iter(latent.values()))) if latent else 1
    size = min(batch_size(density), num)
    rows = random_keys(key, num), dict(latent)
    program = (_shared_simulation if _has_observations(density) else _simulation)(density)
    arrays = density.arrays
    try:
        out = in_batches(lambda x: program(*x, arrays), size, rows)
    except (AttributeError, TypeError) as err:
        raise ModelError(
            f"model '{density.model.name}' cannot run without its observations "
            f"({str(err).splitlines()[0]}): let the observed argument default to None and take "
            "shapes from the inputs"
        ) from err
    draws, means = out
    found = {}
    for name, y in draws.items():
        exact = means[name].mean(axis=0)
        shown = exact if exact.shape == y.shape[1:] and np.isfinite(exact).all() else y.mean(axis=0)
        found[name] = shown.astype(float)
    shapes = {name: m.shape[1:] for name, m in means.items()}
    return Simulated(draws=draws, means=found, batch_shapes=shapes)


@lru_cache(maxsize=16)
def _simulation(density: Density) -> Callable[..., Any]:
    """Compiled simulation of a batch of draws: keys and latent values to draws and means."""
    observed = density.names("observed")

    def one(key: jax.Array, values: Mapping[str, jax.Array], arrays: Any) -> Any:
        key = jax.random.wrap_key_data(key)
        fn = handlers.seed(without_observations(density, arrays), key)
        trace = handlers.trace(handlers.substitute(fn, data=dict(values))).get_trace()
        sites = {n: trace[n] for n in observed if n in trace}
        return {n: s["value"] for n, s in sites.items()}, {n: _mean(s) for n, s in sites.items()}

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None)))


_shared_simulation = compiled(_simulation.__wrapped__)  # data with observations have a structure


def _mean(site: Mapping[str, Any]) -> jax.Array:
    """Mean of a site's distribution; nan in the shape of its batch where it has none."""
    try:
        return jnp.asarray(site["fn"].mean)
    except NotImplementedError:
        return jnp.full(site["fn"].batch_shape, jnp.nan)


@compiled
def _pointwise(density: Density, name: str) -> Callable[..., Any]:
    """Compiled log density of each observed row, for a batch of draws of the latent sites."""

    def one(values: Mapping[str, jax.Array], arrays: Any) -> jax.Array:
        fn = handlers.substitute(handlers.seed(density.model.fn, 0), data=dict(values))
        site = handlers.trace(fn).get_trace(**density.arguments.join(arrays))[name]
        return site["fn"].log_prob(site["value"])

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


def log_predictive(density: Density, latent: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Log of the mean predictive density of each observed row, nats."""
    program = _pointwise(density, name)
    num = len(next(iter(latent.values())))
    size, arrays = min(batch_size(density), num), density.arrays
    each = in_batches(lambda v: program(v, arrays), size, dict(latent))
    return special.logsumexp(each, axis=0) - np.log(num)
