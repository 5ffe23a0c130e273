r"""Tempered posteriors: a temperature in the likelihood or in the joint density.

.. math:: p_T(\theta \mid y) \propto p(y \mid \theta)^{1/T}\, p(\theta)
          \qquad \text{or} \qquad
          p_T(\theta \mid y) \propto \big(p(y \mid \theta)\, p(\theta)\big)^{1/T} .

T = 1 is the posterior; towards 0 it closes on the maximum, above 1 it spreads. That networks often
predict better "cold" (T < 1) says that the prior or the likelihood is not the right one (Wenzel et
al. 2020, arXiv:2002.02405; Aitchison 2021, arXiv:2008.05912: curated labels). Densities are
tempered in the model's own parameters; the Jacobian of NUTS's coordinates is not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, get_args

from numpyro.primitives import Messenger

from workbench.errors import UsageError
from workbench.fit.provenance import model_fingerprint
from workbench.model import Model, as_model

Part = Literal["likelihood", "joint"]


class _Tempered(Messenger):
    """Scale the log density of the observed sites, or of all of them."""

    def __init__(self, fn: Callable[..., Any], power: float, part: Part) -> None:
        super().__init__(fn)
        self.power, self.part = power, part

    def process_message(self, msg: Any) -> None:
        if msg["type"] == "sample" and (self.part == "joint" or msg["is_observed"]):
            before = msg.get("scale")
            msg["scale"] = self.power if before is None else self.power * before


def tempered(
    model: Model | Callable[..., Any], temperature: float, *, part: Part = "likelihood"
) -> Model:
    """Temper a model's posterior.

    Parameters
    ----------
    model : Model or callable
        Any model.
    temperature : float
        T.
    part : str
        ``likelihood`` or ``joint``.

    Returns
    -------
    Model
        To be fitted like any other. Its log-likelihood, in fits and information criteria, is the
        tempered one; predictive distributions and their log scores are those of the model.

    Raises
    ------
    UsageError
        When the temperature is not positive, or the part unknown.

    References
    ----------
    Wenzel et al. (2020), "How good is the Bayes posterior in deep neural networks really?",
    arXiv:2002.02405.

    Examples
    --------
    Four observations at temperature 4 weigh like one:

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.fit import fit_laplace
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> fit = fit_laplace(tempered(normal, 4.0), {"y": [1.0, 1.0, 1.0, 1.0]})
    >>> round(float(fit.params["mu"]), 9), round(float(fit.covariance[0, 0]), 9)
    (0.5, 0.5)
    """
    if not temperature > 0:
        raise UsageError(f"temperature expects a positive number; got {temperature}")
    if part not in get_args(Part):
        raise UsageError(f"part expects one of {', '.join(get_args(Part))}; got '{part}'")
    plain, power = as_model(model), 1 / temperature

    def fn(*args: Any, **kwargs: Any) -> Any:
        return _Tempered(plain.fn, power, part)(*args, **kwargs)

    fn.__signature__ = inspect.signature(plain.fn)  # pyright: ignore[reportFunctionMemberAccess]
    # what sets this function apart from others of the same source, for fingerprints
    fn.__doc__ = f"{part} to the power {power:.17g}: {model_fingerprint(plain.fn)}"
    return replace(plain, fn=fn)
