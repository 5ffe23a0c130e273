r"""Modes and scores of one model at many widths of a prior, in one compiled program.

At each width: the mode, the effective number of parameters :math:`\mathrm{tr}(H^{-1} H_y)`, the log
evidence by Laplace's method, and the log density of rows left out. Sets of rows are left out by
refitting, with Newton steps from the mode of all; single rows of large data by one such step,
:math:`\theta_{-i} = \hat\theta - (H - H_i)^{-1} s_i` with the row's score and curvature, which is
exact where the log posterior is quadratic.

References
----------
Pregibon (1981), doi:10.1214/aos/1176345513 (the one-step refit).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.errors import FitError
from workbench.fit.objective import Objective
from workbench.fit.optimiser import lbfgs
from workbench.fit.scaling import rescale
from workbench.fit.terms import term_vector
from workbench.model import Density
from workbench.study.refits import num_cases
from workbench.study.widths import widened

NEAR = 1e-6  # Newton decrement, nats
_NEWTON = 4
_HELD_NEWTON = 10
_LAST = 1e-10  # of a step; what is left after it is of the order of its square
_FOLDS = 10
_MOST = 500  # rows that are each left out by refitting


def num_rows(density: Density) -> int:
    """Number of independent rows, 0 where there are none to leave out."""
    try:
        return num_cases(density)
    except FitError:
        return 0


def ridge_modes(
    density: Density, sites: tuple[str, ...], z: np.ndarray, seed: int
) -> Callable[[np.ndarray, float], dict[str, np.ndarray]]:
    """Give the function from widths to what holds there.

    Parameters
    ----------
    density : Density
        The model at its data, without random effects.
    sites : tuple of str
        Sites whose priors are scaled.
    z : numpy.ndarray
        A mode to begin from, shape (D,).
    seed : int
        Of the ten folds.

    Returns
    -------
    callable
        ``modes(widths, jacobian)``, widths of shape (K,), jacobian 0 for modes in constrained space
        and 1 in unconstrained space. Gives arrays of length K: ``terms`` (K, Q), ``effective``,
        ``log_evidence``, ``elpd_loo`` and ``elpd_kfold`` (in constrained space; ``nan`` without
        rows, or where a refit has no mode), ``noise`` (sd of normal observations), ``regular``.

    Examples
    --------
    One observation at 1 of variance 1 under a prior of sd 1:

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1).expand([1]), obs=y)
    >>> modes = ridge_modes(read_density(normal, {"y": [1.0]}), ("mu",), np.zeros(1), seed=0)
    >>> modes(np.ones(1), 0.0)["terms"].round(12).tolist()
    [[0.5]]
    """
    rows, start = num_rows(density), jnp.asarray(z)
    objective = Objective(density=density, method="MAP")
    scale = jnp.asarray(rescale(objective, start, density.arrays))
    num_folds = min(_FOLDS, rows)
    fold = np.random.default_rng(seed).permutation(rows) % max(num_folds, 1)
    held = np.arange(num_folds)[:, None] == fold
    if rows <= _MOST:
        held = np.concatenate([held, np.eye(rows, dtype=bool)])
    program = _program(density, sites, start, scale)

    def modes(widths: np.ndarray, jacobian: float) -> dict[str, np.ndarray]:
        made = program(jnp.asarray(widths), jacobian, jnp.asarray(held), density.arrays)
        found = {k: np.asarray(v) for k, v in made.items()}
        scores = found.pop("held")
        folds, singles = np.split(scores, [num_folds], axis=1)
        missing = np.full(len(widths), np.nan)
        found["elpd_kfold"] = folds.sum(axis=1) if rows else missing
        if rows <= _MOST:
            found["elpd_loo"] = singles.sum(axis=1) if rows else missing
        return found

    return modes


def _program(
    density: Density, sites: tuple[str, ...], start: jax.Array, scale: jax.Array
) -> Callable[..., dict[str, jax.Array]]:
    """Compiled: modes at many widths; a flag puts the Jacobian in (mode and evidence in z)."""
    rows = num_rows(density)

    def objective(z: jax.Array, data: Any) -> jax.Array:
        width, flag, arrays = data
        here = Objective(density=widened(density, sites, width), method="MAP")
        jacobian = density.evaluate(z, arrays).log_jacobian
        total = here.log_joint(z, jnp.zeros(0), arrays)
        return total + flag * sum(jacobian.values(), start=jnp.zeros(()))

    def likelihood(z: jax.Array, data: Any) -> jax.Array:
        return density.log_terms(z, data[2]).log_likelihood

    def hessian(f: Callable[[jax.Array], jax.Array]) -> jax.Array:
        return -density.jacobian(jax.grad(f))(jnp.zeros_like(start))

    def one(width: jax.Array, flag: Any, held: Any, arrays: Any) -> dict[str, jax.Array]:
        data: Any = (width, flag, arrays)
        theta = lbfgs(objective, start[None], scale[None], data, 1e-4)[0][0]

        def newton(_: int, theta: jax.Array) -> jax.Array:
            g = jax.grad(lambda w: objective(theta + scale @ w, data))(jnp.zeros_like(theta))
            h = hessian(lambda w: objective(theta + scale @ w, data))
            return theta + scale @ jnp.linalg.solve(h, g)

        theta = jax.lax.fori_loop(0, _NEWTON, newton, theta)
        g = jax.grad(lambda w: objective(theta + scale @ w, data))(jnp.zeros_like(theta))
        h = hessian(lambda w: objective(theta + scale @ w, data))
        fit = hessian(lambda w: likelihood(theta + scale @ w, data))

        def scores() -> jax.Array:
            return _without(density, theta, scale, lambda t: objective(t, data), held, arrays)

        def nothing() -> jax.Array:
            return jnp.full(len(held), jnp.nan)

        log_det = jnp.linalg.slogdet(h)[1] - 2 * jnp.linalg.slogdet(scale)[1]
        return {
            "terms": term_vector(density, theta, arrays),
            "effective": jnp.trace(jnp.linalg.solve(h, fit)),
            "log_evidence": objective(theta, data)
            + 0.5 * theta.size * jnp.log(2 * jnp.pi)
            - 0.5 * log_det,
            **(
                {"elpd_loo": _left_out(density, theta, scale, h, rows, arrays)}
                if rows > _MOST
                else {}
            ),
            # scores are of modes in constrained space
            "held": jax.lax.cond(flag == 0.0, scores, nothing) if rows else jnp.zeros(0),
            "noise": _noise(density, theta, arrays),
            "regular": (jnp.linalg.eigvalsh(h)[0] > 0) & (g @ jnp.linalg.solve(h, g) < NEAR),
        }

    return jax.jit(
        lambda widths, flag, held, arrays: jax.lax.map(lambda s: one(s, flag, held, arrays), widths)
    )


def _by_row(density: Density, rows: int, z: jax.Array, arrays: Any) -> jax.Array:
    """Log density of each row, shape (N,)."""
    each = density.pointwise_log_likelihood(z, arrays).values()
    return sum((x.reshape(rows, -1).sum(axis=1) for x in each), start=jnp.zeros(rows))


def _left_out(
    density: Density, theta: jax.Array, scale: jax.Array, h: jax.Array, rows: int, arrays: Any
) -> jax.Array:
    """Sum of each row's log density at the mode without it, by one Newton step."""

    def by_row(w: jax.Array) -> jax.Array:
        return _by_row(density, rows, theta + scale @ w, arrays)

    zero = jnp.zeros_like(theta)
    score = density.jacobian(by_row)(zero)
    curvature = -density.jacobian(density.jacobian(by_row))(zero)

    def one(i: jax.Array) -> jax.Array:
        return by_row(-jnp.linalg.solve(h - curvature[i], score[i]))[i]

    return jnp.sum(jax.lax.map(one, jnp.arange(rows), batch_size=64))


