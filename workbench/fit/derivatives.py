r"""Value, gradient and Hessian of an objective, by the cheapest exact way its structure allows.

Forward over reverse differentiation is one product of matrices where each row holds one parameter
(a logit, a rate). Normal rows hold two, and the tangents of both pass through every row. With means
:math:`\mu` affine in the unconstrained parameters :math:`\theta`, the Hessian of the log-likelihood
in the coordinates that the standard deviations do not depend on is

.. math:: -X^T W X, \qquad X = \frac{\partial \mu}{\partial \theta}, \quad
          W_{kk} = -\frac{\partial^2 \ell}{\partial \mu_k^2},

again one product (McCullagh and Nelder, Generalized Linear Models, 2nd ed., section 2.5); the few
other columns come from the gradient, differentiated along each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.compilation import compiled
from workbench.model import Density
from workbench.model.affine import Form, forms
from workbench.model.evaluation import evaluate, leaf_curvatures
from workbench.model.provenance import reach
from workbench.model.sites import bare

_FEW = 4  # coordinates that are differentiated along one by one

Objective = Callable[..., jax.Array]
Derivatives = tuple[jax.Array, jax.Array, jax.Array]


def derivatives(
    objective: Objective, density: Density
) -> Callable[[jax.Array, jax.Array, Any], Derivatives]:
    """Value, gradient and Hessian at w = 0 of an objective at theta + P w, differentiated twice.

    Parameters
    ----------
    objective : callable
        Takes theta, shape (P,), and the data.
    density : Density
        Says whether tangents can be pushed forward.

    Returns
    -------
    callable
        Takes theta, P of shape (P, P), and the data.
    """

    def program(theta: jax.Array, scale: jax.Array, arrays: Any) -> Derivatives:
        def gradient(w: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            value, g = jax.value_and_grad(lambda w: objective(theta + scale @ w, arrays))(w)
            return g, (value, g)

        at_once, zero = density.tangents_at_once, jnp.zeros_like(theta)
        if at_once is None or not density.forward_mode:
            hessian, (value, g) = density.jacobian(gradient, has_aux=True)(zero)
            return value, g, hessian
        g, push, (value, _) = jax.linearize(gradient, zero, has_aux=True)
        return value, g, jax.lax.map(push, jnp.eye(theta.size), batch_size=at_once)

    return program


@compiled
def coordinates_of_scales(density: Density) -> tuple[int, ...] | None:
    """Positions in z of what the standard deviations of normal rows with affine means depend on.

    Parameters
    ----------
    density : Density
        The model at its data.

    Returns
    -------
    tuple of int or None
        ``None`` where an observed site is not normal, its means do not move or are not affine in
        z, a factor stands beside it, or the standard deviations depend on more than a few
        coordinates.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    ...     numpyro.sample("y", dist.Normal(mu, sigma), obs=y)
    >>> coordinates_of_scales(read_density(normal, {"y": [1.0, 2.0]}))
    (1,)
    """
    names = density.names("observed")
    if not names or density.names("factor") or any(density.site(n).moved_by for n in names):
        return None
    kinds: set[str] = set()

    def parameters(inputs: Mapping[str, Any]) -> dict[str, Any]:
        z = {x.name: inputs[x.name] for x in density.latents}
        found = evaluate(density.model.fn, density.arguments.join(inputs["data"]), z)
        fns = [bare(found.distributions[n]) for n in names]
        kinds.update(type(fn).__name__ for fn in fns)
        if kinds != {"Normal"}:
            return {}
        return {"loc": [fn.loc for fn in fns], "scale": [fn.scale for fn in fns]}

    # not one flat vector, out of which every site would seem to hold all
    z = {x.name: jax.ShapeDtypeStruct(x.shape, float) for x in density.latents}
    labels = reach(parameters, {**z, "data": density.arrays})
    if not labels or not all(labels["loc"]):
        return None  # another family, or means that do not move
    found = forms(lambda z, data: parameters({**z, "data": data}), z, density.arrays)
    behind = frozenset().union(*labels["scale"])
    spans = [range(x.start, x.stop) for x in density.latents if x.name in behind]
    positions = tuple(i for span in spans for i in span)
    return None if max(found["loc"]) > Form.AFFINE or len(positions) > _FEW else positions


def normal_derivatives(
    objective: Objective, log_prior: Objective | None, density: Density, scales: tuple[int, ...]
) -> Callable[[jax.Array, jax.Array, Any], Derivatives]:
    """The same as :func:`derivatives`, for normal rows with affine means.

    Parameters
    ----------
    objective : callable
        Takes z, shape (D,), and the data.
    log_prior : callable, optional
        What the objective holds beside the log-likelihood.
    density : Density
        The model at its data.
    scales : tuple of int
        As found by :func:`coordinates_of_scales`.

    Returns
    -------
    callable
        As of :func:`derivatives`.
    """
    names, by_hand = density.names("observed"), np.array(scales, dtype=int)

    def means(z: jax.Array, arrays: Any) -> jax.Array:
        fns = density.evaluate(z, arrays).distributions
        return jnp.concatenate([jnp.ravel(bare(fns[n]).loc) for n in names])

    def curvature(z: jax.Array, arrays: Any) -> jax.Array:
        """Second derivative of the log-likelihood in each mean: minus its precision."""
        here, parts = density.evaluate(z, arrays), []
        for n in names:
            fn = here.distributions[n]
            leaves = leaf_curvatures(fn, here.observations[n], here.scales[n])
            parts += [jnp.ravel(x.curvature) for x in leaves if x.leaf is bare(fn).loc]
        return jnp.concatenate(parts)

    def program(z: jax.Array, scale: jax.Array, arrays: Any) -> Derivatives:
        differentiated = jax.value_and_grad(lambda z: objective(z, arrays))
        value, slope = differentiated(z)
        others = jnp.ones(z.size).at[by_hand].set(0.0)
        along = jax.vmap(lambda v: jax.jvp(lambda t: means(t, arrays), (z,), (v,))[1])
        # a row for each coordinate of w
        factor = along((scale * others[:, None]).T) * jnp.sqrt(-curvature(z, arrays))
        rest = jnp.zeros((z.size, z.size))
        if log_prior is not None:
            rest = jax.hessian(log_prior)(z, arrays)
        if by_hand.size:
            column = jax.vmap(lambda v: jax.jvp(differentiated, (z,), (v,))[1][1])
            columns = column(jnp.eye(z.size)[by_hand])
            rest = rest.at[by_hand].set(columns).at[:, by_hand].set(columns.T)
        return value, scale.T @ slope, scale.T @ rest @ scale - factor @ factor.T

    return program
