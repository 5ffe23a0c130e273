r"""Regression models: a family of responses, a linear predictor, and effects of groups.

.. math::

    y_i &\sim \mathrm{Family}(g^{-1}(\eta_i)), \qquad
    \eta_i = o_i + x_i^\top \beta + \sum_f z_{f i}^\top u_{f, h_f(i)}, \qquad i = 1, \dots, N \\
    u_{f g} &= \mathrm{diag}(\tau_f) L_f e_{f g}, \qquad e_{f g} \sim \mathrm{Normal}(0, I)

with offsets o, factors f whose groups g have effects u, their sds :math:`\tau_f` and the Cholesky
factor :math:`L_f` of their correlations. A case weight multiplies the log density of its row.

The effects are written in units of their sd (not centred). The marginal likelihood does not notice:
Laplace's method is invariant to affine maps of the effects at fixed parameters, but this form stays
regular where a :math:`\tau` goes to 0, the border at which many fits end. NUTS has no funnel
there either; where the data fix every effect, and the non-centred posterior is correlated instead,
its coordinates come from the Laplace approximation, which takes linear correlations out
(:func:`workbench.fit.fit_nuts`).

References
----------
Papaspiliopoulos, O., Roberts, G. O. & Skold, M. (2007). A general framework for the parametrization
of hierarchical models. Statistical Science 22(1). doi:10.1214/088342307000000014
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro import handlers

from workbench.model.elementwise import About, joint_prior
from workbench.model.families import Family
from workbench.model.ordinal import Ordinal
from workbench.model.prior_text import PriorText


@dataclass(frozen=True, kw_only=True)
class GroupEffects:
    """The effects of one factor of groups.

    Attributes
    ----------
    suffix : str
        End of the names of its inputs and sites (empty where there is one factor).
    count : str
        The input that holds the number of groups.
    level, effect : str
        Its dimensions: groups G, and effects Q of each group.
    labels : tuple of str
        The Q effects.
    correlated : bool
        Whether the effects of one group are correlated.
    spread : tuple of PriorText
        Prior of the sd of each effect.
    correlation : PriorText or None
        LKJ prior of their correlations.
    """

    suffix: str
    count: str
    level: str
    effect: str
    labels: tuple[str, ...]
    correlated: bool
    spread: tuple[PriorText, ...]
    correlation: PriorText | None


@dataclass(frozen=True, kw_only=True)
class Regression:
    """What a regression model is made of.

    Attributes
    ----------
    family : Family
        Family and link of the response.
    coefficients : tuple of PriorText
        Prior of each column of the common design.
    parameters : mapping of str to PriorText
        Priors of the family's parameters (``nu``: of nu - 1).
    cut : PriorText or None
        Prior of the first cut of ordered categories.
    groups : tuple of GroupEffects
        The factors of group effects.
    about : About or None
        Coordinates of the coefficients, where not every linear predictor is possible.
    """

    family: Family
    coefficients: tuple[PriorText, ...]
    parameters: Mapping[str, PriorText]
    cut: PriorText | None
    groups: tuple[GroupEffects, ...]
    about: About | None


def regression_function(spec: Regression) -> Callable[..., None]:
    """Write the NumPyro function of a regression.

    Parameters
    ----------
    spec : Regression
        Family, priors and groups.

    Returns
    -------
    callable
        Takes the inputs of a formula's :class:`~workbench.data.Dataset` and ``y``.
    """

    def regression(x, y=None, **data):
        eta = data.get("offset", 0.0) + linear_predictor(spec, x, data)
        for group in spec.groups:
            eta = eta + group_effects(group, data)
        parameters = family_parameters(spec, data)
        weights = data.get("weights")
        weighted = nullcontext() if weights is None else handlers.scale(scale=weights)
        with numpyro.plate("obs", x.shape[0]), weighted:
            numpyro.sample("y", response(spec, eta, parameters, data.get("trials")), obs=y)

    return regression


def linear_predictor(spec: Regression, x: jax.Array, data: Mapping[str, Any]) -> jax.Array:
    """The sum over the common design; of shape (N, K - 1) for K categories without an order."""
    if not spec.coefficients:
        return jnp.zeros(x.shape[0])
    prior = joint_prior(spec.coefficients, spec.about)
    with numpyro.plate("coefficient", x.shape[1], dim=-1):
        if spec.family.name != "categorical":
            return x @ numpyro.sample("beta", prior)
        with numpyro.plate("contrast", data["num_classes"] - 1, dim=-2):
            return x @ numpyro.sample("beta", prior).T


def group_effects(group: GroupEffects, data: Mapping[str, Any]) -> jax.Array:
    """What the groups of one factor add to the linear predictor, shape (N,)."""
    name, Q = group.suffix, len(group.labels)
    G, member, z = data[group.count], data[f"group{name}"], data[f"z{name}"]
    with numpyro.plate(group.effect, Q, dim=-1):
        tau = numpyro.sample(f"sd{name}", joint_prior(group.spread))
        with numpyro.plate(group.level, G, dim=-2):
            unit = numpyro.sample(f"u_unit{name}", dist.Normal(0, 1))
    factor = jnp.eye(Q) if group.correlation is None else correlation_factor(group)
    u = numpyro.deterministic(f"u{name}", unit @ (tau[:, None] * factor).T)
    return jnp.sum(z * u[member], axis=1)


def correlation_factor(group: GroupEffects) -> jax.Array:
    """Cholesky factor of the correlations of the effects of one group, shape (Q, Q)."""
    assert group.correlation is not None
    name, Q, (eta,) = group.suffix, len(group.labels), group.correlation.arguments
    if Q > 2:
        factor = numpyro.sample(f"chol{name}", dist.LKJCholesky(Q, eta))
        numpyro.deterministic(f"cor{name}", (factor @ factor.T)[jnp.tril_indices(Q, -1)])
        return factor
    # of two effects, LKJ(eta) says that (r + 1) / 2 is Beta(eta, eta)
    half = dist.transforms.AffineTransform(-1.0, 2.0, domain=dist.constraints.unit_interval)
    r = numpyro.sample(f"cor{name}", dist.TransformedDistribution(dist.Beta(eta, eta), half))
    return jnp.array([[1.0, 0.0], [0.0, 0.0]]).at[1].set(jnp.stack([r, jnp.sqrt(1 - r**2)]))


def family_parameters(spec: Regression, data: Mapping[str, Any]) -> dict[str, jax.Array]:
    """The parameters of the response besides its mean, by name."""
    found = {}
    for name, prior in spec.parameters.items():
        base = prior.distribution()
        if name == "nu":  # nu > 1 is part of the model
            one_more = dist.transforms.AffineTransform(1.0, 1.0, domain=base.support)
            base = dist.TransformedDistribution(base, one_more)
        found[name] = numpyro.sample(name, base)
    if spec.cut is not None:
        # the first cut, and the logarithms of the distances to the next
        further = jnp.zeros(data["num_classes"] - 2)
        first = spec.cut.distribution()
        loc, scale = jnp.append(first.loc, further), jnp.append(first.scale, further + 1)
        steps = dist.Normal(loc, scale).to_event(1)
        ordered = dist.transforms.OrderedTransform()
        found["cut"] = numpyro.sample("cut", dist.TransformedDistribution(steps, ordered))
    return found


def response(
    spec: Regression, eta: jax.Array, parameters: Mapping[str, jax.Array], trials: Any
) -> dist.Distribution:
    """Distribution of the response given its linear predictor."""
    family = spec.family
    if family.response is not None:
        return family.response(eta, family.link, parameters, trials)
    if family.name == "categorical":
        return dist.Categorical(logits=jnp.pad(eta, ((0, 0), (1, 0))))
    return Ordinal(eta, parameters["cut"], family.link.name)
