"""Parts of a traced program run on their own: the values on the way, and what follows from them.

A traced program (a jaxpr) is a list of operations, each of which makes variables from others. Any
variables can be asked for given any others from which they follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, DropVar, Jaxpr, Literal, Var, jaxpr_as_fun

from workbench.model.affine import Form, form_of_equation


def replay(closed: ClosedJaxpr, known: Mapping[Var, Any], wanted: Sequence[Any]) -> list[Any]:
    """Values of variables of a traced program, given the values of others.

    Parameters
    ----------
    closed : ClosedJaxpr
        As ``jax.make_jaxpr`` gives it.
    known : mapping of Var to array
        Values given, in place of those that the program would compute.
    wanted : sequence of Var or Literal
        What to compute; only the operations that it needs are run.

    Returns
    -------
    list of array
        In that order.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> closed = jax.make_jaxpr(lambda x: jnp.sin(x) + 1.0)(0.0)
    >>> inner = closed.jaxpr.eqns[0].outvars[0]  # the sine
    >>> [float(v) for v in replay(closed, {inner: 5.0}, closed.jaxpr.outvars)]
    [6.0]
    """
    names = list(known)
    part = closed.jaxpr.replace(
        invars=names, outvars=list(wanted), eqns=needed_operations(closed.jaxpr, set(names), wanted)
    )
    return list(jaxpr_as_fun(ClosedJaxpr(part, closed.consts))(*known.values()))


def needed_operations(jaxpr: Jaxpr, known: set[Any], wanted: Sequence[Any]) -> list[Any]:
    """Operations from which the wanted variables follow, in order, the known not computed."""
    needed = {v for v in wanted if not isinstance(v, Literal)} - known
    chosen = []
    for equation in reversed(jaxpr.eqns):
        if needed & set(equation.outvars):
            chosen.append(equation)
            inputs = {v for v in equation.invars if not isinstance(v, Literal)}
            needed = (needed - set(equation.outvars)) | (inputs - known)
    return chosen[::-1]


def moved_by(closed: ClosedJaxpr, inputs: Sequence[Var]) -> set[Any]:
    """Variables of a traced program that depend on some of its inputs."""
    moved: set[Any] = set(inputs)
    for equation in closed.jaxpr.eqns:
        if any(not isinstance(v, Literal) and v in moved for v in equation.invars):
            moved.update(equation.outvars)
    return moved


def affine_arguments(closed: ClosedJaxpr, out: Var, moved: set[Any]) -> tuple[Var, ...]:
    """The variables that a variable is affine in, with coefficients that do not move.

    Parameters
    ----------
    closed : ClosedJaxpr
        As ``jax.make_jaxpr`` gives it.
    out : Var
        The variable.
    moved : set of Var
        What moves (:func:`moved_by`); all else, such as data, is a coefficient.

    Returns
    -------
    tuple of Var
        Traced back as far as operations are affine: for ``x @ (2 * b) + exp(s)``, ``b`` and
        ``exp(s)``.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> closed = jax.make_jaxpr(lambda b, s, x: x @ (2 * b) + jnp.exp(s))(
    ...     jnp.ones(2), 0.0, jnp.ones((3, 2)))
    >>> b, s, _ = closed.jaxpr.invars
    >>> found = affine_arguments(closed, closed.jaxpr.outvars[0], moved_by(closed, [b, s]))
    >>> [v.aval.shape for v in found], b in found, s in found
    ([(2,), ()], True, False)
    """
    made_by = {v: e for e in closed.jaxpr.eqns for v in e.outvars}
    order = {v: k for k, v in enumerate([*closed.jaxpr.invars, *made_by])}
    left, seen, found = [out], {out}, set()
    while left:
        variable = left.pop()
        equation = made_by.get(variable)
        if equation is None:
            found.add(variable)
            continue
        given = [Form.AFFINE if _moves(v, moved) else Form.CONSTANT for v in equation.invars]
        if form_of_equation(equation, given)[0] is not Form.AFFINE:
            # together, so that none is computed beside another
            found.update(v for v in equation.outvars if not isinstance(v, DropVar))
            continue
        operands = [v for v in equation.invars if _moves(v, moved)]
        left += [v for v in operands if v not in seen]
        seen.update(operands)
    return tuple(sorted(found, key=order.__getitem__))


def _moves(variable: Any, moved: set[Any]) -> bool:
    return not isinstance(variable, Literal) and variable in moved
