"""Truths drawn from a model's prior, data drawn at them, and the terms that a fit would report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import pandas as pd
from numpyro import handlers

from workbench.errors import FitError
from workbench.fit.prediction import observed_value
from workbench.model import Density
from workbench.model.evaluation import Evaluation
from workbench.model.latents import unconstrain
from workbench.model.simulation import without_observations

LOG_LIKELIHOOD = "log-likelihood"


@dataclass(frozen=True, kw_only=True)
class Truths:
    """What B simulations drew.

    Attributes
    ----------
    observations : mapping of str to numpy.ndarray
        Simulated data by argument of the model, shape (B, ...).
    terms : pandas.DataFrame
        Terms at the truths, and the log-likelihood there of the data drawn at them; one row per
        simulation.
    """

    observations: Mapping[str, np.ndarray]
    terms: pd.DataFrame


def simulate_truths(density: Density, source: Density, key: jax.Array, num: int) -> Truths:
    """Draw truths and data from the source; read terms and log-likelihood as the model does."""
    sites = _argument_sites(density)
    latents = [x.name for x in density.latents]
    missing = [n for n in (*latents, *sites.values()) if n not in {s.name for s in source.sites}]
    if missing:
        raise FitError(
            f"the simulator expects the model's sites; it has no site '{missing[0]}' of model "
            f"'{density.model.name}'"
        )

    def one(key: jax.Array) -> tuple[dict[str, jax.Array], dict[str, jax.Array], jax.Array]:
        fn = handlers.seed(without_observations(source), key)
        trace = handlers.trace(fn).get_trace()
        observations = {k: trace[site]["value"] for k, site in sites.items()}
        arrays = {**density.arrays, **observations}
        found = _evaluate(density, {n: trace[n]["value"] for n in latents}, arrays)
        log_likelihood = density.sum_by_role(found.log_probs).log_likelihood
        return observations, density.estimands(found.values, arrays), log_likelihood

    try:
        drawn, values, log_likelihood = jax.jit(jax.vmap(one))(jax.random.split(key, num))
    except (NotImplementedError, AttributeError, TypeError) as err:
        reason = str(err).splitlines()[0] if str(err) else "an improper prior"
        raise FitError(
            f"calibration expects a prior that can be drawn from; drawing from that of model "
            f"'{source.model.name}' says: {reason}"
        ) from err
    labels = density.estimand_labels({k: v.shape[1:] for k, v in values.items()})
    columns = {
        label: column
        for name, value in values.items()
        for label, column in zip(labels[name], np.reshape(value, (num, -1)).T, strict=True)
    }
    terms = pd.DataFrame({**columns, LOG_LIKELIHOOD: np.asarray(log_likelihood)})
    if not np.isfinite(terms.to_numpy()).all():
        raise FitError(
            f"calibration of model '{density.model.name}' expects finite truths and "
            "log-likelihoods; draws from its prior give others: use a narrower prior"
        )
    return Truths(observations={k: np.asarray(v) for k, v in drawn.items()}, terms=terms)


def _evaluate(
    density: Density, latent: Mapping[str, jax.Array], arrays: Mapping[str, jax.Array]
) -> Evaluation:
    """The model at constrained values of its latent sites."""
    return density.evaluate(unconstrain(density, latent, arrays), arrays)


def log_likelihood_of(density: Density) -> Callable[..., Any]:
    """Compiled log-likelihood of draws of the latent sites, shape (L, ...), at given data."""

    def one(latent: Mapping[str, jax.Array], arrays: Mapping[str, jax.Array]) -> jax.Array:
        found = _evaluate(density, latent, arrays)
        return density.sum_by_role(found.log_probs).log_likelihood

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


def _argument_sites(density: Density) -> dict[str, str]:
    """The observed site that each observed argument is the value of."""
    name = density.model.name
    if density.names("factor"):
        raise FitError(
            f"calibration expects data that can be drawn; model '{name}' holds a numpyro.factor"
        )
    if density.arguments.static:
        raise FitError(
            f"calibration expects a model that can be traced without the values of its data; "
            f"model '{name}' uses them"
        )
    sites = {}
    for site in density.names("observed"):
        value = observed_value(density, site)
        keys = density.arguments.keys_holding(value) if value is not None else ()
        keys = [k for k in keys if k in density.observed_arguments and k not in sites]
        if not keys:
            raise FitError(
                f"calibration expects each observed site to be an argument of the model as it "
                f"stands; site '{site}' of model '{name}' is not"
            )
        sites[keys[0]] = site
    return sites


def with_replaced(density: Density, observations: Mapping[str, np.ndarray]) -> Any:
    """The data with other observations."""
    data = density.data
    inputs = {k: observations.get(k, v) for k, v in data.inputs.items()}
    observed = {k: observations.get(k, v) for k, v in data.observed.items()}
    return replace(data, inputs=inputs, observed=observed)
