"""Memory that has been freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

import jax

_THRESHOLD = -3  # the name of this setting in malloc.h: M_MMAP_THRESHOLD
_LARGE = 2**26  # bytes of data
_OWN = 2**20  # bytes from which a block is taken from the system for itself, and given back


def return_freed_memory(arrays: Any) -> None:
    """Have the C library give back what is freed, now and from now on, where data are large.

    Glibc keeps freed blocks of up to 32 MiB for later, and what lies between used ones. After the
    compiler, and after work on vectors as long as large data, that can be as much as the data;
    to ask for it anew costs time, so that smaller data leave it as it is.

    Parameters
    ----------
    arrays : pytree
        The data, or their shapes (:func:`are_large`).

    Examples
    --------
    >>> import numpy as np
    >>> return_freed_memory({"x": np.zeros(10)})
    """
    library = _glibc() if are_large(arrays) else None
    if library is not None:
        library.mallopt(_THRESHOLD, _OWN)
        library.malloc_trim(0)


def are_large(arrays: Any) -> bool:
    """Whether data, or their shapes, are of 64 MiB or more: memory goes before speed."""
    leaves = jax.tree_util.tree_leaves(arrays)
    return sum(x.size * x.dtype.itemsize for x in leaves if hasattr(x, "dtype")) >= _LARGE


@cache
def _glibc() -> Any:
    """The C library of this process, or ``None`` where it is another one."""
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    return library if hasattr(library, "malloc_trim") else None
