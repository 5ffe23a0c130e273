r"""The design as a linear map: what it tells apart, and how the prior shrinks what it tells.

To first order the means move with the coordinates as :math:`\mu(z + \delta) = \mu(z) + J \delta`.
In units of the noise, :math:`A = V^{-1/2} J` is the design: :math:`X / \sigma` for a linear model,
:math:`W^{1/2} X` for a generalised linear one, the tangent features of a network; random effects
are columns like others. Its rank counts the directions that the data can tell apart, its null
space names those that they cannot, and the diagonal of the projection
:math:`A (A^T A)^- A^T` holds the leverages, whose sum is the rank.

With the curvature :math:`H_\pi = L L^T` of the negative log prior (of the effects given their
parameters too), the singular value decomposition

.. math:: A L^{-T} = U D V^T

has singular values in units of prior sds against noise, and the mode keeps along each direction
the share

.. math:: \frac{d_k^2}{d_k^2 + 1}, \qquad \text{for } y \sim N(X\beta, \sigma^2),\
          \beta \sim N(0, \tau^2):\quad \frac{s_k^2}{s_k^2 + \lambda},\ \lambda = \sigma^2 / \tau^2,

with :math:`s_k` the singular values of X. The sum of the shares, the trace of
:math:`A (A^T A + H_\pi)^{-1} A^T`, is the effective number of parameters of the means. Parameters
that the means do not depend on (a noise) are held where they are.

References
----------
Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, section 3.4.1,
doi:10.1007/978-0-387-84858-7; Hodges and Sargent (2001), doi:10.1093/biomet/88.2.367 (effects
count too); Vehtari, Gelman and Gabry (2017), doi:10.1007/s11222-016-9696-4 (p_loo).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.linalg import eigh, qr

from workbench.errors import FitError
from workbench.fit import DrawsFit, ModeFit, fit_laplace, fit_nuts
from workbench.fit.curvature import combination
from workbench.fit.rows import Rows, read_rows, row_index
from workbench.fit.spectral import symmetric_eigen
from workbench.model import Density, Model, read_density
from workbench.study.instrument import Keep, name_directions, p_loo, start_anew, subject

_NAMED = 6  # null directions that are named


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """The means as a linear map of the coordinates (N rows, K columns).

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        One row for each direction, the best determined first, index ``direction`` (from 1):
        ``singular_value`` (prior sds in units of the noise; infinite under a flat prior), ``kept``
        (its share that the prior leaves), and ``combination`` (its largest weights, by label).
    rows : pandas.DataFrame
        By row: ``leverage``, and ``shrunken``, that under the prior.
    rank : int
        Of the design.
    null_space : tuple of str
        Combinations of the coordinates that move no mean.
    condition_number : float
        Largest over smallest nonzero singular value of the design with columns of unit length.
    effective_parameters : float
        Sum of the shares.
    p_loo : float
        Effective number of all parameters by leave-one-out cross-validation of NUTS draws;
        ``nan`` where no draws were made.

    Examples
    --------
    >>> table = pd.DataFrame({"singular_value": [3.0, 1.0], "kept": [0.9, 0.5],
    ...                       "combination": ["a + b", "a - b"]})
    >>> rows = pd.DataFrame({"leverage": [1.0, 1.0], "shrunken": [0.7, 0.7]})
    >>> found = Design(name="m-d", table=table, rows=rows, rank=2, null_space=(),
    ...                condition_number=3.0, effective_parameters=1.4, p_loo=float("nan"))
    >>> found.sentences[0]
    '2 rows, 2 columns, rank 2; condition number 3 with units set aside.'
    """

    name: str
    table: pd.DataFrame
    rows: pd.DataFrame
    rank: int
    null_space: tuple[str, ...]
    condition_number: float
    effective_parameters: float
    p_loo: float

    @property
    def trusted(self) -> bool:
        """Whether the leverages add up to the rank."""
        return bool(abs(self.rows["leverage"].sum() - self.rank) < 1e-6 * max(self.rank, 1))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        said = [
            f"{len(self.rows)} rows, {len(self.table)} columns, rank {self.rank}; condition number "
            f"{self.condition_number:.3g} with units set aside."
        ]
        if self.null_space:
            said.append(
                f"No mean moves along {'; '.join(self.null_space[:_NAMED])}"
                + (" and others." if len(self.null_space) > _NAMED else ".")
            )
        kept, loo = self.table["kept"], self.p_loo
        said.append(
            f"The prior leaves between {kept.min():.3g} and {kept.max():.3g} of a direction, in "
            f"all {self.effective_parameters:.3g} effective parameters of the means"
            + (f"; p_loo, of all parameters, is {loo:.3g}." if np.isfinite(loo) else ".")
        )
        most = self.rows["leverage"].idxmax()
        said.append(
            f"Leverages add up to the rank; the largest is {self.rows.loc[most, 'leverage']:.3g}, "
            f"of row {most} (twice the mean is {2 * self.rank / max(len(self.rows), 1):.3g})."
        )
        return tuple(said)


def design(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    laplace: ModeFit | None = None,
    nuts: DrawsFit | None = None,
    keep: Keep = start_anew,
    on_stage: Callable[[str], None] | None = None,
) -> Design:
    """Take the design of a model apart, with the prior's shrinkage of each of its directions.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the fits.
    quick : bool
        Without draws, and so without ``p_loo``, unless ``nuts`` is given.
    laplace, nuts : ModeFit, DrawsFit, optional
        Fits of the same model; made when not given and needed. The map is read at the mode, which
        need not be regular.
    keep : callable, optional
        Keeps finished parts, see :data:`workbench.study.instrument.Keep`.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Design

    Raises
    ------
    FitError
        When rows have no means (several observed sites, vector events, factors), or neither data
        nor prior determine a direction.

    Examples
    --------
    Two columns of which the data see the sum alone; the prior halves the other.

    >>> import numpyro, numpyro.distributions as dist
    >>> def twice(y=None):
    ...     a, b = (numpyro.sample(n, dist.Normal(0, 1)) for n in "ab")
    ...     numpyro.sample("y", dist.Normal(a + b, 1).expand([2]), obs=y)
    >>> found = design(twice, {"y": [1.0, 2.0]}, quick=True)
    >>> found.rank, found.null_space, found.table["kept"].round(12).tolist()
    (1, ('a - b',), [0.8, 0.0])
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    tell = on_stage or (lambda _: None)
    tell("Laplace")
    mode = laplace if laplace is not None else fit_laplace(density, seed=seed)
    rows = read_rows(density, mode.z, conditional=True)
    factor = rows.mean_jacobian / np.sqrt(rows.variance)[:, None]
    factor[~rows.kept] = 0.0
    if not np.isfinite(factor).all():
        raise FitError(
            f"design expects means and a positive variance of each row at the mode; those of model "
            f"'{density.model.name}', of family {rows.family}, are not finite"
        )
    at = np.flatnonzero(np.abs(factor).max(axis=0) > 0)
    factor, labels = factor[:, at], [density.z_labels[i] for i in at]
    loo = np.nan
    if nuts is not None or not quick:
        tell("NUTS")
        loo = p_loo(keep, lambda: nuts or fit_nuts(density, seed=seed))
    tell("directions")
    prior = _prior_curvature(density, mode.z)[np.ix_(at, at)]
    shares, vectors = _shrinkage(density, factor, prior, labels)
    length = np.linalg.norm(factor, axis=0)
    left, s, vt = np.linalg.svd(factor / length, full_matrices=len(factor) < len(at))
    rank = int(np.sum(s > np.finfo(float).eps * max(factor.shape) * s.max(initial=0.0)))
    sd = 1 / np.sqrt(np.diag(factor.T @ factor + prior))
    with np.errstate(divide="ignore"):
        value = np.sqrt(shares / (1 - np.minimum(shares, 1.0)))
    return Design(
        name=subject(density),
        table=pd.DataFrame(
            {
                "singular_value": value,
                "kept": shares,
                "combination": name_directions(shares, vectors, labels, 1 / sd),
            },
            index=pd.Index(range(1, len(at) + 1), name="direction"),
        ),
        rows=_rows(density, rows, left[:, :rank], factor, prior),
        rank=rank,
        null_space=_named(vt[rank:] / length, labels, length),
        condition_number=float(s[0] / s[rank - 1]) if rank else np.nan,
        effective_parameters=float(shares.sum()),
        p_loo=loo,
    )


