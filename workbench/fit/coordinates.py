r"""Coordinates in which the chains run, :math:`z = m + L x`, and where in them they start.

Whitening by the Laplace approximation (L its Cholesky factor) makes a nearly normal posterior
nearly standard normal, so that only the step size is left to adapt; elsewhere it does harm. It is
used where two things hold:

- the importance weights of draws from the approximation have a Pareto k below 0.7, so that the
  posterior has no heavier tails and no narrower places than the approximation;
- the starts of the Laplace fit ended in one place, or in others that hold less than a thousandth of
  the mass by Laplace's method: the weights cannot see a mode that no draw comes near.

Elsewhere L is diagonal (or the identity), and the warm-up adapts as usual. Chains start at
overdispersed points around m, or around each of several modes in turn.

The orbits of a standard normal density have period :math:`2\pi`, and half of one leads as far away
as a trajectory can. In whitened coordinates trajectories are therefore bounded near that length:
the criterion of the U-turn, which looks at the ends of a tree that doubles, can miss the turn of
orbits that all have one period, and follow them many times round. With a step near
:math:`1.8 D^{-1/4}` (the rate is that of Beskos et al.; the factor was measured at an acceptance of
0.65) the bound on the doublings is the least d whose :math:`2^d - 1` steps span 2.

References
----------
Beskos, Pillai, Roberts, Sanz-Serna and Stuart (2013), "Optimal tuning of the hybrid Monte Carlo
algorithm", Bernoulli 19:1501-1534, doi:10.3150/12-BEJ414;
Vehtari, Simpson, Gelman, Yao and Gabry (2024), "Pareto smoothed importance sampling",
JMLR 25(72):1-58, arXiv:1507.02646.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import jax
import numpy as np

from workbench.errors import FitError
from workbench.fit.batches import batch_size, host_random, in_batches, log_densities
from workbench.fit.guide import Guide
from workbench.fit.importance import covariance_root, importance_pareto_k
from workbench.fit.newton import newton
from workbench.fit.objective import Objective
from workbench.fit.optima import log_mass
from workbench.model import Density

GATE = 0.7  # Pareto k below which a normal approximation is a safe guide
_BELOW = 20.0  # nats below the best mode, as far as mass is looked for
_SHARE = 1e-3  # of the mass: less is not seen in the draws
_APART = 1.0  # standard errors between two places
_STEP, _SPAN = 1.8, 2.0  # see above
_CLIFF = 10.0  # nats for each coordinate, and for ten more


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

    def scaled(self, why: str) -> Coordinates:
        """The same with a diagonal L, that of the standard deviations."""
        sd = np.linalg.norm(self.scale, axis=1)
        return replace(self, scale=sd, verdict=f"scaled: {why}")

    @property
    def doublings(self) -> int:
        """Bound on the doublings of a trajectory in whitened coordinates, see above.

        Examples
        --------
        >>> def whitened(size):
        ...     origin, root = np.zeros(size), np.eye(size)
        ...     return Coordinates(
        ...         centre=origin, scale=root, places=origin[None], pareto_k=0.1, verdict="whitened"
        ...     )
        >>> [whitened(size).doublings for size in (5, 50, 100, 2000)]
        [2, 2, 3, 4]
        """
        steps = _SPAN / (_STEP * self.centre.size**-0.25)
        return max(int(np.ceil(np.log2(steps + 1.0))), 2)

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


def choose_coordinates(density: Density, guide: Guide, *, whiten: bool = True) -> Coordinates:
    """Whiten by the Laplace approximation where it is a safe guide.

    Parameters
    ----------
    density : Density
        The model at its data.
    guide : Guide
        Its Laplace approximation.
    whiten : bool
        Whether whitening is allowed.

    Returns
    -------
    Coordinates
        With the verdict.
    """
    if guide.refusal:
        return _plain(density, f"the Laplace fit is {guide.refusal}")
    try:
        root = covariance_root(guide.covariance)
    except np.linalg.LinAlgError:
        return _plain(density, "the Laplace fit has a covariance that is not positive definite")
    pareto_k = importance_pareto_k(density, guide.z, root)
    places = _places(density, guide)
    said = f"Pareto k of the Laplace approximation is {pareto_k:.2f}"
    if np.isposinf(pareto_k):
        said = "the Laplace approximation has importance weights that are not finite"
    safe = pareto_k < GATE
    if len(places) > 1:
        said = f"the starts found {len(places)} modes; {said}"
        safe = False
    if not whiten:
        said = f"a hierarchy is not whitened; {said}"
        safe = False
    found = Coordinates(
        centre=guide.z,
        scale=root,
        places=places,
        pareto_k=pareto_k,
        verdict=f"whitened: {said}",
    )
    return found if safe else found.scaled(said)


def _plain(density: Density, why: str) -> Coordinates:
    origin = np.zeros(density.size)
    return Coordinates(
        centre=origin,
        scale=np.ones(density.size),
        places=origin[None],
        pareto_k=np.nan,
        verdict=f"plain: {why}",
    )


def _places(density: Density, guide: Guide) -> np.ndarray:
    """The mode, then other ends of starts that hold mass worth a visit, shape (K, D)."""
    free = density.coordinates("parameter")
    root = covariance_root(guide.covariance[np.ix_(free, free)])
    ends, heights = guide.ends, guide.heights
    found = [guide.z[free]]
    for k in np.argsort(-np.where(np.isfinite(heights), heights, -np.inf)):
        if not heights[k] > guide.log_objective - _BELOW:
            break
        apart = [np.linalg.solve(root, ends[k] - place) for place in found]
        if all(np.linalg.norm(a) > _APART for a in apart):
            found.append(ends[k])
    if len(found) == 1:
        return guide.z[None]
    objective = Objective(density=density, method="Laplace")
    mass = np.array([log_mass(newton(objective, place)[-1]) for place in found])
    # an end without a regular maximum has no such mass: it counts
    kept = [0, *(k for k in range(1, len(found)) if not mass[k] < mass[0] + np.log(_SHARE))]
    places = np.repeat(guide.z[None], len(kept), axis=0)
    places[:, free] = [found[k] for k in kept]
    return places


def draw_starts_of_chains(
    density: Density, coordinates: Coordinates, key: jax.Array, num_chains: int
) -> np.ndarray:
    """Overdispersed starts in x, shape (C, D): uniform on (-2, 2) about the places in turn.

    A start without a finite density is halved towards its place until it has one. So is one that
    lies :math:`100 + 10 D` nats below its place where L is in standard errors: a normal density
    falls by 2 D at most, and a chain on a cliff stays there.

    Raises
    ------
    FitError
        When there is no such point.
    """
    centre, scale = coordinates.centre, coordinates.scale
    place = coordinates.places[np.arange(num_chains) % len(coordinates.places)]
    x = host_random(key).uniform(-2, 2, (num_chains, density.size))
    program, arrays = log_densities(density), density.arrays
    least = np.full(num_chains, -np.inf)

    def values(z: np.ndarray) -> np.ndarray:
        return in_batches(lambda rows: program(rows, arrays), batch_size(density), z)

    if not np.isnan(coordinates.pareto_k):
        least = values(place) - _CLIFF * (10 + density.size)
    for _ in range(20):
        z = place + (x * scale if scale.ndim == 1 else x @ scale.T)
        value = values(z)
        bad = ~(np.isfinite(value) & (value > least))
        if not bad.any():
            away = place - centre
            return x + (away / scale if scale.ndim == 1 else np.linalg.solve(scale, away.T).T)
        x = np.where(bad[:, None], 0.5 * x, x)
    raise FitError(
        f"model '{density.model.name}' has no finite log density near the centre of its "
        "unconstrained space: expected at least one point to start from; check data against "
        "supports and the scale of the priors"
    )
