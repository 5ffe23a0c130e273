r"""What each mode fit maximises, over the unconstrained coordinates of the parameters.

===========  =======================================================  =====================
method       log objective                                            Jacobian of T
===========  =======================================================  =====================
``MLE``      :math:`\log p(y \mid \theta)`                             none (invariance)
``MAP``      :math:`\log p(y \mid \theta) + \log p(\theta)`            none (constrained mode)
``Laplace``  the same                                                 included
``Firth``    log-likelihood :math:`+ \tfrac12 \log\det I(\theta)`      none (canonical)
===========  =======================================================  =====================

Declared random effects :math:`u` are integrated out of each, in their unconstrained coordinates
(:mod:`workbench.model.marginal`), with their Jacobian inside the integral.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from workbench.model import Density
from workbench.model.marginal import conditional_mode, effect_blocks, laplace_log_marginal

Method = Literal["MLE", "MAP", "Laplace", "Firth"]
_BLOCK = 16  # points evaluated by one call of the compiled objective


@dataclass(frozen=True, kw_only=True, eq=False)
class Objective:
    """The function a mode fit maximises, and its compiled programs (each compiled once).

    Attributes
    ----------
    density : Density
        The model at its data.
    method : str
        ``MLE``, ``MAP`` (mode in constrained space), ``Laplace`` (mode of the density of z) or
        ``Firth`` (likelihood with Jeffreys' penalty, see :mod:`workbench.fit.firth`).
    """

    density: Density
    method: Method

    @property
    def free(self) -> np.ndarray:
        """Positions in z of the parameters, shape (P,)."""
        return self.density.coordinates("parameter")

    @property
    def effects(self) -> np.ndarray:
        """Positions in z of the random effects, shape (q,)."""
        return self.density.coordinates("random effect")

    @property
    def has_prior(self) -> bool:
        """Whether the prior is part of the objective."""
        return self.method in ("MAP", "Laplace")

    def place(self, theta: jax.Array, u: jax.Array) -> jax.Array:
        """Put parameters and effects together into z, shape (D,)."""
        z = jnp.zeros(self.density.size, dtype=theta.dtype)
        return z.at[self.free].set(theta).at[self.effects].set(u)

    def log_joint(
        self, theta: jax.Array, u: jax.Array, arrays: Mapping[str, Any] | None = None
    ) -> jax.Array:
        """The integrand over u (the objective itself when there are no effects)."""
        found = self.density.evaluate(self.place(theta, u), arrays)
        terms = self.density.sum_by_role(found.log_probs)
        effects = self.density.names("random effect")
        # u is integrated over z, so its Jacobian belongs inside whatever the method
        total = terms.log_likelihood + terms.log_random_effects
        total += sum((found.log_jacobian[n] for n in effects), start=jnp.zeros(()))
        if self.has_prior:
            total += terms.log_prior
        if self.method == "Laplace":
            total += sum(
                (v for n, v in found.log_jacobian.items() if n not in effects), start=jnp.zeros(())
            )
        return total

    def __call__(self, theta: jax.Array, arrays: Mapping[str, Any] | None = None) -> jax.Array:
        """Log objective at the parameters' unconstrained values, shape (P,), in nats."""
        return self._value(theta, self.density.arrays if arrays is None else arrays)

    @cached_property
    def _value(self) -> Callable[..., jax.Array]:
        """The objective as one traced program, which the others call: the model is traced once."""
        q = self.effects.size
        joint = jax.jit(self.log_joint)

        def value(theta: jax.Array, arrays: Any) -> jax.Array:
            if self.method == "Firth":
                information = -jax.hessian(joint)(theta, jnp.zeros(0), arrays)
                penalty = 0.5 * jnp.linalg.slogdet(information)[1]
                return joint(theta, jnp.zeros(0), arrays) + penalty
            if q == 0:
                return joint(theta, jnp.zeros(0), arrays)
            return laplace_log_marginal(lambda t, u: joint(t, u, arrays), theta, q, self.blocks)

        return jax.jit(value)

    def complete(self, theta: jax.Array, arrays: Mapping[str, Any] | None = None) -> jax.Array:
        """Full z, shape (D,): the parameters with the effects at their conditional mode."""
        q = self.effects.size
        if q == 0:
            return self.place(theta, jnp.zeros(0))
        u = conditional_mode(lambda t, u: self.log_joint(t, u, arrays), theta, q, self.blocks)
        return self.place(theta, u)

    @cached_property
    def blocks(self) -> np.ndarray:
        """Blocks of effects that do not meet, shape (G, b); see ``effect_blocks``."""
        return _blocks(self.density)

    # -- compiled programs -------------------------------------------------------------------
    def values_at(self, points: np.ndarray) -> np.ndarray:
        """Objective at many points, (K, P) to (K,), in blocks of one compiled size."""
        padding = -len(points) % _BLOCK
        rows = np.concatenate([points, np.repeat(points[:1], padding, axis=0)])
        blocks = rows.reshape(-1, _BLOCK, rows.shape[-1])
        values = [np.asarray(self._block(jnp.asarray(b), self.density.arrays)) for b in blocks]
        return np.concatenate(values)[: len(points)]

    @cached_property
    def _block(self) -> Callable[..., jax.Array]:
        return jax.jit(jax.vmap(self._value, in_axes=(0, None)))

    @cached_property
    def derivatives_in(self) -> Callable[..., tuple[jax.Array, jax.Array, jax.Array]]:
        """Value, gradient and Hessian at w = 0 of the objective at theta + P w."""

        def program(theta: jax.Array, scale: jax.Array, arrays: Any) -> Any:
            def f(w: jax.Array) -> jax.Array:
                return self(theta + scale @ w, arrays)

            def gradient(w: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
                value, g = jax.value_and_grad(f)(w)
                return g, (value, g)

            second = self.density.jacobian(gradient, has_aux=True)
            hessian, (value, g) = second(jnp.zeros_like(theta))
            return value, g, hessian

        return jax.jit(program)

    @cached_property
    def gauss_newton_parts(self) -> Callable[..., tuple[jax.Array, jax.Array, jax.Array]]:
        """Jacobian of the observed parameters (K, P), their weights (K,), prior curvature (P,)."""

        def program(theta: jax.Array, arrays: Any) -> Any:
            density, free = self.density, self.free
            z = self.complete(theta, arrays)

            def observed(t: jax.Array) -> jax.Array:
                return density.observed_parameters(z.at[free].set(t), arrays)

            def log_prior(t: jax.Array) -> jax.Array:
                return density.log_terms(z.at[free].set(t), arrays).log_prior

            # row sums of the Hessian, in reverse mode: a solver may have no forward derivative
            prior = -jax.grad(lambda t: jnp.sum(jax.grad(log_prior)(t)))(theta)
            jacobian = density.jacobian(observed)(theta)
            return jacobian, density.observed_weights(z, arrays), prior

        return jax.jit(program)


@lru_cache(maxsize=8)
def _blocks(density: Density) -> np.ndarray:
    """Blocks of a density's effects, the same for every objective; read at a generic point."""
    objective = Objective(density=density, method="MLE")
    rng = np.random.default_rng(0)
    with jax.ensure_compile_time_eval():
        theta, u = (jnp.asarray(0.3 * rng.normal(size=x.size))
                    for x in (objective.free, objective.effects))  # fmt: skip
        return effect_blocks(lambda t, v: objective.log_joint(t, v, density.arrays), theta, u)
