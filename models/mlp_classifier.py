r"""Classification by a small neural network (multilayer perceptron).

.. math::

    y_i &\sim \mathrm{Categorical}(p_i), \qquad
    p_{ik} = \frac{e^{f_k(x_i)}}{\sum_{c=0}^{K-1} e^{f_c(x_i)}}, \qquad f_0 = 0,
    \qquad i = 1, \dots, N \\
    f(x) &= W_L^\top h_{L-1} + b_L \in R^{K-1}, \qquad
    h_l = \phi(W_l^\top h_{l-1} + b_l), \qquad h_0 = (x - m_x) / s_x \\
    W_l &\sim \mathrm{Normal}\big(0,\ \omega / \sqrt{H_{l-1}}\big), \qquad
    b_l \sim \mathrm{Normal}(0,\ \omega)

Hidden layer l has :math:`H_l` units and activation :math:`\phi`; :math:`m_x` and :math:`s_x` are
means and sds of the data's columns (an intercept column is left out, the :math:`b_l` do its work).
The first class is the reference, since only differences of the :math:`f_k` enter. The priors are
Neal's (1996), scaled by fan-in; :math:`\omega` is ``prior_scale``.

The weights are not identified (see :mod:`models.mlp_regression`), so tables report the class
probabilities at some rows of the data. Where the network separates the classes the likelihood has
no maximum: probabilities run to 0 and 1. The posterior keeps them apart.

References
----------
MacKay, D. J. C. (1992). The evidence framework applied to classification networks. Neural
Computation 4(5). doi:10.1162/neco.1992.4.5.720

Neal, R. M. (1996). Bayesian Learning for Neural Networks. Lecture Notes in Statistics 118,
Springer. doi:10.1007/978-1-4612-0745-0
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from workbench.model import Model
from workbench.model.network import activation_function, perceptron, sample_weights
from workbench.model.priors import standardise


def mlp_classifier(
    hidden: Sequence[int] = (8,),
    activation: str = "tanh",
    prior_scale: float = 2.0,
    *,
    rows: Sequence[int] = (0, 1, 2, 3),
    name: str = "mlp_classifier",
    data: str | None = None,
) -> Model:
    """Build a network for a categorical response.

    Parameters
    ----------
    hidden : sequence of int, optional
        Units of each hidden layer.
    activation : str, optional
        One of ``identity``, ``relu``, ``sigmoid``, ``softplus``, ``tanh``.
    prior_scale : float, optional
        The factor omega: larger means sharper borders between the classes.
    rows : sequence of int, optional
        Rows of the data at which the class probabilities are reported.
    name : str, optional
        Name of the model.
    data : str, optional
        Name of the built-in data set that the model is shown on.

    Returns
    -------
    Model
        Estimands: ``p(x[0])`` and so on, each of shape (K,).

    Raises
    ------
    ModelError
        When the activation is unknown.

    Examples
    --------
    >>> mlp_classifier(hidden=(16, 16)).estimand_dims["p(x[0])"]
    ('response_level',)
    """
    activation_function(activation)

    def logits(weights, h0):
        f = perceptron(weights, h0, activation)
        return jnp.concatenate([jnp.zeros((len(f), 1)), f], axis=1)

    def fn(x, x_mean, x_scale, num_classes=2, num_covariates=None, y=None):
        """Neural-network classifier: y ~ Categorical(softmax(f(x; W, b)))."""
        h0 = standardise(x, x_mean, x_scale, num_covariates)
        weights = sample_weights((h0.shape[1], *hidden, num_classes - 1), prior_scale)
        with numpyro.plate("obs", x.shape[0]):
            numpyro.sample("y", dist.Categorical(logits=logits(weights, h0)), obs=y)

    def estimands(values, inputs):
        x, x_mean, x_scale = (inputs[key] for key in ("x", "x_mean", "x_scale"))
        h0 = standardise(x, x_mean, x_scale, inputs.get("num_covariates"))
        chosen = [i for i in rows if i < len(h0)]
        p = jax.nn.softmax(logits(values, h0[np.array(chosen)]))
        return {f"p(x[{i}])": p[n] for n, i in enumerate(chosen)}

    return Model(
        name=name,
        fn=fn,
        estimands=estimands,
        estimand_dims={f"p(x[{i}])": ("response_level",) for i in rows},
        defaults={} if data is None else {"data": data},
    )


# one iris of each species, and three near the border of the last two
MODEL = mlp_classifier(hidden=(4,), rows=(0, 60, 70, 83, 106, 120), data="iris")

if __name__ == "__main__":
    from workbench.cli import compare_model

    raise SystemExit(compare_model(MODEL))
