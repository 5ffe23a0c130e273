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

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.compilation import compiled
from workbench.fit.mode import ModeFit
from workbench.fit.sampler import log_density_z
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
    x = jax.random.normal(key, (num, density.size))
    z = laplace.z + x @ root.T
    ratio = np.asarray(_log_density(density)(z, density.arrays) + 0.5 * jnp.sum(x**2, axis=1))
    from workbench import az

    return az.pareto_k(ratio)


@compiled
def _log_density(density: Density) -> Callable[..., jax.Array]:
    return jax.jit(jax.vmap(lambda z, a: log_density_z(density, z, a), in_axes=(0, None)))
