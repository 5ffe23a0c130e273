"""The terms of a fit as functions of its parameters.

A term is one scalar of the table: a coordinate, a derived site, an estimand. Its value follows
from z. A term that moves with a random effect is *predicted* and not estimated: it has no
likelihood of its own, so that profiles and bootstrap intervals leave it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.errors import FitError, UsageError
from workbench.fit.compilation import compiled
from workbench.model import Density

if TYPE_CHECKING:
    from workbench.fit.mode import ModeFit

PREDICTED = (
    "predicted, not estimated: the term moves with a random effect, which has no likelihood of "
    "its own"
)


def require_mle(fit: ModeFit, what: str) -> Density:
    """The density of a maximum likelihood fit, or an error that says what needs one.

    Parameters
    ----------
    fit : ModeFit
        Any mode fit.
    what : str
        What is asked for, such as ``a profile likelihood``.

    Returns
    -------
    Density
        The model at its data.

    Raises
    ------
    FitError
        For a posterior mode, or a fit that was loaded without its model.
    """
    if fit.method != "MLE":
        raise FitError(
            f"{what} is a property of the likelihood: expected a fit by fit_mle; got {fit.method}"
        )
    return fit.require_density()


def require_level(level: float) -> None:
    """Refuse a level outside (0, 1)."""
    if not 0 < level < 1:
        raise UsageError(f"level expects a number between 0 and 1; got {level}")


def term_vector(density: Density, z: jax.Array, arrays: Mapping[str, Any]) -> jax.Array:
    """Values of all terms at z, shape (Q,), in the order of ``ModeFit.estimates``."""
    found = density.estimands(density.constrain(z, arrays), arrays)
    return jnp.concatenate([jnp.ravel(v) for v in found.values()])


@compiled
def term_programs(density: Density) -> tuple[Callable[..., jax.Array], Callable[..., jax.Array]]:
    """Compiled terms at z, shape (Q,), and their Jacobian, shape (Q, D)."""
    terms = partial(term_vector, density)
    return jax.jit(terms), jax.jit(density.jacobian(terms))


def term_jacobian(density: Density, z: np.ndarray) -> np.ndarray:
    """Derivative of the terms in z, shape (Q, D)."""
    return np.asarray(term_programs(density)[1](jnp.asarray(z), density.arrays))


def predicted_terms(fit: ModeFit) -> np.ndarray:
    """Which terms of a fit move with a random effect, shape (Q,)."""
    return moved_by_effects(fit.require_density(), fit.z)


def moved_by_effects(density: Density, z: np.ndarray) -> np.ndarray:
    """Which terms at z move with a random effect, shape (Q,)."""
    effects = density.coordinates("random effect")
    program = term_programs(density)[0]
    moved = z.copy()
    moved[effects] += 1.0 + np.arange(effects.size) / max(effects.size, 1)  # a generic direction
    here, there = (np.asarray(program(x, density.arrays)) for x in (z, moved))
    return here != there
