"""Programs over many draws, a batch at a time: one compilation, and bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from workbench.fit.compilation import WIDE, compiled
from workbench.model import Density

_SIZES = (1024, 256, 50, 10, 2, 1)
_NUMBERS = 1_000_000  # in the sites of a batch


def batch_size(density: Density, most: int = 256) -> int:
    """How many draws are evaluated at once: fewer where a model's sites are large.

    ``most`` is 1024 where there are always so many.
    """
    numbers = sum(int(np.prod(s.shape, dtype=int)) for s in density.sites)
    return next((s for s in _SIZES if s <= most and s * numbers <= _NUMBERS), 1)


def in_batches(program: Callable[..., Any], size: int, rows: Any) -> Any:
    """Run a program over rows in batches of one size, the last one filled up.

    Parameters
    ----------
    program : callable
        Takes a batch of rows, gives arrays with a leading axis of that size.
    size : int
        Rows of a batch.
    rows : pytree of numpy.ndarray
        At least one row, along the first axis of each.

    Returns
    -------
    pytree of numpy.ndarray
        What the program gives for each row.

    Examples
    --------
    >>> in_batches(lambda x: 2 * x, 2, np.arange(3)).tolist()
    [0, 2, 4]
    """
    num = len(jax.tree_util.tree_leaves(rows)[0])
    blocks = []
    for start in range(0, num, size):
        # in numpy: JAX would compile a program for each length
        at = np.minimum(np.arange(start, start + size), num - 1)
        part = jax.tree_util.tree_map(lambda x, at=at: np.asarray(x)[at], rows)
        blocks.append(jax.tree_util.tree_map(np.asarray, program(part)))
    return jax.tree_util.tree_map(lambda *x: np.concatenate(x)[:num], *blocks)


def host_random(key: jax.Array, *stream: int) -> np.random.Generator:
    """NumPy's generator of a stream of a random key: no program is compiled for a few numbers."""
    return np.random.default_rng([*np.asarray(jax.random.key_data(key)).tolist(), *stream])


def random_keys(key: jax.Array, num: int, *stream: int) -> np.ndarray:
    """Data of a random key for each of ``num`` rows of a stream; more rows leave them as they are.

    Examples
    --------
    >>> few, more = (random_keys(jax.random.key(0), num) for num in (2, 3))
    >>> (few == more[:2]).all(), len(np.unique(more))
    (np.True_, 6)
    """
    words = jax.random.key_data(key).shape[-1]
    return host_random(key, *stream).integers(2**32, size=(num, words), dtype=np.uint32)


@compiled
def log_densities(density: Density) -> Callable[..., jax.Array]:
    """Compiled log density of a batch of points z, (B, D) to (B,)."""
    return jax.jit(jax.vmap(density.log_density, in_axes=(0, None)), compiler_options=WIDE)
