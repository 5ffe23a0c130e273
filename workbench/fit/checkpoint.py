"""What a run saves so that it can go on after it was killed.

Files are the business of :mod:`workbench.store`; a fit sees a :class:`Keeper`, which it asks once
for what was saved before, and offers its state after every chunk of draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np

from workbench.errors import FitError
from workbench.fit.provenance import model_fingerprint
from workbench.model import Density


@dataclass(frozen=True, kw_only=True)
class Saved:
    """The state of a run.

    Attributes
    ----------
    identity : dict of str to str
        What the run is: model, data, seed, settings, versions. A run goes on only from its own.
    arrays : dict of str to numpy.ndarray
        Coordinates, states and draws of the chains.
    """

    identity: Mapping[str, str]
    arrays: Mapping[str, np.ndarray]


class Keeper(Protocol):
    """Where the state of a run is kept."""

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        ...

    def read(self) -> Saved | None:
        """What was saved before, if anything."""
        ...

    def offer(self, make: Callable[[], Saved], *, now: bool = False) -> None:
        """Save what ``make`` gives, if it is time to (or ``now``); called from several threads."""
        ...


def identity_of(density: Density, settings: Mapping[str, Any]) -> dict[str, str]:
    """What tells a run from others: its model, data, settings, precision and versions."""
    versions = {f"version of {name}": version(name) for name in ("jax", "jaxlib", "numpyro")}
    return {
        "model fingerprint": model_fingerprint(density.model.fn),
        "data fingerprint": density.data.fingerprint,
        **{name: str(value) for name, value in settings.items()},
        "precision": str(jnp.result_type(float)),
        **versions,
    }


def read_own(keeper: Keeper, identity: Mapping[str, str]) -> Saved | None:
    """What a keeper has of this run.

    Raises
    ------
    FitError
        When it is of another run, naming the first thing that differs.
    """
    saved = keeper.read()
    if saved is None:
        return None
    for what, value in identity.items():
        found = saved.identity.get(what)
        if found != value:
            raise FitError(
                f"checkpoint '{keeper.name}' is of another run: expected {what} {value}; got "
                f"{found}; remove it, or name another"
            )
    return saved
