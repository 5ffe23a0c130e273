r"""Refits to weighted parts of the data, and draws of their posteriors, each in one program.

A part of the data has weights 0 and 1 on its rows (or on whole simulated data sets), so that all
parts have one shape. Its mode is climbed to by L-BFGS and polished by a Newton step; its posterior
is a cloud of quasi-random draws from a Student t about the mode, with importance weights.

References
----------
Vehtari et al. (2024), JMLR 25(72):1-58 (Pareto k).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from scipy import stats
from scipy.stats import qmc

from workbench.fit import ModeFit
from workbench.fit.objective import Objective
from workbench.fit.optimiser import lbfgs
from workbench.fit.scaling import rescale
from workbench.fit.terms import term_vector
from workbench.model import Density
from workbench.model.simulation import with_observations, without_observations
from workbench.study.refits import num_cases

_FREEDOM = 5  # of the Student t
_PARETO = 0.7
_NEAR = 1e-4  # Newton decrement, nats
_VANISHED = 1e-4  # information of a part, as a share of what its rows should have


def simulated(density: Density, z: np.ndarray, num: int, seed: int) -> dict[str, jax.Array]:
    """Observations drawn from the model at z, num data sets of the size of its own.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     with numpyro.plate("obs", 3):
    ...         numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> simulated(read_density(normal, {"y": [1.0, 2.0, 3.0]}), np.zeros(1), 4, 0)["y"].shape
    (4, 3)
    """
    names, found = density.names("observed"), density.evaluate(jnp.asarray(z))
    fixed = {n: found.values[n] for n in density.names("parameter")}

    def one(key: jax.Array) -> dict[str, jax.Array]:
        fn = handlers.seed(without_observations(density), key)
        trace = handlers.trace(handlers.substitute(fn, data=fixed)).get_trace()
        kinds = {n: found.observations[n].dtype for n in names}
        return {n: jnp.asarray(trace[n]["value"], dtype=kinds[n]) for n in names}

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), num))


@dataclass(frozen=True, kw_only=True)
class Modes:
    """B refits: mode, a root of its covariance, terms with their errors, and whether regular."""

    theta: np.ndarray
    root: np.ndarray
    terms: np.ndarray
    errors: np.ndarray
    regular: np.ndarray


class Refitter:
    """Compiled programs: many modes; the draws of one posterior.

    Parameters
    ----------
    density : Density
        The model at its data.
    best : ModeFit
        Maximum likelihood fit, where every refit begins.
    copies : dict of str to jax.Array, optional
        Simulated observations by site, shape (K, ...); weights are then of these K data sets
        instead of the rows.
    """

    def __init__(
        self, density: Density, best: ModeFit, copies: dict[str, jax.Array] | None = None
    ) -> None:
        self._density = density
        self._start = jnp.asarray(best.z)
        objective = Objective(density=density, method="MLE")
        self._scale = jnp.asarray(rescale(objective, self._start, density.arrays))
        self._rows, self._copies = num_cases(density), copies
        # units of weight that make up one data set
        self._units = self._rows if copies is None else 1
        self._modes = jax.jit(lambda *a: jax.lax.map(lambda one: self._mode(*one), a, batch_size=8))
        self._draws = jax.jit(self._evaluate)

    def _parts(self, z: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Log-likelihood by row or by copy, log prior, log Jacobian."""
        found = self._density.evaluate(z, arrays)
        names = self._density.names("observed")
        if self._copies is None:
            each = (found.log_probs[n].reshape(self._rows, -1).sum(axis=1) for n in names)
            by_row = sum(each, start=jnp.zeros(self._rows))
        else:
            by_row = jax.vmap(
                lambda y: with_observations(self._density, y).log_terms(z, arrays).log_likelihood
            )(self._copies)
        log_prior = self._density.sum_by_role(found.log_probs).log_prior
        return by_row, log_prior, sum(found.log_jacobian.values(), start=jnp.zeros(()))

    def _mode(self, weights: jax.Array, prior: jax.Array, jacobian: jax.Array) -> dict[str, Any]:
        arrays, start, scale = self._density.arrays, self._start, self._scale

        def objective(z: jax.Array, arrays: Any) -> jax.Array:
            by_row, log_prior, log_jacobian = self._parts(z, arrays)
            return weights @ by_row + prior * log_prior + jacobian * log_jacobian

        def gradient(w: jax.Array) -> tuple[jax.Array, jax.Array]:
            g = jax.grad(lambda v: objective(reached + scale @ v, arrays))(w)
            return g, g

        reached = lbfgs(objective, start[None], scale[None], arrays, 1e-5)[0][0]
        hessian, g = self._density.jacobian(gradient, has_aux=True)(jnp.zeros_like(start))
        information = -0.5 * (hessian + hessian.T)
        move = jnp.linalg.solve(information, g)
        end = reached + scale @ move
        root = scale @ jnp.linalg.inv(jnp.linalg.cholesky(information)).T
        pull = self._density.jacobian(lambda z: term_vector(self._density, z, arrays))(end)
        share = jnp.sum(weights) / self._units
        enough = jnp.linalg.eigvalsh(information)[0] > _VANISHED * share
        return {
            "theta": end,
            "root": root,
            "terms": term_vector(self._density, end, arrays),
            "errors": jnp.linalg.norm(pull @ root, axis=1),
            "regular": enough & (g @ move < _NEAR) & jnp.isfinite(root).all(),
        }

    def modes(self, weights: np.ndarray, prior: np.ndarray, jacobian: np.ndarray) -> Modes:
        """Modes of weighted log-likelihood plus powers of prior and Jacobian."""
        batch = -len(weights) % 8
        padded = [np.concatenate([x, np.repeat(x[:1], batch, axis=0)]) for x in
                  (weights, prior, jacobian)]  # fmt: skip
        out = self._modes(*(jnp.asarray(x) for x in padded))
        return Modes(**{k: np.asarray(v)[: len(weights)] for k, v in out.items()})

    def _evaluate(self, z: jax.Array, weights: jax.Array, arrays: Any) -> Any:
        def one(z: jax.Array) -> tuple[jax.Array, jax.Array]:
            by_row, log_prior, log_jacobian = self._parts(z, arrays)
            value = weights @ by_row + log_prior + log_jacobian
            return value, term_vector(self._density, z, arrays)

        return jax.lax.map(one, z, batch_size=256)

    def distance(
        self, normal: Modes, posterior: Modes, k: int, weights: np.ndarray, temperature: float,
        x: np.ndarray, log_t: np.ndarray,
    ) -> tuple[float, str]:  # fmt: skip
        """Mean distance over the terms, in standard errors, and why there is none ("" if so)."""
        if not (normal.regular[k] and posterior.regular[k]):
            return np.nan, "no regular maximum"
        from workbench import az

        spread = np.sqrt(temperature)
        z = posterior.theta[k] + spread * x @ posterior.root[k].T
        value, terms = (
            np.asarray(v)
            for v in self._draws(jnp.asarray(z), jnp.asarray(weights), self._density.arrays)
        )
        ratio = value / temperature - log_t
        ratio = np.where(np.isnan(ratio), -np.inf, ratio)
        if not az.pareto_k(ratio) < _PARETO:
            return np.nan, "importance weights not to be believed"
        weight = np.exp(ratio - ratio.max())
        scaled = (terms - normal.terms[k]) / (spread * normal.errors[k])
        return float(np.mean([wasserstein(u, weight) for u in scaled.T])), ""


