r"""One trace of a NumPyro function at unconstrained values: log densities and Jacobians by site.

Transforms and Jacobians follow the Stan reference manual, chapter "Constraint transforms".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from numpyro import handlers
from numpyro.distributions import biject_to, constraints
from numpyro.infer.util import compute_log_probs

from workbench.model.logits import RightAtZero
from workbench.model.sites import bare, support_of

Z = Mapping[str, jax.Array]


class Evaluation(NamedTuple):
    """Everything one trace gives at a point z.

    Attributes
    ----------
    values : dict of str to jax.Array
        Constrained values of the latent and of the deterministic sites.
    log_probs : dict of str to jax.Array
        Log density of each sample site, one entry per independent element (batch shape).
    log_jacobian : dict of str to jax.Array
        Log absolute determinant of each latent site's transform (scalars).
    distributions : dict of str to numpyro.distributions.Distribution
        The distribution of each sample site.
    observations : dict of str to jax.Array
        Values of the observed sites.
    scales : dict
        What the log density of each sample site is multiplied by (weights of rows); ``None``
        where nothing.
    supports : dict
        The support of each latent site.
    """

    values: dict[str, jax.Array]
    log_probs: dict[str, jax.Array]
    log_jacobian: dict[str, jax.Array]
    distributions: dict[str, Any]
    observations: dict[str, jax.Array]
    scales: dict[str, Any]
    supports: dict[str, Any]


class Point(NamedTuple):
    """What an evaluation gives at a point z without the distributions: arrays alone.

    Attributes
    ----------
    values, log_probs, log_jacobian : dict of str to jax.Array
        As in :class:`Evaluation`.
    """

    values: dict[str, jax.Array]
    log_probs: dict[str, jax.Array]
    log_jacobian: dict[str, jax.Array]


def evaluate(fn: Callable[..., Any], kwargs: Mapping[str, Any], z: Z) -> Evaluation:
    """Trace a NumPyro function once at unconstrained values.

    Parameters
    ----------
    fn : callable
        NumPyro function.
    kwargs : mapping
        Its arguments.
    z : mapping of str to array
        Unconstrained value of each latent site.

    Returns
    -------
    Evaluation
        Log densities are not summed, and the log Jacobians stand apart.

    Examples
    --------
    >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist
    >>> def scale():
    ...     numpyro.sample("s", dist.Exponential(1.0))
    >>> e = evaluate(scale, {}, {"s": jnp.asarray(0.0)})
    >>> float(e.values["s"]), float(e.log_probs["s"]), float(e.log_jacobian["s"])
    (1.0, -1.0, 0.0)
    """
    placed = handlers.substitute(fn, substitute_fn=partial(_place, z))
    # around it: a key is made only for a site that has no value
    whole = RightAtZero(handlers.seed(placed, 0))
    log_probs, trace = compute_log_probs(whole, (), dict(kwargs), {}, sum_log_prob=False)
    values, log_jacobian, distributions, observations, scales, supports = {}, {}, {}, {}, {}, {}
    for name, site in trace.items():
        if site["type"] not in ("sample", "param", "deterministic"):
            continue
        if site["type"] == "sample":
            distributions[name], scales[name] = site["fn"], site["scale"]
        if site["type"] == "sample" and site["is_observed"]:
            observations[name] = site["value"]
        else:
            values[name] = site["value"]
        if name in z:
            supports[name] = support_of(site)
            log_jacobian[name] = _log_jacobian(biject_to(supports[name]), z[name], values[name])
    return Evaluation(
        values, log_probs, log_jacobian, distributions, observations, scales, supports
    )


def elements(found: Evaluation, name: str) -> jax.Array:
    """Log density of a site, the independent elements of one event apart.

    Parameters
    ----------
    found : Evaluation
        One trace.
    name : str
        A sample site, or a ``numpyro.param`` site with its entry in ``log_probs``.

    Returns
    -------
    jax.Array
        Its sum is that of ``found.log_probs[name]``.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> def pair():
    ...     numpyro.sample("x", dist.Normal(0, 1).expand([2]).to_event(1))
    >>> found = evaluate(pair, {}, {"x": jnp.zeros(2)})
    >>> found.log_probs["x"].shape, elements(found, "x").shape
    ((), (2,))
    """
    fn: Any = found.distributions.get(name)
    if type(fn).__name__ != "Independent":
        return found.log_probs[name]
    while type(fn).__name__ == "Independent":
        fn = fn.base_dist
    value = found.values[name] if name in found.values else found.observations[name]
    weight = found.scales[name]
    return fn.log_prob(value) if weight is None else weight * fn.log_prob(value)


def _place(z: Z, site: Mapping[str, Any]) -> jax.Array | None:
    """Constrained value of a latent site; inside a scan, that of the current step."""
    if site["type"] not in ("sample", "param") or site["name"] not in z:
        return None
    u = z[site["name"]]
    step = site["infer"].get("_scan_current_index") if site["type"] == "sample" else None
    return biject_to(support_of(site))(u if step is None else u[step])


def _log_jacobian(transform: Any, u: jax.Array, value: jax.Array) -> jax.Array:
    u = jnp.reshape(u, transform.inverse_shape(jnp.shape(value)))
    return jnp.sum(transform.log_abs_det_jacobian(u, value))


def support_bounds(support: Any, value: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Lower and upper bound of the elements of a value under a support, in the value's shape.

    Parameters
    ----------
    support : numpyro.distributions.constraints.Constraint
        The support.
    value : jax.Array
        Gives the shape.

    Returns
    -------
    tuple of jax.Array
        Infinite where the elements have no bound of their own.

    Examples
    --------
    >>> [x.tolist() for x in support_bounds(constraints.positive, jnp.ones(2))]
    [[0.0, 0.0], [inf, inf]]
    """
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    lower, upper = -jnp.inf, jnp.inf
    if support is constraints.simplex:
        lower, upper = 0.0, 1.0
    elif isinstance(support, _BOUNDED):
        lower = getattr(support, "lower_bound", lower)
        upper = getattr(support, "upper_bound", upper)
    shape = jnp.shape(value)
    return jnp.broadcast_to(lower, shape), jnp.broadcast_to(upper, shape)


