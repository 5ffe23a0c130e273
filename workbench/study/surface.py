r"""The likelihood over two parameters: slice, profile, and the path that led to its maximum.

Over a pair :math:`\psi` of coordinates, with the others :math:`\nu`, there are two surfaces:

.. math:: \ell(\psi, \hat\nu) \le \ell_p(\psi) = \max_\nu \ell(\psi, \nu),

the slice through the maximum and the profile. Both are highest at the maximum. The curvature of
the slice is the block :math:`J_{\psi\psi}` of the observed information, that of the profile
:math:`((J^{-1})_{\psi\psi})^{-1}`: holding the others fixed makes a parameter look more certain
than it is. In a regular model :math:`2 \{\ell(\hat z) - \ell_p(\psi)\}` is about
:math:`\chi^2_2` at the truth, which gives the levels of confidence regions; where the likelihood
is not quadratic they are not ellipses.

The path is that of L-BFGS from a start of the fit, projected onto the pair. Grids follow the
axes of the ellipse of each surface's curvature, so that correlated parameters have smooth contours
too; the wide one grows denser towards the maximum.

References
----------
Pawitan (2001), In All Likelihood, Oxford University Press, sections 3.4 and 3.5;
Liu and Nocedal (1989), doi:10.1007/BF01589116.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import FitError, UsageError
from workbench.fit import ModeFit, fit_mle
from workbench.fit.objective import Objective
from workbench.fit.optimiser import lbfgs
from workbench.fit.spectral import symmetric_eigen
from workbench.model import Density, Model, read_density
from workbench.study.instrument import Keep, require_regular, start_anew, subject
from workbench.study.paths import lbfgs_path

_REACH = 3.5  # standard errors of the near grid to each side
_NEAR = 1e-3  # standard errors from the maximum over the others
_HELD = float(stats.chi2.ppf(0.95, 2))


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """The log-likelihood over two coordinates.

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        Index coordinate (the two): ``estimate``, ``std_error`` (curvature of the profile),
        ``held`` (that with every other parameter held at its estimate), ``correlation`` of the
        two.
    slice, profile : pandas.DataFrame
        Points of a square grid, row by row: the two coordinates, and ``log_likelihood`` (nats,
        with its maximum at 0; ``nan`` where it is not finite).
    wide : pandas.DataFrame
        The profile on a grid that holds the path.
    path : pandas.DataFrame
        Coordinates of the optimiser by iteration (the two), and ``log_likelihood``, nats below the
        maximum.
    covariance : numpy.ndarray
        Of the two, shape (2, 2).

    Examples
    --------
    >>> table = pd.DataFrame({"estimate": [1.0, 0.0], "std_error": [0.5, 0.1],
    ...                       "held": [0.25, 0.1], "correlation": [0.8, 0.8]}, index=["a", "b"])
    >>> top = pd.DataFrame({"a": [1.0], "b": [0.0], "log_likelihood": [0.0]})
    >>> found = Surface(name="m-d", table=table, slice=top, profile=top, wide=top, path=top,
    ...                 covariance=np.diag([0.25, 0.01]))
    >>> found.sentences[0]
    'a and b: correlation 0.8. With every other parameter held at its estimate the standard error
    of a would be 0.25 instead of 0.5, that of b 0.1 instead of 0.1.'
    """

    name: str
    table: pd.DataFrame
    slice: pd.DataFrame
    profile: pd.DataFrame
    wide: pd.DataFrame
    path: pd.DataFrame
    covariance: np.ndarray

    @property
    def trusted(self) -> bool:
        """Whether no point of the grid is above the maximum."""
        return bool(np.nanmax(self.profile["log_likelihood"]) < 1e-3)

    @property
    def bent(self) -> float:
        """Largest distance of the profile from a quadratic in the 95 % region, nats."""
        pair = list(self.table.index)
        away = self.profile[pair].to_numpy(dtype=float) - self.table["estimate"].to_numpy(float)
        square = np.sum(away @ np.linalg.inv(self.covariance) * away, axis=1)
        apart = np.abs(self.profile["log_likelihood"].to_numpy(dtype=float) + 0.5 * square)
        return float(np.nanmax(np.where(square <= _HELD, apart, 0.0)))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        one, two = self.table.index
        row, other = self.table.iloc[0], self.table.iloc[1]
        said = [
            f"{one} and {two}: correlation {row['correlation']:.2g}. With every other parameter "
            f"held at its estimate the standard error of {one} would be {row['held']:.3g} instead "
            f"of {row['std_error']:.3g}, that of {two} {other['held']:.3g} instead of "
            f"{other['std_error']:.3g}."
        ]
        if len(self.path) > 1:
            said.append(
                f"L-BFGS came there in {len(self.path) - 1} iterations, from "
                f"{-self.path['log_likelihood'].iloc[0]:.3g} nats below."
            )
        if len(self.profile) > 1:
            said.append(
                f"In the 95 % region the profile is within {self.bent:.2g} nats of a quadratic."
            )
        return tuple(said)


def surface(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    coordinates: tuple[str, str] | None = None,
    mle: ModeFit | None = None,
    keep: Keep = start_anew,
    on_stage: Callable[[str], None] | None = None,
) -> Surface:
    """Compute the likelihood over two parameters, and the path of the optimiser to its maximum.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the fit.
    quick : bool
        15 points along each coordinate instead of 41.
    coordinates : tuple of two str, optional
        Labels of unconstrained parameters, such as ``log(sigma)``; by default the two whose
        estimates are most correlated.
    mle : ModeFit, optional
        Maximum likelihood fit of the same model; made when not given.
    keep : callable, optional
        Keeps finished parts, see :data:`workbench.study.instrument.Keep`.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Surface

    Raises
    ------
    FitError
        When the likelihood has no regular maximum, or one parameter alone.
    UsageError
        When the coordinates are not two that the model has.

    Examples
    --------
    A normal sample. The two are independent at the estimate, so that both grids are one.

    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    ...     numpyro.sample("y", dist.Normal(mu, sigma), obs=y)
    >>> found = surface(normal, {"y": [1.0, 2.0, 3.0, 6.0]}, quick=True)
    >>> found.table.index.tolist(), bool(np.allclose(found.slice, found.profile))
    (['mu', 'log(sigma)'], True)
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    tell = on_stage or (lambda _: None)
    tell("MLE")
    best = mle if mle is not None else fit_mle(density, seed=seed)
    require_regular(best, density, "surface expects a regular maximum of the likelihood; that")
    objective = Objective(density=density, method="MLE")
    labels = [density.z_labels[i] for i in objective.free]
    if len(labels) < 2:
        raise FitError(
            f"surface expects two parameters or more; model '{density.model.name}' has {labels[0]}"
        )
    covariance = best.covariance[np.ix_(objective.free, objective.free)]
    sd = np.sqrt(np.diag(covariance))
    pair = _pair(covariance / np.outer(sd, sd), labels, coordinates)
    centre = best.z[objective.free]
    num = 15 if quick else 41
    tell("path")
    path = _path(objective, best, centre)
    picked = covariance[np.ix_(pair, pair)]
    block = best.information[np.ix_(pair, pair)]
    steps = np.linspace(-_REACH, _REACH, num)
    frames = {
        "slice": (np.linalg.inv(block), steps),
        "profile": (picked, steps),
        "wide": (picked, _spread(path[:, pair] - centre[pair], picked, num)),
    }
    points = {k: centre[pair] + _grid(*frame) for k, frame in frames.items()}
    held = np.tile(centre, (num * num, 1))
    held[:, pair] = points["slice"]
    top = {"slice": objective.values_at(held)}
    if len(labels) == 2:
        order = np.argsort(pair)
        top |= {k: objective.values_at(points[k][:, order]) for k in ("profile", "wide")}
    else:
        tell("profile")
        program = _profile(objective, best, pair)
        for kind in ("profile", "wide"):
            top |= keep(kind, lambda kind=kind: {
                kind: np.asarray(program(jnp.asarray(points[kind]), density.arrays))
            })  # fmt: skip
    names = [labels[k] for k in pair]

    def table(kind: str) -> pd.DataFrame:
        value = np.where(np.isfinite(top[kind]), top[kind] - best.log_objective, np.nan)
        return pd.DataFrame(points[kind], columns=names).assign(log_likelihood=value)

    return Surface(
        name=subject(density),
        table=pd.DataFrame(
            {
                "estimate": centre[pair],
                "std_error": sd[pair],
                "held": 1 / np.sqrt(np.diag(best.information)[pair]),
                "correlation": picked[0, 1] / np.prod(sd[pair]),
            },
            index=pd.Index(names, name="coordinate"),
        ),
        slice=table("slice"),
        profile=table("profile"),
        wide=table("wide"),
        path=pd.DataFrame(path[:, pair], columns=names).assign(
            log_likelihood=objective.values_at(path) - best.log_objective
        ),
        covariance=picked,
    )


