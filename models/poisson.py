r"""Poisson regression with a log link.

.. math::

    y_i &\sim \mathrm{Poisson}\big(e^{x_i^\top \beta}\big), \qquad i = 1, \dots, N \\
    \beta_j &\sim \mathrm{Normal}(0,\ 2.5\, s_j), \qquad j = 1, \dots, P

:math:`s_j` is the unit of a coefficient on the log scale, one over the sd of its covariate
(:func:`workbench.model.priors.coefficient_scale`). Variance and mean are equal;
:mod:`models.negative_binomial` lets the variance exceed the mean.

References
----------
McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd edition, chapter 6.
Chapman & Hall. doi:10.1007/978-1-4899-3242-6
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from workbench.model import Model
from workbench.model.priors import coefficient_scale


def poisson(x, x_mean, x_scale, y=None):
    """Poisson regression: y ~ Poisson(exp(x beta))."""
    N, P = x.shape
    with numpyro.plate("coefficient", P):
        beta = numpyro.sample("beta", dist.Normal(0, 2.5 * coefficient_scale(x_mean, x_scale)))
    with numpyro.plate("obs", N):
        numpyro.sample("y", dist.Poisson(jnp.exp(x @ beta)), obs=y)


MODEL = Model(name="poisson", fn=poisson, defaults={"data": "epil"})

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
