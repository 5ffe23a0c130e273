r"""The score: the derivative of the log-likelihood, its zero, its error, and what each row adds.

The score :math:`U(z) = \nabla \ell(z) = \sum_i s_i(z)` is zero at a maximum, where its own
derivative is minus the observed information J. Automatic differentiation gives it to rounding
error. Finite differences along a direction,

.. math:: \frac{\ell(z + h) - \ell(z)}{h} = U + O(h) + O(\epsilon / h), \qquad
          \frac{\ell(z + h) - \ell(z - h)}{2h} = U + O(h^2) + O(\epsilon / h),

have an error of truncation, which falls with the step h, and one of rounding, which rises.

Without row i the score at the estimate is :math:`-s_i`, and to first order the estimate moves by

.. math:: \hat z_{-i} - \hat z = -J^{-1} s_i ,

the influence of the row; the difference from a refit is of second order (:math:`1/n^2`, where the
change itself is of order :math:`1/n`).

References
----------
Cox and Hinkley (1974), Theoretical Statistics, section 4.8, doi:10.1007/978-1-4899-2887-0;
Cook and Weisberg (1982), Residuals and Influence in Regression, section 5.2; Nocedal and Wright
(2006), Numerical Optimization, section 8.1, doi:10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from workbench.errors import UsageError
from workbench.fit import ModeFit, fit_mle
from workbench.fit.objective import Objective
from workbench.fit.rows import row_index, row_scores, without_row_scores
from workbench.model import Density, Model, read_density
from workbench.study.instrument import Keep, require_regular, start_anew, subject

_REACH = 3.0  # standard errors of the curve to each side
_STEPS = 10.0 ** np.arange(-12, 0.5, 0.5)  # of finite differences, standard errors
_NEWTON = 12
_NEAR = 1e-8  # Newton decrement, nats
_FLAT = 1e-4  # nats per standard error: what counts as zero


@dataclass(frozen=True, kw_only=True, eq=False)
class Score:
    """The score of a likelihood at and around its maximum (P coordinates).

    Attributes
    ----------
    name : str
        Model and data.
    coordinate : str
        Of the curve and of the influence.
    table : pandas.DataFrame
        Index coordinate: ``estimate``, ``score`` there, ``off`` (the score one standard error
        above in this coordinate), ``finite_difference`` (central, there too), in nats per standard
        error, and ``error``, their difference.
    curve : pandas.DataFrame
        Along the coordinate: ``at`` (standard errors from the estimate), ``value`` (of z),
        ``log_likelihood`` (nats below the maximum) and ``score`` (nats per standard error).
    differences : pandas.DataFrame
        Index ``step`` (standard errors): error of ``forward`` and ``central`` differences for the
        score one standard error above the estimate, nats per standard error.
    influence : pandas.DataFrame
        By row: ``score`` (nats per standard error), ``first_order`` and ``refit`` change of the
        coordinate by leaving the row out, standard errors; empty where rows are not independent.
    reason : str
        Why it is empty.

    Examples
    --------
    >>> table = pd.DataFrame({"estimate": [1.0], "score": [1e-12], "off": [-1.0],
    ...                       "finite_difference": [-1.0], "error": [1e-9]}, index=["mu"])
    >>> found = Score(name="m-d", coordinate="mu", table=table, curve=pd.DataFrame(),
    ...               differences=pd.DataFrame({"forward": [1e-7], "central": [1e-10]},
    ...                                        index=[1e-5]),
    ...               influence=pd.DataFrame(), reason="")
    >>> found.sentences[0]
    'At the estimate the score is zero to 1e-12 nats per standard error.'
    """

    name: str
    coordinate: str
    table: pd.DataFrame
    curve: pd.DataFrame
    differences: pd.DataFrame
    influence: pd.DataFrame
    reason: str

    @property
    def trusted(self) -> bool:
        """Whether the score is zero at the estimate."""
        return bool(self.table["score"].abs().max() < _FLAT)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        said = [
            f"At the estimate the score is zero to {self.table['score'].abs().max():.2g} nats per "
            "standard error."
        ]
        best = self.differences.abs().agg(["min", "idxmin"])
        said.append(
            "Finite differences agree with automatic ones to "
            + ", ".join(
                f"{best.loc['min', kind]:.1g} at a step of {best.loc['idxmin', kind]:.1g} ({kind})"
                for kind in self.differences
            )
            + "; smaller steps lose digits to rounding, larger ones to truncation."
        )
        if len(self.influence):
            changed = self.influence["refit"]
            if changed.notna().any():
                most = changed.abs().idxmax()
                row = self.influence.loc[most]
                said.append(
                    f"Leaving out row {most} moves {self.coordinate} most: {row['refit']:.3g} "
                    f"standard errors, {row['first_order']:.3g} by its score."
                )
        else:
            said.append(f"No influence of rows: {self.reason}.")
        return tuple(said)


def score(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    coordinate: str | None = None,
    mle: ModeFit | None = None,
    keep: Keep = start_anew,
    on_stage: Callable[[str], None] | None = None,
) -> Score:
    """Compute the score at and around the maximum, by rows, and check it by differences and refits.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the fit, and of the rows that are left out.
    quick : bool
        Leave out at most 50 rows instead of 500: half of them the most influential, half at random.
    coordinate : str, optional
        Label of an unconstrained parameter, such as ``log(sigma)``; the last by default.
    mle : ModeFit, optional
        Maximum likelihood fit of the same model; made when not given.
    keep : callable, optional
        Keeps finished parts, see :data:`workbench.study.instrument.Keep`.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Score
        A refit that finds no maximum is ``nan``.

    Raises
    ------
    FitError
        When the likelihood has no regular maximum.
    UsageError
        When the coordinate is unknown.

    Examples
    --------
    Leaving a row out of a mean moves it by (mean - y) / (n - 1), to first order (mean - y) / n:

    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> found = score(normal, {"y": [1.0, 2.0, 3.0, 6.0]}, quick=True)
    >>> (found.influence[["first_order", "refit"]] / 2).round(9).iloc[-1].tolist()  # se 1/2
    [-0.75, -1.0]
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    tell = on_stage or (lambda _: None)
    tell("MLE")
    best = mle if mle is not None else fit_mle(density, seed=seed)
    require_regular(best, density, "score expects a regular maximum of the likelihood; that")
    objective = Objective(density=density, method="MLE")
    labels = [density.z_labels[i] for i in objective.free]
    if coordinate is not None and coordinate not in labels:
        raise UsageError(f"coordinate expects one of {', '.join(labels)}; got '{coordinate}'")
    j = labels.index(coordinate) if coordinate is not None else len(labels) - 1
    centre = best.z[objective.free]
    sd = np.sqrt(np.diag(best.covariance)[objective.free])
    gradient = jax.jit(jax.value_and_grad(objective))

    def at(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [gradient(jnp.asarray(p), density.arrays) for p in points]
        return np.array([float(v) for v, _ in found]), np.stack([np.asarray(g) for _, g in found])

    tell("differences")
    off = centre + np.diag(sd)
    _, above = at(off)
    central = _central(objective, off, np.diag(sd), 1e-4)
    automatic = np.diag(above) * sd
    t = np.linspace(-_REACH, _REACH, 61)
    fit, slope = at(centre + t[:, None] * sd[j] * np.eye(len(sd))[j])
    tell("leaving rows out")
    reason = without_row_scores(density)
    return Score(
        name=subject(density),
        coordinate=labels[j],
        table=pd.DataFrame(
            {
                "estimate": centre,
                "score": at(centre[None])[1][0] * sd,
                "off": automatic,
                "finite_difference": central,
                "error": central - automatic,
            },
            index=pd.Index(labels, name="coordinate"),
        ),
        curve=pd.DataFrame(
            {
                "at": t,
                "value": centre[j] + t * sd[j],
                "log_likelihood": fit - best.log_objective,
                "score": slope[:, j] * sd[j],
            }
        ),
        differences=_differences(objective, off[j], sd[j] * np.eye(len(sd))[j], automatic[j]),
        influence=pd.DataFrame()
        if reason
        else _influence(density, best, j, sd[j], 50 if quick else 500, seed, keep),
        reason=reason,
    )


def _central(
    objective: Objective, points: np.ndarray, directions: np.ndarray, step: float
) -> np.ndarray:
    """Central difference at each point along its direction."""
    ends = np.concatenate([points + step * directions, points - step * directions])
    up, down = objective.values_at(ends).reshape(2, -1)
    return (up - down) / (2 * step)


def _differences(
    objective: Objective, point: np.ndarray, direction: np.ndarray, exact: float
) -> pd.DataFrame:
    """Error of finite differences along a direction, for every step."""
    ends = point + np.outer(np.concatenate([_STEPS, -_STEPS, [0.0]]), direction)
    values = objective.values_at(ends)
    up, down, here = values[: len(_STEPS)], values[len(_STEPS) : -1], values[-1]
    return pd.DataFrame(
        {"forward": (up - here) / _STEPS - exact, "central": (up - down) / (2 * _STEPS) - exact},
        index=pd.Index(_STEPS, name="step"),
    )


def _influence(
    density: Density, best: ModeFit, j: int, sd: float, most: int, seed: int, keep: Keep
) -> pd.DataFrame:
    """First-order and refitted change of coordinate j by leaving out rows."""
    scores = row_scores(density, best.z)
    first = -(scores @ best.covariance)[:, j] / sd
    chosen = np.argsort(-np.abs(first))
    if len(chosen) > most:
        rest = np.random.default_rng(seed).permutation(chosen[most // 2 :])
        chosen = np.concatenate([chosen[: most // 2], rest[: most - most // 2]])
    chosen = np.sort(chosen)
    program = _refits(density, best, len(scores))
    made = keep("rows left out", lambda: {
        "z": np.asarray(program(jnp.asarray(chosen), density.arrays))
    })  # fmt: skip
    table = pd.DataFrame(
        {"score": scores[:, j] * sd, "first_order": first}, index=row_index(density, len(scores))
    ).iloc[chosen]
    return table.assign(refit=(made["z"][:, j] - best.z[j]) / sd)


def _refits(density: Density, best: ModeFit, size: int) -> Callable[..., jax.Array]:
    """Compiled: the maximum without each of some rows, by Newton's method from that of all."""
    centre = jnp.asarray(best.z)
    scale = jnp.sqrt(jnp.diag(jnp.asarray(best.covariance)))

    def without(w: jax.Array, i: jax.Array, arrays: Any) -> jax.Array:
        found = density.pointwise_log_likelihood(centre + scale * w, arrays)
        every = jnp.concatenate([jnp.ravel(found[n]) for n in density.names("observed")])
        # a row of likelihood 0 at a step that leaps must not make a nan of 0 times infinity
        return jnp.sum(jnp.where(jnp.arange(size) == i, 0.0, every))

    def one(i: jax.Array, arrays: Any) -> jax.Array:
        def newton(_: Any, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            w, _ = state
            g = jax.grad(without)(w, i, arrays)
            move = jnp.linalg.solve(-density.jacobian(jax.grad(without))(w, i, arrays), g)
            return w + move, g @ move

        first = jnp.zeros_like(centre), jnp.asarray(jnp.inf)
        w, decrement = jax.lax.fori_loop(0, _NEWTON, newton, first)
        return jnp.where(jnp.abs(decrement) < _NEAR, centre + scale * w, jnp.nan)

    return jax.jit(lambda rows, arrays: jax.lax.map(lambda i: one(i, arrays), rows))