def wasserstein(draws: np.ndarray, weights: np.ndarray) -> float:
    """Wasserstein distance (of order 1) of weighted draws from the standard normal.

    Examples
    --------
    A shifted normal is as far away as its shift:

    >>> p = (np.arange(1000) + 0.5) / 1000
    >>> round(wasserstein(stats.norm.ppf(p) + 0.25, np.ones(1000)), 12)
    0.25
    """
    draws, weights = draws[weights > 0], weights[weights > 0]
    order = np.argsort(draws)
    share = weights[order] / weights.sum()
    # rounding must not carry the largest past 1
    p = np.minimum(np.cumsum(share) - 0.5 * share, 1 - np.finfo(float).eps)
    return float(share @ np.abs(draws[order] - stats.norm.ppf(p)))


def student(size: int, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Quasi-random draws of a Student t, shape (num, size), and their log density, shape (num,)."""
    u = qmc.Sobol(size + 1, seed=seed).random(num)
    u = np.clip(u, 1e-12, 1 - 1e-12)
    chi2 = stats.chi2.ppf(u[:, -1], _FREEDOM)
    x = stats.norm.ppf(u[:, :-1]) / np.sqrt(chi2 / _FREEDOM)[:, None]
    return x, stats.multivariate_t(np.zeros(size), np.eye(size), df=_FREEDOM).logpdf(x)


def normal_weights(x: np.ndarray, log_t: np.ndarray) -> np.ndarray:
    """Importance weights that make draws of the Student t standard normal."""
    ratio = -0.5 * np.sum(x**2, axis=1) - log_t
    return np.exp(ratio - ratio.max())
