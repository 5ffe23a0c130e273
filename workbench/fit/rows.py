r"""What each row of the data says at a mode: scores, means, variances, leverages.

The score of row i is :math:`s_i = \partial \log p(y_i \mid T(z)) / \partial z`; scores sum to zero
at a maximum of the likelihood. With mean :math:`\mu_i`, variance :math:`v_i` and
:math:`d_i = \partial \mu_i / \partial z` the generalised hat matrix is the projection

.. math:: H = A (A^T A)^{-} A^T, \qquad A_i = d_i^T / \sqrt{v_i},

whose diagonal holds the leverages: the hat matrix of least squares for normal rows, and
:math:`W^{1/2} X (X^T W X)^{-1} X^T W^{1/2}` for a generalised linear model. Their sum K is the
number of parameters that the means depend on.

References
----------
Pregibon (1981), doi:10.1214/aos/1176345513;
Wei, Hu and Fung (1998), doi:10.1111/1467-9469.00086.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from workbench.errors import FitError
from workbench.fit.compilation import compiled
from workbench.fit.families import Family, family_of
from workbench.model import Density
from workbench.model.evaluation import family, unmasked
from workbench.model.sites import bare


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The rows of the one observed site at a point z, flattened to N.

    Attributes
    ----------
    name : str
        Observed site.
    family : str
        Its family, such as ``Poisson``.
    facts : Family or None
        What is known of the family in closed form.
    observed, mean, variance : numpy.ndarray
        Shape (N,), on the scale of the observations.
    mean_jacobian : numpy.ndarray
        Derivative of the means in the unconstrained parameters, shape (N, P); in all coordinates,
        shape (N, D), where the rows are given the random effects too.
    parameters : dict of str to numpy.ndarray
        Parameters of the family, shape (N,) each (empty without facts).
    kept : numpy.ndarray
        Booleans, shape (N,): False where the model masks the row.
    """

    name: str
    family: str
    facts: Family | None
    observed: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    mean_jacobian: np.ndarray
    parameters: dict[str, np.ndarray]
    kept: np.ndarray


def without_row_scores(density: Density, *, conditional: bool = False) -> str:
    """Why the likelihood does not fall apart into rows ("" where it does).

    ``conditional``: given the random effects too.
    """
    name = density.model.name
    if density.names("random effect") and not conditional:
        return (
            f"model '{name}' declares random effects: given the parameters alone its rows are not "
            "independent, so that they have no scores of their own"
        )
    for factor in density.names("factor"):
        return (
            f"model '{name}' writes likelihood as the factor '{factor}', which cannot be divided "
            "among rows"
        )
    if not density.names("observed"):
        return f"model '{name}' has no observed site, so that there are no rows"
    return ""


def without_row_means(density: Density, *, conditional: bool = False) -> str:
    """Why rows have no means and leverages ("" where they do, see :class:`Rows`)."""
    reason = without_row_scores(density, conditional=conditional)
    if reason:
        return reason
    names = density.names("observed")
    if len(names) != 1:
        return (
            f"model '{density.model.name}' has {len(names)} observed sites "
            f"({', '.join(names)}): leverages and residuals are defined for one"
        )
    if _events(density):
        return (
            f"observed site '{names[0]}' of model '{density.model.name}' is one event of several "
            "numbers: leverages and residuals expect one number a row (a plate, not to_event)"
        )
    return ""


@compiled
def _events(density: Density) -> int:
    """Number of event dimensions of the first observed site."""
    found: list[int] = []

    def program(z: jax.Array, arrays: Any) -> jax.Array:
        (fn, *_) = (density.evaluate(z, arrays).distributions[n] for n in density.names("observed"))
        found.append(fn.event_dim)
        return z

    jax.eval_shape(program, np.zeros(density.size), density.arrays)
    return found[0]


def row_scores(density: Density, z: np.ndarray) -> np.ndarray:
    """Score of every row in the unconstrained parameters, shape (N, P).

    Parameters
    ----------
    density : Density
        The model at its data.
    z : numpy.ndarray
        Where, shape (D,).

    Returns
    -------
    numpy.ndarray
        Rows of all observed sites in trace order; a masked row has score zero.

    Raises
    ------
    FitError
        When the likelihood does not fall apart into independent rows.

    Examples
    --------
    Normal rows with known scale 2 have scores (y - mu) / 4:

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 2), obs=y)
    >>> row_scores(read_density(normal, {"y": [1.0, 3.0]}), np.array([1.0])).tolist()
    [[0.0], [0.5]]
    """
    reason = without_row_scores(density)
    if reason:
        raise FitError(reason)
    return np.asarray(_score_program(density)(jnp.asarray(z), density.arrays))


@compiled
def _score_program(density: Density) -> Callable[..., jax.Array]:
    def each(z: jax.Array, arrays: Any) -> jax.Array:
        found = density.pointwise_log_likelihood(z, arrays)
        return jnp.concatenate([jnp.ravel(found[n]) for n in density.names("observed")])

    return jax.jit(lambda z, a: density.jacobian(each)(z, a)[:, density.coordinates("parameter")])


