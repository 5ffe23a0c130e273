r"""Logistic regression.

.. math::

    y_i &\sim \mathrm{Bernoulli}\big(1 / (1 + e^{-x_i^\top \beta})\big), \qquad i = 1, \dots, N \\
    \beta_j &\sim \mathrm{Normal}(0,\ 2.5\, s_j), \qquad j = 1, \dots, P

:math:`s_j` is the unit of a coefficient on the logit scale, one over the sd of its covariate
(:func:`workbench.model.priors.coefficient_scale`): one sd of a covariate changes the odds by a
factor of :math:`e^{5} \approx 150` at most, with prior probability 0.95.

Where a plane separates the two outcomes the likelihood has no maximum; the posterior is proper.

References
----------
Gelman, A., Jakulin, A., Pittau, M. G. & Su, Y.-S. (2008). A weakly informative default prior
distribution for logistic and other regression models. Annals of Applied Statistics 2(4).
doi:10.1214/08-AOAS191

Albert, A. & Anderson, J. A. (1984). On the existence of maximum likelihood estimates in logistic
regression models. Biometrika 71(1). doi:10.1093/biomet/71.1.1
"""

import numpyro
import numpyro.distributions as dist

from workbench.model import Model
from workbench.model.priors import coefficient_scale


def logistic(x, x_mean, x_scale, y=None):
    """Logistic regression: y ~ Bernoulli(logit^-1(x beta))."""
    N, P = x.shape
    with numpyro.plate("coefficient", P):
        beta = numpyro.sample("beta", dist.Normal(0, 2.5 * coefficient_scale(x_mean, x_scale)))
    with numpyro.plate("obs", N):
        numpyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=y)


MODEL = Model(name="logistic", fn=logistic, defaults={"data": "spector"})

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
