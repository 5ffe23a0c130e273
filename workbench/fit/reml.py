r"""Restricted maximum likelihood: variances without the bias of maximum likelihood.

The fixed effects :math:`\beta` are integrated out with a flat prior, together with the random
effects u (Harville 1974, doi:10.1093/biomet/61.2.383),

.. math:: \ell_R(\theta) = \log \int\!\!\int p(y \mid u, \beta, \theta)\, p(u \mid \theta)\,
          du\, d\beta ,

which Laplace's method does exactly where the density is normal in :math:`(u, \beta)`. For
:math:`y \sim N(X\beta, V)` it is :math:`-\tfrac12 \{(N - P) \log 2\pi + \log|V|
+ \log|X^T V^{-1} X| + r^T V^{-1} r\}`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.errors import FitError
from workbench.fit.mode import ModeFit
from workbench.fit.modes import _fit, undefined_likelihood
from workbench.fit.objective import Objective
from workbench.model import Density, Model, read_density


def fit_reml(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    fixed: tuple[str, ...] | None = None,
    seed: int = 0,
    num_starts: int | None = None,
    max_iterations: int = 500,
) -> ModeFit:
    r"""Fit the variances of a Gaussian model by restricted maximum likelihood.

    Parameters
    ----------
    model, data, seed, num_starts, max_iterations
        As in :func:`fit_mle`.
    fixed : tuple of str, optional
        Sites of the fixed effects; by default every parameter site whose support is the whole
        line. The other parameters are the variances that are estimated.

    Returns
    -------
    ModeFit
        ``llf`` is the restricted log-likelihood, comparable only between models with the same
        fixed effects. Fixed effects stand at their conditional mode (generalised least squares),
        random effects at theirs, with standard errors that include each other's and the
        variances' uncertainty.

    Raises
    ------
    FitError
        When the model has no fixed effects or no other parameter, when a fixed effect is no
        parameter, or when the density is not normal in its random and fixed effects.

    Notes
    -----
    Random and fixed effects meet in one dense block, so that cost grows with the square of their
    number and more.

    References
    ----------
    Patterson and Thompson (1971), doi:10.1093/biomet/58.3.545.

    Examples
    --------
    Of a sample, REML estimates the variance with divisor N - 1:

    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    ...     numpyro.sample("y", dist.Normal(mu, sigma), obs=y)
    >>> fit = fit_reml(normal, {"y": [1.0, 2.0, 3.0, 4.0]})
    >>> round(float(fit.params["sigma"]) ** 2, 10)  # 5 / 3
    1.6666666667
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    name = density.model.name
    reason = undefined_likelihood(density)
    if reason:
        raise FitError(reason)
    on_line = {x.name for x in density.latents if x.scale == ""}
    parameters = density.names("parameter")
    chosen = tuple(n for n in parameters if n in on_line) if fixed is None else tuple(fixed)
    wrong = [n for n in chosen if n not in parameters or n not in on_line]
    if wrong or not chosen:
        raise FitError(
            f"REML of model '{name}' expects fixed effects, parameter sites on the whole line; got "
            + (f"'{wrong[0]}'" if wrong else "none")
        )
    objective = Objective(density=density, method="REML", fixed=chosen)
    if not _is_normal(objective):
        raise FitError(
            f"REML of model '{name}' expects a density that is normal in its random and fixed "
            f"effects ({', '.join(chosen)}); got one whose curvature moves with them: use fit_mle"
        )
    return _fit(objective, seed, num_starts, max_iterations, None, "scales")


def _is_normal(objective: Objective) -> bool:
    """Whether the curvature in the effects is the same at two generic points."""
    rng = np.random.default_rng(0)
    theta = jnp.asarray(0.3 * rng.normal(size=objective.free.size))
    points = jnp.asarray(rng.normal(size=(2, objective.effects.size)))
    arrays = objective.arrays
    curvature = jax.vmap(objective.marginal.information, in_axes=(None, 0, None))
    first, second = np.asarray(curvature(theta, points, arrays))
    return bool(np.allclose(first, second, rtol=0.0, atol=1e-9 * np.abs(first).max()))
