r"""Sufficient statistics of normal observations, found in the traced model.

Rows :math:`y_n \sim N(\mu_n, s_n)` with :math:`\mu = c + A h`, where h are few quantities of the
model (coefficients, effects of groups) and A and c are data, have with the precisions
:math:`p_n = w_n / s_n^2`, for any :math:`h_0` and :math:`r = y - c - A h_0`,

.. math:: \log p(y \mid h) = -\tfrac12 \{ r^\top P r - 2\, (h - h_0)^\top A^\top P r
          + (h - h_0)^\top A^\top P A\, (h - h_0) \} - \sum_n w_n (\log s_n + \tfrac12 \log 2\pi),

so that the rows are read once for a fit, not once for an evaluation. h is found by tracing the
means back through operations that are affine with coefficients of data
(:mod:`workbench.model.replay`). :math:`h_0` is the least-squares solution, so that nothing large
cancels. s is known, or one scale of all rows, which then stands outside the brackets.

:math:`A^\top P A` is stored as an arrow matrix (:mod:`workbench.model.arrow`): its size is a
multiple of the number of groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal
from jax.tree_util import Partial

from workbench.model.arrow import Arrow, ArrowMatrix, find_arrow
from workbench.model.density import Density
from workbench.model.evaluation import evaluate
from workbench.model.products import (
    DataProduct,
    columns_of,
    find_products,
    with_products,
)
from workbench.model.replay import affine_arguments, moved_by, replay
from workbench.model.sites import bare

_BATCH = 4  # products with all rows made at once
_RIDGE = 1e-9  # of the largest diagonal element; h_0 may be any point


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalRows:
    """An observed site of normal rows, in the traced model.

    Attributes
    ----------
    arguments : tuple of Var
        What the means are affine in, h.
    shape : tuple of int
        Shape of the observations.
    loc, scale, value, weight : Var or Literal
        Means, scales, observations, and weights of the log density.
    common : bool
        Whether the scale moves: it is then one of all rows.
    """

    arguments: tuple[Any, ...]
    shape: tuple[int, ...]
    loc: Any
    scale: Any
    value: Any
    weight: Any
    common: bool

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the parts of h."""
        return [_shape(v) for v in self.arguments]


@dataclass(frozen=True, kw_only=True, eq=False)
class TracedJoint:
    """The log joint density of a model as traced: normal rows apart from all else.

    Attributes
    ----------
    closed : ClosedJaxpr
        Of unconstrained values by site (sorted by name) and the arrays.
    names : tuple of str
        The sites, sorted.
    rest : tuple
        Terms of the log joint density beside the normal rows, scalars, as variables.
    rows : tuple of NormalRows
        The sites with statistics.
    products : tuple of DataProduct
        Products with data matrices on the way to the rest.
    """

    closed: ClosedJaxpr
    names: tuple[str, ...]
    rest: tuple[Any, ...]
    rows: tuple[NormalRows, ...]
    products: tuple[DataProduct, ...]

    def known(self, z: dict[str, jax.Array] | None, arrays: Any) -> dict[Any, Any]:
        """Values of the program's inputs: the sites' where given, and the arrays."""
        inputs, leaves = self.closed.jaxpr.invars, jax.tree_util.tree_leaves(arrays)
        found = dict(zip(inputs[len(self.names) :], leaves, strict=True))
        if z is not None:
            found |= dict(zip(inputs, [z[n] for n in self.names], strict=False))
        return found

    def means(self, rows: NormalRows, h: jax.Array, arrays: Any) -> jax.Array:
        """Means of the rows at h, in the observations' shape."""
        parts = {v: x for v, x in zip(rows.arguments, _parts(h, rows.shapes), strict=True)}
        (loc,) = replay(self.closed, {**self.known(None, arrays), **parts}, [rows.loc])
        return jnp.broadcast_to(loc, rows.shape)


