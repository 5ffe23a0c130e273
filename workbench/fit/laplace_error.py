r"""How far Laplace's method is from the marginal likelihood, at the point where a fit ended.

The error of Laplace's method is of the order of the skewness and excess kurtosis of each
group's conditional density, and is largest where groups hold little data (a Bernoulli outcome
or two); quadrature (:mod:`workbench.model.quadrature`) measures it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from workbench.errors import FitError
from workbench.fit.compilation import compiled
from workbench.fit.mode import ModeFit
from workbench.fit.objective import Objective


@dataclass(frozen=True, kw_only=True)
class LaplaceError:
    """The marginal log-likelihood by two methods at one point.

    Attributes
    ----------
    laplace : float
        By Laplace's method, nats.
    quadrature : float
        By adaptive Gauss-Hermite quadrature, nats.
    num_points : int
        Its number of points in each group.

    Examples
    --------
    >>> LaplaceError(laplace=-10.25, quadrature=-10.0, num_points=25).difference
    0.25
    """

    laplace: float
    quadrature: float
    num_points: int

    @property
    def difference(self) -> float:
        """Quadrature less Laplace, nats."""
        return self.quadrature - self.laplace


def laplace_error(fit: ModeFit, *, num_points: int = 25) -> LaplaceError:
    """Measure the error of Laplace's method at the parameters of a fit.

    Parameters
    ----------
    fit : ModeFit
        A fit of a model with declared random effects, one in each group.
    num_points : int
        Points of the quadrature, 1 to 25.

    Returns
    -------
    LaplaceError
        The marginal log-likelihood (priors dropped) by both.

    Raises
    ------
    FitError
        When the model declares no random effect.
    ModelError
        When a group has several effects.

    Notes
    -----
    A difference of d nats matters when it moves along the parameters; a refit with
    ``fit_mle(..., quadrature=25)`` shows by how much.

    Examples
    --------
    >>> import numpy as np, numpyro, numpyro.distributions as dist
    >>> from workbench.fit import fit_mle
    >>> from workbench.model import Model
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     with numpyro.plate("groups", 4):
    ...         u = numpyro.sample("u", dist.Normal(mu, 1))
    ...         numpyro.sample("y", dist.Normal(u, 1), obs=y)
    >>> model = Model(name="normal", fn=normal, random_effects=("u",))
    >>> fit = fit_mle(model, {"y": np.array([1.0, 2.0, 3.0, 2.0])}, num_starts=1)
    >>> abs(laplace_error(fit).difference) < 1e-12  # exact: normal in u
    True
    """
    density = fit.require_density()
    objective = Objective(density=density, method="MLE", num_points=num_points)
    if objective.effects.size == 0:
        raise FitError(
            "the error of Laplace's method expects a model with random effects; "
            f"model '{density.model.name}' declares none"
        )
    objective.check_quadrature()
    theta, arrays = jnp.asarray(fit.z[objective.free]), density.arrays

    laplace, correction = (float(x) for x in _both(objective)(theta, arrays))
    return LaplaceError(laplace=laplace, quadrature=laplace + correction, num_points=num_points)


@compiled
def _both(objective: Objective) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Compiled log marginal by Laplace's method, and what quadrature adds."""

    def program(theta: jax.Array, arrays: object) -> tuple[jax.Array, jax.Array]:
        laplace = objective.marginal.log_marginal(theta, arrays)
        return laplace, objective.laplace_correction(theta, arrays, objective.num_points)

    return jax.jit(program)
