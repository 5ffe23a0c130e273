"""Coding columns and responses: which columns hold labels, which levels are known, codes 0 to K-1.

The parts of a formula are its columns and its calls, as ``formulae`` keeps them (``Variable`` and
``Call``). A part of numbers enters the design as it is; a part of labels has levels, learned from
the rows that the formula was fitted to, and new rows may have no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.data.columns import row_number
from workbench.data.formula import CODINGS, Formula, absent, explained
from workbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def label_columns(formula: Formula) -> frozenset[str]:
    """Return the columns that a formula uses as labels only: in ``C(g)`` or as a factor of groups.

    Parameters
    ----------
    formula : Formula
        The formula.

    Returns
    -------
    frozenset of str
    """
    labels, others = set(), set()
    for component, is_factor in _components(formula.description):
        is_label = is_factor or _callee(component) in CODINGS
        (labels if is_label else others).update(component.var_names)
    return frozenset(labels - others)


def check_text(formula: Formula, frame: pd.DataFrame) -> None:
    """Refuse a function of numbers that is given text.

    Parameters
    ----------
    formula : Formula
        The formula.
    frame : DataFrame
        Its columns, cleaned.

    Raises
    ------
    DataError
        Naming the column, the text and the function.
    """
    from pandas.api import types

    for component, _ in _components(formula.description):
        # text may be compared, as in I(g == 'a'), but not computed with
        compares = "==" in component.name or "!=" in component.name
        if _callee(component) in {None, *CODINGS} or compares:
            continue
        for name in sorted(component.var_names & set(formula.variables)):
            if not types.is_numeric_dtype(frame[name]):
                raise DataError(
                    f"column '{name}' has the text '{frame[name].iloc[0]}' in row 2 where "
                    f"'{component.name}' needs numbers"
                )


def as_fitted(name: str, old: pd.Series, new: pd.Series) -> pd.Series:
    """Return a column of new rows with the type that it had in the fitted rows.

    Parameters
    ----------
    name : str
        The column.
    old, new : Series
        The column as fitted, and as given now; both cleaned.

    Returns
    -------
    Series
        Integers become text where the fitted rows hold text: labels ``1, 2, 3a`` are text, and some
        of their rows may hold nothing but numerals.

    Raises
    ------
    DataError
        For text where the fitted rows hold numbers, naming the column and its first entry.
    """
    from pandas.api import types

    was_numeric, is_numeric = types.is_numeric_dtype(old), types.is_numeric_dtype(new)
    if was_numeric and not is_numeric:
        raise DataError(
            f"column '{name}' has the text '{new.iloc[0]}' in row 2 where numbers belong, as in "
            "the rows that were fitted"
        )
    if isinstance(old.iloc[0], str) and is_numeric and not types.is_bool_dtype(new):
        return new.astype(str)
    return new


def check_levels(component: Any, frame: pd.DataFrame, text: str) -> None:
    """Refuse a level that the fitted rows do not have.

    Parameters
    ----------
    component : Variable or Call of formulae
        A categorical part of the formula, with its levels.
    frame : DataFrame
        New rows.
    text : str
        The formula.

    Raises
    ------
    DataError
        Naming column, row and level.
    """
    check_seen(component_values(component, frame, text), component.levels, component.name)


def check_seen(values: Any, levels: Sequence[Any], name: str) -> None:
    """Refuse a value that is not one of the levels.

    Parameters
    ----------
    values : sequence
        One value per row.
    levels : sequence
        The levels of the fitted rows.
    name : str
        The column or term.

    Raises
    ------
    DataError
        Naming column, row and level.
    """
    known = set(levels)
    for position, value in enumerate(values):
        if value not in known:
            shown = ", ".join(f"'{level}'" for level in list(levels)[:12])
            more = "" if len(levels) <= 12 else f" and {len(levels) - 12} more"
            raise DataError(
                f"column '{name}' has the level '{value}' in row {row_number(position)}, which the "
                f"rows that were fitted do not have; they have {shown}{more}"
            )


def component_values(component: Any, frame: pd.DataFrame, text: str) -> Any:
    """Return the values of a variable or call of a formula, before any coding.

    Parameters
    ----------
    component : Variable or Call of formulae
        A part of the formula.
    frame : DataFrame
        The rows.
    text : str
        The formula.

    Returns
    -------
    Series or ndarray
        One value per row.
    """
    from formulae.categorical import CategoricalBox
    from formulae.terms.call import Call

    if not isinstance(component, Call):
        return frame[component.name]
    with explained(text):
        values = component.call.eval(frame, component.env)
    return values.data if isinstance(values, CategoricalBox) else values


def code_response(
    component: Any, values: Any, name: str, levels: tuple[str, ...] | None
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Code a response: numbers stay as they are, categories become 0 to K-1.

    Parameters
    ----------
    component : Variable or Call of formulae
        The left-hand side.
    values : Series or ndarray
        Its values.
    name : str
        The left-hand side as written.
    levels : tuple of str or None
        The levels of the fitted rows; None for a response of numbers, or to learn them.

    Returns
    -------
    values : ndarray of shape (N,)
        float64 for measurements, int64 for counts and categories.
    levels : tuple of str or None
        The levels in the order of their codes; None for a response of numbers.
    """
    import pandas as pd

    values = pd.Series(values)
    event = None if _callee(component) is not None else component.reference
    if event is not None:
        return _code_event(values, name, event, levels)
    if component.kind == "numeric" and not pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy()
        if not np.isfinite(numbers).all():
            position = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise DataError(
                f"response '{name}' is {numbers[position]} in row {row_number(position)}; expected "
                "finite numbers"
            )
        kind = np.int64 if numbers.dtype.kind in "iu" else np.float64
        return numbers.astype(kind), None
    if isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered:
        learned = [str(level) for level in values.cat.categories]
    else:
        learned = [str(level) for level in sorted(values.unique())]
    text = [str(value) for value in values]
    if levels is None:
        levels = tuple(learned)
    check_seen(text, levels, name)
    code = {level: number for number, level in enumerate(levels)}
    return np.array([code[value] for value in text], dtype=np.int64), levels


def _code_event(
    values: pd.Series, name: str, event: str, levels: tuple[str, ...] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    happened = (values.astype(str) == event).to_numpy()
    if levels is None and not happened.any():
        known = sorted({str(value) for value in values})
        raise DataError(f"response '{name}' asks for level '{event}', {absent(event, known)}")
    return happened.astype(np.int64), (f"not {event}", event)


def _callee(component: Any) -> str | None:
    """Return the function that a component calls, or None for a plain column."""
    from formulae.terms.call import Call

    return component.call.callee if isinstance(component, Call) else None


def _components(model: Any) -> list[tuple[Any, bool]]:
    """Return the variables and calls of a formula, each with whether it is a factor of groups."""
    from formulae.terms.terms import Intercept

    parts = [(part, False) for part in model.response.term.components]
    plain = list(model.common_terms) + [term.expr for term in model.group_terms]
    for term in plain:
        if not isinstance(term, Intercept):
            parts += [(part, False) for part in term.components]
    for term in model.group_terms:
        parts += [(part, True) for part in term.factor.components]
    return parts