@lru_cache(maxsize=64)
def _flat_means(joint: TracedJoint, rows: NormalRows) -> Callable[..., jax.Array]:
    """One function of (arrays, h) for one structure, so that it is compiled once."""
    return lambda arrays, h: jnp.ravel(joint.means(rows, h, arrays))


def trace_joint(density: Density) -> TracedJoint:
    """Trace a model's log joint density, and find its normal rows.

    Parameters
    ----------
    density : Density
        The model at its data (or without values, its twin).

    Returns
    -------
    TracedJoint
        Rows are those of observed sites, normal with means of at most half as many arguments.
    """
    candidates = [s.name for s in density.sites if s.role == "observed" and not s.moved_by]
    normal: list[str] = []

    def program(z: dict[str, jax.Array], arrays: Any) -> Any:
        found = evaluate(density.model.fn, density.arguments.join(arrays), z)
        normal[:] = [n for n in candidates if _is_plain_normal(found.distributions[n])]
        parts: dict[str, Any] = {
            "jacobian": sum((jnp.sum(x) for x in found.log_jacobian.values()), start=jnp.zeros(()))
        }
        for n, x in found.log_probs.items():
            parts[f"site {n}"] = jnp.sum(x)
        for n in normal:
            fn, weight = bare(found.distributions[n]), found.scales[n]
            value = jnp.asarray(found.observations[n], dtype=float)
            parts[f"rows {n}"] = (fn.loc, fn.scale, value, 1.0 if weight is None else weight)
        return parts

    shapes = {x.name: jax.ShapeDtypeStruct(x.shape, float) for x in density.latents}
    closed, form = jax.make_jaxpr(program, return_shape=True)(shapes, density.arrays)
    leaves, treedef = jax.tree_util.tree_flatten(form)
    outputs = jax.tree_util.tree_unflatten(treedef, closed.jaxpr.outvars)
    moved = moved_by(closed, closed.jaxpr.invars[: len(shapes)])
    rows = {n: r for n in normal if (r := _rows(closed, moved, *outputs[f"rows {n}"])) is not None}
    taken = {f"site {n}" for n in rows}
    rest = tuple(v for k, v in outputs.items() if not k.startswith("rows ") and k not in taken)
    return TracedJoint(
        closed=closed,
        names=tuple(sorted(shapes)),
        rest=rest,
        rows=tuple(rows.values()),
        products=find_products(closed, moved, [*rest, *_asked(rows.values())]),
    )


def _asked(rows: Iterable[NormalRows]) -> list[Any]:
    """Variables that the statistics of the rows are used with: arguments, and common scales."""
    return [x for r in rows for x in (*r.arguments, *([r.scale] if r.common else []))]


def _is_plain_normal(fn: Any) -> bool:
    while type(fn).__name__ in ("ExpandedDistribution", "Independent"):
        fn = fn.base_dist
    return type(fn).__name__ == "Normal"


def _rows(
    closed: ClosedJaxpr, moved: set[Any], loc: Any, scale: Any, value: Any, weight: Any
) -> NormalRows | None:
    """Normal rows, where statistics hold for them and are fewer."""

    def moves(variable: Any) -> bool:
        return not isinstance(variable, Literal) and variable in moved

    shape, common = _shape(value), moves(scale)
    if not moves(loc) or moves(value) or moves(weight) or (common and np.prod(_shape(scale)) > 1):
        return None
    arguments = affine_arguments(closed, loc, moved)
    size = sum(int(np.prod(s, dtype=int)) for s in map(_shape, arguments))
    if 2 * size > int(np.prod(shape, dtype=int)):
        return None
    return NormalRows(
        arguments=arguments,
        shape=shape,
        loc=loc,
        scale=scale,
        value=value,
        weight=weight,
        common=common,
    )


def find_arrows(joint: TracedJoint, arrays: Any) -> tuple[Arrow, ...]:
    """Where the arguments of each site of rows stand in its matrix, at these data."""
    rng = np.random.default_rng(0)
    found = []
    for rows in joint.rows:
        size = sum(int(np.prod(s, dtype=int)) for s in rows.shapes)
        h: Any = rng.normal(size=size)

        found.append(find_arrow(Partial(_flat_means(joint, rows), arrays), h, rows.shapes))
    return tuple(found)


