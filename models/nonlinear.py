r"""Nonlinear regression with a mean function of your own.

.. math::

    y_i &\sim \mathrm{Normal}\big(m(x_i; b),\ \sigma\big), \qquad i = 1, \dots, N \\
    b_k &= e^{l_k + s_k z_k} \quad \text{for } b_k \sim \mathrm{LogNormal}(l_k, s_k),
    \qquad
    b_k = l_k + s_k z_k \quad \text{for } b_k \sim \mathrm{Normal}(l_k, s_k) \\
    z_k &\sim \mathrm{Normal}(0,\ 1) \\
    \sigma &\sim \mathrm{Exponential}(1 / s_y)

with :math:`s_y` the sd of the response. Only the user knows the sizes of the :math:`b_k`, and says
so by their priors; the sites ``b_unit`` are the :math:`z_k`, so that the optimiser starts, and NUTS
steps, at that size (from generic starts of order one, :math:`m` is often flat in some
:math:`b_k`). Tables report the :math:`b_k` and :math:`\sigma`.

The default is the monomolecular adsorption of NIST's data set Misra1a,

.. math:: m(x; b_1, b_2) = b_1 \big(1 - e^{-b_2 x}\big),

whose maximum-likelihood estimate is certified to 11 digits.

References
----------
Bates, D. M. & Watts, D. G. (1988). Nonlinear Regression Analysis and Its Applications. Wiley.
doi:10.1002/9780470316757

NIST/ITL Statistical Reference Datasets: nonlinear regression, Misra1a.
https://www.itl.nist.gov/div898/strd/nls/data/misra1a.shtml
"""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from workbench.errors import ModelError
from workbench.model import Model


def nonlinear(
    mean: Callable[..., jax.Array],
    parameters: Mapping[str, dist.Distribution],
    *,
    name: str = "nonlinear",
    data: str | None = None,
) -> Model:
    """Build a regression model from a mean function.

    Parameters
    ----------
    mean : callable
        ``mean(x, **b)``: the mean of y, shape (N,), from the design x, shape (N, P), in the
        columns of the data (an intercept, if any, stands first), and the parameters by name.
    parameters : mapping of str to distribution
        A ``LogNormal`` (positive) or ``Normal`` prior for each parameter of ``mean``. Its median
        should have the size of the parameter, its spread what is plausible.
    name : str, optional
        Name of the model.
    data : str, optional
        Name of the built-in data set that the model is shown on.

    Returns
    -------
    Model
        Estimands: the parameters and ``sigma``.

    Raises
    ------
    ModelError
        When a prior is neither ``LogNormal`` nor ``Normal``.

    Examples
    --------
    >>> import jax.numpy as jnp, numpyro.distributions as dist
    >>> model = nonlinear(
    ...     lambda x, b1, b2: b1 * x[:, -1] ** b2,
    ...     {"b1": dist.LogNormal(0.0, 1.0), "b2": dist.Normal(3.0, 2.0)},
    ...     data="danwood",
    ... )
    >>> model.name
    'nonlinear'
    """
    for key, prior in parameters.items():
        if not isinstance(prior, dist.LogNormal | dist.Normal):
            raise ModelError(
                f"parameter '{key}' of model '{name}' expects a LogNormal or Normal prior; "
                f"got {type(prior).__name__}"
            )

    def fn(x, y_scale, y=None):
        """Nonlinear regression: y ~ Normal(m(x; b), sigma)."""
        b = {}
        for key, prior in parameters.items():
            unit = numpyro.sample(f"{key}_unit", dist.Normal(0, 1))
            value = prior.loc + prior.scale * unit
            positive = isinstance(prior, dist.LogNormal)
            b[key] = numpyro.deterministic(key, jnp.exp(value) if positive else value)
        sigma = numpyro.sample("sigma", dist.Exponential(1 / y_scale))
        with numpyro.plate("obs", x.shape[0]):
            numpyro.sample("y", dist.Normal(mean(x, **b), sigma), obs=y)

    def estimands(values, inputs):
        return {key: values[key] for key in (*parameters, "sigma")}

    defaults = {} if data is None else {"data": data}
    return Model(name=name, fn=fn, estimands=estimands, defaults=defaults)


def adsorption(x, b1, b2):
    """Give the mean of NIST's Misra1a: volume adsorbed at pressure x."""
    return -b1 * jnp.expm1(-b2 * x[:, -1])


MODEL = nonlinear(
    adsorption,
    # volumes up to 80 and pressures up to 760 were measured: a limit of the order of 100, reached
    # over pressures of the order of 1000, each give or take a factor of e
    {"b1": dist.LogNormal(math.log(100), 1.0), "b2": dist.LogNormal(math.log(1e-3), 1.0)},
    data="misra1a",
)

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
