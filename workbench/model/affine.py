r"""Which outputs of a program are affine or quadratic in an input, read off its traced form.

Nothing is computed: as labels do in :mod:`workbench.model.provenance`, a *form* flows through the
jaxpr. With z the input, a value is constant, affine in z elementwise, a polynomial of degree two,
the exponential of an affine value (times a constant), or anything else:

========================================  ================================
sum of affine or quadratic values         that of the highest degree
product with, or quotient by, a constant  as before
product of two affine values, square      quadratic
exponential of an affine value            exponential
rearrangement, sum over axes              as before (a sum of exponentials: other)
comparison with itself or an infinity     constant, as for every finite value
everything else                           other
========================================  ================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal


class Form(IntEnum):
    """How a value depends on the input, from least to most."""

    CONSTANT = 0
    AFFINE = 1
    QUADRATIC = 2
    EXPONENTIAL = 3
    OTHER = 4

    @property
    def polynomial(self) -> bool:
        """Whether the value is a polynomial of degree two at most."""
        return self <= Form.QUADRATIC


_REARRANGE = {
    "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "expand_dims", "rev",
    "reshape", "slice", "split", "squeeze", "stop_gradient", "transpose",
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
    ['AFFINE', 'EXPONENTIAL', 'QUADRATIC']
    """
    closed, shapes = jax.make_jaxpr(program, return_shape=True)(z, *constants)
    size = len(jax.tree_util.tree_leaves(z))
    given = [Form.AFFINE] * size + [Form.CONSTANT] * (len(closed.jaxpr.invars) - size)
    return jax.tree_util.tree_unflatten(
        jax.tree_util.tree_structure(shapes), forms_through(closed, given)
    )


def forms_through(program: Any, given: Sequence[Form]) -> list[Form]:
    """Form of each output of a traced program, from those of its inputs.

    Parameters
    ----------
    program : ClosedJaxpr or Jaxpr
        As ``jax.make_jaxpr`` gives it.
    given : sequence of Form
        One for each of its flat inputs.

    Returns
    -------
    list of Form
        One for each of its flat outputs.

    Examples
    --------
    >>> [x.name for x in forms_through(jax.make_jaxpr(lambda a, b: a * b)(1.0, 1.0), [Form(1)] * 2)]
    ['QUADRATIC']
    """
    jaxpr: Jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    known: dict[Any, Form] = dict(zip(jaxpr.invars, given, strict=True))

    def read(variable: Any) -> Form:
        # constants of the program are not among the known
        return Form.CONSTANT if isinstance(variable, Literal) else known.get(variable, Form(0))

    for equation in jaxpr.eqns:
        operands = [read(v) for v in equation.invars]
        outputs = form_of_equation(equation, operands)
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def form_of_equation(equation: Any, operands: Sequence[Form]) -> list[Form]:
    """Form of each result of one operation, from those of its operands."""
    name, most = equation.primitive.name, max(operands, default=Form.CONSTANT)
    inner = [p for p in equation.params.values() if isinstance(p, Jaxpr | ClosedJaxpr)]
    form = Form.OTHER
    if most is Form.CONSTANT or _asks_finiteness(equation):
        form = Form.CONSTANT
    elif name in ("jit", "pjit", "closed_call", "custom_jvp_call") and len(inner) == 1:
        return forms_through(inner[0], operands)
    elif name in _REARRANGE:
        # a constant beside an exponential is not one
        form = most if most.polynomial or min(operands) is most else Form.OTHER
    elif name in _SUMS and most.polynomial:
        form = most
    elif name in _BY_CONSTANT_INDEX and most is operands[0] and max(operands[1:]) is Form.CONSTANT:
        form = most if name != "scatter" or most.polynomial else Form.OTHER
    elif name in ("select_n", "triangular_solve") and operands[0] is Form.CONSTANT:
        form = most if most.polynomial else Form.OTHER
    elif name in ("mul", "div", "dot_general"):
        one = min(operands) is Form.CONSTANT and not (name == "div" and operands[1] is most)
        if one:  # a sum of exponentials is none
            form = most if name != "dot_general" or most.polynomial else Form.OTHER
        elif most is Form.AFFINE and name != "div":
            form = Form.QUADRATIC
    elif name == "integer_pow" and equation.params["y"] in (1, 2):
        form = most if equation.params["y"] == 1 else _square(most)
    elif name == "square":
        form = _square(most)
    elif name == "exp" and most is Form.AFFINE:
        form = Form.EXPONENTIAL
    return [form] * len(equation.outvars)


def _asks_finiteness(equation: Any) -> bool:
    """Whether an operation compares a value with itself or with an infinity.

    NumPyro's check of the support of the whole line; one answer for all finite values.
    """
    first, *rest = equation.invars
    if equation.primitive.name == "eq":
        return rest[0] is first
    limits = [v.val for v in rest if isinstance(v, Literal)]
    return equation.primitive.name == "ne" and len(limits) == 1 and bool(np.isinf(limits[0]))


def _square(form: Form) -> Form:
    return Form.QUADRATIC if form is Form.AFFINE else Form.OTHER