def _without(
    density: Density, theta: jax.Array, scale: jax.Array, objective: Callable[..., jax.Array],
    held: jax.Array, arrays: Any,
) -> jax.Array:  # fmt: skip
    """Log density of each set of rows, shape (K, N), at the mode of the others, shape (K,).

    ``nan`` where they have none.
    """
    rows = held.shape[1]

    def one(out: jax.Array) -> jax.Array:
        def others(w: jax.Array) -> jax.Array:
            z = theta + scale @ w
            return objective(z) - jnp.where(out, _by_row(density, rows, z, arrays), 0.0).sum()

        def newton(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            w, _, count = state
            g = jax.grad(others)(w)
            move = jnp.linalg.solve(-density.jacobian(jax.grad(others))(w), g)
            return w + move, g @ move, count + 1

        def goes_on(state: tuple[jax.Array, ...]) -> jax.Array:
            return (jnp.abs(state[1]) > _LAST) & (state[2] < _HELD_NEWTON)

        first = jnp.zeros_like(theta), jnp.asarray(jnp.inf), jnp.asarray(0)
        w, decrement, _ = jax.lax.while_loop(goes_on, newton, first)
        score = jnp.where(out, _by_row(density, rows, theta + scale @ w, arrays), 0.0).sum()
        # the decrement is that of the last step, before which it was larger
        return jnp.where(jnp.abs(decrement) < NEAR, score, jnp.nan)

    return jax.lax.map(one, held, batch_size=32)


def _noise(density: Density, z: jax.Array, arrays: Any) -> jax.Array:
    """Mean sd of normal observations; ``nan`` for other families."""
    found = density.evaluate(z, arrays).distributions
    if set(density.observed_families) != {"Normal"}:
        return jnp.asarray(jnp.nan)
    (first, *_) = density.names("observed")
    return jnp.mean(jnp.sqrt(found[first].variance))
