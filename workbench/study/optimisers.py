r"""Six optimisers on the real objective, from one start: how fast, and how fast they should be.

All minimise :math:`f(w) = -\ell(\hat\theta + S w)`, the negative log-likelihood (random effects
integrated out) or negative log posterior, in coordinates whose curvature at the maximum has a unit
diagonal. With its eigenvalues :math:`\mu \le \dots \le L`, :math:`\kappa = L / \mu` and
:math:`q = (\sqrt\kappa - 1) / (\sqrt\kappa + 1)`:

================  ========================================  =====================================
method            step, momentum                            share of the distance kept (quadratic)
================  ========================================  =====================================
gradient descent  :math:`2 / (L + \mu)`                     :math:`(\kappa - 1) / (\kappa + 1)`
momentum          :math:`4 / (\sqrt L + \sqrt\mu)^2, q^2`   :math:`q`
Nesterov          :math:`1 / L, q`                          :math:`1 - 1 / \sqrt\kappa`
Adam              0.1 of a conditional standard error
L-BFGS            line search                               superlinear
Newton            halved where it rises                     quadratic
================  ========================================  =====================================

Beside them runs NUTS's step, the leapfrog of Hamiltonian Monte Carlo: momentum without friction,
drawn anew from :math:`N(0, I)` after each trajectory of steps :math:`1 / \sqrt L`, the end accepted
with the probability that leaves :math:`e^{-f}` as it is. It does not arrive, it samples: on a
quadratic :math:`d^2` tends to a :math:`\chi^2_P`.

The distance is :math:`d = \sqrt{2 (f - f_{\min})}`: on a quadratic, that to the maximum in
standard errors. The observed rate is the slope of :math:`\log d` over the last half of the
iterations before rounding.

References
----------
Polyak (1964), doi:10.1016/0041-5553(64)90137-5; Nesterov (2004), Introductory Lectures on Convex
Optimization, section 2.2, doi:10.1007/978-1-4419-8853-9; Kingma and Ba (2015), arXiv:1412.6980;
Liu and Nocedal (1989), doi:10.1007/BF01589116; Neal (2011), doi:10.1201/b10905-6 (leapfrog).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from workbench.fit import ModeFit, fit_mle
from workbench.fit.objective import Objective
from workbench.fit.spectral import symmetric_eigen
from workbench.model import Density, Model, read_density
from workbench.study.instrument import require_regular, subject
from workbench.study.paths import Path, lbfgs_path, newton_path

_NEAR = 0.01  # standard errors from the maximum
_START = 3.0  # standard errors from the maximum
_CHUNK = 250  # iterations of one call
_ADAM = 0.1
_LEAPS = 25  # of a trajectory
_GRID = 41  # points of the contour's grid along each direction
LEAPFROG = "leapfrog"
FIRST_ORDER = ("gradient descent", "momentum", "Nesterov", "Adam")


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """The path of one optimiser (I iterations, P parameters).

    Attributes
    ----------
    distance : numpy.ndarray
        d at each iteration, standard errors, shape (I,); ``nan`` where the objective is undefined.
    gradient_norm : numpy.ndarray
        Shape (I,), in the coordinates w.
    gradients : numpy.ndarray
        Gradients evaluated up to each iteration, shape (I,); a Hessian counts as P.
    path : numpy.ndarray
        Coordinates along the two stiffest directions, standard errors, shape (I, 2), or (I, 1).
    """

    distance: np.ndarray
    gradient_norm: np.ndarray
    gradients: np.ndarray
    path: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Optimisers:
    """Six optimisers on one objective.

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        Index method; ``iterations`` and ``gradients`` to within 0.01 standard errors of the
        maximum, ``rate`` (observed) and ``predicted`` (on a quadratic), and ``reason``.
    runs : dict of str to Run
        By method.
    eigenvalues : numpy.ndarray
        Of the curvature at the maximum, scaled to a unit diagonal, ascending, shape (P,).
    plane : pandas.DataFrame
        Objective above its minimum (nats) on a grid over the two stiffest directions, index and
        columns in standard errors; empty with one parameter.

    Examples
    --------
    >>> run = Run(distance=np.array([3.0, 1e-9]), gradient_norm=np.array([2.0, 1e-9]),
    ...           gradients=np.array([1, 2]), path=np.array([[3.0], [0.0]]))
    >>> table = pd.DataFrame({"iterations": [1.0]}, index=["Newton"])
    >>> found = Optimisers(name="m-d", table=table, runs={"Newton": run},
    ...                    eigenvalues=np.array([0.5, 2.0]), plane=pd.DataFrame())
    >>> found.condition_number, found.trusted
    (4.0, True)
    """

    name: str
    table: pd.DataFrame
    runs: dict[str, Run]
    eigenvalues: np.ndarray
    plane: pd.DataFrame

    @property
    def condition_number(self) -> float:
        """Largest over smallest eigenvalue."""
        return float(self.eigenvalues[-1] / self.eigenvalues[0])

    @property
    def trusted(self) -> bool:
        """Whether Newton's method, at least, has come to the maximum."""
        return bool(np.isfinite(self.table.loc["Newton", "iterations"]))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        reached = self.table["gradients"].dropna()
        said = [
            f"The condition number is {self.condition_number:.3g} (units set aside): on a "
            "quadratic, gradient descent keeps a share of "
            f"{self.table.loc['gradient descent', 'predicted']:.4g} of its distance at each step, "
            f"the best momentum {self.table.loc['momentum', 'predicted']:.4g}."
        ]
        if len(reached):
            best = reached.idxmin()
            said.append(
                f"Fewest gradients to within {_NEAR:g} standard errors of the maximum: {best}, "
                f"{int(reached[best])}, from {_START:g} standard errors away."
            )
        return tuple(said)


