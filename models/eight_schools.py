r"""Eight schools: effects of coaching, measured in eight parallel experiments.

.. math::

    y_j &\sim \mathrm{Normal}(\theta_j,\ \sigma_j), \qquad j = 1, \dots, 8 \\
    \theta_j &= \mu + \tau \eta_j, \qquad \eta_j \sim \mathrm{Normal}(0,\ 1) \\
    \mu &\sim \mathrm{Normal}(0,\ 5) \\
    \tau &\sim \mathrm{HalfCauchy}(5)

The :math:`\sigma_j` are known. The model is Rubin's (1981) as in Bayesian Data Analysis; these
priors, and the non-centred form, are those of ``eight_schools_noncentered`` in posteriordb. The
marginal likelihood of :math:`\tau` is highest at :math:`\tau = 0`, the border: no spread between
the schools at all (Bayesian Data Analysis, figure 5.5).

References
----------
Rubin, D. B. (1981). Estimation in parallel randomized experiments. Journal of Educational
Statistics 6(4). doi:10.3102/10769986006004377

Gelman, A., Carlin, J. B., Stern, H. S., Dunson, D. B., Vehtari, A. & Rubin, D. B. (2013).
Bayesian Data Analysis, 3rd edition, section 5.5. Chapman & Hall/CRC. doi:10.1201/b16018
"""

import numpyro
import numpyro.distributions as dist

from workbench.model import Model


def eight_schools(sigma, y=None):
    """Eight schools: y ~ Normal(theta, sigma), theta ~ Normal(mu, tau)."""
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("school", sigma.shape[0]):
        eta = numpyro.sample("eta", dist.Normal(0, 1))
        theta = numpyro.deterministic("theta", mu + tau * eta)
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


MODEL = Model(
    name="eight_schools",
    fn=eight_schools,
    random_effects=("eta",),
    dims={"theta": ("school",)},
    defaults={"data": "eight_schools"},
)

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
