"""A term mapped from its support to the line, as a function of the parameters with derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.compilation import compiled
from workbench.fit.intervals import Link
from workbench.fit.objective import Objective
from workbench.fit.terms import term_vector
from workbench.model import Density


@dataclass(frozen=True, kw_only=True)
class LevelAt:
    """A term on the line at a point: value, gradient (P,) and Hessian (P, P) in theta."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray


class TermOnLine(Protocol):
    """A term, mapped from its support to the line, as a function of theta."""

    def __call__(self, theta: np.ndarray) -> LevelAt:
        """Value and derivatives at theta, shape (P,)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Coordinate:
    """A term that is, on the line, one coordinate of theta.

    Attributes
    ----------
    position : int
        Which.
    """

    position: int

    def __call__(self, theta: np.ndarray) -> LevelAt:
        """Value and derivatives at theta, shape (P,)."""
        size = theta.size
        return LevelAt(
            value=float(theta[self.position]),
            gradient=np.eye(size)[self.position],
            hessian=np.zeros((size, size)),
        )


@dataclass(frozen=True, kw_only=True)
class Function:
    """A term that is any smooth function of theta.

    Attributes
    ----------
    density : Density
        The model at its data.
    index : int
        The term's place in ``ModeFit.estimates``.
    link : Link
        From the term's support to the line.
    """

    density: Density
    index: int
    link: Link

    def __call__(self, theta: np.ndarray) -> LevelAt:
        """Value and derivatives at theta, shape (P,)."""
        program = _term_derivatives(self.density)
        found = program(jnp.asarray(theta), self.index, self.density.arrays)
        value = float(found[0])
        gradient, hessian = (np.asarray(x) for x in found[1:])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            first, second = self.link.slope(value), self.link.curvature(value)
            return LevelAt(
                value=self.link.forward(value),
                gradient=first * gradient,
                hessian=first * hessian + second * np.outer(gradient, gradient),
            )


@compiled
def _term_derivatives(density: Density) -> Callable[..., Any]:
    """Compiled value, gradient and Hessian of the term at a (traced) index."""
    objective = Objective(density=density, method="MLE")
    effects = jnp.zeros(objective.effects.size)  # the term does not move with them

    def program(theta: jax.Array, index: jax.Array, arrays: Any) -> Any:
        def term(t: jax.Array) -> jax.Array:
            return term_vector(density, objective.place(t, effects), arrays)[index]

        def gradient(t: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            value, g = jax.value_and_grad(term)(t)
            return g, (value, g)

        hessian, (value, g) = density.jacobian(gradient, has_aux=True)(theta)
        return value, g, hessian

    return jax.jit(program)


def term_on_line(density: Density, index: int, link: Link) -> TermOnLine:
    """A term as a function on the line: a coordinate where it is one.

    Parameters
    ----------
    density : Density
        The model at its data.
    index : int
        The term's place in ``ModeFit.estimates``.
    link : Link
        From its support to the line.

    Returns
    -------
    TermOnLine
        :class:`Coordinate` for the elements of a site whose transform is elementwise.
    """
    offset = 0
    layout = {x.name: x for x in density.latents}
    names = density.estimand_names if density.model.estimands is None else ()
    for name in names:
        size = int(np.prod(density.site(name).shape, dtype=int))
        if offset <= index < offset + size:
            if name in layout and layout[name].scale != "z":
                at = layout[name].start + index - offset
                free = density.coordinates("parameter")
                return Coordinate(position=int(np.flatnonzero(free == at)[0]))
            break
        offset += size
    return Function(density=density, index=index, link=link)
