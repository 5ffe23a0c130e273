"""Memory that has been freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

_THRESHOLD = -3  # the name of this setting in malloc.h: M_MMAP_THRESHOLD
_OWN = 2**20  # bytes from which a block is taken from the system for itself, and given back


def return_freed_memory() -> None:
    """Have the C library give back what is freed, now and from now on, where it is glibc.

    It keeps freed blocks of up to 32 MiB for later, and what lies between used ones. After the
    compiler, and after work on vectors as long as large data, that can be as much as the data.

    Examples
    --------
    >>> return_freed_memory()
    """
    library = _glibc()
    if library is not None:
        library.mallopt(_THRESHOLD, _OWN)
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    """The C library of this process, or ``None`` where it is another one."""
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    return library if hasattr(library, "malloc_trim") else None
