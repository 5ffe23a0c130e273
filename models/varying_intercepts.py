r"""Linear regression with an intercept for each group.

.. math::

    y_i &\sim \mathrm{Normal}(\alpha_{g(i)} + \beta_1 x_{i1} + \dots + \beta_P x_{iP},\ \sigma),
    \qquad i = 1, \dots, N \\
    \alpha_g &\sim \mathrm{Normal}(\beta_0,\ \tau), \qquad g = 1, \dots, G \\
    \beta_j &\sim \mathrm{Normal}(0,\ 2.5\, s_j), \qquad j = 0, \dots, P \\
    \sigma,\ \tau &\sim \mathrm{Exponential}(1 / s_y)

with :math:`s_j` and :math:`s_y` as in :mod:`models.linear`: the groups too can explain at most all
of the response's sd. :math:`\beta_0` is the coefficient of the intercept (0 without one), and
:math:`u_g = \alpha_g - \beta_0` the effect of a group. Maximum likelihood integrates the
:math:`\alpha_g` out (exactly, since all is normal), so that it is the fit of
``lme4::lmer(REML = FALSE)``.

The groups' intercepts are sampled about their mean, not as :math:`u_g` about 0 (hierarchical
centring, Gelfand, Sahu & Carlin 1995): data that fix each :math:`\alpha_g` leave :math:`\beta_0`
and all :math:`u_g` free to move against each other. Groups with few rows and a small
:math:`\tau` want the non-centred form of :mod:`models.eight_schools` instead.

References
----------
Laird, N. M. & Ware, J. H. (1982). Random-effects models for longitudinal data. Biometrics 38(4).
doi:10.2307/2529876

Gelman, A. & Hill, J. (2007). Data Analysis Using Regression and Multilevel/Hierarchical Models,
section 12.2. Cambridge University Press. doi:10.1017/CBO9780511790942

Gelfand, A. E., Sahu, S. K. & Carlin, B. P. (1995). Efficient parametrisations for normal linear
mixed models. Biometrika 82(3). doi:10.1093/biomet/82.3.479
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from workbench.model import Model
from workbench.model.priors import coefficient_scale, is_intercept


def varying_intercepts(x, x_mean, x_scale, y_mean, y_scale, group, num_groups, y=None):
    """Linear regression with varying intercepts: y ~ Normal(alpha[group] + x beta, sigma)."""
    N, P = x.shape
    with numpyro.plate("coefficient", P):
        unit = coefficient_scale(x_mean, x_scale, y_mean, y_scale)
        beta = numpyro.sample("beta", dist.Normal(0, 2.5 * unit))
    tau = numpyro.sample("tau", dist.Exponential(1 / y_scale))
    intercept = is_intercept(x_mean, x_scale)
    beta_0, slopes = jnp.sum(beta * intercept), beta * ~intercept
    with numpyro.plate("level", num_groups):
        alpha = numpyro.sample("alpha", dist.Normal(beta_0, tau))
        numpyro.deterministic("u", alpha - beta_0)
    sigma = numpyro.sample("sigma", dist.Exponential(1 / y_scale))
    with numpyro.plate("obs", N):
        numpyro.sample("y", dist.Normal(alpha[group] + x @ slopes, sigma), obs=y)


MODEL = Model(
    name="varying_intercepts",
    fn=varying_intercepts,
    random_effects=("alpha",),
    dims={"u": ("level",)},
    defaults={"data": "dietox"},
)

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
