r"""Modes and scores of one model at many widths of a prior, in one compiled program.

At each width: the mode, the effective number of parameters :math:`\mathrm{tr}(H^{-1} H_y)`, the log
evidence by Laplace's method, and the log density of independent parts of the data left out: rows,
or groups that share no random effect, whose effects are integrated out
(:mod:`workbench.study.units`). Sets of parts are left out by refitting, with Newton steps from the
mode of all; single parts of large data by one such step,
:math:`\theta_{-i} = \hat\theta - (H - H_i)^{-1} s_i` with the part's score and curvature, which is
exact where the log posterior is quadratic.

References
----------
Pregibon (1981), doi:10.1214/aos/1176345513 (the one-step refit).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.objective import Objective
from workbench.fit.optimiser import lbfgs
from workbench.fit.scaling import rescale
from workbench.fit.terms import term_vector
from workbench.model import Density
from workbench.study.units import Units, log_prior
from workbench.study.widths import widened

NEAR = 1e-6  # Newton decrement, nats
_NEWTON = 4
_HELD_NEWTON = 10
_BATCH = 16
_FLAT = 1e9  # times the width of a prior
_LAST = 1e-10  # of a step; what is left after it is of the order of its square
_FOLDS = 10
_MOST = 500  # parts that are each left out by refitting


def ridge_modes(
    programs: Programs, z: np.ndarray, seed: int
) -> Callable[[np.ndarray, float], dict[str, np.ndarray]]:
    """Give the function from widths to what holds there.

    Parameters
    ----------
    programs : Programs
        Of the model, its data and the sites whose priors are scaled.
    z : numpy.ndarray
        A mode to begin from, shape (D,), of which the parameters count.
    seed : int
        Of the ten folds.

    Returns
    -------
    callable
        ``modes(widths, jacobian)``, widths of shape (K,), jacobian 0 for modes in constrained space
        and 1 in unconstrained space. Gives arrays of length K: ``terms`` (K, Q), ``effective``,
        ``log_evidence``, ``elpd_loo`` and ``elpd_kfold`` (in constrained space; ``nan`` without
        parts, or where a refit has no mode), ``noise`` (sd of normal observations), ``regular``,
        and the mode ``theta`` (K, P) with a ``root`` of its covariance and the
        ``likelihood_information`` there (K, P, P).

    Examples
    --------
    One observation at 1 of variance 1 under a prior of sd 1:

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> from workbench.study.units import units_of
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1).expand([1]), obs=y)
    >>> units = units_of(read_density(normal, {"y": [1.0]}))
    >>> modes = ridge_modes(Programs(units, ("mu",), np.zeros(1)), np.zeros(1), seed=0)
    >>> modes(np.ones(1), 0.0)["terms"].round(12).tolist()
    [[0.5]]
    """
    units = programs.units
    start = jnp.asarray(z[units.objective.free])
    rng, parts = np.random.default_rng(seed), units.num if units.num > 1 else 0
    num_folds = min(_FOLDS, parts)
    held = np.arange(num_folds)[:, None] == rng.permutation(parts) % max(num_folds, 1)
    if parts <= _MOST:
        held = np.concatenate([held, np.eye(parts, dtype=bool)])

    def one(width: float, jacobian: float) -> dict[str, Any]:
        theta = np.asarray(programs.climb(start, width, jacobian, units.density.arrays))
        every = np.ones((1, units.num), dtype=bool)
        theta, at = programs.newton(theta[None], every, width, jacobian, _NEWTON, stop=False)
        # with no prior: the curvature of the likelihood
        fit = programs.derive(theta, every, width, 0.0, 0.0)["information"][0]
        found = programs.report(theta[0], units.density.arrays)
        value, information = at["value"][0], at["information"][0]
        made = {
            "theta": theta[0],
            "root": at["root"][0],
            "likelihood_information": programs.unscaled(fit),
            "terms": found["terms"],
            "effective": np.trace(_solve(information, fit)),
            "log_evidence": value + 0.5 * start.size * np.log(2 * np.pi) - 0.5 * at["log_det"][0],
            "noise": found["noise"],
            "regular": (at["least"][0] > 0) & (at["decrement"][0] < NEAR),
        }
        scores = np.full(len(held), np.nan)
        if jacobian == 0.0 and parts:  # scores are of modes in constrained space
            scores = programs.without(theta[0], held, width)
        made["elpd_kfold"] = scores[:num_folds].sum() if parts else np.nan
        made["elpd_loo"] = scores[num_folds:].sum() if parts else np.nan
        if parts > _MOST:
            made["elpd_loo"] = programs.left_out(theta[0], information)
        return made

    def modes(widths: np.ndarray, jacobian: float) -> dict[str, np.ndarray]:
        made = [one(float(width), jacobian) for width in widths]
        return {k: np.stack([np.asarray(m[k]) for m in made]) for k in made[0]}

    return modes


def posterior(
    units: Units, sites: tuple[str, ...], theta: jax.Array, width: Any, prior: Any, jacobian: Any,
    arrays: Any, chosen: Any = True,
) -> jax.Array:  # fmt: skip
    """Log posterior (unnormalised) of the chosen parts, with powers of prior and Jacobian."""
    wide = widened(units.density, sites, width)
    log_p, log_jacobian = log_prior(wide, units.objective.free, theta, arrays)
    by_part = units.log_likelihood(theta, arrays)
    return jnp.where(chosen, by_part, 0.0).sum() + prior * log_p + jacobian * log_jacobian


class Programs:
    """Compiled once for all widths and all parts; P parameters in coordinates of a scale.

    Parameters
    ----------
    units : Units
        The independent parts of the data.
    sites : tuple of str
        Sites whose priors are scaled.
    z : numpy.ndarray
        Where the scale is read, shape (D,).
    """

    def __init__(self, units: Units, sites: tuple[str, ...], z: np.ndarray) -> None:
        density, start = units.density, jnp.asarray(z[units.objective.free])
        self.units, self._arrays = units, density.arrays
        objective = Objective(density=density, method="MAP")
        self._scale = rescale(objective, np.asarray(start))
        self._inverse, scaled = np.linalg.inv(self._scale), jnp.asarray(self._scale)

        def climb(start: jax.Array, width: Any, jacobian: Any, arrays: Any) -> jax.Array:
            def objective(theta: jax.Array, arrays: Any) -> jax.Array:
                return posterior(units, sites, theta, width, 1.0, jacobian, arrays)

            return lbfgs(objective, start[None], scaled[None], arrays, 1e-4)[0][0]

        def derive(
            theta: jax.Array, chosen: jax.Array, width: Any, prior: Any, jacobian: Any, arrays: Any
        ) -> dict[str, jax.Array]:
            def gradient(w: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
                value, g = jax.value_and_grad(
                    lambda w: posterior(
                        units, sites, theta + scaled @ w, width, prior, jacobian, arrays, chosen
                    )
                )(w)
                return g, (value, g)

            zero = jnp.zeros_like(theta)
            hessian, (value, g) = density.jacobian(gradient, has_aux=True)(zero)
            information = -0.5 * (hessian + hessian.T)
            move = jnp.linalg.solve(information, g)
            return {
                "value": value,
                "gradient": g,
                "move": scaled @ move,
                "decrement": g @ move,
                "information": information,
                "least": jnp.linalg.eigvalsh(information)[0],
                "root": scaled @ jnp.linalg.inv(jnp.linalg.cholesky(information)).T,
                # of theta, not of its scaled coordinates
                "log_det": jnp.linalg.slogdet(information)[1] - 2 * jnp.linalg.slogdet(scaled)[1],
            }

        def report(theta: jax.Array, arrays: Any) -> dict[str, jax.Array]:
            z = units.objective.complete(theta, arrays)
            return {
                "terms": term_vector(density, z, arrays),
                "noise": _noise(density, z, arrays),
            }

        self.climb, self.report = jax.jit(climb), jax.jit(report)
        self._derive = jax.jit(jax.vmap(derive, in_axes=(0, 0, None, None, None, None)))
        self._by_part = jax.jit(jax.vmap(units.log_likelihood, in_axes=(0, None)))

    def derive(
        self, theta: np.ndarray, chosen: np.ndarray, width: float, prior: float, jacobian: float
    ) -> dict[str, np.ndarray]:
        """Value, Newton step and curvature at points (K, P) for chosen parts (K, N)."""
        made = []
        for at in range(0, len(theta), _BATCH):
            x, out = (_padded(v[at : at + _BATCH]) for v in (theta, chosen))
            found = self._derive(x, out, width, prior, jacobian, self._arrays)
            made.append({k: np.asarray(v) for k, v in found.items()})
        return {k: np.concatenate([m[k] for m in made])[: len(theta)] for k in made[0]}

    def unscaled(self, information: np.ndarray) -> np.ndarray:
        """Information in theta, of that in scaled coordinates."""
        return self._inverse.T @ information @ self._inverse

    def flat(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Minus the log posterior in constrained space, its gradient and Hessian in theta.

        Without the priors of the sites, which are so wide that they are constant.
        """
        every = np.ones((1, self.units.num), dtype=bool)
        at = self.derive(theta[None], every, _FLAT, 1.0, 0.0)
        slope = -self._inverse.T @ at["gradient"][0]
        return -float(at["value"][0]), slope, self.unscaled(at["information"][0])

    def newton(
        self, theta: np.ndarray, chosen: np.ndarray, width: float, jacobian: float, most: int,
        *, stop: bool,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:  # fmt: skip
        """Newton steps of chosen parts' modes, and what holds at their end (before, if stopped)."""
        at = self.derive(theta, chosen, width, 1.0, jacobian)
        for _ in range(most):
            theta = theta + at["move"]
            if stop and not (np.abs(at["decrement"]) > _LAST).any():
                break
            at = self.derive(theta, chosen, width, 1.0, jacobian)
        return theta, at

    def without(self, theta: np.ndarray, held: np.ndarray, width: float) -> np.ndarray:
        """Log density of each set of parts (K, N) at the mode of the others; ``nan`` for none."""
        start = np.repeat(theta[None], len(held), axis=0)
        end, at = self.newton(start, ~held, width, 0.0, _HELD_NEWTON, stop=True)
        by_part = [
            np.asarray(self._by_part(_padded(end[k : k + _BATCH]), self._arrays))
            for k in range(0, len(end), _BATCH)
        ]
        inside = np.where(held, np.concatenate(by_part)[: len(held)], 0.0).sum(axis=1)
        return np.where(np.abs(at["decrement"]) < NEAR, inside, np.nan)

    def left_out(self, theta: np.ndarray, information: np.ndarray) -> float:
        """Sum of each part's log density at the mode without it, by one Newton step."""
        program = jax.jit(partial(_left_out, self.units))
        return float(program(theta, self._scale, information, self._arrays))


def _padded(x: np.ndarray) -> np.ndarray:
    """A batch of the one size that is compiled."""
    return np.concatenate([x, np.repeat(x[:1], _BATCH - len(x), axis=0)])


def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Solution of a linear system; ``nan`` where there is none."""
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        return np.full(b.shape, np.nan)


def _left_out(
    units: Units, theta: jax.Array, scale: jax.Array, h: jax.Array, arrays: Any
) -> jax.Array:
    """Sum of each part's log density at the mode without it, by one Newton step."""
    density = units.density

    def by_part(w: jax.Array) -> jax.Array:
        return units.log_likelihood(theta + scale @ w, arrays)

    zero = jnp.zeros_like(theta)
    score = density.jacobian(by_part)(zero)
    curvature = -density.jacobian(density.jacobian(by_part))(zero)

    def one(i: jax.Array) -> jax.Array:
        return by_part(-jnp.linalg.solve(h - curvature[i], score[i]))[i]

    return jnp.sum(jax.lax.map(one, jnp.arange(units.num), batch_size=64))


def _noise(density: Density, z: jax.Array, arrays: Any) -> jax.Array:
    """Mean sd of normal observations; ``nan`` for other families."""
    found = density.evaluate(z, arrays).distributions
    if set(density.observed_families) != {"Normal"}:
        return jnp.asarray(jnp.nan)
    (first, *_) = density.names("observed")
    return jnp.mean(jnp.sqrt(found[first].variance))
