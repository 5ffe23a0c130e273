r"""The independent parts of a data set, and what each adds to the log-likelihood.

Without random effects the parts are the rows. With them they are the groups g that share no
effect: all rows of a group, and its effects, which are integrated out by Laplace's method,

.. math:: \ell_g(\theta) = f_g(\theta, \hat u_g) + \tfrac{q_g}2 \log 2\pi
          - \tfrac12 \log\det H_g(\theta),

with :math:`f_g` the terms of the log joint density that see an effect of g
(:mod:`workbench.model.marginal`); a row that sees no effect is a part of its own. Then
:math:`\ell = \sum_g w_g \ell_g` is the log-likelihood of a part of the data, or of a resampled one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.objective import Objective
from workbench.model import Density
from workbench.model.evaluation import elements
from workbench.model.marginal import Marginal
from workbench.model.simulation import with_observations
from workbench.model.triangular import cholesky, half_log_det


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """Independent parts of a data set (K parts, P parameters).

    Attributes
    ----------
    objective : Objective
        The log-likelihood (marginal over random effects) of all of them.
    num : int
        K; 1 where the data cannot be taken apart.
    kind : str
        ``rows`` or ``groups``.
    reason : str
        Why there is only one part ("" where there are several).
    of_term : numpy.ndarray
        Part of each term of the log joint density, -1 where it belongs to none; empty without
        random effects.
    """

    objective: Objective
    num: int
    kind: str
    reason: str
    of_term: np.ndarray

    @property
    def density(self) -> Density:
        """The model at its data."""
        return self.objective.density

    def log_likelihood(self, theta: jax.Array, arrays: Any, drawn: Any = None) -> jax.Array:
        """Log-likelihood of each part, shape (K,), nats.

        Parameters
        ----------
        theta : jax.Array
            Unconstrained parameters, shape (P,).
        arrays : mapping
            Data in the form of ``density.arrays``.
        drawn : dict of str to jax.Array, optional
            Other observations by site.
        """
        if self.objective.effects.size:
            return self._by_group(theta, arrays, drawn)
        density = self._observing(drawn).density
        found = density.evaluate(self.objective.place(theta, jnp.zeros(0)), arrays).log_probs
        if self.num == 1:
            return density.sum_by_role(found).log_likelihood[None]
        each = (found[n].reshape(self.num, -1).sum(axis=1) for n in density.names("observed"))
        return sum(each, start=jnp.zeros(self.num))

    def log_prior(self, theta: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array]:
        """Log prior and log Jacobian of the parameters, nats."""
        return log_prior(self.density, self.objective.free, theta, arrays)

    def _observing(self, drawn: Any) -> Objective:
        """The log-likelihood of other observations."""
        if drawn is None:
            return self.objective
        return Objective(density=with_observations(self.density, drawn), method="MLE")

    @cached_property
    def _marginal(self) -> Marginal:
        """Integrates the effects out, at any observations."""
        return Marginal(
            log_joint=lambda theta, u, data: self._observing(data[1]).log_joint(theta, u, data[0]),
            num_effects=self.objective.effects.size,
            blocks=self.objective.groups.blocks,
        )

    def _by_group(self, theta: jax.Array, arrays: Any, drawn: Any) -> jax.Array:
        """Log marginal likelihood of each group, then of each row that sees no effect."""
        marginal, data = self._marginal, (arrays, drawn)
        if self.num == 1:
            return marginal.log_marginal(theta, data)[None]
        known = np.flatnonzero(self.of_term >= 0)
        u = marginal.mode(theta, data)
        terms = self._observing(drawn).terms(theta, u, arrays)[known]
        inside = jax.ops.segment_sum(terms, self.of_term[known], num_segments=self.num)
        factor = cholesky(marginal.information(theta, u, data))
        size = (marginal.blocks < marginal.num_effects).sum(axis=1)
        volume = 0.5 * np.log(2 * np.pi) * size - half_log_det(factor)
        return inside.at[: len(size)].add(volume)


def log_prior(
    density: Density, free: np.ndarray, theta: jax.Array, arrays: Any
) -> tuple[jax.Array, jax.Array]:
    """Log prior and log Jacobian of the parameters at positions ``free`` of z, nats."""
    found = density.evaluate(jnp.zeros(density.size).at[free].set(theta), arrays)
    effects = density.names("random effect")
    jacobian = (v for n, v in found.log_jacobian.items() if n not in effects)
    return density.sum_by_role(found.log_probs).log_prior, sum(jacobian, start=jnp.zeros(()))


def units_of(density: Density) -> Units:
    """Find the independent parts of a data set.

    Parameters
    ----------
    density : Density
        The model at its data.

    Returns
    -------
    Units
        One part, with the reason, where the likelihood is a ``numpyro.factor``, where there is
        one row or one group, or observed sites have other lengths.

    Examples
    --------
    Three rows in two groups:

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import Model, read_density
    >>> def pair(group, y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     with numpyro.plate("level", 2):
    ...         u = numpyro.sample("u", dist.Normal(mu, 1))
    ...     with numpyro.plate("obs", 3):
    ...         numpyro.sample("y", dist.Normal(u[group], 1), obs=y)
    >>> model = Model(name="pair", fn=pair, random_effects=("u",))
    >>> density = read_density(model, {"group": np.array([0, 1, 1]), "y": np.zeros(3)})
    >>> units = units_of(density)
    >>> units.num, units.kind
    (2, 'groups')
    >>> by_group = units.log_likelihood(jnp.zeros(1), density.arrays)
    >>> [round(float(x), 6) for x in by_group]  # N(0, 2), and two of N(0, 2) with covariance 1
    [-1.265512, -2.387183]
    """
    objective = Objective(density=density, method="MLE")
    name, none = density.model.name, np.zeros(0, dtype=int)

    def whole(reason: str) -> Units:
        kind = "groups" if objective.effects.size else "rows"
        return Units(objective=objective, num=1, kind=kind, reason=reason, of_term=none)

    if density.names("factor"):
        return whole(f"model '{name}' holds a numpyro.factor, which has no rows to take apart")
    if objective.effects.size:
        of_term = _parts_of_terms(objective)
        if of_term is None:
            return whole(
                f"the elements of model '{name}' see several random effects each, so that it has "
                "no separate groups"
            )
        if (num := int(of_term.max()) + 1) < 2:
            return whole(f"all random effects of model '{name}' meet in one group")
        return Units(objective=objective, num=num, kind="groups", reason="", of_term=of_term)
    shapes = jax.eval_shape(
        density.pointwise_log_likelihood, jnp.zeros(density.size), density.arrays
    )
    lengths = {n: (x.shape[0] if x.shape else 1) for n, x in shapes.items()}
    if len(set(lengths.values())) != 1 or min(lengths.values()) < 2:
        return whole(
            f"the observed sites of model '{name}' expect two or more rows in common to take "
            f"apart; got {', '.join(f'{n}: {v}' for n, v in lengths.items())}"
        )
    rows = next(iter(lengths.values()))
    return Units(objective=objective, num=rows, kind="rows", reason="", of_term=none)


def _parts_of_terms(objective: Objective) -> np.ndarray | None:
    """Part of each term: its group, or one of its own for an observation that sees no effect."""
    groups, density = objective.groups, objective.density
    if groups.of_term is None:
        return None
    observed: list[np.ndarray] = []

    def look(z: jax.Array) -> jax.Array:
        found = density.evaluate(z)
        for site in found.log_probs:
            here = site in density.names("observed")
            observed.append(np.full(elements(found, site).size, here))
        return z

    jax.eval_shape(look, jnp.zeros(density.size))
    seen = np.concatenate(observed)
    seen = np.concatenate([seen, np.zeros(groups.of_term.size - seen.size, dtype=bool)])
    of_term = groups.of_term.copy()
    alone = np.flatnonzero(seen & (of_term < 0))
    of_term[alone] = len(groups.blocks) + np.arange(alone.size)
    return of_term
