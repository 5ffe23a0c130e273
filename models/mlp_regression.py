r"""Regression by a small neural network (multilayer perceptron).

.. math::

    y_i &\sim \mathrm{Normal}\big(m_y + s_y f(x_i),\ \sigma\big), \qquad i = 1, \dots, N \\
    f(x) &= W_L^\top h_{L-1} + b_L, \qquad
    h_l = \phi(W_l^\top h_{l-1} + b_l), \qquad h_0 = (x - m_x) / s_x \\
    W_l &\sim \mathrm{Normal}\big(0,\ \omega / \sqrt{H_{l-1}}\big), \qquad
    b_l \sim \mathrm{Normal}(0,\ \omega) \\
    \sigma &\sim \mathrm{Exponential}(1 / s_y)

Hidden layer l has :math:`H_l` units and activation :math:`\phi`; :math:`m` and :math:`s` are means
and sds of the data's columns (an intercept column is left out, the :math:`b_l` do its work). The
priors are Neal's (1996), scaled by fan-in; :math:`\omega` is ``prior_scale``.

With ``noise="input"`` the last layer has a second output g, and
:math:`\sigma(x) = s_y e^{g(x)}` takes the place of :math:`\sigma`.

The weights are not identified (hidden units can be exchanged, and ``tanh`` units change sign), so
tables report the fitted function :math:`m_y + s_y f(x)`: on a grid over the range of the data if
there is one covariate, at some rows of the data else.

References
----------
MacKay, D. J. C. (1992). A practical Bayesian framework for backpropagation networks. Neural
Computation 4(3). doi:10.1162/neco.1992.4.3.448

Neal, R. M. (1996). Bayesian Learning for Neural Networks. Lecture Notes in Statistics 118,
Springer. doi:10.1007/978-1-4612-0745-0
"""

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from workbench.errors import ModelError
from workbench.model import Model
from workbench.model.network import activation_function, perceptron, sample_weights
from workbench.model.priors import standardise


def mlp_regression(
    hidden: Sequence[int] = (8,),
    activation: str = "tanh",
    prior_scale: float = 2.0,
    *,
    noise: Literal["constant", "input"] = "constant",
    grid: int = 10,
    rows: Sequence[int] = (0, 1, 2, 3),
    name: str = "mlp_regression",
    data: str | None = None,
) -> Model:
    """Build a network for a continuous response.

    Parameters
    ----------
    hidden : sequence of int, optional
        Units of each hidden layer.
    activation : str, optional
        One of ``identity``, ``relu``, ``sigmoid``, ``softplus``, ``tanh``.
    prior_scale : float, optional
        The factor omega: larger means steeper functions.
    noise : str, optional
        ``constant``, or ``input``: an sd that depends on the covariates.
    grid : int, optional
        With one covariate: number of its values at which the function is reported.
    rows : sequence of int, optional
        With several covariates: rows of the data at which the function is reported.
    name : str, optional
        Name of the model.
    data : str, optional
        Name of the built-in data set that the model is shown on.

    Returns
    -------
    Model
        Estimands: ``f(1871)`` and so on (one covariate), or ``f(x[0])`` and so on (rows), in the
        unit of y; and ``sigma``, or with noise that depends on the input ``sigma(1871)`` and so on.

    Raises
    ------
    ModelError
        When the activation or the kind of noise is unknown.

    Examples
    --------
    >>> mlp_regression(hidden=(16, 16), activation="softplus").name
    'mlp_regression'
    """
    activation_function(activation)
    if noise not in ("constant", "input"):
        raise ModelError(f"noise expects one of constant, input; got '{noise}'")

    def fn(x, x_mean, x_scale, y_mean, y_scale, num_covariates=None, y=None):
        """Neural-network regression: y ~ Normal(f(x; W, b), sigma)."""
        h0 = standardise(x, x_mean, x_scale, num_covariates)
        num_outputs = 1 if noise == "constant" else 2
        weights = sample_weights((h0.shape[1], *hidden, num_outputs), prior_scale)
        f = perceptron(weights, h0, activation)
        if noise == "constant":
            sigma = numpyro.sample("sigma", dist.Exponential(1 / y_scale))
        else:
            sigma = y_scale * jnp.exp(f[:, 1])
        with numpyro.plate("obs", x.shape[0]):
            numpyro.sample("y", dist.Normal(y_mean + y_scale * f[:, 0], sigma), obs=y)

    def estimands(values, inputs):
        x, x_mean, x_scale = (inputs[key] for key in ("x", "x_mean", "x_scale"))
        h0 = standardise(x, x_mean, x_scale, inputs.get("num_covariates"))
        if h0.shape[1] == 1:
            # an intercept, if any, stands first
            x, x_mean, x_scale = (np.asarray(v) for v in (x, x_mean, x_scale))
            points = np.linspace(x[:, -1].min(), x[:, -1].max(), grid)
            h0 = (points[:, None] - x_mean[-1]) / x_scale[-1]
            labels = [f"{point:.6g}" for point in points]
        else:
            chosen = [i for i in rows if i < len(x)]
            h0, labels = h0[np.array(chosen)], [f"x[{i}]" for i in chosen]
        outputs = perceptron(values, h0, activation)
        f = inputs["y_mean"] + inputs["y_scale"] * outputs[:, 0]
        found = {f"f({label})": value for label, value in zip(labels, f, strict=True)}
        if noise == "constant":
            return {**found, "sigma": values["sigma"]}
        sigma = inputs["y_scale"] * jnp.exp(outputs[:, 1])
        return found | {f"sigma({t})": value for t, value in zip(labels, sigma, strict=True)}

    defaults = {} if data is None else {"data": data}
    return Model(name=name, fn=fn, estimands=estimands, defaults=defaults)


MODEL = mlp_regression(hidden=(4,), data="nile")

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
