r"""Normal linear regression.

.. math::

    y_i &\sim \mathrm{Normal}(x_i^\top \beta,\ \sigma), \qquad i = 1, \dots, N \\
    \beta_j &\sim \mathrm{Normal}(0,\ 2.5\, s_j), \qquad j = 1, \dots, P \\
    \sigma &\sim \mathrm{Exponential}(1 / s_y)

:math:`s_j` is the unit of a coefficient (:func:`workbench.model.priors.coefficient_scale`) and
:math:`s_y` the sd of the response: covariates explain at most all of it, so :math:`\sigma` is of
that size or less; the exponential prior is nowhere zero below it, and has a light tail above.

The maximum-likelihood estimate is least squares, with :math:`\hat\sigma^2 = RSS / N`.

References
----------
Gelman, A., Carlin, J. B., Stern, H. S., Dunson, D. B., Vehtari, A. & Rubin, D. B. (2013).
Bayesian Data Analysis, 3rd edition, chapter 14. Chapman & Hall/CRC. doi:10.1201/b16018
"""

import numpyro
import numpyro.distributions as dist

from workbench.model import Model
from workbench.model.priors import coefficient_scale


def linear(x, x_mean, x_scale, y_mean, y_scale, y=None):
    """Linear regression with normal noise: y ~ Normal(x beta, sigma)."""
    N, P = x.shape
    with numpyro.plate("coefficient", P):
        unit = coefficient_scale(x_mean, x_scale, y_mean, y_scale)
        beta = numpyro.sample("beta", dist.Normal(0, 2.5 * unit))
    sigma = numpyro.sample("sigma", dist.Exponential(1 / y_scale))
    with numpyro.plate("obs", N):
        numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


MODEL = Model(name="linear", fn=linear, defaults={"data": "diabetes"})

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
