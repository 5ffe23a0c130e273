r"""Linear regression with Student-t noise: outliers weigh less.

.. math::

    y_i &\sim \mathrm{StudentT}(\nu,\ x_i^\top \beta,\ \sigma), \qquad i = 1, \dots, N \\
    \beta_j &\sim \mathrm{Normal}(0,\ 2.5\, s_j), \qquad j = 1, \dots, P \\
    \sigma &\sim \mathrm{Exponential}(1 / s_y) \\
    \nu - 1 &\sim \mathrm{Exponential}(1 / 29)

with :math:`s_j` and :math:`s_y` as in :mod:`models.linear`. The prior of the degrees of freedom has
mean 30 and treats heavy tails and nearly normal noise alike (Kruschke 2013).

The bound :math:`\nu > 1` is part of the model, not only of its prior: over all :math:`\nu > 0` the
likelihood has no maximum, since it grows without limit as :math:`\sigma \to 0` with P rows fitted
exactly and :math:`\nu < P / (N - P)` (Fernandez & Steel 1999). Normal data send the
maximum-likelihood :math:`\nu` to infinity.

References
----------
Lange, K. L., Little, R. J. A. & Taylor, J. M. G. (1989). Robust statistical modeling using the t
distribution. Journal of the American Statistical Association 84(408).
doi:10.1080/01621459.1989.10478852

Fernandez, C. & Steel, M. F. J. (1999). Multivariate Student-t regression models: pitfalls and
inference. Biometrika 86(1). doi:10.1093/biomet/86.1.153

Kruschke, J. K. (2013). Bayesian estimation supersedes the t test. Journal of Experimental
Psychology: General 142(2). doi:10.1037/a0029146
"""

import numpyro
import numpyro.distributions as dist

from workbench.model import Model
from workbench.model.distributions import StudentT
from workbench.model.priors import coefficient_scale


def robust(x, x_mean, x_scale, y_mean, y_scale, y=None):
    """Linear regression with Student-t noise: y ~ StudentT(nu, x beta, sigma)."""
    N, P = x.shape
    with numpyro.plate("coefficient", P):
        unit = coefficient_scale(x_mean, x_scale, y_mean, y_scale)
        beta = numpyro.sample("beta", dist.Normal(0, 2.5 * unit))
    sigma = numpyro.sample("sigma", dist.Exponential(1 / y_scale))
    one_more = dist.transforms.AffineTransform(1.0, 1.0, domain=dist.constraints.positive)
    nu = numpyro.sample("nu", dist.TransformedDistribution(dist.Exponential(1 / 29), one_more))
    with numpyro.plate("obs", N):
        numpyro.sample("y", StudentT(nu, x @ beta, sigma), obs=y)


MODEL = Model(name="robust", fn=robust, defaults={"data": "engel"})

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
