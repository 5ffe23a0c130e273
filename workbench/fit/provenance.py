"""Where a fit comes from: versions, seed, precision, time and fingerprints."""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import jax.numpy as jnp

from workbench.data import Dataset
from workbench.model import Density

_PACKAGES = ("probabilistic-workbench", "numpyro", "jax", "jaxlib", "optax", "numpy", "arviz-base")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a fit comes from.

    Attributes
    ----------
    versions : dict of str to str
        Package versions.
    seed : int
        The seed the fit's random numbers were split from.
    precision : str
        ``float64`` or ``float32``.
    seconds : float
        Wall-clock time of the fit.
    created : str
        UTC time of its end, ISO 8601.
    data : Dataset or str
        What was fitted; its fingerprint alone in a fit that was loaded.
    model_fingerprint : str
        SHA-256 of the model's source.
    settings : dict
        Settings of the fit (numbers of starts, draws, chains, the gate's verdict, ...).
    """

    versions: dict[str, str]
    seed: int
    precision: str
    seconds: float
    created: str
    data: Dataset | str
    model_fingerprint: str
    settings: dict[str, Any]

    @property
    def data_fingerprint(self) -> str:
        """SHA-256 of the data's contents, taken when it is asked for: large data cost a while."""
        return self.data if isinstance(self.data, str) else self.data.fingerprint

    def record(self) -> dict[str, Any]:
        """Everything in plain values, the data by their fingerprint."""
        others = {k: v for k, v in vars(self).items() if k != "data"}
        return {**others, "data_fingerprint": self.data_fingerprint}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Provenance:
        """What :meth:`record` gave."""
        others = {k: v for k, v in record.items() if k != "data_fingerprint"}
        return cls(**others, data=record["data_fingerprint"])


def model_fingerprint(fn: Callable[..., Any]) -> str:
    """SHA-256 of a model function's source (of its name where there is no source)."""
    inner: Any = inspect.unwrap(getattr(fn, "func", fn))
    try:
        text = inspect.getsource(inner)
    except (OSError, TypeError):
        text = repr(getattr(inner, "__qualname__", type(inner).__qualname__))
    words = getattr(inner, "__doc__", None) or ""
    if words not in text:  # functions of one source may say in words what sets them apart
        text += words
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Give a function that says how many seconds have passed."""
    start = time.perf_counter()
    yield lambda: time.perf_counter() - start


def provenance(
    density: Density, *, seed: int, seconds: float, settings: dict[str, Any]
) -> Provenance:
    """Put the provenance of a fit together."""
    return Provenance(
        versions=dict(_versions()),
        seed=seed,
        precision=str(jnp.result_type(float)),
        seconds=seconds,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data=density.data,
        model_fingerprint=model_fingerprint(density.model.fn),
        settings=settings,
    )