def _prior_curvature(density: Density, z: np.ndarray) -> np.ndarray:
    """Minus the Hessian of the log prior, that of the effects included, shape (D, D)."""

    def log_prior(z: jax.Array, arrays: Any) -> jax.Array:
        terms = density.log_terms(z, arrays)
        return terms.log_prior + terms.log_random_effects

    program = jax.jit(lambda z, arrays: -density.jacobian(jax.grad(log_prior))(z, arrays))
    hessian = np.asarray(program(jnp.asarray(z), density.arrays))
    return 0.5 * (hessian + hessian.T)


def _shrinkage(
    density: Density, factor: np.ndarray, prior: np.ndarray, labels: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Shares kept, the largest first, and their directions as columns."""
    whole = factor.T @ factor + prior
    sd = 1 / np.sqrt(np.abs(np.diag(whole)))
    own, axes = symmetric_eigen(whole * np.outer(sd, sd))
    if not own[0] > 1e-13 * own[-1]:
        lost = sd * axes[:, 0] * np.sign(axes[np.argmax(np.abs(axes[:, 0])), 0])
        raise FitError(
            f"design expects data or prior to determine every direction of model "
            f"'{density.model.name}'; neither does " + combination(lost, labels, unit=1 / sd)
        )
    # of data and prior whichever share is small is read without cancellation
    kept, vectors = eigh((factor.T @ factor) * np.outer(sd, sd), whole * np.outer(sd, sd))
    lost = np.sum(vectors * ((prior * np.outer(sd, sd)) @ vectors), axis=0)
    shares = np.where(kept < 0.5, np.maximum(kept, 0.0), 1 - lost)
    order = np.argsort(-shares)
    return shares[order], sd[:, None] * vectors[:, order]


def _rows(
    density: Density, rows: Rows, left: np.ndarray, factor: np.ndarray, prior: np.ndarray
) -> pd.DataFrame:
    """Leverage of each row, and that under the prior; ``nan`` where the model masks it."""
    shrunken = np.sum(factor.T * np.linalg.solve(factor.T @ factor + prior, factor.T), axis=0)
    table = pd.DataFrame(
        {"leverage": np.sum(left**2, axis=1), "shrunken": shrunken},
        index=row_index(density, len(factor)),
    )
    table[~rows.kept] = np.nan
    return table


def _named(null: np.ndarray, labels: list[str], length: np.ndarray) -> tuple[str, ...]:
    """A null space in as few coordinates as its dimension allows, each direction in words."""
    if not len(null):
        return ()
    scaled = null * length
    pivots = qr(scaled, mode="economic", pivoting=True)[2][: len(null)]
    reduced = np.linalg.solve(null[:, pivots], null).round(12)
    # the first coordinate counts as positive
    reduced = reduced * np.sign([v[np.flatnonzero(v)[0]] for v in reduced])[:, None]
    return tuple(combination(v, labels, unit=length) for v in reduced)
