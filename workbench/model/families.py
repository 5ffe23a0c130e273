r"""Families of a response given its mean :math:`\mu`, and what each asks of the data.

=================  ==============================================  ===================
family             distribution of y                               variance
=================  ==============================================  ===================
gaussian           Normal(:math:`\mu, \sigma`)                     :math:`\sigma^2`
student            StudentT(:math:`\nu, \mu, \sigma`)
binomial           Binomial(n, :math:`\mu`), n trials (1)          :math:`n \mu(1-\mu)`
poisson            Poisson(:math:`\mu`)                            :math:`\mu`
negative_binomial  NegativeBinomial2(:math:`\mu, \phi`)            :math:`\mu+\mu^2/\phi`
gamma              Gamma(shape :math:`a`, rate :math:`a / \mu`)    :math:`\mu^2 / a`
inverse_gaussian   InverseGaussian(:math:`\mu`, shape)             :math:`\mu^3` / shape
beta               Beta(:math:`\mu \phi, (1 - \mu) \phi`)          :math:`\mu(1-\mu)/(1+\phi)`
ordinal            Ordinal(:math:`\eta`, cuts)
categorical        Categorical(softmax(:math:`0, \eta_1, \dots`))
=================  ==============================================  ===================

In student, :math:`\nu > 1` is part of the model: over all :math:`\nu > 0` the likelihood has no
maximum (Fernandez & Steel 1999).

References
----------
McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd edition. Chapman & Hall.
doi:10.1007/978-1-4899-3242-6

Ferrari, S. & Cribari-Neto, F. (2004). Beta regression for modelling rates and proportions.
Journal of Applied Statistics 31(7). doi:10.1080/0266476042000214501

Fernandez, C. & Steel, M. F. J. (1999). Multivariate Student-t regression models: pitfalls and
inference. Biometrika 86(1). doi:10.1093/biomet/86.1.153
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist

from workbench.data import Dataset
from workbench.data.columns import first_row
from workbench.data.formula import absent
from workbench.errors import DataError, UsageError
from workbench.model.distributions import InverseGaussian, NegativeBinomial2, StudentT
from workbench.model.links import LINKS, Link

Parameters = Mapping[str, jax.Array]
Response = Callable[[jax.Array, Link, Parameters, Any], dist.Distribution]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of responses.

    Attributes
    ----------
    name : str
        Its name.
    links : tuple of str
        The links it may have, the usual one first.
    response : callable or None
        Distribution of y from the linear predictor, the link, the parameters and the trials;
        None for categories, whose parameters are cuts or several predictors.
    parameters : tuple of str
        Its scalar parameters besides the mean.
    expects : str
        What a value of y must be, in words.
    fits : callable or None
        Which values of y, an array, are so; None for categories.
    counts : bool
        Whether y must be whole numbers.
    chosen : str
        The link that was asked for; the usual one when empty.
    """

    name: str
    links: tuple[str, ...]
    response: Response | None
    parameters: tuple[str, ...] = ()
    expects: str
    fits: Callable[[np.ndarray], np.ndarray] | None
    counts: bool = False
    chosen: str = ""

    @property
    def link(self) -> Link:
        """The link that was chosen, or the usual one."""
        return LINKS[self.chosen or self.links[0]]

    @property
    def label(self) -> str:
        """Name and link, such as ``poisson(log)``."""
        return f"{self.name}({self.link.name})"

    @property
    def categories(self) -> bool:
        """Whether the response is one of several categories."""
        return self.response is None

    @property
    def bounded(self) -> bool:
        """Whether some linear predictors give no mean that the family can have."""
        if self.name in ("gaussian", "student"):
            return self.link.name == "inverse"  # 1 / 0
        return self.link.name == "log" if self.name == "binomial" else self.link.keeps_unit


def _binomial(eta: jax.Array, link: Link, _: Parameters, trials: Any) -> dist.Distribution:
    assert link.log_odds is not None
    if trials is None:
        return dist.Bernoulli(logits=link.log_odds(eta))
    # NumPyro draws only from whole numbers of trials that are integers
    return dist.Binomial(trials.astype(int), logits=link.log_odds(eta))


def _gamma(eta: jax.Array, link: Link, p: Parameters, _: Any) -> dist.Distribution:
    return dist.Gamma(p["shape"], p["shape"] / link.mean(eta))


