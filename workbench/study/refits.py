r"""Many refits of one model in one compiled program.

Each replicate :math:`b` has its own objective: by cases, with multinomial counts
:math:`w^{(b)}` of the rows,

.. math:: \ell^{(b)}(\theta) = \sum_i w_i^{(b)} \log p(y_i \mid \theta),

so that shapes stay fixed (the counts of whole groups of rows, where rows of a group are not
independent); parametric, the log-likelihood (marginal over random effects) at
observations drawn from the model at the estimate. All start at the estimate, in coordinates in
which the information there is the identity (:mod:`workbench.fit.scaling`), climb by L-BFGS and
end with one Newton step. There the information of a replicate is near the identity too; where
it has vanished in some direction, the replicate has no finite estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from workbench.errors import FitError
from workbench.fit.compilation import compiled
from workbench.fit.covariance import group_codes
from workbench.fit.objective import Objective
from workbench.fit.optimiser import lbfgs
from workbench.fit.scaling import rescale
from workbench.fit.terms import term_vector
from workbench.model import Density
from workbench.model.marginal import Marginal
from workbench.model.simulation import with_observations, without_observations
from workbench.study.units import units_of

Kind = Literal["cases", "parametric"]
_ELEMENTS = 2**19  # numbers held at once for each row of a batch of replicates
_NEAR = 1e-4  # standard errors from the maximum, of which one Newton step leaves the square
_SMALL = 1e-4  # Newton decrement, nats: a hundredth of a standard error
_VANISHED = 1e-4  # information of a replicate, as a share of that at the estimate


@dataclass(frozen=True, kw_only=True)
class Refits:
    """Estimates of B replicates (P parameters, Q terms).

    Attributes
    ----------
    theta : numpy.ndarray
        Unconstrained parameters, shape (B, P).
    terms : numpy.ndarray
        Values of the terms, shape (B, Q).
    score : numpy.ndarray
        Gradient of each replicate's objective at the estimate, shape (B, P).
    decrement : numpy.ndarray
        Newton decrement after the last step, nats, shape (B,).
    least_information : numpy.ndarray
        Smallest eigenvalue of each replicate's information in units of that at the estimate,
        shape (B,).
    """

    theta: np.ndarray
    terms: np.ndarray
    score: np.ndarray
    decrement: np.ndarray
    least_information: np.ndarray

    @property
    def outcomes(self) -> list[str]:
        """Why each replicate has no estimate ("" where it has one)."""
        finite = np.isfinite(self.terms).all(axis=1) & np.isfinite(self.least_information)
        outcome = np.where(
            ~finite,
            "the likelihood is not finite",
            np.where(
                self.least_information < _VANISHED,
                "no finite estimate: the likelihood is flat along a direction",
                np.where(~(self.decrement < _SMALL), "not converged", ""),
            ),
        )
        return [str(x) for x in outcome]


def num_cases(density: Density) -> int:
    """Number of rows that can be resampled: the first axis of the observed log densities.

    Raises
    ------
    FitError
        Where there are no independent rows: random effects, a factor, one observation, or
        observed sites of different lengths.
    """
    name = density.model.name
    if density.coordinates("random effect").size:
        raise FitError(
            f"model '{name}' has random effects, so its rows are not independent cases: expected "
            "kind='parametric'"
        )
    units = units_of(density)
    if units.reason:
        raise FitError(f"{units.reason}: expected kind='parametric'")
    return units.num


def refit(
    objective: Objective,
    theta: np.ndarray,
    *,
    kind: Kind,
    num: int,
    key: jax.Array,
    groups: Any = None,
) -> Refits:
    """Refit a model to B resampled or simulated data sets.

    Parameters
    ----------
    objective : Objective
        The log-likelihood that was maximised.
    theta : numpy.ndarray
        Where, shape (P,).
    kind : {"cases", "parametric"}
        How replicates are made.
    num : int
        Number of replicates B.
    key : jax.Array
        Random key.
    groups : array_like, optional
        Label of each row, shape (N,): rows of one label are drawn together.

    Returns
    -------
    Refits
        From one compiled program; replicates run in batches that keep memory small.
    """
    density = objective.density
    scale = rescale(objective, theta)
    rows = max(density.num_observations, 1)
    batch = int(np.clip(_ELEMENTS // (rows * max(theta.size, 1)), 1, num))
    units = members = None
    if kind == "cases":
        units = num_cases(density)
        members = np.arange(units)
        if groups is not None:
            members, units = group_codes(groups, units)
    program = _refits(objective, kind, units)
    keys = jax.random.split(key, num)
    padded = jnp.concatenate([keys, jnp.repeat(keys[:1], -num % batch)]).reshape(-1, batch)
    out = program(padded, jnp.asarray(theta), jnp.asarray(scale), density.arrays, members)
    flat = {k: np.asarray(v, dtype=float) for k, v in out.items()}
    return Refits(**{k: v.reshape(-1, *v.shape[2:])[:num] for k, v in flat.items()})


@compiled
def _refits(objective: Objective, kind: Kind, units: int | None) -> Callable[..., Any]:
    """Compiled refits: keys in batches, the estimate, its scale, the data and the members.

    By cases, ``units`` is the number of rows or groups to draw, and the members say which of them
    each row belongs to.
    """
    density = objective.density
    make, replicate = _parametric(objective) if units is None else _cases(objective, units)
    effects = jnp.zeros(objective.effects.size)

    def program(
        keys: jax.Array, centre: jax.Array, scale: jax.Array, arrays: Any, members: Any
    ) -> Any:
        def one(key: jax.Array) -> dict[str, jax.Array]:
            made = make(key, centre, arrays, members)

            def in_theta(t: jax.Array, _: Any) -> jax.Array:
                return replicate(t, made, arrays)

            reached = lbfgs(in_theta, centre[None], scale[None], arrays, _NEAR)[0][0]

            def gradient(w: jax.Array) -> tuple[jax.Array, jax.Array]:
                g = jax.grad(lambda v: in_theta(reached + scale @ v, arrays))(w)
                return g, g

            hessian, g = density.jacobian(gradient, has_aux=True)(jnp.zeros_like(centre))
            information = -0.5 * (hessian + hessian.T)
            move = jnp.linalg.solve(information, g)
            end = reached + scale @ move
            return {
                "theta": end,
                "terms": term_vector(density, objective.place(end, effects), arrays),
                "score": jax.grad(in_theta)(centre, arrays),
                "decrement": g @ move,
                "least_information": jnp.linalg.eigvalsh(information)[0],
            }

        return jax.lax.map(jax.vmap(one), keys)

    return jax.jit(program)


Make = Callable[[jax.Array, jax.Array, Any, Any], Any]
Replicate = Callable[[jax.Array, Any, Any], jax.Array]


def _cases(objective: Objective, units: int) -> tuple[Make, Replicate]:
    """Multinomial counts of the rows or groups, and the log-likelihood weighted by them."""
    density = objective.density
    rows = num_cases(density)

    def make(key: jax.Array, centre: jax.Array, arrays: Any, members: jax.Array) -> jax.Array:
        drawn = jax.random.randint(key, (units,), 0, units)
        return jnp.bincount(drawn, length=units)[members]

    def replicate(theta: jax.Array, counts: jax.Array, arrays: Any) -> jax.Array:
        z = objective.place(theta, jnp.zeros(0))
        each = density.pointwise_log_likelihood(z, arrays).values()
        by_row = sum((x.reshape(rows, -1).sum(axis=1) for x in each), start=jnp.zeros(rows))
        return counts @ by_row

    return make, replicate


def _parametric(objective: Objective) -> tuple[Make, Replicate]:
    """Observations drawn at the estimate (random effects anew), and the likelihood at them."""
    density, q = objective.density, objective.effects.size
    names = density.names("observed")
    parameters = density.names("parameter")
    if density.names("factor") or not names:
        raise FitError(
            f"the likelihood of model '{density.model.name}' is a numpyro.factor, from which no "
            "observations can be drawn: expected observed sites alone"
        )

    def make(key: jax.Array, centre: jax.Array, arrays: Any, _: Any) -> dict[str, jax.Array]:
        found = density.evaluate(objective.place(centre, jnp.zeros(q)), arrays)
        fixed = {n: found.values[n] for n in parameters}
        fn = handlers.seed(without_observations(density, arrays), key)
        trace = handlers.trace(handlers.substitute(fn, data=fixed)).get_trace()
        kinds = {n: found.observations[n].dtype for n in names}
        return {n: jnp.asarray(trace[n]["value"], dtype=kinds[n]) for n in names}

    def joint(theta: jax.Array, u: jax.Array, data: Any) -> jax.Array:
        drawn, arrays = data
        here = Objective(density=with_observations(density, drawn), method="MLE")
        return here.log_joint(theta, u, arrays)

    if q == 0:
        return make, lambda theta, drawn, arrays: joint(theta, jnp.zeros(0), (drawn, arrays))
    marginal = Marginal(log_joint=joint, num_effects=q, blocks=objective.marginal.blocks)
    return make, lambda theta, drawn, arrays: marginal.log_marginal(theta, (drawn, arrays))
