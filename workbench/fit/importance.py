r"""How good a normal approximation is: the Pareto k of its importance weights.

For draws :math:`z_s \sim N(m, V)` the weights are :math:`r_s = p(z_s) / N(z_s; m, V)`; the shape
k of the generalised Pareto distribution of the largest ones says how far p has heavier tails than
the approximation. Below 0.7 the approximation is a usable proposal.

The draws are normal scores of one scrambled Sobol sequence, so that k is a property of model and
data, and the verdict on it the same for every seed: k of independent draws has a standard error of
about 0.15.

References
----------
Vehtari, Simpson, Gelman, Yao and Gabry (2024), "Pareto smoothed importance sampling",
JMLR 25(72):1-58, arXiv:1507.02646; Owen (1998), "Scrambling Sobol' and Niederreiter-Xing
points", doi:10.1006/jcom.1998.0487.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from workbench.fit.batches import batch_size, in_batches, log_densities
from workbench.model import Density

_MOST = qmc.Sobol.MAXDIM  # coordinates of a Sobol sequence


def importance_pareto_k(
    density: Density, centre: np.ndarray, root: np.ndarray, log2_num: int = 10
) -> float:
    """Pareto k of the importance weights of a normal approximation.

    Parameters
    ----------
    density : Density
        The model at its data.
    centre, root : numpy.ndarray
        Its mean, shape (D,), and a factor of its covariance, shape (D, D).
    log2_num : int
        Logarithm to base 2 of the number of draws.

    Returns
    -------
    float
        ``inf`` where a weight is not finite.
    """
    x = _normal_points(density.size, log2_num)
    program, arrays = log_densities(density), density.arrays
    # not by BLAS, whose threads spin on beside the chains after a large product
    z = centre + np.einsum("sd,kd->sk", x, root)
    log_p = in_batches(lambda rows: program(rows, arrays), batch_size(density), z)
    ratio = log_p + 0.5 * np.sum(x**2, axis=1)
    from workbench import az

    # weights that differ by rounding alone are equal: no tail is fitted to it
    return az.pareto_k(np.round(np.maximum(ratio - ratio.max(), -1e6), 9))


def covariance_root(covariance: np.ndarray) -> np.ndarray:
    """Cholesky factor of a covariance, shape (D, D), whose units may differ by any amount.

    Raises
    ------
    numpy.linalg.LinAlgError
        When it is not positive definite.
    """
    variance = np.diag(covariance)
    sd = np.sqrt(np.where(variance > 0, variance, 1.0))
    return sd[:, None] * np.linalg.cholesky(covariance / np.outer(sd, sd))


@lru_cache(maxsize=4)
def _normal_points(size: int, log2_num: int) -> np.ndarray:
    """Quasi-random standard normal points, shape (2**log2_num, size)."""
    sequence = qmc.Sobol(d=min(size, _MOST), seed=0)
    points = ndtri(np.maximum(sequence.random_base2(log2_num), 2.0**-31))  # 0 has no score
    if size > _MOST:
        rest = np.random.default_rng(0).normal(size=(len(points), size - _MOST))
        points = np.concatenate([points, rest], axis=1)
    points.flags.writeable = False  # shared
    return points
