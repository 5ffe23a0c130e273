r"""What each mode fit maximises, over the unconstrained coordinates of the parameters.

===========  =======================================================  =====================
method       log objective                                            Jacobian of T
===========  =======================================================  =====================
``MLE``      :math:`\log p(y \mid \theta)`                             none (invariance)
``REML``     :math:`\log \int p(y \mid \beta, \theta) d\beta`            none
``MAP``      :math:`\log p(y \mid \theta) + \log p(\theta)`            none (constrained mode)
``Laplace``  the same                                                 included
``Firth``    log-likelihood :math:`+ \tfrac12 \log\det I(\theta)`      none (canonical)
===========  =======================================================  =====================

MAP and Laplace fits differ by the Jacobian alone, and share their compiled programs: its weight, 0
or 1, comes with the data (:attr:`Objective.arrays`).

Declared random effects :math:`u` are integrated out of each, in their unconstrained coordinates
(:mod:`workbench.model.marginal`), with their Jacobian inside the integral.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import biject_to

from workbench.fit.compilation import compiled
from workbench.fit.derivatives import (
    Derivatives,
    coordinates_of_scales,
    derivatives,
    normal_derivatives,
)
from workbench.model import Density
from workbench.model.density import Latent
from workbench.model.evaluation import Point, elements
from workbench.model.grouping import (
    Groups,
    groups_of_hessian,
    groups_of_terms,
    kinds_of_shape,
)
from workbench.model.marginal import Marginal
from workbench.model.quadrature import checked_groups, laplace_correction

Method = Literal["MLE", "REML", "MAP", "Laplace", "Firth"]
_BLOCK = 16  # points evaluated by one call of the compiled objective
_POSTERIOR: Any = "posterior"  # the method of the twin of MAP and Laplace
_JACOBIAN = "weight of the log Jacobian"  # no argument of a function is called so


@dataclass(frozen=True, kw_only=True, eq=False)
class Objective:
    """The function a mode fit maximises, and its compiled programs (each compiled once).

    Attributes
    ----------
    density : Density
        The model at its data.
    method : str
        ``MLE``, ``REML``, ``MAP`` (mode in constrained space), ``Laplace`` (mode of the density of
        z) or ``Firth`` (likelihood with Jeffreys' penalty, see :mod:`workbench.fit.firth`).
    num_points : int
        Points of the quadrature over each group's effect; 1 is Laplace's method.
    fixed : tuple of str
        Parameter sites that are integrated out with a flat prior (REML).
    known_groups : Groups, optional
        Which effects meet; found where they are not given.
    """

    density: Density
    method: Method
    num_points: int = 1
    fixed: tuple[str, ...] = ()
    known_groups: Groups | None = None

    @property
    def free(self) -> np.ndarray:
        """Positions in z of the parameters, shape (P,)."""
        return np.setdiff1d(self.density.coordinates("parameter"), self.effects)

    @property
    def effects(self) -> np.ndarray:
        """Positions in z of what is integrated out, shape (q,)."""
        return np.concatenate(
            [np.arange(x.start, x.stop) for x in self._integrated] or [np.zeros(0, dtype=int)]
        )

    @property
    def _integrated(self) -> list[Latent]:
        names = {*self.density.names("random effect"), *self.fixed}
        return [x for x in self.density.latents if x.name in names]

    @property
    def has_prior(self) -> bool:
        """Whether the prior is part of the objective."""
        return self.method in ("MAP", "Laplace", _POSTERIOR)

    @property
    def arrays(self) -> dict[str, Any]:
        """The arguments of compiled programs: the data, and which of two posteriors is meant."""
        if self.method not in ("MAP", "Laplace"):
            return self.density.arrays
        return {**self.density.arrays, _JACOBIAN: float(self.method == "Laplace")}

    def place(self, theta: jax.Array, u: jax.Array) -> jax.Array:
        """Put parameters and effects together into z, shape (D,)."""
        z = jnp.zeros(self.density.size, dtype=theta.dtype)
        return z.at[self.free].set(theta).at[self.effects].set(u)

    def log_joint(
        self, theta: jax.Array, u: jax.Array, arrays: Mapping[str, Any] | None = None
    ) -> jax.Array:
        """The integrand over u (the objective itself when there are no effects)."""
        arrays = self.arrays if arrays is None else arrays
        found = self.density.point(self.place(theta, u), _data(arrays))
        terms = self.density.sum_by_role(found.log_probs)
        effects = self.density.names("random effect")
        # u is integrated over z, so its Jacobian belongs inside whatever the method
        total = terms.log_likelihood + terms.log_random_effects
        total += sum((found.log_jacobian[n] for n in effects), start=jnp.zeros(()))
        return total + self._beside(found, terms.log_prior, arrays)

    def log_prior(self, z: jax.Array, arrays: Mapping[str, Any]) -> jax.Array:
        """What the objective holds of priors: their density, and for Laplace the Jacobian."""
        found = self.density.point(z, _data(arrays))
        return self._beside(found, self.density.sum_by_role(found.log_probs).log_prior, arrays)

    def _beside(self, found: Point, log_prior: jax.Array, arrays: Mapping[str, Any]) -> jax.Array:
        if not self.has_prior:
            return jnp.zeros(())
        effects = self.density.names("random effect")
        log_jacobian = sum(v for n, v in found.log_jacobian.items() if n not in effects)
        return log_prior + arrays[_JACOBIAN] * log_jacobian

    def __call__(self, theta: jax.Array, arrays: Mapping[str, Any] | None = None) -> jax.Array:
        """Log objective at the parameters' unconstrained values, shape (P,), in nats."""
        return _value(self)(theta, self.arrays if arrays is None else arrays)

    @cached_property
    def groups(self) -> Groups:
        """Which effects meet in the Hessian of the integrand at these data."""
        return self.known_groups or _groups(self.density, self.fixed)

    @cached_property
    def twin(self) -> Objective:
        """The objective without data for which programs are compiled."""
        groups = self.groups if self.effects.size else None
        method = _POSTERIOR if self.has_prior else self.method
        return _twin(self.density.twin, method, self.num_points, self.fixed, groups)

    @property
    def marginal(self) -> Marginal:
        """The objective with its random effects integrated out."""
        return _marginal(self)

    def check_quadrature(self) -> None:
        """Refuse a number of points that the model's effects do not allow."""
        if self.num_points != 1:
            checked_groups(self.groups, self.num_points)

    def laplace_correction(self, theta: jax.Array, arrays: Any, num_points: int) -> jax.Array:
        """Log marginal by quadrature, less that by Laplace's method (scalar, nats)."""
        return laplace_correction(self.marginal, self.terms, self.groups, num_points, theta, arrays)

    def terms(self, theta: jax.Array, u: jax.Array, arrays: Any) -> jax.Array:
        """Every term of the joint density that can hold an effect, in one flat vector."""
        found = self.density.evaluate(self.place(theta, u), arrays)
        parts = [elements(found, name) for name in found.log_probs]
        z = self.density.unflatten(self.place(theta, u))
        for name in self.density.names("random effect"):
            transform, value = biject_to(found.supports[name]), found.values[name]
            at = jnp.reshape(z[name], transform.inverse_shape(jnp.shape(value)))
            parts.append(transform.log_abs_det_jacobian(at, value))
        return jnp.concatenate([jnp.ravel(x) for x in parts])

    def complete(self, theta: jax.Array, arrays: Mapping[str, Any] | None = None) -> jax.Array:
        """Full z, shape (D,): the parameters with the effects at their conditional mode."""
        if not self.effects.size:
            return self.place(theta, jnp.zeros(0))
        arrays = self.arrays if arrays is None else arrays
        return self.place(theta, self.marginal.mode(theta, arrays))

    # -- compiled programs -------------------------------------------------------------------
    def values_at(self, points: np.ndarray) -> np.ndarray:
        """Objective at many points, (K, P) to (K,), in blocks of one compiled size; or at one."""
        most = self.density.tangents_at_once or _BLOCK
        size = 1 if len(points) == 1 else min(most, _BLOCK)
        rows = np.concatenate([points, np.repeat(points[:1], -len(points) % size, axis=0)])
        blocks = rows.reshape(-1, size, rows.shape[-1])
        program, arrays = _block(self), self.arrays
        values = [np.asarray(program(b, arrays)) for b in blocks]
        return np.concatenate(values)[: len(points)]

    @property
    def derivatives_in(self) -> Callable[..., Derivatives]:
        """Value, gradient and Hessian at w = 0 of the objective at theta + P w."""
        return _derivatives_in(self)


def _data(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The data alone, for which a density's programs are traced."""
    return {k: v for k, v in arrays.items() if k != _JACOBIAN}


@lru_cache(maxsize=32)
def _twin(
    density: Density, method: Method, num_points: int, fixed: tuple[str, ...], groups: Groups | None
) -> Objective:
    return Objective(
        density=density, method=method, num_points=num_points, fixed=fixed, known_groups=groups
    )


@compiled
def _marginal(objective: Objective) -> Marginal:
    return Marginal(
        log_joint=objective.log_joint,
        num_effects=objective.effects.size,
        blocks=objective.groups.blocks,
    )


@compiled
def _value(objective: Objective) -> Callable[..., jax.Array]:
    """The objective as one traced program, which the others call: the model is traced once."""
    if objective.effects.size and objective.num_points > 1:
        return jax.jit(
            lambda theta, arrays: (
                objective.marginal.log_marginal(theta, arrays)
                + objective.laplace_correction(theta, arrays, objective.num_points)
            )
        )
    if objective.effects.size:
        return objective.marginal.log_marginal
    joint = jax.jit(lambda theta, arrays: objective.log_joint(theta, jnp.zeros(0), arrays))
    if objective.method != "Firth":
        return joint

    def penalised(theta: jax.Array, arrays: Any) -> jax.Array:
        information = -jax.hessian(joint)(theta, arrays)
        return joint(theta, arrays) + 0.5 * jnp.linalg.slogdet(information)[1]

    return jax.jit(penalised)


@compiled
def _block(objective: Objective) -> Callable[..., jax.Array]:
    return jax.jit(jax.vmap(_value(objective), in_axes=(0, None)))


@compiled
def _derivatives_in(objective: Objective) -> Callable[..., Derivatives]:
    density = objective.density
    scales = coordinates_of_scales(density) if density.forward_mode else None
    if scales is None or objective.effects.size or objective.method == "Firth":
        return jax.jit(derivatives(objective, density))
    log_prior = objective.log_prior if objective.has_prior else None
    return jax.jit(normal_derivatives(objective, log_prior, density, scales))


@lru_cache(maxsize=8)
def _groups(density: Density, fixed: tuple[str, ...]) -> Groups:
    """Groups of a density's effects, the same for every objective; read at a generic point."""
    objective = Objective(density=density, method="MLE", fixed=fixed)
    rng = np.random.default_rng(0)
    theta: Any = 0.3 * rng.normal(size=objective.free.size)
    u: Any = 0.3 * rng.normal(size=objective.effects.size)
    groups = groups_of_terms(
        lambda v: objective.terms(theta, v, density.arrays), u, _kinds(objective._integrated)
    )
    if groups is not None:
        return groups
    return groups_of_hessian(lambda v: objective.log_joint(theta, v, density.arrays), u)


def _kinds(latents: Sequence[Latent]) -> list[np.ndarray]:
    """Positions of the effects of each kind, for each site."""
    ends = np.cumsum([x.stop - x.start for x in latents])
    starts = ends - [x.stop - x.start for x in latents]
    return [
        k for x, a in zip(latents, starts, strict=True) for k in kinds_of_shape(x.shape, int(a))
    ]
