r"""Posterior means at many widths of a prior, by importance sampling about each mode.

With draws :math:`\theta_s` of a Student t about the mode in unconstrained space, of density
:math:`t`, and :math:`w_s = p(\theta_s \mid y) / t(\theta_s)`,

.. math:: E[g(\theta) \mid y] \approx \sum_s w_s\, g(\theta_s) \,/\, \sum_s w_s .

The Pareto k of the weights tells where that is not to be believed: there is then no mean.

References
----------
Vehtari et al. (2024), JMLR 25(72):1-58 (Pareto k).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.terms import moved_by_effects, term_vector
from workbench.study.instrument import Part
from workbench.study.parts import PARETO, student
from workbench.study.ridge import posterior
from workbench.study.units import Units


def posterior_means(
    units: Units, sites: tuple[str, ...], z: np.ndarray, widths: np.ndarray,
    modes: Mapping[str, np.ndarray], *, num: int, seed: int,
) -> Part:  # fmt: skip
    """Means of the terms at each width.

    Parameters
    ----------
    units : Units
        The independent parts of the data.
    sites : tuple of str
        Sites whose priors are scaled.
    z : numpy.ndarray
        Any point, shape (D,).
    widths : numpy.ndarray
        Shape (K,).
    modes : mapping of str to numpy.ndarray
        In unconstrained space, of :func:`workbench.study.ridge.ridge_modes`.
    num : int
        Draws at each width, a power of 2.
    seed : int
        Of the draws.

    Returns
    -------
    dict of str to numpy.ndarray
        ``means``, shape (K, Q), ``nan`` where the weights are not to be believed and for terms
        that move with a random effect; ``pareto_k``, shape (K,).

    Examples
    --------
    One observation at 1 of variance 1, priors of sd 1 and 3: the means are 1/2 and 9/10.

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> from workbench.study.ridge import Programs, ridge_modes
    >>> from workbench.study.units import units_of
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> units, widths = units_of(read_density(normal, {"y": 1.0})), np.array([1.0, 3.0])
    >>> modes = ridge_modes(Programs(units, ("mu",), np.zeros(1)), np.zeros(1), 0)(widths, 1.0)
    >>> made = posterior_means(units, ("mu",), np.zeros(1), widths, modes, num=2048, seed=0)
    >>> made["means"].round(2).tolist()
    [[0.5], [0.9]]
    """
    from workbench import az

    density, objective = units.density, units.objective
    own = np.flatnonzero(~moved_by_effects(density, z))
    x, log_t = student(objective.free.size, num, seed)

    def program(points: jax.Array, width: Any, arrays: Any) -> tuple[jax.Array, jax.Array]:
        def one(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
            place = objective.place(theta, jnp.zeros(objective.effects.size))
            value = posterior(units, sites, theta, width, 1.0, 1.0, arrays)
            return value, term_vector(density, place, arrays)[own]

        return jax.lax.map(one, points, batch_size=256)

    compiled = jax.jit(program)
    means = np.full((len(widths), modes["terms"].shape[1]), np.nan)
    k = np.full(len(widths), np.nan)
    for i, width in enumerate(widths):
        if not modes["regular"][i]:
            continue
        points = modes["theta"][i] + x @ modes["root"][i].T
        value, terms = (np.asarray(v) for v in compiled(points, width, density.arrays))
        ratio = np.where(np.isnan(value), -np.inf, value - log_t)
        k[i] = az.pareto_k(ratio)
        if k[i] < PARETO:
            weight = np.exp(ratio - ratio.max())
            means[i, own] = weight @ terms / weight.sum()
    return {"means": means, "pareto_k": k}
