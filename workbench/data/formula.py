"""Formulas: reading them and turning columns into design matrices.

A formula is evaluated in a namespace that holds the functions listed here and nothing else, so
that no name of the workbench, of the caller or of Python can be called from it. The functions of
NumPy are those that act row by row: a formula such as ``x - np.mean(x)`` would code new rows by
their own mean, which is why ``center`` and ``scale``, which remember theirs, take its place.
"""

from __future__ import annotations

import contextlib
import difflib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_ROWWISE = (
    "abs arccos arcsin arcsinh arctan arctan2 cbrt ceil clip cos cosh exp exp2 expm1 floor hypot "
    "log log10 log1p log2 maximum minimum power reciprocal rint sign sin sinh sqrt square tan tanh "
    "where"
).split()
_NAMESPACE = {"np": SimpleNamespace(**{name: getattr(np, name) for name in _ROWWISE})}
CODINGS = frozenset({"C", "S", "T"})
_FUNCTIONS = CODINGS | {"I", "scale", "standardize", "center", "bs", "poly"}
_CONTRASTS = frozenset({"Treatment", "Sum"})
_NAMES = frozenset({"IDENTIFIER", "BQNAME"})
_OPERATORS = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "COLON", "PIPE", "STAR_STAR"})

# what evaluating a well-formed formula on unsuitable columns can raise inside formulae
_EVALUATION_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A formula that was read, before it meets data.

    Parameters
    ----------
    text : str
        The formula as written.
    response : str
        Its left-hand side as written, such as ``"np.log(earn)"``.
    variables : tuple of str
        The columns it uses, sorted.
    response_variables : tuple of str
        Those of the left-hand side.
    description : Any
        The terms, as ``formulae`` keeps them.
    """

    text: str
    response: str
    variables: tuple[str, ...]
    response_variables: tuple[str, ...]
    description: Any


def parse(text: str) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text : str
        Such as ``"y ~ x1 * x2 + C(g) + (1|g)"``.

    Returns
    -------
    Formula

    Raises
    ------
    DataError
        If it does not parse, lacks a response, or calls a function that formulas do not have.

    Examples
    --------
    >>> parse("np.log(earn) ~ height + male").variables
    ('earn', 'height', 'male')
    """
    from formulae.parser import ParseError, Parser
    from formulae.resolver import Resolver, ResolverError
    from formulae.scanner import ScanError, Scanner
    from formulae.terms.call_resolver import CallResolverError
    from formulae.terms.terms import Model

    if text.count("`") % 2:
        raise DataError(f"formula '{text}' cannot be read: a backquote is not closed")
    try:
        tokens = Scanner(text or " ").scan()
        _check_tokens(text, tokens)
        parser = Parser(tokens)
        tree = parser.parse()
        if not parser.at_end():
            # formulae stops reading here without a word and would fit a shorter formula
            raise ParseError(f"did not expect '{parser.peek().lexeme}'")
        description = Resolver(tree).resolve()
    except (
        ParseError,
        ScanError,
        ResolverError,
        CallResolverError,
        *_EVALUATION_ERRORS,
    ) as error:
        if isinstance(error, DataError):
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"formula '{text}' cannot be read: {reason}") from error

    if not isinstance(description, Model) or description.response is None:
        raise DataError(f"formula '{text}' has no response: expected one such as 'y ~ x'")
    known = _CONTRASTS | {"", "np"}
    return Formula(
        text=text,
        response=text.split("~")[0].strip(),
        variables=_names(text, description.var_names - known),
        response_variables=_names(text, description.response.var_names - known),
        description=description,
    )


def parse_column(text: str) -> Formula:
    """Read a column, or a function of columns, that stands outside of a formula.

    Parameters
    ----------
    text : str
        Such as ``"trials"``, ``"np.log(exposure)"`` or ``"I(above + below)"``.

    Returns
    -------
    Formula
        With the column as its response.

    Raises
    ------
    DataError
        If it does not parse, or is more than one column or function.

    Examples
    --------
    >>> parse_column("np.log(exposure)").variables
    ('exposure',)
    """
    return parse(f"{text} ~ 1")


def group_terms(text: str) -> list[list[tuple[str, str]]]:
    """Tell the brackets of group effects in a formula.

    Parameters
    ----------
    text : str
        A formula.

    Returns
    -------
    list
        For each bracket ``(effects|groups)`` the effects that it stands for, each as the names of
        its factor and of its term.

    Examples
    --------
    >>> group_terms("y ~ x + (x|g) + (1|h)")
    [[('g', '1|g'), ('g', 'x|g')], [('h', '1|h')]]
    """
    from formulae.scanner import Scanner

    tokens = Scanner(text).scan()
    found, opened = [], []
    for place, token in enumerate(tokens):
        if token.kind == "LEFT_PAREN":
            opened.append(place)
        elif token.kind == "RIGHT_PAREN" and opened:
            inside = tokens[opened.pop() + 1 : place]
            if any(part.kind == "PIPE" for part in inside):
                bracket = " ".join(part.lexeme for part in inside)
                terms = parse(f"y ~ ({bracket})").description.group_terms
                found.append([(term.factor.name, term.name) for term in terms])
    return found