def _beta(eta: jax.Array, link: Link, p: Parameters, _: Any) -> dist.Distribution:
    mu = link.mean(eta)
    return dist.Beta(mu * p["phi"], (1 - mu) * p["phi"])


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="gaussian", links=("identity", "log", "inverse"), parameters=("sigma",),
            response=lambda eta, link, p, _: dist.Normal(link.mean(eta), p["sigma"]),
            expects="numbers", fits=np.isfinite,
        ),
        Family(
            name="student", links=("identity", "log", "inverse"), parameters=("sigma", "nu"),
            response=lambda eta, link, p, _: StudentT(p["nu"], link.mean(eta), p["sigma"]),
            expects="numbers", fits=np.isfinite,
        ),
        Family(
            name="binomial", links=("logit", "probit", "cloglog", "log"), response=_binomial,
            expects="0 or 1, or counts with trials", fits=lambda y: y >= 0, counts=True,
        ),
        Family(
            name="poisson", links=("log", "identity"),
            response=lambda eta, link, _, __: dist.Poisson(link.mean(eta)),
            expects="counts 0, 1, 2, ...", fits=lambda y: y >= 0, counts=True,
        ),
        Family(
            name="negative_binomial", links=("log", "identity"), parameters=("phi",),
            response=lambda eta, link, p, _: NegativeBinomial2(link.mean(eta), p["phi"]),
            expects="counts 0, 1, 2, ...", fits=lambda y: y >= 0, counts=True,
        ),
        Family(
            name="gamma", links=("log", "inverse", "identity"), parameters=("shape",),
            response=_gamma, expects="positive numbers", fits=lambda y: y > 0,
        ),
        Family(
            name="inverse_gaussian", links=("log", "inverse", "identity"), parameters=("shape",),
            response=lambda eta, link, p, _: InverseGaussian(link.mean(eta), p["shape"]),
            expects="positive numbers", fits=lambda y: y > 0,
        ),
        Family(
            name="beta", links=("logit", "probit", "cloglog"), parameters=("phi",), response=_beta,
            expects="numbers between 0 and 1, both excluded", fits=lambda y: (y > 0) & (y < 1),
        ),
        Family(
            name="ordinal", links=("logit", "probit"), response=None,
            expects="categories", fits=None,
        ),
        Family(
            name="categorical", links=("logit",), response=None, expects="categories", fits=None,
        ),
    )
}  # fmt: skip


def find_family(text: str) -> Family:
    """Look up a family with its link.

    Parameters
    ----------
    text : str
        ``NAME`` or ``NAME(link)``, such as ``poisson`` or ``binomial(probit)``.

    Returns
    -------
    Family
        With its usual link where none is named.

    Raises
    ------
    UsageError
        When there is no such family, or it does not have the link.

    Examples
    --------
    >>> find_family("gamma(inverse)").link.name
    'inverse'
    >>> find_family("poisson(logit)")
    Traceback (most recent call last):
    workbench.errors.UsageError: family 'poisson' has links log, identity; got 'logit'
    """
    read = re.fullmatch(r"\s*(\w+)\s*(?:\(\s*(\w*)\s*\))?\s*", text)
    if read is None:
        raise UsageError(f"family expects NAME or NAME(link), as in poisson(log); got '{text}'")
    name, link = read.groups()
    if name not in FAMILIES:
        raise UsageError(f"asked for family '{name}', {absent(name, list(FAMILIES))}")
    family = FAMILIES[name]
    if link and link not in family.links:
        raise UsageError(f"family '{name}' has links {', '.join(family.links)}; got '{link}'")
    return replace(family, chosen=link or "")


def check_response(family: Family, data: Dataset) -> None:
    """Refuse a response that a family cannot have.

    Parameters
    ----------
    family : Family
        The family.
    data : Dataset
        Data of a formula.

    Raises
    ------
    DataError
        Naming the response, the row and the value.
    """
    assert data.design is not None
    name, levels, y = data.design.response, data.design.response_levels, data.observed["y"]
    trials = data.inputs.get("trials")
    expected = f"response '{name}' of family '{family.name}' expects {family.expects}"
    if family.fits is None:
        if levels is None:
            raise DataError(f"{expected}; got numbers, of which C({name}) makes categories")
        return
    if levels is not None and (family.name != "binomial" or len(levels) != 2):
        raise DataError(f"{expected}; got the categories {', '.join(levels[:6])}")
    good = family.fits(y)
    if family.counts:
        good &= y == np.round(y)
    if family.name == "binomial" and trials is None:
        good &= y <= 1
    if not good.all():
        raise DataError(f"{expected}; got {y[~good][0]:g} in row {first_row(~good)}")
    if trials is None:
        return
    above = y > trials
    if above.any():
        raise DataError(
            f"response '{name}' has {y[above][0]:g} successes of {trials[above][0]:g} trials in "
            f"row {first_row(above)}; expected at most as many as trials"
        )
