r"""Which outputs of a program are affine in an input, read off its traced form.

Nothing is computed: as labels do in :mod:`workbench.model.provenance`, a *form* flows through the
jaxpr. With z the input, a value is constant, affine in z elementwise, the exponential of such a
value (times a constant), or anything else:

========================================  ================================
sum of affine values                      affine
product with, or quotient by, a constant  as before
exponential of an affine value            exponential
rearrangement, sum over axes              affine (of exponentials: other)
everything else                           other
========================================  ================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal


class Form(IntEnum):
    """How a value depends on the input, from least to most."""

    CONSTANT = 0
    AFFINE = 1
    EXPONENTIAL = 2
    OTHER = 3


_REARRANGE = {
    "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "expand_dims", "rev",
    "reshape", "slice", "squeeze", "stop_gradient", "transpose",
}  # fmt: skip
_BY_CONSTANT_INDEX = {"dynamic_slice", "gather", "scatter"}  # one array, and where to look
_SUMS = {"add", "cumsum", "neg", "reduce_sum", "sub", "add_any"}


def forms(program: Callable[..., Any], z: Any, *constants: Any) -> Any:
    """Form in z of each output of a program.

    Parameters
    ----------
    program : callable
        Takes z, then what counts as constant.
    z, *constants : array or jax.ShapeDtypeStruct
        Its arguments, in any nesting.

    Returns
    -------
    Any
        The program's outputs, each replaced by its :class:`Form`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> found = forms(lambda z, x: [x @ z, jnp.exp(x @ z), z * z], jnp.ones(2), jnp.ones((3, 2)))
    >>> [form.name for form in found]
    ['AFFINE', 'EXPONENTIAL', 'OTHER']
    """
    closed, shapes = jax.make_jaxpr(program, return_shape=True)(z, *constants)
    size = len(jax.tree_util.tree_leaves(z))
    given = [Form.AFFINE] * size + [Form.CONSTANT] * (len(closed.jaxpr.invars) - size)
    return jax.tree_util.tree_unflatten(
        jax.tree_util.tree_structure(shapes), _through(closed, given)
    )


def _through(program: Any, given: Sequence[Form]) -> list[Form]:
    jaxpr: Jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    known: dict[Any, Form] = dict(zip(jaxpr.invars, given, strict=True))

    def read(variable: Any) -> Form:
        # constants of the program are not among the known
        return Form.CONSTANT if isinstance(variable, Literal) else known.get(variable, Form(0))

    for equation in jaxpr.eqns:
        operands = [read(v) for v in equation.invars]
        outputs = _equation(equation, operands)
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _equation(equation: Any, operands: list[Form]) -> list[Form]:
    name, most = equation.primitive.name, max(operands, default=Form.CONSTANT)
    inner = [p for p in equation.params.values() if isinstance(p, Jaxpr | ClosedJaxpr)]
    form = Form.OTHER
    if most is Form.CONSTANT:
        form = most
    elif name in ("jit", "pjit", "closed_call", "custom_jvp_call") and len(inner) == 1:
        return _through(inner[0], operands)
    elif name in _REARRANGE:
        # a constant beside an exponential is not one
        form = most if most is Form.AFFINE or min(operands) is most else Form.OTHER
    elif name in _SUMS and most is Form.AFFINE:
        form = most
    elif name in _BY_CONSTANT_INDEX and most is operands[0] and max(operands[1:]) is Form.CONSTANT:
        form = most if name != "scatter" or most is Form.AFFINE else Form.OTHER
    elif name == "select_n" and operands[0] is Form.CONSTANT and most is Form.AFFINE:
        form = most
    elif name in ("mul", "div", "dot_general"):
        one = min(operands) is Form.CONSTANT and not (name == "div" and operands[1] is most)
        # a sum of exponentials is none
        form = most if one and (name != "dot_general" or most is Form.AFFINE) else Form.OTHER
    elif name == "exp" and most is Form.AFFINE:
        form = Form.EXPONENTIAL
    return [form] * len(equation.outvars)
