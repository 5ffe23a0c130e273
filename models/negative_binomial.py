r"""Negative-binomial regression (NB2) with a log link: counts that vary more than Poisson's.

.. math::

    y_i &\sim \mathrm{NegativeBinomial}(\mu_i,\ \phi), \qquad
          \mu_i = e^{x_i^\top \beta}, \qquad i = 1, \dots, N \\
    \beta_j &\sim \mathrm{Normal}(0,\ 2.5\, s_j), \qquad j = 1, \dots, P \\
    \phi &\sim \mathrm{InverseGamma}(0.4,\ 0.3)

with :math:`E(y) = \mu` and :math:`\mathrm{Var}(y) = \mu + \mu^2 / \phi`; :math:`\phi \to \infty`
is Poisson regression (:mod:`models.poisson`), and :math:`1 / \phi` is what other texts call
:math:`\alpha`. :math:`s_j` is the unit of a coefficient on the log scale
(:func:`workbench.model.priors.coefficient_scale`). The prior of :math:`\phi` is Vehtari's (2024)
approximation to a penalised-complexity prior: its heavy tail keeps the Poisson limit in reach, and
it vanishes at :math:`\phi = 0`.

References
----------
Cameron, A. C. & Trivedi, P. K. (2013). Regression Analysis of Count Data, 2nd edition, section 3.3.
Cambridge University Press. doi:10.1017/CBO9781139013567

Simpson, D., Rue, H., Riebler, A., Martins, T. G. & Sorbye, S. H. (2017). Penalising model component
complexity. Statistical Science 32(1). doi:10.1214/16-STS576

Vehtari, A. (2024). Default prior for negative-binomial shape parameter.
https://users.aalto.fi/~ave/casestudies/Priors/negbinomial_shape_prior.html
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from workbench.model import Model
from workbench.model.distributions import NegativeBinomial2
from workbench.model.priors import coefficient_scale


def negative_binomial(x, x_mean, x_scale, y=None):
    """Negative-binomial regression: y ~ NegativeBinomial(exp(x beta), phi)."""
    N, P = x.shape
    with numpyro.plate("coefficient", P):
        beta = numpyro.sample("beta", dist.Normal(0, 2.5 * coefficient_scale(x_mean, x_scale)))
    phi = numpyro.sample("phi", dist.InverseGamma(0.4, 0.3))
    with numpyro.plate("obs", N):
        numpyro.sample("y", NegativeBinomial2(jnp.exp(x @ beta), phi), obs=y)


MODEL = Model(name="negative_binomial", fn=negative_binomial, defaults={"data": "epil"})

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