def optimisers(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    fit: ModeFit | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Optimisers:
    """Minimise the negative log-likelihood by six methods from one start.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the direction of the start, which is 3 standard errors from the maximum.
    quick : bool
        At most 500 iterations of a first-order method instead of 20,000.
    fit : ModeFit, optional
        The maximum to climb to, of the likelihood or (MAP, Laplace) of the posterior; the maximum
        of the likelihood when not given.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Optimisers
        A method that does not arrive has ``nan`` and its reason.

    Raises
    ------
    FitError
        When the likelihood has no regular maximum.

    Examples
    --------
    In one dimension with its own curvature as step, gradient descent is Newton's method:

    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> found = optimisers(normal, {"y": [1.0, 2.0, 3.0]}, quick=True)
    >>> found.table["iterations"][["gradient descent", "Newton"]].tolist()
    [1.0, 1.0]
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    tell = on_stage or (lambda _: None)
    tell("MLE")
    best = fit if fit is not None else fit_mle(density, seed=seed)
    require_regular(
        best,
        density,
        f"optimisers expects a regular maximum; the {best.method}",
        " (another maximum can be given: fit=fit_map(...))",
    )
    objective = Objective(density=density, method=best.method)
    unit = 1 / np.sqrt(np.diag(best.information))
    eigenvalues, axes = symmetric_eigen(best.information * np.outer(unit, unit))
    centre, fixed = best.z[objective.free], (best.z[objective.free], unit, objective.arrays)

    def loss(w: jax.Array, fixed: Any) -> jax.Array:
        centre, unit, arrays = fixed
        return -objective(centre + unit * w, arrays)

    direction = np.random.default_rng(seed).normal(size=unit.size)
    start = _START * axes @ (direction / np.linalg.norm(direction) / np.sqrt(eigenvalues))
    tell("first-order methods")
    runs = _first_order(loss, fixed, start, eigenvalues, 500 if quick else 20_000)
    tell("second-order methods")
    gradient = jax.jit(jax.value_and_grad(loss))
    runs["L-BFGS"] = lbfgs_path(gradient, fixed, start)
    scaled = objective.derivatives_in
    runs["Newton"] = newton_path(
        lambda w: scaled(jnp.asarray(centre + unit * w), jnp.diag(unit), objective.arrays), start
    )
    tell("leapfrog")
    runs[LEAPFROG] = _leapfrog(loss, fixed, start, eigenvalues[-1], 40 if quick else 400, seed)
    least = min(float(np.nanmin(v)) for v, *_ in runs.values())
    stiff = axes[:, ::-1][:, :2] * np.sqrt(eigenvalues[::-1][:2])
    made = {
        method: Run(
            distance=np.sqrt(2 * np.maximum(value - least, 0.0)),
            gradient_norm=norm,
            gradients=count,
            path=w @ stiff,
        )
        for method, (value, norm, count, w) in runs.items()
    }
    floor = 10 * np.sqrt(2e-15 * (1 + abs(least)))
    rows = [_row(m, r, _predicted(m, eigenvalues), floor) for m, r in made.items()]
    later = made[LEAPFROG].distance[made[LEAPFROG].distance.size // 4 :]
    typical = np.sqrt(np.mean(later**2))
    rows[-1] |= {
        "iterations": np.nan,
        "gradients": np.nan,
        "reason": f"samples: {typical:.2g} standard errors away (root mean square; "
        f"sqrt(P) = {np.sqrt(start.size):.2g})",
    }
    return Optimisers(
        name=subject(density),
        table=pd.DataFrame(rows).set_index("method"),
        runs=made,
        eigenvalues=eigenvalues,
        plane=_plane(lambda w: -objective.values_at(centre + unit * w) - least, stiff),
    )


def _steps(eigenvalues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Step and momentum of each first-order method, from the curvature at the maximum."""
    least, most = eigenvalues[0], eigenvalues[-1]
    root = np.sqrt(most / least)
    rate = (root - 1) / (root + 1)
    step = [2 / (most + least), 4 / (np.sqrt(most) + np.sqrt(least)) ** 2, 1 / most, _ADAM]
    return np.array(step), np.array([0.0, rate**2, rate, 0.9])


def _predicted(method: str, eigenvalues: np.ndarray) -> float:
    """Rate on a quadratic (``nan`` where none is known)."""
    kappa = eigenvalues[-1] / eigenvalues[0]
    root = np.sqrt(kappa)
    rates = {
        "gradient descent": (kappa - 1) / (kappa + 1),
        "momentum": (root - 1) / (root + 1),
        "Nesterov": 1 - 1 / root,
    }
    return float(rates.get(method, np.nan))


def _first_order(
    loss: Callable[..., jax.Array],
    fixed: Any,
    start: np.ndarray,
    eigenvalues: np.ndarray,
    most: int,
) -> dict[str, Path]:
    """The four first-order methods side by side, in one compiled program of a chunk."""
    step, momentum = (jnp.asarray(x)[:, None] for x in _steps(eigenvalues))
    ahead = jnp.array([0.0, 0.0, 1.0, 0.0])[:, None]  # Nesterov looks where momentum leads
    adam = jnp.array([False, False, False, True])[:, None]
    gradient = jax.vmap(jax.value_and_grad(loss), in_axes=(0, None))

    def chunk(state: Any, fixed: Any) -> Any:
        def body(state: Any, _: Any) -> Any:
            w, v, square, t = state
            at = w + ahead * momentum * v
            value, g = gradient(at, fixed)
            t = t + 1
            square = 0.999 * square + 0.001 * g**2
            first = 0.9 * v + 0.1 * g
            scaled = (first / (1 - 0.9**t)) / (jnp.sqrt(square / (1 - 0.999**t)) + 1e-8)
            moved = momentum * v - step * g
            v = jnp.where(adam, first, moved)
            w = jnp.where(adam, w - step * scaled, w + moved)
            return (w, v, square, t), (value, jnp.linalg.norm(g, axis=1), at)

        return jax.lax.scan(body, state, None, length=_CHUNK)

    program = jax.jit(chunk)
    w = jnp.tile(jnp.asarray(start), (4, 1))
    state, parts = (w, jnp.zeros_like(w), jnp.zeros_like(w), jnp.zeros(())), []
    for _ in range(-(-most // _CHUNK)):
        state, part = program(state, fixed)
        parts.append([np.asarray(x) for x in part])
        norm = parts[-1][1][-1]
        if np.all(~np.isfinite(norm) | (norm < 1e-9)):
            break
    value, norm, at = (np.concatenate(x) for x in zip(*parts, strict=True))
    count = np.arange(1, len(value) + 1)
    return {m: (value[:, i], norm[:, i], count, at[:, i]) for i, m in enumerate(FIRST_ORDER)}


def _leapfrog(
    loss: Callable[..., jax.Array], fixed: Any, start: np.ndarray, stiffest: float, num: int,
    seed: int,
) -> Path:  # fmt: skip
    """Trajectories of Hamiltonian Monte Carlo, leap by leap; a rejected one ends at its start.

    The number of leaps of a trajectory is uniform on 1 to 25, so that none returns for ever.
    """
    step = 1 / np.sqrt(stiffest)
    gradient = jax.value_and_grad(loss)

    def trajectory(state: Any, key: jax.Array) -> Any:
        w, fixed = state
        draw, count, accept = jax.random.split(key, 3)
        p = jax.random.normal(draw, w.shape)
        leaps = jax.random.randint(count, (), 1, _LEAPS + 1)
        value, g = gradient(w, fixed)
        energy = value + 0.5 * p @ p

        def leap(inner: Any, i: jax.Array) -> Any:
            at, p, value, g = inner
            half = p - 0.5 * step * g
            moved = at + step * half
            new, slope = gradient(moved, fixed)
            after = (moved, half - 0.5 * step * slope, new, slope)
            inner = jax.tree.map(lambda a, b: jnp.where(i < leaps, a, b), after, inner)
            return inner, (inner[2], jnp.linalg.norm(inner[3]), inner[0])

        (end, p, new, _), seen = jax.lax.scan(leap, (w, p, value, g), jnp.arange(_LEAPS))
        stays = jnp.log(jax.random.uniform(accept)) > energy - new - 0.5 * p @ p
        # nan where the objective is undefined: not accepted
        stays = stays | ~jnp.isfinite(new)
        return (jnp.where(stays, w, end), fixed), (seen, leaps, value, jnp.linalg.norm(g), w)

    keys = jax.random.split(jax.random.key(seed), num)
    _, (seen, leaps, *first) = jax.jit(lambda w, fixed: jax.lax.scan(trajectory, (w, fixed), keys))(
        jnp.asarray(start), fixed
    )
    # the start of each trajectory, then the leaps that it made
    made = np.arange(_LEAPS) < np.asarray(leaps)[:, None]
    kept = np.concatenate([np.ones((num, 1), dtype=bool), made], axis=1)
    value, norm, w = (
        np.concatenate([np.asarray(a)[:, None], np.asarray(b)], axis=1)[kept]
        for a, b in zip(first, seen, strict=True)
    )
    return value, norm, np.arange(1, len(value) + 1), w


def _row(method: str, run: Run, predicted: float, floor: float) -> dict[str, Any]:
    """Iterations and gradients until near for good, and the observed rate."""
    finite = np.isfinite(run.distance)
    far = np.flatnonzero(~(run.distance <= _NEAR))
    first = int(far[-1]) + 1 if far.size else 0
    arrived = first < len(run.distance)
    if arrived:
        reason = ""
    elif not finite.all() or run.distance[-1] > 10 * _START:
        reason = "diverged: its step is for the curvature at the maximum, the start has more"
    else:
        reason = f"still {run.distance[-1]:.2g} standard errors away after {len(finite)} iterations"
    return {
        "method": method,
        "iterations": float(first) if arrived else np.nan,
        "gradients": float(run.gradients[first]) if arrived else np.nan,
        "rate": _rate(run.distance, floor) if method in FIRST_ORDER else np.nan,
        "predicted": predicted,
        "reason": reason,
    }


def _rate(distance: np.ndarray, floor: float) -> float:
    """Share of the distance kept at each step, over the last half before rounding."""
    low = np.flatnonzero(~(distance > floor))
    end = int(low[0]) if low.size else len(distance)
    at = np.arange(end // 2, end)
    if at.size < 4:
        return np.nan
    return float(np.exp(np.polyfit(at, np.log(distance[at]), 1)[0]))


def _plane(height: Callable[[np.ndarray], np.ndarray], stiff: np.ndarray) -> pd.DataFrame:
    """The objective over the plane of the two stiffest directions, through the maximum."""
    if stiff.shape[1] < 2:
        return pd.DataFrame()
    t = np.linspace(-1.2 * _START, 1.2 * _START, _GRID)
    a, b = np.meshgrid(t, t, indexing="ij")
    # stiff has columns q sqrt(l): a step of one standard error along q is q / sqrt(l)
    back = stiff / np.sum(stiff**2, axis=0)
    points = np.stack([a.ravel(), b.ravel()], axis=1) @ back.T
    return pd.DataFrame(height(points).reshape(a.shape), index=t, columns=t)