def _grid(covariance: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Square grid along the axes of an ellipse, in sds along each, shape (K^2, 2)."""
    own, axes = symmetric_eigen(covariance)
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(2)])  # the sign is free
    t = np.stack([x.ravel() for x in np.meshgrid(steps, steps, indexing="ij")], axis=1)
    return (t * np.sqrt(own)) @ axes.T


def _spread(away: np.ndarray, covariance: np.ndarray, num: int) -> np.ndarray:
    """Steps that reach as far as a path, denser towards the middle."""
    own, axes = symmetric_eigen(covariance)
    reach = max(1.1 * float(np.abs(away @ axes / np.sqrt(own)).max()), 2 * _REACH)
    return np.sinh(np.linspace(-np.arcsinh(reach), np.arcsinh(reach), num))


def _pair(correlation: np.ndarray, labels: list[str], wanted: tuple[str, str] | None) -> list[int]:
    """Positions of the two coordinates, in the order asked for."""
    if wanted is not None:
        if len(wanted) != 2 or wanted[0] == wanted[1] or not set(wanted) <= set(labels):
            raise UsageError(
                f"coordinates expects two of {', '.join(labels)}; got {', '.join(wanted)}"
            )
        return [labels.index(x) for x in wanted]
    above = np.triu(np.ones_like(correlation, dtype=bool), 1)
    size = np.where(above, np.abs(correlation), -1.0)
    return [int(k) for k in np.unravel_index(np.argmax(size), size.shape)]


def _path(objective: Objective, best: ModeFit, centre: np.ndarray) -> np.ndarray:
    """Where L-BFGS went from the winning start of the fit, shape (I, P)."""
    won = int(np.nanargmax(best.starts.log_objective))
    start = best.starts.z0[won]
    unit = 1 / np.sqrt(np.diag(best.information))

    def loss(w: jax.Array, fixed: Any) -> jax.Array:
        return -objective(fixed[0] + unit * w, fixed[1])

    gradient = jax.jit(jax.value_and_grad(loss))
    *_, w = lbfgs_path(gradient, (jnp.asarray(centre), objective.arrays),
                       (start - centre) / unit)  # fmt: skip
    return centre + unit * w


def _profile(objective: Objective, best: ModeFit, pair: list[int]) -> Callable[..., jax.Array]:
    """Compiled: the maximum over the other parameters at each pair of values, (K, 2) to (K,)."""
    centre = jnp.asarray(best.z[objective.free])
    rest = np.setdiff1d(np.arange(centre.size), pair)
    at = np.array(pair)
    block = best.information[np.ix_(rest, rest)]
    # to first order the others move with the pair as their conditional mean does
    slope = jnp.asarray(-np.linalg.solve(block, best.information[np.ix_(rest, at)]))
    scale = jnp.asarray(np.linalg.inv(np.linalg.cholesky(block)).T)
    middle, others = centre[jnp.asarray(pair)], centre[rest]

    def one(psi: jax.Array, arrays: Any) -> jax.Array:
        def held(nu: jax.Array, arrays: Any) -> jax.Array:
            z = jnp.zeros_like(centre).at[jnp.asarray(pair)].set(psi).at[rest].set(nu)
            return objective(z, arrays)

        start = others + slope @ (psi - middle)
        # a start outside what the likelihood can bear begins at the estimate instead
        start = jnp.where(jnp.isfinite(held(start, arrays)), start, others)
        reached = lbfgs(held, start[None], scale[None], arrays, _NEAR)[0][0]
        return held(reached, arrays)

    return jax.jit(
        lambda points, arrays: jax.lax.map(lambda p: one(p, arrays), points, batch_size=16)
    )