def read_rows(density: Density, z: np.ndarray, *, conditional: bool = False) -> Rows:
    """Observations, means, variances and family parameters of the rows at z.

    Parameters
    ----------
    density : Density
        The model at its data.
    z : numpy.ndarray
        Where, shape (D,).
    conditional : bool
        Given the random effects too, which then have columns in the Jacobian of the means.

    Raises
    ------
    FitError
        When rows have no means: several observed sites, vector events, declared random effects
        (unless ``conditional``), a likelihood written as a factor.
    """
    reason = without_row_means(density, conditional=conditional)
    if reason:
        raise FitError(reason)
    program, kind = _row_program(density, conditional)
    got = program(jnp.asarray(z), density.arrays)
    arrays = {k: np.asarray(v) for k, v in got.items() if k != "parameters"}
    return Rows(
        name=density.names("observed")[0],
        family=kind[0],
        facts=kind[1],
        parameters={k: np.asarray(v) for k, v in got["parameters"].items()},
        **arrays,
    )


@compiled
def _row_program(
    density: Density, conditional: bool
) -> tuple[Callable[..., Any], tuple[str, Family | None]]:
    (name,) = density.names("observed")
    kinds: list[tuple[str, Family | None]] = []

    def moments(z: jax.Array, arrays: Any) -> tuple[jax.Array, dict[str, Any]]:
        found = density.evaluate(z, arrays)
        fn, shape = found.distributions[name], found.log_probs[name].shape
        facts = family_of(fn)
        kinds.append((family(fn), facts))

        def flat(x: Any) -> jax.Array:
            return jnp.ravel(jnp.broadcast_to(x, shape))

        kept = unmasked(fn, shape)
        mean, variance = _moments(bare(fn))
        return flat(mean), {
            "observed": flat(found.observations[name]),
            "variance": flat(variance),
            "kept": flat(True if kept is None else kept),
            "parameters": (
                {} if facts is None else {k: flat(v) for k, v in facts.parameters(bare(fn)).items()}
            ),
        }

    def program(z: jax.Array, arrays: Any) -> dict[str, Any]:
        mean, rest = moments(z, arrays)
        jacobian = density.jacobian(lambda v, a: moments(v, a)[0])(z, arrays)
        free = slice(None) if conditional else density.coordinates("parameter")
        return {**rest, "mean": mean, "mean_jacobian": jacobian[:, free]}

    jax.eval_shape(program, np.zeros(density.size), density.arrays)
    return jax.jit(program), kinds[0]


def _moments(fn: Any) -> tuple[Any, Any]:
    """Mean and variance of a distribution; ``nan`` where it knows none."""
    try:
        return fn.mean, fn.variance
    except NotImplementedError:
        return jnp.nan, jnp.nan


def hat_values(rows: Rows) -> np.ndarray:
    """Leverage of each row, shape (N,); all ``nan`` where a variance is not positive and finite.

    Notes
    -----
    From the singular value decomposition of A with columns scaled to unit length; a masked row
    has leverage 0.
    """
    if not (np.isfinite(rows.variance) & (rows.variance > 0)).all():
        return np.full(len(rows.variance), np.nan)
    factor = rows.mean_jacobian / np.sqrt(rows.variance)[:, None]
    factor[~rows.kept] = 0.0
    length = np.linalg.norm(factor, axis=0)
    left, s, _ = np.linalg.svd(factor / np.where(length > 0, length, 1.0), full_matrices=False)
    floor = np.finfo(float).eps * max(factor.shape) * s.max(initial=0.0)
    return np.sum(left[:, s > floor] ** 2, axis=1)


def leverages(density: Density, z: np.ndarray) -> np.ndarray:
    """Leverage of each row at z, shape (N,).

    Raises
    ------
    FitError
        When the generalised hat matrix is not defined.
    """
    rows = read_rows(density, z)
    values = hat_values(rows)
    if np.isnan(values).any():
        raise FitError(
            "leverages expect a positive and finite variance of each row; observed site "
            f"'{rows.name}' of family {rows.family} has {int(np.sum(~(rows.variance > 0)))} rows "
            f"of variance 0 or none and {int(np.sum(np.isinf(rows.variance)))} of infinite variance"
        )
    return values


def num_mean_parameters(density: Density, z: np.ndarray) -> int:
    """K: parameters that the means depend on; all P where means or leverages are not defined."""
    everything = density.coordinates("parameter").size
    if without_row_means(density):
        return everything
    total = np.sum(hat_values(read_rows(density, z)))
    return everything if np.isnan(total) else round(float(total))


def row_index(density: Density, size: int) -> pd.Index:
    """Labels of the rows: the data's, where the one observed site has them, else 0 to N - 1."""
    names = density.names("observed")
    dims = density.site(names[0]).dims if len(names) == 1 else ()
    labels = density.data.coords.get(dims[0]) if len(dims) == 1 else None
    known = labels is not None and len(labels) == size
    return pd.Index(list(labels) if known and labels is not None else range(size), name="row")
