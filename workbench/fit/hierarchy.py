"""What the sampler does with the effects of a hierarchy, and how its draws become the model's.

Effects that are normal given the rest are integrated out (:mod:`workbench.fit.collapse`); effects
that are written centred in other models are sampled partly centred
(:mod:`workbench.fit.centring`). Everything else is sampled as it is written.
"""

from __future__ import annotations

from typing import Literal, Protocol

import jax
import numpy as np

from workbench.errors import FitError
from workbench.fit.centring import centre_effects
from workbench.fit.collapse import collapse_normal
from workbench.model import Density

Effects = Literal["auto", "integrated", "recentred", "as written"]


class Change(Protocol):
    """A posterior that is sampled in place of another.

    Attributes
    ----------
    target : Density
        What is sampled.
    verdict : str
        What was done and why, in words.
    whiten : bool
        Whether the target may be near a normal density: not one with the effects in it.
    """

    @property
    def whiten(self) -> bool:
        """Whether the target may be near a normal density."""
        ...

    @property
    def target(self) -> Density:
        """What is sampled."""
        ...

    @property
    def verdict(self) -> str:
        """What was done and why, in words."""
        ...

    def expand(self, z: np.ndarray, key: jax.Array) -> np.ndarray:
        """Draws of the target, (C, S, D'), as draws of the model's z, (C, S, D)."""
        ...


def change_of_effects(density: Density, effects: Effects, *, seed: int = 0) -> Change | None:
    """Choose what is sampled in place of a model with effects.

    Parameters
    ----------
    density : Density
        The model at its data.
    effects : str
        ``auto``, ``integrated``, ``recentred`` or ``as written``.
    seed : int
        Seed of the fit that amounts of centring are learnt from.

    Returns
    -------
    Change or None
        ``None`` where the model is sampled as written.

    Raises
    ------
    FitError
        When what was asked for cannot be done, or is none of these.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.eight_schools import MODEL
    >>> density = wb.read_density(MODEL, wb.load_dataset("eight_schools"))
    >>> change_of_effects(density, "auto").verdict[:24]
    'integrated out: mu, eta,'
    """
    if effects not in ("auto", "integrated", "recentred", "as written"):
        raise FitError(
            f"effects expects 'auto', 'integrated', 'recentred' or 'as written'; got '{effects}'"
        )
    if effects == "as written":
        return None
    if effects != "recentred":
        collapsed = collapse_normal(density, always=effects == "integrated")
        if collapsed is not None:
            return collapsed
        if effects == "integrated":
            raise FitError(
                f"model '{density.model.name}' has no sites that are normal given the others and "
                "the data, so that none can be integrated out exactly: expected effects='auto'"
            )
    centred = centre_effects(density, seed=seed)
    if centred is None and effects == "recentred":
        raise FitError(
            f"model '{density.model.name}' has no effects whose amount of centring can be learnt "
            "(a site with a normal prior whose scale is another site): expected effects='auto'"
        )
    return centred
