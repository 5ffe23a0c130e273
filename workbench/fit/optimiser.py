r"""Maximisation: L-BFGS from several starts in one program, then Newton steps to rounding level.

Both work in coordinates w with :math:`\theta = \theta_0 + P w` in which the information is near
the identity (:mod:`workbench.fit.scaling`). L-BFGS (Liu and Nocedal 1989,
doi:10.1007/BF01589116), from optax, gets near; :mod:`workbench.fit.newton` ends the climb.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from workbench.errors import FitError
from workbench.fit.compilation import compiled
from workbench.fit.concavity import has_one_maximum, one_maximum
from workbench.fit.newton import newton
from workbench.fit.objective import Objective
from workbench.fit.scaling import rescale, units
from workbench.fit.scoring import can_score, climb_by_scoring
from workbench.fit.starts import StartKind, draw_starts

_ROUND = 50  # L-BFGS iterations between two rescalings
_CLOSE = 1e-7  # standard errors from the maximum, where L-BFGS ends


@dataclass(frozen=True, kw_only=True)
class Starts:
    """Where the optimiser began and ended, one row per start (K starts, P parameters).

    Attributes
    ----------
    z0, z : numpy.ndarray
        First and last point, shape (K, P), unconstrained.
    log_objective : numpy.ndarray
        Last objective, shape (K,), nats; ``nan`` where a start failed.
    gradient_norm : numpy.ndarray
        Last gradient norm in scaled coordinates, shape (K,).
    iterations : numpy.ndarray
        L-BFGS iterations, shape (K,).
    paths : tuple of numpy.ndarray
        Objective and gradient norm per iteration of each start, shape (2, I) each.
    """

    z0: np.ndarray
    z: np.ndarray
    log_objective: np.ndarray
    gradient_norm: np.ndarray
    iterations: np.ndarray
    paths: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, kw_only=True)
class History:
    """Path of the winning start: L-BFGS iterations, then Newton steps.

    Attributes
    ----------
    log_objective, gradient_norm : numpy.ndarray
        Per iteration, shape (I,); the gradient in scaled coordinates (per standard error).
    num_newton : int
        How many of the last entries are Newton steps.
    """

    log_objective: np.ndarray
    gradient_norm: np.ndarray
    num_newton: int


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """Where the optimiser ended, with the curvature there in scaled coordinates.

    Attributes
    ----------
    theta : numpy.ndarray
        Best point, shape (P,).
    value : float
        Log objective there, nats.
    gradient : numpy.ndarray
        Gradient in w, shape (P,).
    scale : numpy.ndarray
        P, with theta + P w, shape (P, P).
    information : numpy.ndarray
        Minus the Hessian in w, shape (P, P).
    decrement : float
        Newton decrement: twice the objective still to be won.
    starts : Starts
        Every start.
    history : History
        The winning path.
    """

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    scale: np.ndarray
    information: np.ndarray
    decrement: float
    starts: Starts
    history: History


def maximise(
    objective: Objective,
    *,
    key: jax.Array,
    num_starts: int,
    max_iterations: int,
    init: np.ndarray | None = None,
    kind: StartKind = "scales",
) -> Optimum:
    """Maximise an objective from several starts.

    Parameters
    ----------
    objective : Objective
        What to maximise.
    key : jax.Array
        Random key for the starts.
    num_starts : int
        Number of starts K: the centre of the unconstrained space, then points of ``kind``.
    max_iterations : int
        Bound on the L-BFGS iterations of a start.
    init : numpy.ndarray, optional
        A further start, shape (P,), of the size of the optimum: it is first climbed from by
        damped scoring (:mod:`workbench.fit.scoring`), which follows curved valleys, unless the
        likelihood is known to have none (:mod:`workbench.fit.concavity`).
    kind : str
        Where the starts come from, see :mod:`workbench.fit.starts`.

    Returns
    -------
    Optimum
        The best maximum found; whether it is one is read off its decrement and curvature.

    Raises
    ------
    FitError
        When the objective is not finite at any start.
    """
    unit = np.ones(objective.free.size)
    if num_starts > 1:
        unit = units(objective, np.zeros(unit.size) if init is None else np.asarray(init))
    if init is not None and can_score(objective) and not has_one_maximum(objective.density):
        init = climb_by_scoring(objective, np.asarray(init, dtype=float), max_iterations)
    z0 = _starting_points(objective, key, unit, num_starts, init, kind)
    if len(z0) == 0:
        raise FitError(
            f"the {objective.method} objective of model '{objective.density.model.name}' is not "
            "finite at any starting point: expected a finite log density near the centre of the "
            "unconstrained space; check data against supports, or rescale the covariates"
        )
    run = _climb(objective, z0, max_iterations)
    best = int(np.nanargmax(np.where(np.isfinite(run.log_objective), run.log_objective, -np.inf)))
    polished = newton(objective, run.z[best])
    end = polished[-1]
    values = np.array([p.value for p in polished])
    norms = np.array([np.linalg.norm(p.gradient) for p in polished])
    return Optimum(
        theta=end.theta,
        value=end.value,
        gradient=end.gradient,
        scale=end.scale,
        information=end.information,
        decrement=end.decrement,
        starts=run,
        history=History(
            log_objective=np.concatenate([run.paths[best][0], values]),
            gradient_norm=np.concatenate([run.paths[best][1], norms]),
            num_newton=len(polished),
        ),
    )


def _climb(objective: Objective, z0: np.ndarray, max_iterations: int) -> Starts:
    """L-BFGS from every start, in rounds; each round in coordinates rescaled where it begins."""
    arrays = objective.arrays
    program = _climber(objective)
    # the whole first step is that of scoring, which seldom overshoots a concave function
    reach = np.inf if one_maximum(objective) else 1.0
    z, total = z0.copy(), np.zeros(len(z0), dtype=int)
    value, norm = np.full((2, len(z0)), np.nan)
    paths: list[list[np.ndarray]] = [[np.zeros((2, 0))] for _ in z0]
    for _ in range(-(-max_iterations // _ROUND)):
        scales = np.stack([rescale(objective, point) for point in z])
        ends = program(z, scales, arrays, _CLOSE, reach)
        z, value, norm, count, path_value, path_norm, done = (np.asarray(x) for x in ends)
        total += count
        for k, n in enumerate(count):
            paths[k].append(np.stack([path_value[k, :n], path_norm[k, :n]]))
        if done.all():
            break
    return Starts(
        z0=z0,
        z=z,
        log_objective=value,
        gradient_norm=norm,
        iterations=total,
        paths=tuple(np.concatenate(p, axis=1) for p in paths),
    )


@compiled
def _climber(objective: Objective) -> Callable[..., tuple[jax.Array, ...]]:
    return jax.jit(partial(lbfgs, objective))


def _starting_points(
    objective: Objective,
    key: jax.Array,
    unit: np.ndarray,
    num: int,
    init: np.ndarray | None,
    kind: StartKind,
) -> np.ndarray:
    """Points with a finite objective: each is halved towards the centre until it is finite."""
    drawn = draw_starts(objective, key, unit, max(num - 1, 0), kind)
    z0 = np.concatenate([np.zeros((1, unit.size)), drawn])
    if init is not None:
        z0 = np.concatenate([np.asarray(init)[None], z0])
    bad = ~np.isfinite(objective.values_at(z0))
    for _ in range(8):
        if not bad.any():
            break
        z0[bad] *= 0.5
        bad = ~np.isfinite(objective.values_at(z0))
    return z0[~bad]


def lbfgs(
    objective: Callable[..., jax.Array],
    z0: jax.Array,
    scales: jax.Array,
    arrays: Mapping[str, Any],
    tolerance: float,
    reach: float = 1.0,
) -> tuple[jax.Array, ...]:
    """One round of L-BFGS from K points: point, value, gradient norm, count, path, whether done.

    It is done when the gradient norm in scaled coordinates is below ``tolerance``; the first step
    is the gradient there, no longer than ``reach``.

    One loop evaluates the objective once per turn, whether the turn is a new step or a trial of
    the line search (bisection for the weak Wolfe conditions, Lewis and Overton 2013,
    doi:10.1007/s10107-012-0514-2), so that the program holds one copy of the gradient.
    """
    solver = optax.scale_by_lbfgs(memory_size=10)

    def from_start(start: jax.Array, scale: jax.Array) -> tuple[jax.Array, ...]:
        def loss(w: jax.Array) -> jax.Array:
            return -objective(start + scale @ w, arrays)

        def turn(s: dict[str, Any]) -> dict[str, Any]:
            trial = s["w"] + s["t"] * s["move"]
            value, grad = jax.value_and_grad(loss)(trial)
            slope = s["grad"] @ s["move"]
            first = s["turns"] == 0
            enough = value <= s["value"] + 1e-4 * s["t"] * slope
            steep = grad @ s["move"] < 0.9 * slope
            accept = first | (enough & ~steep)
            low = jnp.where(enough, s["t"], s["low"])
            high = jnp.where(enough, s["high"], s["t"])
            t = jnp.where(jnp.isinf(high), 2 * s["t"], 0.5 * (low + high))
            direction, state = solver.update(grad, s["state"], trial)
            direction = jnp.where(~first & (direction @ grad > 0), -direction, -grad)
            norm = jnp.linalg.norm(grad)
            little = ~first & (jnp.abs(value - s["value"]) <= 1e-14 * (1.0 + jnp.abs(value)))
            at = jnp.where(accept, s["count"], _ROUND)  # beyond the end: dropped
            new = {
                "w": trial,
                "value": value,
                "grad": grad,
                "move": direction,
                "state": state,
                "low": jnp.zeros(()),
                "high": jnp.asarray(jnp.inf),
                "t": jnp.where(first, jnp.minimum(1.0, reach / norm), 1.0),
                "count": s["count"] + 1,
                "stop": (norm < tolerance) | little,
            }
            old = {
                **s,
                "low": low,
                "high": high,
                "t": t,
                "stop": t * jnp.linalg.norm(s["move"]) < 1e-14,
            }
            chosen = jax.tree_util.tree_map(
                lambda x, y: jnp.where(accept, x, y), new, {k: old[k] for k in new}
            )
            return {
                **chosen,
                "turns": s["turns"] + 1,
                "values": s["values"].at[at].set(-value, mode="drop"),
                "norms": s["norms"].at[at].set(norm, mode="drop"),
            }

        def going(s: dict[str, Any]) -> jax.Array:
            return ~s["stop"] & (s["count"] < _ROUND) & (s["turns"] < 4 * _ROUND)

        w = jnp.zeros_like(start)
        blank = jnp.full(_ROUND, jnp.nan)
        end = jax.lax.while_loop(
            going,
            turn,
            {
                "w": w,
                "value": jnp.asarray(jnp.inf),
                "grad": w,
                "move": w,
                "state": solver.init(w),
                "low": jnp.zeros(()),
                "high": jnp.asarray(jnp.inf),
                "t": jnp.zeros(()),
                "count": jnp.asarray(0),
                "turns": jnp.asarray(0),
                "stop": jnp.asarray(False),
                "values": blank,
                "norms": blank,
            },
        )
        norm = jnp.linalg.norm(end["grad"])
        point = start + scale @ end["w"]
        path = (end["values"], end["norms"])
        return point, -end["value"], norm, end["count"], *path, end["stop"]

    if len(z0) == 1:  # a loop over one start is compiled sooner
        return tuple(x[None] for x in from_start(z0[0], scales[0]))
    return jax.vmap(from_start)(z0, scales)
