r"""How good a normal approximation is: the Pareto k of its importance weights.

For draws :math:`z_s \sim N(m, V)` the weights are :math:`r_s = p(z_s) / N(z_s; m, V)`; the shape
k of the generalised Pareto distribution of the largest ones says how far p has heavier tails than
the approximation. Below 0.7 the approximation is a usable proposal.

References
----------
Vehtari, Simpson, Gelman, Yao and Gabry (2024), "Pareto smoothed importance sampling",
JMLR 25(72):1-58, arXiv:1507.02646.
"""

from __future__ import annotations

import jax
import numpy as np

from workbench.fit.batches import batch_size, in_batches, log_densities
from workbench.fit.mode import ModeFit
from workbench.model import Density


def importance_pareto_k(
    density: Density, laplace: ModeFit, key: jax.Array, num: int = 1000
) -> float:
    """Pareto k of the importance weights of a Laplace fit.

    Parameters
    ----------
    density : Density
        The model at its data.
    laplace : ModeFit
        Its Laplace fit, with a covariance of full rank.
    key : jax.Array
        Random key.
    num : int
        Number of draws.

    Returns
    -------
    float
        ``inf`` where a weight is not finite or the covariance is not positive definite.
    """
    sd = np.sqrt(np.diag(laplace.covariance))
    try:
        root = sd[:, None] * np.linalg.cholesky(laplace.covariance / np.outer(sd, sd))
    except np.linalg.LinAlgError:
        return np.inf
    x = np.asarray(jax.random.normal(key, (num, density.size)))
    program, arrays = log_densities(density), density.arrays
    log_p = in_batches(lambda z: program(z, arrays), batch_size(density), laplace.z + x @ root.T)
    ratio = log_p + 0.5 * np.sum(x**2, axis=1)
    from workbench import az

    return az.pareto_k(ratio)
