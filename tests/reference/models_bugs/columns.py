"""What every example needs: its columns, and the prior of a precision."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from ..cases import load_frame


def columns(case: str) -> dict[str, np.ndarray]:
    """The table of a case, a column each."""
    return {name: column.to_numpy() for name, column in load_frame("classic_bugs", case).items()}


def scale(name: str, size: int | None = None):
    """A standard deviation whose 1 / sd^2 is Gamma(0.001, 0.001); the site has the sd's name."""
    prior = dist.Gamma(0.001, 0.001)
    prior = prior if size is None else prior.expand([size]).to_event(1)
    precision = numpyro.sample(f"precision of {name}", prior)
    return numpyro.deterministic(name, 1 / jnp.sqrt(precision))