def _names(text: str, found: set[Any]) -> tuple[str, ...]:
    for name in found:
        if not isinstance(name, str):
            raise DataError(
                f"formula '{text}' cannot be read: the number {name} stands where a column belongs"
            )
    return tuple(sorted(found))


def _check_tokens(text: str, tokens: Sequence[Any]) -> None:
    if tokens[0].kind == "TILDE" or not any(token.kind == "TILDE" for token in tokens):
        raise DataError(f"formula '{text}' has no response: expected one such as 'y ~ x'")
    on_left = True
    calls: list[bool] = []  # for each open bracket: is it inside a function call or braces?
    for before, token, after in zip([tokens[0], *tokens], tokens, tokens[1:], strict=False):
        if token.kind == "TILDE":
            on_left = False
        elif token.kind == "IDENTIFIER" and after.kind == "LEFT_PAREN":
            _check_function(text, token.lexeme)
        elif token.kind in {"LEFT_PAREN", "LEFT_BRACE"}:
            is_call = token.kind == "LEFT_BRACE" or before.kind == "IDENTIFIER"
            calls.append(is_call or any(calls))
        elif token.kind in {"RIGHT_PAREN", "RIGHT_BRACE"} and calls:
            calls.pop()
        elif token.kind in _OPERATORS and on_left and not any(calls):
            raise DataError(
                f"formula '{text}' has '{token.lexeme}' left of the '~'; expected one column, or "
                "one function such as np.log(y) or I(y / n)"
            )
        elif token.kind == "STAR_STAR" and before.kind in _NAMES and not any(calls):
            # formulae reads x**2 as x, since outside a call ** multiplies terms
            raise DataError(
                f"formula '{text}' cannot be read: '{before.lexeme}**{after.lexeme}' is a power of "
                f"a term; for a power of the numbers write I({before.lexeme}**{after.lexeme})"
            )


def _check_function(text: str, name: str) -> None:
    allowed = sorted(_FUNCTIONS | _CONTRASTS) + [f"np.{function}" for function in _ROWWISE]
    if name in allowed:
        return
    candidates = (name, f"np.{name}")
    nearest = [
        match
        for candidate in candidates
        for match in difflib.get_close_matches(candidate, allowed, n=1, cutoff=0.8)
    ]
    if nearest:
        advice = f"did you mean '{nearest[0]}'?"
    elif name.startswith("np."):
        # np.mean(x) of new rows would be their own mean, not that of the fitted rows
        advice = "of NumPy's they have those that act row by row; center and scale remember a mean"
    else:
        advice = f"they have {', '.join(sorted(_FUNCTIONS))} and functions such as np.log"
    raise DataError(f"formula '{text}' calls '{name}', which formulas do not have; {advice}")


def evaluate(formula: Formula, frame: pd.DataFrame) -> Any:
    """Evaluate a formula on the columns of a frame.

    Parameters
    ----------
    formula : Formula
        The formula; it learns the levels and the transformations of these rows.
    frame : DataFrame
        Cleaned columns, without missing values.

    Returns
    -------
    formulae.matrices.DesignMatrices

    Raises
    ------
    DataError
        If the columns do not suit the formula.
    """
    from formulae.environment import Environment
    from formulae.matrices import DesignMatrices

    description = parse(formula.text).description  # evaluation fills the terms: never share them
    with explained(formula.text):
        return DesignMatrices(description, frame, Environment([_NAMESPACE]))


@contextlib.contextmanager
def explained(text: str):
    """Turn what ``formulae`` raises in the block into one sentence about the formula.

    Parameters
    ----------
    text : str
        The formula.
    """
    try:
        # formulae prints before it raises; log(0) and the like are found in the result, by row
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            yield
    except _EVALUATION_ERRORS as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"formula '{text}' cannot be evaluated: {reason}") from error


def unknown_column(formula: Formula, columns: Sequence[str]) -> None:
    """Refuse a formula that uses a column the table does not have.

    Parameters
    ----------
    formula : Formula
        The formula.
    columns : sequence of str
        The columns of the table.

    Raises
    ------
    DataError
        Naming the column and the nearest one that exists.
    """
    for name in formula.variables:
        if name not in columns:
            raise DataError(
                f"formula '{formula.text}' uses column '{name}', {absent(name, columns)}"
            )


def absent(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Say that a name is not there, and which one may have been meant.

    Parameters
    ----------
    name : str
        The name that was asked for.
    known : sequence of str
        The names that exist.

    Returns
    -------
    str
        The end of a sentence, such as ``"which is not there; did you mean 'height'?"``.
    """
    folded = {str(other).lower(): str(other) for other in known}
    nearest = difflib.get_close_matches(name.lower(), folded, n=1)
    if nearest:
        return f"which is not there; did you mean '{folded[nearest[0]]}'?"
    shown = ", ".join(f"'{other}'" for other in list(known)[:12])
    more = "" if len(known) <= 12 else f" and {len(known) - 12} more"
    return f"which is not there; there are {shown}{more}"
