"""Compiled programs kept between runs, in the user's cache folder.

JAX's persistent compilation cache saves most of the time of a second run. It is on unless the
environment says ``WORKBENCH_CACHE=0``; ``JAX_COMPILATION_CACHE_DIR`` chooses another folder. An
unreadable or unwritable cache costs a warning, never a fit.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import jax


def cache_folder() -> Path:
    """The folder of compiled programs: the platform's place for caches.

    Examples
    --------
    >>> cache_folder().name
    'workbench'
    """
    if sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local")))
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "workbench"


@cache
def keep_compiled_programs() -> None:
    """Turn the persistent compilation cache on, once, unless told otherwise."""
    if os.environ.get("WORKBENCH_CACHE") == "0":
        return
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    # every program is worth keeping: the many small ones are most of a first run
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