_BOUNDED = (
    constraints.greater_than,
    constraints.greater_than_eq,
    constraints.less_than,
    constraints.less_than_eq,
    constraints.interval,
    constraints.open_interval,
    type(constraints.positive),
    type(constraints.nonnegative),
    type(constraints.unit_interval),
)


def family(fn: Any) -> str:
    """Name of a distribution's family, without expansion, masks and parameterisation.

    Examples
    --------
    >>> import numpyro.distributions as dist
    >>> family(dist.Bernoulli(logits=0.0).expand([2]))
    'Bernoulli'
    """
    return type(bare(fn)).__name__.removesuffix("Probs").removesuffix("Logits")


def floating_parameters(fn: Any) -> list[jax.Array]:
    """The floating-point parameters of a distribution, in the order of its leaves.

    That order is one and the same within a process, and may differ between processes.

    Examples
    --------
    >>> import numpyro.distributions as dist
    >>> sorted(x.tolist() for x in floating_parameters(dist.Normal(0.0, 2.0)))
    [0.0, 2.0]
    """
    leaves = jax.tree_util.tree_leaves(fn)
    return [jnp.asarray(x) for x in leaves if jnp.issubdtype(jnp.result_type(x), jnp.floating)]


class LeafCurvature(NamedTuple):
    """A floating-point parameter of a distribution, and how the log density bends in it.

    Attributes
    ----------
    leaf : Any
        The parameter, as the distribution holds it.
    curvature : jax.Array
        Second derivative of the summed log density in each element, of its shape; elementwise,
        so that off-diagonal terms of a multivariate distribution are left out.
    """

    leaf: Any
    curvature: jax.Array


def leaf_curvatures(fn: Any, value: jax.Array, scale: Any = None) -> list[LeafCurvature]:
    """Second derivatives of a log density in each of a distribution's :func:`floating_parameters`.

    Parameters
    ----------
    fn : numpyro.distributions.Distribution
        The distribution of the site.
    value : jax.Array
        What was observed.
    scale : array_like, optional
        Weights of the log density's elements.

    Returns
    -------
    list of LeafCurvature
        In the order of :func:`floating_parameters`.

    Examples
    --------
    A count of 6 at rate 2 has observed information 6 / 2**2:

    >>> import numpyro.distributions as dist
    >>> (rate,) = leaf_curvatures(dist.Poisson(2.0), jnp.asarray(6))
    >>> rate.leaf, float(rate.curvature)
    (2.0, -1.5)
    """
    leaves, treedef = jax.tree_util.tree_flatten(fn)
    found = []
    for i, leaf in enumerate(leaves):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            continue

        def log_likelihood(x: jax.Array, i: int = i) -> jax.Array:
            other = treedef.unflatten([*leaves[:i], x, *leaves[i + 1 :]])
            return jnp.sum(other.log_prob(value) * (1.0 if scale is None else scale))

        x = jnp.asarray(leaf)
        curvature = jax.jvp(jax.grad(log_likelihood), (x,), (jnp.ones_like(x),))[1]
        found.append(LeafCurvature(leaf, curvature))
    return found


def unmasked(fn: Any, shape: tuple[int, ...]) -> jax.Array | None:
    """Which elements of a site's log density count (``None`` when no mask hides any).

    Parameters
    ----------
    fn : numpyro.distributions.Distribution
        The distribution of the site.
    shape : tuple of int
        Shape of its log density.

    Returns
    -------
    jax.Array or None
        Booleans of that shape.

    Examples
    --------
    >>> import numpyro.distributions as dist
    >>> unmasked(dist.Normal(0, 1).mask(jnp.array([True, False])), (2,)).tolist()
    [True, False]
    """
    kept = None
    while type(fn) is not type(bare(fn)):
        if type(fn).__name__ == "MaskedDistribution":
            mask = jnp.asarray(fn._mask)
            mask = jnp.any(mask, axis=tuple(range(len(shape), mask.ndim)))  # of one event
            mask = jnp.broadcast_to(mask, shape)
            kept = mask if kept is None else kept & mask
        fn = fn.base_dist
    return kept