def prepare(joint: TracedJoint, arrows: Sequence[Arrow], arrays: Any) -> dict[str, Any]:
    """What is made of the data once for a fit.

    Returns
    -------
    dict
        ``rows``: sufficient statistics of each site of rows; ``columns``: the transposed matrix
        of each product.
    """
    return {
        "rows": [_statistics(joint, r, a, arrays) for r, a in zip(joint.rows, arrows, strict=True)],
        "columns": columns_of(joint.closed, joint.products, joint.known(None, arrays)),
    }


def _statistics(joint: TracedJoint, rows: NormalRows, arrow: Arrow, arrays: Any) -> dict[str, Any]:
    asked = [rows.value, rows.weight, *([] if rows.common else [rows.scale])]
    y, weight, *scale = (
        jnp.broadcast_to(x, rows.shape)
        for x in replay(joint.closed, joint.known(None, arrays), asked)
    )
    precision = weight if rows.common else weight / scale[0] ** 2
    zero = jnp.zeros(arrow.size)
    start, linear = jax.linearize(lambda h: joint.means(rows, h, arrays), zero)
    transposed = jax.linear_transpose(linear, zero)

    def pull(r: jax.Array) -> jax.Array:
        return transposed(precision * r)[0]

    matrix = arrow.matrix(lambda v: pull(linear(v)), batch=_BATCH)
    ends = [jnp.max(jnp.abs(x), initial=0.0) for x in (matrix.diagonal, matrix.corner)]
    ridge = _RIDGE * jnp.maximum(*ends) + 1e-300
    raised = ArrowMatrix(
        matrix.diagonal + ridge * jnp.eye(matrix.diagonal.shape[-1]),
        matrix.edge,
        matrix.corner + ridge * jnp.eye(matrix.corner.shape[-1]),
    )
    centre = arrow.solve(arrow.factor(raised), pull(y - start))
    residual = y - start - linear(centre)
    count = jnp.sum(weight)
    logs = 0.0 if rows.common else jnp.sum(weight * jnp.log(scale[0]))
    return {
        "centre": centre,
        "matrix": matrix,
        "pull": pull(residual),
        "squares": jnp.sum(precision * residual**2),
        "count": count,
        "constant": -0.5 * count * jnp.log(2 * jnp.pi) - logs,
    }


def log_joint(
    joint: TracedJoint,
    arrows: Sequence[Arrow],
    given: dict[str, Any],
    z: dict[str, jax.Array],
    arrays: Any,
) -> jax.Array:
    """Log joint density plus log Jacobian (scalar, nats), from what :func:`prepare` gives."""
    known = with_products(joint.closed, joint.products, given["columns"], joint.known(z, arrays))
    values = replay(joint.closed, known, [*joint.rest, *_asked(joint.rows)])
    total = sum(values[: len(joint.rest)], start=jnp.zeros(()))
    left = iter(values[len(joint.rest) :])
    for rows, arrow, s in zip(joint.rows, arrows, given["rows"], strict=True):
        h = jnp.concatenate([jnp.ravel(next(left)) for _ in rows.arguments])
        scale = jnp.reshape(next(left), ()) if rows.common else 1.0
        d = h - s["centre"]
        form = s["squares"] - 2 * s["pull"] @ d + arrow.form(s["matrix"], d)
        total += s["constant"] - 0.5 * form / scale**2 - s["count"] * jnp.log(scale)
    return total


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(variable.aval.shape)


def _parts(flat: jax.Array, shapes: Sequence[tuple[int, ...]]) -> list[jax.Array]:
    sizes = [int(np.prod(s, dtype=int)) for s in shapes]
    ends = np.cumsum(sizes)
    return [
        flat[end - size : end].reshape(shape)
        for end, size, shape in zip(ends, sizes, shapes, strict=True)
    ]
