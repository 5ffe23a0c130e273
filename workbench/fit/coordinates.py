r"""Coordinates in which the chains run, :math:`z = m + L x`, and where in them they start.

Whitening by the Laplace approximation (L its Cholesky factor) makes a nearly normal posterior
nearly standard normal, so that only the step size is left to adapt; elsewhere it does harm. It is
used where two things hold:

- the importance weights of draws from the approximation have a Pareto k below 0.7, so that the
  posterior has no heavier tails and no narrower places than the approximation;
- every start of the Laplace fit that came within 20 nats of the best ended at the same point: the
  weights cannot see a mode that no draw comes near.

Elsewhere L is diagonal (or the identity), and the warm-up adapts as usual. Chains start at
overdispersed points around m, or around each of several modes in turn.

References
----------
Vehtari, Simpson, Gelman, Yao and Gabry (2024), "Pareto smoothed importance sampling",
JMLR 25(72):1-58, arXiv:1507.02646.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import jax
import numpy as np

from workbench.errors import FitError
from workbench.fit.batches import batch_size, in_batches, log_densities
from workbench.fit.importance import importance_pareto_k
from workbench.fit.mode import ModeFit
from workbench.model import Density

GATE = 0.7  # Pareto k below which a normal approximation is a safe guide
_BELOW = 20.0  # nats below the best mode: the mass of a lower one is not seen in the draws
_APART = 1.0  # standard errors between two places


@dataclass(frozen=True, kw_only=True)
class Coordinates:
    """Coordinates of the chains: z = centre + scale x.

    Attributes
    ----------
    centre, scale : numpy.ndarray
        Shapes (D,), and (D,) (diagonal) or (D, D).
    places : numpy.ndarray
        Points z around which the chains start in turn, shape (K, D).
    pareto_k : float
        Of the importance weights of the Laplace approximation; ``nan`` where it has none.
    verdict : str
        ``whitened``, ``scaled`` or ``plain``, and why.
    """

    centre: np.ndarray
    scale: np.ndarray
    places: np.ndarray
    pareto_k: float
    verdict: str

    @property
    def whitened(self) -> bool:
        """Whether L is a factor of the Laplace approximation's covariance."""
        return self.scale.ndim == 2

    def arrays(self) -> dict[str, np.ndarray]:
        """The coordinates as arrays by name."""
        return {f"coordinates/{k}": np.asarray(v) for k, v in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Coordinates:
        """The coordinates that :meth:`arrays` gave."""
        found = {f.name: arrays[f"coordinates/{f.name}"] for f in fields(cls)}
        return cls(
            **{
                **found,
                "pareto_k": float(found["pareto_k"]),
                "verdict": str(found["verdict"]),
            }
        )


def choose_coordinates(
    density: Density, laplace: ModeFit, key: jax.Array, *, whiten: bool = True
) -> Coordinates:
    """Whiten by the Laplace approximation where it is a safe guide.

    Parameters
    ----------
    density : Density
        The model at its data.
    laplace : ModeFit
        Its Laplace fit.
    key : jax.Array
        Key of the draws whose importance weights are looked at.
    whiten : bool
        Whether whitening is allowed.

    Returns
    -------
    Coordinates
        With the verdict.
    """
    if laplace.null_directions or not np.isfinite(laplace.covariance).all():
        why = f"the Laplace fit is {laplace.detail or laplace.status.value}"
        return _plain(density, np.nan, why)
    variance = np.diag(laplace.covariance)
    sd = np.sqrt(np.where(variance > 0, variance, 1.0))
    pareto_k = importance_pareto_k(density, laplace, key)
    if np.isposinf(pareto_k):
        why = "the Laplace approximation has importance weights that are not finite"
        return _plain(density, pareto_k, why)
    places = _places(density, laplace)
    said = f"Pareto k of the Laplace approximation is {pareto_k:.2f}"
    safe = pareto_k < GATE
    if len(places) > 1:
        said = f"the starts found {len(places)} modes; {said}"
        safe = False
    if not whiten:
        said = f"a hierarchy is not whitened; {said}"
        safe = False
    scale = sd
    if safe:
        scale = sd[:, None] * np.linalg.cholesky(laplace.covariance / np.outer(sd, sd))
    return Coordinates(
        centre=laplace.z,
        scale=scale,
        places=places,
        pareto_k=pareto_k,
        verdict=f"{'whitened' if safe else 'scaled'}: {said}",
    )


def _plain(density: Density, pareto_k: float, why: str) -> Coordinates:
    origin = np.zeros(density.size)
    return Coordinates(
        centre=origin,
        scale=np.ones(density.size),
        places=origin[None],
        pareto_k=pareto_k,
        verdict=f"plain: {why}",
    )


def _places(density: Density, laplace: ModeFit) -> np.ndarray:
    """The mode, then other points of comparable height where starts ended, shape (K, D)."""
    free = density.coordinates("parameter")
    root = np.linalg.cholesky(laplace.covariance[np.ix_(free, free)])
    found = [laplace.z]
    ends, heights = laplace.starts.z, laplace.starts.log_objective
    for k in np.argsort(-np.where(np.isfinite(heights), heights, -np.inf)):
        if not heights[k] > laplace.log_objective - _BELOW:
            break
        apart = [np.linalg.solve(root, ends[k] - place[free]) for place in found]
        if all(np.linalg.norm(a) > _APART for a in apart):
            place = laplace.z.copy()
            place[free] = ends[k]
            found.append(place)
    return np.array(found)


def draw_starts_of_chains(
    density: Density, coordinates: Coordinates, key: jax.Array, num_chains: int
) -> np.ndarray:
    """Overdispersed starts in x, shape (C, D): uniform on (-2, 2) about the places in turn.

    A start without a finite density is halved towards its place until it has one.

    Raises
    ------
    FitError
        When there is no such point.
    """
    centre, scale = coordinates.centre, coordinates.scale
    place = coordinates.places[np.arange(num_chains) % len(coordinates.places)]
    x = np.asarray(jax.random.uniform(key, (num_chains, density.size), minval=-2, maxval=2))
    program, arrays = log_densities(density), density.arrays
    for _ in range(20):
        z = place + (x * scale if scale.ndim == 1 else x @ scale.T)
        value = in_batches(lambda rows: program(rows, arrays), batch_size(density), z)
        bad = ~np.isfinite(value)
        if not bad.any():
            away = place - centre
            return x + (away / scale if scale.ndim == 1 else np.linalg.solve(scale, away.T).T)
        x = np.where(bad[:, None], 0.5 * x, x)
    raise FitError(
        f"model '{density.model.name}' has no finite log density near the centre of its "
        "unconstrained space: expected at least one point to start from; check data against "
        "supports and the scale of the priors"
    )
