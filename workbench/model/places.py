"""Entries of an array at fixed places, by slices where the places lie in few runs.

The derivative of an entry taken by its index is a scatter, which XLA on the CPU does not compile
into a loop: a sampler's loops around one are then run operation by operation instead of as one
compiled function. The derivative of a slice is a padding.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_MOST_RUNS = 8


def take(v: jax.Array, places: np.ndarray) -> jax.Array:
    """Entries of the last axis at fixed places.

    Parameters
    ----------
    v : jax.Array
        Shape (..., q).
    places : numpy.ndarray
        Integers from 0 to q - 1, shape (K,).

    Returns
    -------
    jax.Array
        Shape (..., K).

    Examples
    --------
    >>> take(jnp.array([5.0, 6.0, 7.0, 8.0]), np.array([3, 0, 1])).tolist()
    [8.0, 5.0, 6.0]
    """
    runs = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)
    if places.size == 0 or len(runs) > _MOST_RUNS:
        return v[..., places]
    found = [lax.slice_in_dim(v, int(r[0]), int(r[-1]) + 1, axis=-1) for r in runs]
    return jnp.concatenate(found, axis=-1) if len(found) > 1 else found[0]
