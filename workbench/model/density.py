r"""The joint density of a model at its data, split by the role of each site.

With :math:`T` the map from unconstrained :math:`z \in R^D` to the constrained sites, one trace of
the NumPyro function at :math:`T(z)` gives every site's log density and, for each site,
:math:`\log |\det \partial T / \partial z|`. Sums by role are the whole statistics of the package:

============================  ====================================================
maximum likelihood            :math:`\log p(y \mid T(z))`, no Jacobian
mode in constrained space     plus :math:`\log p(T(z))`, no Jacobian
Laplace, NUTS                 plus :math:`\log |\det \partial T / \partial z|`
============================  ====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr

from workbench.data import Dataset
from workbench.errors import ModelError
from workbench.model.affine import Form, forms_through
from workbench.model.binding import Arguments
from workbench.model.evaluation import (
    Evaluation,
    Point,
    evaluate,
    family,
    floating_parameters,
    leaf_curvatures,
    support_bounds,
    unmasked,
)
from workbench.model.labels import scalar_labels, unique_labels
from workbench.model.model import LogTerms, Model, Site
from workbench.model.provenance import constants_of, operations
from workbench.model.structure import digest_of_operations, twin_of

_ROWS_HELD = 2_000_000  # numbers in tangents of the rows that are held at once
_TABLE_LIMIT = 50  # a deterministic site larger than this is a curve, not an estimand


@dataclass(frozen=True, kw_only=True)
class Latent:
    """Where one latent site lies in the flat unconstrained vector z.

    Attributes
    ----------
    name : str
        Site name.
    shape : tuple of int
        Unconstrained shape.
    start, stop : int
        Its coordinates are ``z[start:stop]``.
    scale : str
        How a coordinate is read: ``""`` (the value itself), ``log``, ``logit``, or ``z`` for
        other transforms.
    improper : bool
        True for a ``numpyro.param`` site: a parameter with a flat prior.
    """

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int
    scale: str
    improper: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Density:
    """A model at its data, as a log density over unconstrained z, split by role.

    Made by :func:`read_density`. Every method takes ``arrays`` (the data as a dict of arrays, in
    the form of ``density.arrays``) so that compiled programs can treat data as arguments.

    Attributes
    ----------
    model : Model
        The model.
    data : Dataset
        The data.
    arguments : Arguments
        The function's keyword arguments, parted into arrays and static values.
    observed_arguments : tuple of str
        Arguments that carry observations (set to ``None`` for prediction).
    sites : tuple of Site
        Every site with its role, in the order of the trace.
    latents : tuple of Latent
        Layout of z.
    notes : tuple of str
        What was decided while reading (data kept static, flat parameters, ...), in sentences.
    """

    model: Model
    data: Dataset
    arguments: Arguments
    observed_arguments: tuple[str, ...]
    sites: tuple[Site, ...]
    latents: tuple[Latent, ...]
    notes: tuple[str, ...] = ()

    # -- layout ------------------------------------------------------------------------------
    @property
    def size(self) -> int:
        """Number of unconstrained coordinates D."""
        return self.latents[-1].stop if self.latents else 0

    @property
    def arrays(self) -> dict[str, jax.Array]:
        """The data as arrays, the arguments of compiled programs (empty when static)."""
        return {} if self.arguments.static else self.arguments.arrays

    def names(self, *roles: str) -> tuple[str, ...]:
        """Names of the sites with the given roles, in trace order."""
        return tuple(s.name for s in self.sites if s.role in roles)

    def site(self, name: str) -> Site:
        """The site of that name."""
        for site in self.sites:
            if site.name == name:
                return site
        raise ModelError(
            f"model '{self.model.name}' has no site '{name}': its sites are "
            f"{', '.join(s.name for s in self.sites)}"
        )

    def coordinates(self, role: str) -> np.ndarray:
        """Positions in z of the latent sites with a role (``parameter``, ``random effect``)."""
        chosen = set(self.names(role))
        spans = [np.arange(x.start, x.stop) for x in self.latents if x.name in chosen]
        return np.concatenate(spans) if spans else np.zeros(0, dtype=int)

    def unflatten(self, z: jax.Array) -> dict[str, jax.Array]:
        """Flat z, shape (D,), as unconstrained arrays by site."""
        return {x.name: z[x.start : x.stop].reshape(x.shape) for x in self.latents}

    def latents_at(self, position: int) -> Latent:
        """The latent site that holds a coordinate of z."""
        return next(x for x in self.latents if x.start <= position < x.stop)

    @cached_property
    def z_labels(self) -> tuple[str, ...]:
        """One label for each coordinate of z, such as ``beta[bmi]`` or ``log(sigma)``."""
        labels: list[str] = []
        for x in self.latents:
            site = self.site(x.name)
            if x.scale == "z":
                labels += [f"z:{t}" for t in scalar_labels(x.name, x.shape)]
                continue
            names = scalar_labels(x.name, site.shape, site.dims, self.data.coords)
            labels += [f"{x.scale}({t})" if x.scale else t for t in names]
        return tuple(unique_labels(labels))

    # -- densities ---------------------------------------------------------------------------
    def evaluate(self, z: jax.Array, arrays: Mapping[str, Any] | None = None) -> Evaluation:
        """One trace at z, shape (D,)."""
        return evaluate(self.model.fn, self.arguments.join(arrays), self.unflatten(z))

    def point(self, z: jax.Array, arrays: Mapping[str, Any] | None = None) -> Point:
        """Values, log densities and log Jacobians at z, shape (D,).

        The function is traced once for all programs of its structure: in them it is one operation.
        """
        if self._holds_tracers:
            return self._point(z, arrays)
        return _point(self.twin)(z, self.arrays if arrays is None else arrays)

    def _point(self, z: jax.Array, arrays: Mapping[str, Any] | None) -> Point:
        found = self.evaluate(z, arrays)
        return Point(found.values, found.log_probs, found.log_jacobian)

    @cached_property
    def _holds_tracers(self) -> bool:
        """Whether the function reads values of a trace that goes on: such a density has no twin."""
        return any(isinstance(x, Tracer) for x in constants_of(self.traced))

    def log_terms(self, z: jax.Array, arrays: Mapping[str, Any] | None = None) -> LogTerms:
        """Log-likelihood, log density of the random effects and log prior at z (scalars).

        Parameters
        ----------
        z : jax.Array
            Unconstrained point, shape (D,).
        arrays : mapping, optional
            Data in the form of ``density.arrays``; the density's own by default.

        Returns
        -------
        LogTerms
            No Jacobian in any of them; their sum is ``numpyro.infer.util.log_density``.

        Examples
        --------
        >>> import numpyro, numpyro.distributions as dist
        >>> from workbench.model import read_density
        >>> def coin(y=None):
        ...     p = numpyro.sample("p", dist.Beta(1, 1))
        ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
        >>> density = read_density(coin, {"y": [1, 0]})
        >>> import jax.numpy as jnp
        >>> round(float(density.log_terms(jnp.zeros(1)).log_likelihood), 4)  # 2 log(1/2)
        -1.3863
        """
        return self.sum_by_role(self.evaluate(z, arrays).log_probs)

    def log_density(self, z: jax.Array, arrays: Mapping[str, Any] | None = None) -> jax.Array:
        """Log joint density of z, shape (D,): log joint plus log Jacobian (scalar, nats)."""
        found = self.point(z, arrays)
        log_joint = self.sum_by_role(found.log_probs).log_joint
        return log_joint + sum(found.log_jacobian.values(), start=jnp.zeros(()))

    def sum_by_role(self, log_probs: Mapping[str, jax.Array]) -> LogTerms:
        """Sum log densities of sites over the sites of each role."""

        def total(names: list[str]) -> jax.Array:
            return sum((jnp.sum(log_probs[n]) for n in names), start=jnp.zeros(()))

        effects = set(self.names("random effect"))
        held = [s.name for s in self.sites if s.role == "prior" and effects & set(s.depends_on)]
        free = [n for n in self.names("parameter", "prior") if n in log_probs and n not in held]
        return LogTerms(
            log_likelihood=total([*self.names("observed", "factor")]),
            log_random_effects=total([*effects, *held]),
            log_prior=total(free),
        )

    def constrain(
        self, z: jax.Array, arrays: Mapping[str, Any] | None = None
    ) -> dict[str, jax.Array]:
        """Constrained values of the latent and deterministic sites at z."""
        return self.evaluate(z, arrays).values

    def pointwise_log_likelihood(
        self, z: jax.Array, arrays: Mapping[str, Any] | None = None
    ) -> dict[str, jax.Array]:
        """Log-likelihood of each observation, by observed site (batch shape of the site)."""
        log_probs = self.evaluate(z, arrays).log_probs
        return {name: log_probs[name] for name in self.names("observed")}

    def observed_parameters(
        self, z: jax.Array, arrays: Mapping[str, Any] | None = None
    ) -> jax.Array:
        """Parameters of the observed sites' distributions at z, in one flat vector."""
        found = self.evaluate(z, arrays).distributions
        return _flat(x for n in self.names("observed") for x in floating_parameters(found[n]))

    def observed_weights(self, z: jax.Array, arrays: Mapping[str, Any] | None = None) -> jax.Array:
        """Minus the second derivative of the log-likelihood in each observed parameter.

        In the order of :meth:`observed_parameters`; elementwise, so that off-diagonal terms of a
        multivariate distribution are left out: a scale for coordinates, not an information.
        """
        found = self.evaluate(z, arrays)
        return _flat(
            -x.curvature
            for n in self.names("observed")
            for x in leaf_curvatures(found.distributions[n], found.observations[n], found.scales[n])
        )

    @property
    def jacobian(self) -> Callable[..., Callable[..., Any]]:
        """``jax.jacfwd``, or ``jax.jacrev`` where the model has no forward derivative (odeint)."""
        return jax.jacfwd if self.forward_mode else jax.jacrev

    @cached_property
    def forward_mode(self) -> bool:
        """Whether JAX can push tangents forward through the model."""
        return "custom_vjp_call" not in operations(self.traced)

    @property
    def observed_families(self) -> tuple[str, ...]:
        """Name of the distribution family of each observed site, such as ``Bernoulli``."""
        families: list[str] = []

        def program(z: jax.Array, arrays: Any) -> jax.Array:
            found = self.evaluate(z, arrays).distributions
            families.extend(family(found[n]) for n in self.names("observed"))
            return z

        jax.eval_shape(program, self._z, self.arrays)
        return tuple(families)

    # -- programs ----------------------------------------------------------------------------
    @cached_property
    def _trace(self) -> tuple[ClosedJaxpr, Any]:
        """The operations of :meth:`evaluate`, and the form of what they give."""
        closed, shapes = jax.make_jaxpr(self._point, return_shape=True)(self._z, self.arrays)
        return closed, jax.tree_util.tree_structure(shapes)

    @property
    def traced(self) -> ClosedJaxpr:
        """The operations of :meth:`evaluate` as JAX traces them, of z and the arrays."""
        return self._trace[0]

    @property
    def sites_traced(self) -> Any:
        """What :attr:`traced` gives: a :class:`Point` of its outputs, as a tree's structure."""
        return self._trace[1]

    @cached_property
    def operations_digest(self) -> str:
        """Digest of what JAX traces, see :func:`digest_of_operations`."""
        return digest_of_operations(self)

    @property
    def _z(self) -> Any:
        """The shape of z, for tracing."""
        return jax.ShapeDtypeStruct((self.size,), jnp.result_type(float))

    @cached_property
    def twin(self) -> Density:
        """The density without values for which programs are compiled, see :func:`twin_of`."""
        return twin_of(self)

    @property
    def tangents_at_once(self) -> int | None:
        """How many tangents of all rows are held at once; ``None`` for all of them."""
        rows = sum(int(np.prod(s.shape, dtype=int)) for s in self.sites if s.role == "observed")
        return None if rows * self.size <= _ROWS_HELD else max(_ROWS_HELD // rows, 1)

    @property
    def prior_moves(self) -> bool:
        """Whether the log prior depends on z: it does not where every prior is flat in z."""
        return _prior_moves(self.twin)

    @cached_property
    def num_observations(self) -> int:
        """Number of independent observations: unmasked elements of the observed log density."""
        sizes, kept = _counts(self.twin)
        found = {} if kept is None else kept(np.zeros(self.size), self.arrays)
        return sum({**sizes, **{n: int(np.sum(x)) for n, x in found.items()}}.values())

    def bounds(
        self, z: jax.Array, arrays: Mapping[str, Any] | None = None
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Lower and upper bound of each latent site's elements at z (infinite where open)."""
        found = self.evaluate(z, arrays)
        return {
            x.name: support_bounds(found.supports[x.name], found.values[x.name])
            for x in self.latents
        }

    # -- estimands ---------------------------------------------------------------------------
    def estimands(
        self, values: Mapping[str, Any], arrays: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What tables report: the model's estimands, or its parameters and small derived sites.

        Parameters
        ----------
        values : mapping
            Constrained values of the sites, as given by :meth:`constrain`.
        arrays : mapping, optional
            Data in the form of ``density.arrays``.

        Returns
        -------
        dict
            Arrays by estimand name.
        """
        if self.model.estimands is not None:
            inputs = {**self.data.inputs, **self.arguments.join(arrays)}
            return dict(self.model.estimands(values, inputs))
        return {name: values[name] for name in self.estimand_names}

    @property
    def estimand_names(self) -> tuple[str, ...]:
        """Sites reported in tables when the model declares no estimands."""
        latent = self.names("parameter", "random effect")
        derived = [
            s.name
            for s in self.sites
            if s.role == "deterministic"
            and np.prod(s.shape, dtype=int) <= _TABLE_LIMIT
            and s.depends_on
        ]
        return (*latent, *derived)

    def estimand_labels(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, list[str]]:
        """Scalar labels, such as ``beta[bmi]``, for each estimand of the given shape."""
        declared = self.model.estimand_dims if self.model.estimands is not None else None
        labels = {}
        for name, shape in shapes.items():
            dims = self.site(name).dims if declared is None else declared.get(name, ())
            labels[name] = scalar_labels(name, shape, dims, self.data.coords)
        flat = iter(unique_labels([x for of_site in labels.values() for x in of_site]))
        return {name: [next(flat) for _ in of_site] for name, of_site in labels.items()}


@lru_cache(maxsize=32)
def _point(density: Density) -> Callable[..., Point]:
    """Program of the values and log densities of a twin."""
    return jax.jit(density._point)


@lru_cache(maxsize=32)
def _prior_moves(density: Density) -> bool:
    closed = density.traced
    given = [Form.AFFINE, *[Form.CONSTANT] * (len(closed.jaxpr.invars) - 1)]
    found = jax.tree_util.tree_unflatten(density.sites_traced, forms_through(closed, given))
    priors = density.names("parameter", "prior")
    return any(found.log_probs.get(n, Form.CONSTANT) is not Form.CONSTANT for n in priors)


@lru_cache(maxsize=32)
def _counts(density: Density) -> tuple[dict[str, int], Callable[..., dict[str, jax.Array]] | None]:
    """Elements of each observed site, and a program of what masks leave of them, if any do."""
    sizes: dict[str, int] = {}

    def masks(z: jax.Array, arrays: Any) -> dict[str, jax.Array]:
        found, names = density.evaluate(z, arrays), density.names("observed")
        sizes.update({n: int(np.size(found.log_probs[n])) for n in names})
        kept = {n: unmasked(found.distributions[n], found.log_probs[n].shape) for n in names}
        return {n: x for n, x in kept.items() if x is not None}

    masked = jax.eval_shape(masks, density._z, density.arrays)
    return sizes, jax.jit(masks) if masked else None


def _flat(parts: Iterable[jax.Array]) -> jax.Array:
    leaves = [jnp.reshape(x, -1) for x in parts]
    return jnp.concatenate(leaves) if leaves else jnp.zeros(0)
