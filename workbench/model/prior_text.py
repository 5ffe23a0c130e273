"""Priors as text: ``Normal(0, 2.5)``, read as a call of one distribution with numbers.

The text is parsed, never evaluated: it names a class of ``numpyro.distributions`` and gives
numbers, by position or by the names of the class's arguments.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpyro.distributions as dist

from workbench.data.formula import absent
from workbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class PriorText:
    """A prior that was read.

    Attributes
    ----------
    name : str
        The class in ``numpyro.distributions``, or ``LKJ``.
    arguments : tuple of float
        Its arguments by position.
    named : mapping of str to float
        Its arguments by name.
    """

    name: str
    arguments: tuple[float, ...] = ()
    named: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """The text, such as ``Normal(0, 2.5)``."""
        given = [_digits(x) for x in self.arguments]
        given += [f"{key}={_digits(x)}" for key, x in self.named.items()]
        return f"{self.name}({', '.join(given)})"

    def distribution(self) -> dist.Distribution:
        """The scalar distribution of NumPyro."""
        return getattr(dist, self.name)(*self.arguments, **self.named)


def read_prior(term: str, text: str) -> PriorText:
    """Read a prior.

    Parameters
    ----------
    term : str
        What it is the prior of, for the sentences of errors.
    text : str
        One distribution with numbers, such as ``"StudentT(3, 0, 2.5)"``.

    Returns
    -------
    PriorText

    Raises
    ------
    UsageError
        When the text is something else, there is no such distribution of one number, or its
        arguments are out of range.

    Examples
    --------
    >>> str(read_prior("x1", "Normal(0, scale=1)"))
    'Normal(0, scale=1)'
    >>> read_prior("x1", "Norml(0, 1)")
    Traceback (most recent call last):
    workbench.errors.UsageError: prior of 'x1' names 'Norml', ...; did you mean 'Normal'?
    """
    expected = f"prior of '{term}' expects one distribution with numbers, such as Normal(0, 1)"
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{expected}; got '{text}'") from error
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise UsageError(f"{expected}; got '{text}'")
    numbers = [_number(node) for node in (*call.args, *(word.value for word in call.keywords))]
    names = [word.arg for word in call.keywords]
    if any(x is None for x in numbers) or None in names:
        raise UsageError(f"{expected}; got '{text}'")
    values = [float(x) for x in numbers if x is not None]
    cut = len(call.args)
    read = PriorText(
        name=call.func.id,
        arguments=tuple(values[:cut]),
        named=dict(zip((str(n) for n in names), values[cut:], strict=True)),
    )
    if read.name == "LKJ":
        if len(values) != 1 or values[0] <= 0:
            raise UsageError(f"LKJ expects one positive number, as in LKJ(2); got '{text}'")
        return read
    _check(term, text, read)
    return read


def _digits(x: float) -> str:
    """A number with every digit that it has."""
    return repr(x).removesuffix(".0")


def _number(node: ast.expr) -> float | None:
    """A literal number, perhaps with a sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _number(node.operand)
        return inner if inner is None or isinstance(node.op, ast.UAdd) else -inner
    value = node.value if isinstance(node, ast.Constant) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _check(term: str, text: str, read: PriorText) -> None:
    known = [n for n, c in vars(dist).items() if inspect.isclass(c)]
    known = [n for n in known if issubclass(getattr(dist, n), dist.Distribution)]
    if read.name not in known:
        raise UsageError(f"prior of '{term}' names '{read.name}', {absent(read.name, known)}")
    maker = getattr(dist, read.name)
    try:
        inspect.signature(maker).bind(*read.arguments, **read.named)
        made = maker(*read.arguments, **read.named, validate_args=True)
        scalar = made.batch_shape == () and made.event_shape == ()
        usable = scalar and not made.support.is_discrete
    except (TypeError, ValueError, AttributeError, IndexError, NotImplementedError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UsageError(f"prior of '{term}' cannot be '{text}': {reason}") from error
    if not usable:
        raise UsageError(
            f"prior of '{term}' expects a continuous distribution of one number; got '{text}'"
        )
