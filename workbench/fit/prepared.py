"""The log density of a model for the sampler, from what is made of the data once for a fit.

The rows of a normal likelihood whose means are affine in few quantities enter by their sufficient
statistics (:mod:`workbench.model.sufficient`), and products with data matrices are computed along
the matrices' columns (:mod:`workbench.model.products`). That a model has these forms is read off
its traced operations, and the value is checked at a point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from workbench.fit.compilation import compiled
from workbench.model import Density
from workbench.model.arrow import Arrow
from workbench.model.sufficient import (
    TracedJoint,
    find_arrows,
    log_joint,
    prepare,
    trace_joint,
)

_SAME = 1e-9  # of the log density


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What stands for data in the log density of a model.

    Attributes
    ----------
    arrows : tuple of Arrow
        Where the arguments of each site of normal rows stand in the matrix of its statistics.
    made : dict
        ``rows``: statistics by site of rows; ``columns``: transposed data matrices.
    """

    arrows: tuple[Arrow, ...]
    made: dict[str, Any]


def prepare_data(density: Density, z: np.ndarray) -> Prepared | None:
    """Make of a density's data what saves work in every evaluation.

    Parameters
    ----------
    density : Density
        The model at its data.
    z : numpy.ndarray
        A point of finite density, at which the two ways are compared, shape (D,).

    Returns
    -------
    Prepared or None
        None where there is nothing to make.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def line(x, y=None):
    ...     b = numpyro.sample("b", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(b * x, 1.0), obs=y)
    >>> x = np.arange(8.0)
    >>> found = prepare_data(read_density(line, {"x": x, "y": 2 * x}), np.zeros(1))
    >>> (rows,) = found.made["rows"]
    >>> rows["centre"].round(6).tolist(), rows["count"].tolist()
    ([2.0], 8.0)
    """
    joint = traced_joint(density)
    if not (joint.rows or joint.products):
        return None
    arrows = arrows_of_rows(density)
    made = preparation(density, arrows)(density.arrays)
    whole, short = (float(x) for x in _both(density, arrows)(z, density.arrays, made))
    same = abs(whole - short) <= _SAME * (1.0 + abs(whole))
    return Prepared(arrows=arrows, made=made) if same else None


@compiled
def traced_joint(density: Density) -> TracedJoint:
    """The traced log joint density, normal rows apart."""
    return trace_joint(density)


def arrows_of_rows(density: Density) -> tuple[Arrow, ...]:
    """Where the arguments of each site of rows stand at these data."""
    if not traced_joint(density).rows:
        return ()
    return _arrows(AtData(density))


@compiled
def log_joint_program(density: Density, arrows: tuple[Arrow, ...]) -> Callable[..., jax.Array]:
    """Program of the log joint density plus log Jacobian, nats, traced once for all its uses.

    Of unconstrained values by site, the arrays, and what is made of them.
    """
    joint = traced_joint(density)
    return jax.jit(lambda z, arrays, given: log_joint(joint, arrows, given, z, arrays))


def blank_preparation(density: Density, arrows: tuple[Arrow, ...]) -> Any:
    """Shapes of what is made, for which programs are compiled."""
    return jax.eval_shape(preparation(density, arrows), density.arrays)


class AtData:
    """A density, equal to others of its structure and data."""

    def __init__(self, density: Density) -> None:
        self.density = density
        self._key = (density.twin, density.data.fingerprint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AtData) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=16)
def _arrows(at: AtData) -> tuple[Arrow, ...]:
    return find_arrows(traced_joint(at.density), at.density.arrays)


@compiled
def preparation(density: Density, arrows: tuple[Arrow, ...]) -> Callable[..., Any]:
    """Program of what is made of the arrays once for a fit."""
    joint = traced_joint(density)
    return jax.jit(lambda arrays: prepare(joint, arrows, arrays))


@compiled
def _both(density: Density, arrows: tuple[Arrow, ...]) -> Callable[..., tuple[Any, Any]]:
    """Program of the log density by rows and as prepared."""
    short = log_joint_program(density, arrows)

    def program(z: jax.Array, arrays: Any, given: Any) -> tuple[jax.Array, jax.Array]:
        by_row = density.log_density(z, arrays)
        return by_row, short(density.unflatten(z), arrays, given)

    return jax.jit(program)
