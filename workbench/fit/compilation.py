"""Compiled programs: kept between calls by :func:`compiled`, and between runs on disk.

A program takes the data as arguments, so that one serves all data of one shape. JAX's persistent
compilation cache saves most of the time of a second run of Python. It is on unless the
environment says ``WORKBENCH_CACHE=0``; ``JAX_COMPILATION_CACHE_DIR`` chooses another folder. An
unreadable or unwritable cache costs a warning, never a fit.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import cache, lru_cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import jax

_KEPT = 16  # programs of one kind: an executable takes megabytes
_EMITTERS = "xla_cpu_use_fusion_emitters"

# Vectors of 512 bits, where the processor has them: a quarter less time for functions of rows.
WIDE: dict[str, str | bool] = {"xla_cpu_prefer_vector_width": "512"}
# XLA on the CPU makes one function of a loop over little memory only where no operation in it is
# handed to a library, as products of matrices are by default. (Other calls out of a loop are
# LAPACK's, scatters and sorts: a density that is to be sampled fast does without them.)
WHOLE_LOOPS = {**WIDE, "xla_cpu_experimental_ynn_fusion_type": ""}


class HasTwin(Protocol):
    """What programs are made for: a density, or an objective."""

    @property
    def twin(self) -> Any:
        """The one of its structure that holds no data."""
        ...


S = TypeVar("S", bound=HasTwin)
P = ParamSpec("P")
T = TypeVar("T")


def compiled(make: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Make programs once for all data of one structure, and keep them.

    Parameters
    ----------
    make : callable
        Takes a density or an objective, and hashable settings; returns ``jax.jit`` programs that
        take the data as arguments, in the form of ``density.arrays``. It is given the *twin*
        (:func:`workbench.model.structure.twin_of`), so that no data can be held by mistake.

    Returns
    -------
    callable
        The same function, which returns what it made before for the same structure and settings.

    Examples
    --------
    >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> @compiled
    ... def likelihood(density):
    ...     return jax.jit(lambda z, arrays: density.log_terms(z, arrays).log_likelihood)
    >>> def coin(y=None):
    ...     p = numpyro.sample("p", dist.Beta(1, 1))
    ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
    >>> one, other = (read_density(coin, {"y": y}) for y in ([1, 0], [1, 1]))
    >>> likelihood(one) is likelihood(other)
    True
    """
    kept = lru_cache(maxsize=_KEPT)(make)

    @wraps(make)
    def find(subject: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return kept(subject.twin, *args, **kwargs)

    return find  # pyright: ignore[reportReturnType]


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


@cache
def spare_modules() -> None:
    """Take what is loaded out of the garbage collector's rounds, once, before a first fit.

    Tracing makes many short-lived objects, and so sets off rounds that go through every object of
    JAX, NumPyro and SciPy: more than a tenth of a second each, for nothing.
    """
    gc.freeze()


@cache
def lean_options() -> dict[str, str | bool]:
    """How to compile loops over large data: in little memory.

    Such a loop is no one function but some hundred. JAX before 0.12 has two ways to make them, of
    which the older takes a sixth of the memory (27 in place of 160 MB for the sampler of a
    logistic regression); the functions then take a tenth more time. Later versions have the one.

    Returns
    -------
    dict
        Options of ``compile``.
    """
    options = {**WHOLE_LOOPS, _EMITTERS: False}
    try:
        jax.jit(lambda: 0).lower().compile(options)
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return WHOLE_LOOPS
    return options
