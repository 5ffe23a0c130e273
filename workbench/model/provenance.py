"""Which inputs of a program reach which outputs, read off its traced form.

Nothing is computed: labels flow through the jaxpr, and each operation passes on the union of the
labels of its operands (Wingate et al. 2011, "Nonstandard interpretations of probabilistic
programs for efficient inference", NeurIPS 24). Loops are followed to a fixed point, so that in a
scan over time one carry does not lend its labels to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

Labels = frozenset[str]
CONSTANT = "constant"
_NONE: Labels = frozenset()


def reach(program: Callable[[Mapping[str, Any]], Any], inputs: Mapping[str, Any]) -> Any:
    """Labels of the inputs that each output of a program depends on.

    Parameters
    ----------
    program : callable
        Takes the mapping of inputs, returns arrays in any nesting.
    inputs : mapping of str to array or jax.ShapeDtypeStruct
        Each input's label is its key.

    Returns
    -------
    Any
        The program's outputs, each replaced by a frozenset of labels; ``"constant"`` stands for
        the arrays (not the scalars) that the program holds itself.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> found = reach(lambda x: {"sum": x["a"] + x["b"], "zero": 0 * x["c"].size},
    ...               {"a": 1.0, "b": 2.0, "c": jnp.ones(3)})
    >>> sorted(found["sum"]), sorted(found["zero"])
    (['a', 'b'], [])
    """
    closed, shapes = jax.make_jaxpr(program, return_shape=True)(dict(inputs))
    labels = [_key_label(path) for path, _ in jax.tree_util.tree_flatten_with_path(dict(inputs))[0]]
    outputs = _through_closed(closed, labels)
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shapes), outputs)


def operations(closed: ClosedJaxpr) -> set[str]:
    """Names of the operations of a traced program, those inside loops and calls included.

    Parameters
    ----------
    closed : ClosedJaxpr
        As ``jax.make_jaxpr`` gives it.

    Returns
    -------
    set of str
        As JAX names them.

    Examples
    --------
    >>> sorted(operations(jax.make_jaxpr(jax.jit(lambda x: -x + 1.0))(2.0)) - {"jit", "pjit"})
    ['add', 'neg']
    """
    return {e.primitive.name for part in _parts(closed) for e in _open(part).eqns}


def constants_of(closed: ClosedJaxpr) -> list[Any]:
    """Every value that a traced program holds itself, arrays and scalars, in a fixed order.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> [float(x) for x in constants_of(jax.make_jaxpr(lambda x: 2.5 * x)(1.0))]
    [2.5]
    """
    found: list[Any] = []
    for part in _parts(closed):
        found += part.consts if isinstance(part, ClosedJaxpr) else []
        for equation in _open(part).eqns:
            found += [v.val for v in equation.invars if isinstance(v, Literal)]
    return found


def _parts(closed: Any) -> Iterator[Any]:
    """A program and those inside its loops and calls."""
    left = [closed]
    while left:
        part = left.pop()
        yield part
        for equation in _open(part).eqns:
            held = jax.tree_util.tree_leaves(list(equation.params.values()), is_leaf=_is_jaxpr)
            left += [x for x in held if _is_jaxpr(x)]


def _open(part: Any) -> Any:
    """A program without its constants."""
    return part.jaxpr if isinstance(part, ClosedJaxpr) else part


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, Jaxpr | ClosedJaxpr)


def _key_label(path: Sequence[Any]) -> Labels:
    return frozenset({str(path[0].key)})


def _through_closed(closed: Any, labels: Sequence[Labels]) -> list[Labels]:
    """Follow labels through a jaxpr, with or without its constants attached."""
    # ask for the closed kind first: from JAX 0.12 on the two are one type, which has constants
    if isinstance(closed, ClosedJaxpr):
        return _through(closed.jaxpr, [_constant(c) for c in closed.consts], labels)
    return _through(closed, [_NONE] * len(closed.constvars), labels)


def _constant(value: Any) -> Labels:
    return frozenset({CONSTANT}) if np.ndim(value) > 0 else _NONE


def _through(jaxpr: Jaxpr, constants: Sequence[Labels], labels: Sequence[Labels]) -> list[Labels]:
    known: dict[Any, Labels] = dict(zip(jaxpr.constvars, constants, strict=True))
    known.update(zip(jaxpr.invars, labels, strict=True))

    def read(variable: Any) -> Labels:
        if isinstance(variable, Literal):
            return _constant(variable.val)
        return known.get(variable, _NONE)

    for equation in jaxpr.eqns:
        operands = [read(v) for v in equation.invars]
        known.update(zip(equation.outvars, _equation(equation, operands), strict=True))
    return [read(v) for v in jaxpr.outvars]


def _equation(equation: Any, operands: list[Labels]) -> list[Labels]:
    name, params = equation.primitive.name, equation.params
    if name == "scan":
        return _scan(equation, operands)
    if name == "while":
        return _while(params, operands)
    if name == "cond":
        which, *rest = operands
        branches = [_through_closed(b, rest) for b in params["branches"]]
        return [which.union(*outs) for outs in zip(*branches, strict=True)]
    inner = [p for p in params.values() if _is_jaxpr(p)]
    if len(inner) == 1 and _num_inputs(inner[0]) == len(operands):
        outputs = _through_closed(inner[0], operands)
        if len(outputs) == len(equation.outvars):
            return outputs
    return [_NONE.union(*operands)] * len(equation.outvars)


def _num_inputs(inner: Any) -> int:
    return len(inner.invars if isinstance(inner, Jaxpr) else inner.jaxpr.invars)


def _scan(equation: Any, operands: list[Labels]) -> list[Labels]:
    body = equation.params["jaxpr"]
    # operands are constants, carries and rows; results are carries and rows
    carries = len(equation.outvars) - _num_rows(equation.outvars, body.out_avals)
    first = len(operands) - _num_rows(equation.invars, body.in_avals) - carries
    fixed, carry, rows = (
        operands[:first], operands[first : first + carries], operands[first + carries :]
    )  # fmt: skip
    while True:
        outputs = _through_closed(body, [*fixed, *carry, *rows])
        grown = [a | b for a, b in zip(carry, outputs[:carries], strict=True)]
        if grown == carry:
            return [*carry, *outputs[carries:]]
        carry = grown


def _num_rows(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    """How many of a scan's arrays its body sees row by row: those with one axis less inside."""
    pairs = zip(outside, inside, strict=True)
    return sum(len(variable.aval.shape) > len(seen.shape) for variable, seen in pairs)


def _while(params: Mapping[str, Any], operands: list[Labels]) -> list[Labels]:
    test, body = params["cond_nconsts"], params["body_nconsts"]
    of_test, of_body, carry = (
        operands[:test], operands[test : test + body], operands[test + body :]
    )  # fmt: skip
    while True:
        # how often the body runs depends on the test, and so do the results
        decides = _NONE.union(*_through_closed(params["cond_jaxpr"], [*of_test, *carry]))
        outputs = _through_closed(params["body_jaxpr"], [*of_body, *carry])
        grown = [a | b | decides for a, b in zip(carry, outputs, strict=True)]
        if grown == carry:
            return carry
        carry = grown
