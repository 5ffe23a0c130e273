r"""Where an optimiser starts: boxes in the likelihood's own units, or draws from the prior.

With :math:`c_j` the change of coordinate j that moves the parameters of the observed sites by
about one (:mod:`workbench.fit.scaling`), the box is :math:`\prod_j (-2 c_j, 2 c_j)`. A Latin
hypercube has one point in each of n slices of every coordinate (McKay, Beckman and Conover 1979,
doi:10.1080/00401706.1979.10489755).
"""

from __future__ import annotations

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from scipy.stats import qmc

from workbench.errors import FitError
from workbench.fit.batches import host_random
from workbench.fit.objective import Objective
from workbench.model.simulation import without_observations
from workbench.model.sites import transform_of

StartKind = Literal["scales", "prior", "latin hypercube"]


def draw_starts(
    objective: Objective, key: jax.Array, unit: np.ndarray, num: int, kind: StartKind
) -> np.ndarray:
    """Draw starting points for the parameters.

    Parameters
    ----------
    objective : Objective
        What will be maximised.
    key : jax.Array
        Random key.
    unit : numpy.ndarray
        Change of each coordinate that moves the observed parameters by about one, shape (P,).
    num : int
        How many.
    kind : str
        ``scales``, ``latin hypercube`` or ``prior``.

    Returns
    -------
    numpy.ndarray
        Shape (num, P), unconstrained.

    Raises
    ------
    FitError
        For another kind, or where the prior cannot be drawn from.
    """
    if kind not in get_args(StartKind):
        raise FitError(f"starts expects one of {', '.join(get_args(StartKind))}; got '{kind}'")
    if num == 0:
        return np.zeros((0, unit.size))
    if kind == "prior":
        return _from_prior(objective, key, num)
    if kind == "scales":
        return host_random(key).uniform(-2, 2, (num, unit.size)) * unit
    seed = host_random(key)
    return (4 * qmc.LatinHypercube(d=unit.size, seed=seed).random(num) - 2) * unit


def _from_prior(objective: Objective, key: jax.Array, num: int) -> np.ndarray:
    """Prior draws of the parameters, mapped to unconstrained space."""
    density, names = objective.density, objective.density.names("parameter")
    improper = [x.name for x in density.latents if x.improper]
    if improper:
        raise FitError(
            f"starts='prior' expects a prior that can be drawn from; site '{improper[0]}' of model "
            f"'{density.model.name}' has a flat one"
        )

    def one(key: jax.Array) -> jax.Array:
        fn = handlers.seed(without_observations(density), key)
        trace = handlers.trace(fn).get_trace()
        parts = [transform_of(trace[n]).inv(trace[n]["value"]) for n in names]
        return jnp.concatenate([jnp.ravel(x) for x in parts])

    try:
        return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(key, num)))
    except (NotImplementedError, AttributeError, TypeError) as err:
        raise FitError(
            f"starts='prior' expects a prior that can be drawn from; drawing from that of model "
            f"'{density.model.name}' says: {str(err).splitlines()[0] if str(err) else 'improper'}"
        ) from err
