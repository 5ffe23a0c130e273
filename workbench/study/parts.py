r"""Refits to weighted parts of the data, and draws of their posteriors, each in one program.

A part of the data has weights 0 and 1 on its rows or groups (or on whole simulated data sets), so
that all parts have one shape. Its mode is climbed to by L-BFGS and polished by a Newton step; its
posterior is a cloud of quasi-random draws from a Student t about the mode, with importance weights.

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
from workbench.fit.optimiser import lbfgs
from workbench.fit.scaling import rescale
from workbench.fit.terms import moved_by_effects, term_vector
from workbench.model import Density
from workbench.model.simulation import without_observations
from workbench.study.units import Units

Weights = tuple[np.ndarray, np.ndarray]
"""Weights of C copies of the observations, and of K parts in each."""

_FREEDOM = 5  # of the Student t
PARETO = 0.7
_NEAR = 1e-4  # Newton decrement, nats
_VANISHED = 1e-4  # information of a part, as a share of what its rows should have


def simulated(density: Density, z: np.ndarray, num: int, seed: int) -> dict[str, jax.Array]:
    """The observations, and num data sets of the same size drawn from the model at z.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     with numpyro.plate("obs", 3):
    ...         numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> made = simulated(read_density(normal, {"y": [1.0, 2.0, 3.0]}), np.zeros(1), 4, 0)
    >>> made["y"].shape, made["y"][0].tolist()
    ((5, 3), [1.0, 2.0, 3.0])
    """
    names, found = density.names("observed"), density.evaluate(jnp.asarray(z))
    fixed = {n: found.values[n] for n in density.names("parameter")}
    own = {n: jnp.asarray(found.observations[n]) for n in names}

    def one(key: jax.Array) -> dict[str, jax.Array]:
        fn = handlers.seed(without_observations(density), key)
        trace = handlers.trace(handlers.substitute(fn, data=fixed)).get_trace()
        return {n: jnp.asarray(trace[n]["value"], dtype=own[n].dtype) for n in names}

    drawn = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), num))
    return {n: jnp.concatenate([own[n][None], drawn[n]]) for n in names}


@dataclass(frozen=True, kw_only=True)
class Modes:
    """B refits: mode, a root of its covariance, terms with their errors, and whether regular.

    ``axes`` is the Jacobian of the terms times the root, shape (B, Q, P), ``errors`` its length and
    ``flat`` the position of the parameter along which there is least information.
    """

    theta: np.ndarray
    root: np.ndarray
    terms: np.ndarray
    axes: np.ndarray
    errors: np.ndarray
    regular: np.ndarray
    flat: np.ndarray


class Refitter:
    """Two compiled programs: one mode, and the draws of one posterior.

    Random effects are integrated out (:mod:`workbench.study.units`); terms that move with them
    are left out.

    Parameters
    ----------
    units : Units
        The independent parts of the data.
    best : ModeFit
        Maximum likelihood fit, where every refit begins.
    copies : dict of str to jax.Array
        Observations of C data sets by site, shape (C, ...).
    """

    def __init__(self, units: Units, best: ModeFit, copies: dict[str, jax.Array]) -> None:
        self._units, self._copies = units, copies
        self._density, objective = units.density, units.objective
        self._start = jnp.asarray(best.z[objective.free])
        self._scale = jnp.asarray(rescale(objective, np.asarray(self._start)))
        self._own = np.flatnonzero(~moved_by_effects(self._density, best.z))
        self._climb = jax.jit(self._mode)
        self._draws = jax.jit(self._evaluate)

    def _objective(
        self, theta: jax.Array, weights: Weights, prior: Any, jacobian: Any, arrays: Any
    ) -> jax.Array:
        """Weighted log-likelihood plus powers of prior and Jacobian."""
        of_copy, of_part = weights

        def one(pair: tuple[jax.Array, Any]) -> jax.Array:
            weight, drawn = pair
            return jax.lax.cond(
                weight > 0,  # a copy without weight is not looked at
                lambda: weight * (of_part @ self._units.log_likelihood(theta, arrays, drawn)),
                lambda: jnp.zeros(()),
            )

        log_prior, log_jacobian = self._units.log_prior(theta, arrays)
        fit = jax.lax.map(one, (of_copy, self._copies)).sum()
        return fit + prior * log_prior + jacobian * log_jacobian

    def _terms(self, theta: jax.Array, arrays: Any) -> jax.Array:
        effects = jnp.zeros(self._units.objective.effects.size)
        z = self._units.objective.place(theta, effects)
        return term_vector(self._density, z, arrays)[self._own]

    def _mode(self, weights: Weights, prior: Any, jacobian: Any, arrays: Any) -> dict[str, Any]:
        start, scale = self._start, self._scale

        def objective(theta: jax.Array, arrays: Any) -> jax.Array:
            return self._objective(theta, weights, prior, jacobian, arrays)

        def gradient(w: jax.Array) -> tuple[jax.Array, jax.Array]:
            g = jax.grad(lambda v: objective(reached + scale @ v, arrays))(w)
            return g, g

        reached = lbfgs(objective, start[None], scale[None], arrays, 1e-5)[0][0]
        hessian, g = self._density.jacobian(gradient, has_aux=True)(jnp.zeros_like(start))
        information = -0.5 * (hessian + hessian.T)
        move = jnp.linalg.solve(information, g)
        end = reached + scale @ move
        root = scale @ jnp.linalg.inv(jnp.linalg.cholesky(information)).T
        pull = self._density.jacobian(lambda theta: self._terms(theta, arrays))(end)
        share = weights[0].sum() * weights[1].mean()  # of one data set
        own, axes = jnp.linalg.eigh(information)
        along = jnp.abs(scale @ axes[:, 0]) / jnp.linalg.norm(scale, axis=1)
        return {
            "theta": end,
            "root": root,
            "terms": self._terms(end, arrays),
            "axes": pull @ root,
            "errors": jnp.linalg.norm(pull @ root, axis=1),
            "regular": (own[0] > _VANISHED * share) & (g @ move < _NEAR) & jnp.isfinite(root).all(),
            "flat": jnp.argmax(along),
        }

    def modes(self, weights: list[Weights], prior: Any, jacobian: Any) -> Modes:
        """Modes of weighted log-likelihood plus powers of prior and Jacobian, shape (B,) each."""
        made = [
            self._climb(w, float(a), float(j), self._density.arrays)
            for w, a, j in zip(weights, prior, jacobian, strict=True)
        ]
        return Modes(**{k: np.stack([np.asarray(m[k]) for m in made]) for k in made[0]})

    def _evaluate(self, theta: jax.Array, weights: Weights, arrays: Any) -> Any:
        def one(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
            value = self._objective(theta, weights, 1.0, 1.0, arrays)
            return value, self._terms(theta, arrays)

        return jax.lax.map(one, theta, batch_size=256)

    def no_maximum(self, modes: Modes, k: int) -> str:
        """Why refit k is not regular: the parameter along which it is flat."""
        at = self._units.objective.free[int(modes.flat[k])]
        return f"no regular maximum: flat along {self._density.z_labels[at]}"

    def distance(
        self, normal: Modes, posterior: Modes, k: int, weights: Weights, temperature: float,
        x: np.ndarray, log_t: np.ndarray,
    ) -> tuple[float, str]:  # fmt: skip
        """Mean distance over the terms, in standard errors, and why there is none ("" if so)."""
        if not (normal.regular[k] and posterior.regular[k]):
            return np.nan, self.no_maximum(posterior if normal.regular[k] else normal, k)
        from workbench import az

        spread = np.sqrt(temperature)
        theta = posterior.theta[k] + spread * x @ posterior.root[k].T
        value, terms = (
            np.asarray(v) for v in self._draws(jnp.asarray(theta), weights, self._density.arrays)
        )
        ratio = value / temperature - log_t
        ratio = np.where(np.isnan(ratio), -np.inf, ratio)
        if not az.pareto_k(ratio) < PARETO:
            return np.nan, "importance weights not to be believed"
        weight = np.exp(ratio - ratio.max())
        scaled = (terms - normal.terms[k]) / (spread * normal.errors[k])
        # the same draws, weighted to be normal: the noise of the draws is common to both
        lines = x @ (posterior.axes[k] / posterior.errors[k][:, None]).T
        even = normal_weights(x, log_t)
        apart = [wasserstein(u, weight, v, even) for u, v in zip(scaled.T, lines.T, strict=True)]
        return float(np.mean(apart)), ""


def wasserstein(
    draws: np.ndarray, weights: np.ndarray, others: np.ndarray, their_weights: np.ndarray
) -> float:
    """Wasserstein distance (of order 1) between two sets of weighted draws.

    Their quantile functions are linear between draws.

    Examples
    --------
    Shifted draws are as far away as their shift:

    >>> x = np.random.default_rng(0).normal(size=100)
    >>> round(wasserstein(x + 0.25, np.ones(100), x, np.ones(100)), 12)
    0.25
    """
    share, at, p = _quantiles(draws, weights)
    _, there, q = _quantiles(others, their_weights)
    return float(share @ np.abs(at - np.interp(p, q, there)))


def _quantiles(draws: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Share of each draw, the draws in order, and the probability at the middle of each."""
    order = np.argsort(draws)
    share = weights[order] / weights.sum()
    return share, draws[order], np.cumsum(share) - 0.5 * share


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
