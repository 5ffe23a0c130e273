"""From the words of a command to data: a built-in data set, or a table and how a model reads it.

A table reaches a model by a formula, or column by column: then the columns whose names the model's
function takes are its inputs, and those whose argument defaults to ``None`` are observed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd
    from click.shell_completion import CompletionItem

    from workbench.data import Card, Dataset
    from workbench.model import FormulaModel, Model

_TABLES = {".csv", ".txt", ".tsv", ".tab", ".parquet", ".pq"}


def find_data(reference: str | None, formula: str | None, model: Model) -> Dataset:
    """Load the data that a command names.

    Parameters
    ----------
    reference : str or None
        A built-in data set or a file; the model's own example when ``None``.
    formula : str or None
        How the model reads the table.
    model : Model
        Its function says which columns it takes.

    Returns
    -------
    Dataset

    Raises
    ------
    UsageError
        When no data are named and the model has no example, or a file needs a formula.
    DataError
        When the data cannot be found or used.
    """
    from workbench.data import Dataset, load_dataset

    reference = reference or model.defaults.get("data")
    if reference is None:
        raise UsageError(
            f"model '{model.name}' has no data set of its own; expected --data NAME or --data FILE"
        )
    if formula is not None:
        frame, name, card = _table(reference)
        return Dataset.from_frame(frame, formula=formula, name=name, card=card)
    if _is_file(reference):
        frame, name, _ = _table(reference)
        return from_columns(frame, model.fn, name)
    return load_dataset(reference)


def find_regression(
    formula: str, reference: str | None, options: Mapping[str, Any]
) -> FormulaModel:
    """Make the model that a formula in place of a model's name says.

    Parameters
    ----------
    formula : str
        The formula.
    reference : str or None
        A built-in data set or a file.
    options : mapping
        What was given of ``family``, ``prior`` (texts ``TERM=DISTRIBUTION``), ``offset``,
        ``weights`` and ``trials``.

    Returns
    -------
    FormulaModel

    Raises
    ------
    UsageError
        When no data are named, or a prior is not of that form.
    DataError
        When the data cannot be found or used.
    """
    from workbench.model import formula_model

    if reference is None:
        raise UsageError("a formula needs a table; expected --data NAME or --data FILE")
    priors = {}
    for text in options.get("prior", ()):
        term, found, prior = text.partition("=")
        if not found:
            raise UsageError(
                f"--prior expects TERM=DISTRIBUTION, as in x1=Normal(0, 1); got '{text}'"
            )
        priors[term.strip()] = prior
    frame, name, card = _table(reference)
    given = {key: value for key, value in options.items() if key != "prior"}
    return formula_model(formula, frame, priors=priors, name=name, card=card, **given)


def _table(reference: str) -> tuple[pd.DataFrame, str, Card | None]:
    """The table of a file or of a built-in data set, with its name and card."""
    from workbench.data import list_datasets, load_frame, read_table

    if _is_file(reference):
        return read_table(Path(reference)), Path(reference).stem, None
    card = next((card for card in list_datasets() if card.name == reference), None)
    return load_frame(reference), reference, card


def new_rows(path: str, data: Dataset, model: Model) -> Dataset:
    """Read rows to predict, coded as the data that were fitted.

    Parameters
    ----------
    path : str
        A table.
    data : Dataset
        What was fitted.
    model : Model
        The model.

    Returns
    -------
    Dataset
        The observed column may be missing.
    """
    from workbench.data import read_table

    frame = read_table(path)
    if data.design is not None:
        return data.new(frame)
    return from_columns(frame, model.fn, Path(path).stem, like=data)


def _is_file(reference: str) -> bool:
    path = Path(reference)
    return path.suffix.lower() in _TABLES or "/" in reference or path.is_file()


def from_columns(
    frame: pd.DataFrame, fn: Callable[..., Any], name: str, *, like: Dataset | None = None
) -> Dataset:
    """Hand a table's columns to a function by their names.

    Parameters
    ----------
    frame : DataFrame
        The table.
    fn : callable
        The model's function.
    name : str
        A name for the data.
    like : Dataset, optional
        Data coded before, whose labels and sizes new rows share; they need no observed column.

    Returns
    -------
    Dataset
        Text is coded 0 to K-1 in sorted order, with the labels in ``coords["<column>_level"]`` and
        K as ``num_<column>`` where the function takes it.

    Raises
    ------
    UsageError
        When the function takes a design ``x``, which needs a formula.
    DataError
        When a column is missing or has gaps.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"dose": [1.0, 2.0], "died": [0, 1], "site": ["b", "a"]})
    >>> def model(dose, site, num_site, died=None): ...
    >>> data = from_columns(frame, model, "trial")
    >>> sorted(data.inputs), data.inputs["site"].tolist(), list(data.observed)
    (['dose', 'num_site', 'site'], [1, 0], ['died'])
    """
    from workbench.data import Dataset

    parameters = _named_parameters(fn)
    if "x" in parameters and "x" not in frame.columns:
        raise UsageError(
            "the model takes a design x, which a formula makes of a table; expected "
            f"--formula, such as --formula '{frame.columns[-1]} ~ {frame.columns[0]}'"
        )
    taken = [c for c in frame.columns if c in parameters]
    coords: dict[str, tuple[Any, ...]] = {}
    arrays: dict[str, Any] = {}
    observed = {c for c in taken if parameters[c].default is None}
    for column in taken:
        values = frame[column]
        if column in observed and like is not None and values.isna().all():
            continue
        arrays[column], levels = _code(values, column, like, column in observed)
        if levels:
            coords[f"{column}_level"] = levels
            if f"num_{column}" in parameters and f"num_{column}" not in frame.columns:
                arrays[f"num_{column}"] = len(levels)
    kept = _kept(like, frame)
    required = [p for p, v in parameters.items() if v.default is v.empty]
    lacking = [p for p in required if p not in arrays and p not in kept]
    if lacking:
        from workbench.data.formula import absent

        known = [str(c) for c in frame.columns]
        raise DataError(f"the model takes column '{lacking[0]}', {absent(lacking[0], known)}")
    if not observed and like is None:
        raise DataError(
            "no column of the table is observed: expected one under the name of an argument that "
            f"defaults to None; the columns are {', '.join(map(str, frame.columns))}"
        )
    return Dataset.from_arrays(
        name,
        inputs={**kept, **{k: v for k, v in arrays.items() if k not in observed}},
        observed={k: v for k, v in arrays.items() if k in observed},
        coords=coords,
    )


def _named_parameters(fn: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = {p.name: p for p in parameters if p.kind in named}
    if not found:
        raise UsageError(
            "the model's function does not name its arguments, so that no column can be matched "
            "to them; expected --formula, or a function with named arguments"
        )
    return found


def _kept(like: Dataset | None, frame: pd.DataFrame) -> dict[str, Any]:
    """Sizes and settings of the fitted data that new rows do not bring themselves."""
    if like is None:
        return {}
    rows = {k for k in like.inputs if k in like.dims}
    return {k: v for k, v in like.inputs.items() if k not in rows and k not in frame.columns}


def _code(
    values: pd.Series, column: str, like: Dataset | None, observed: bool
) -> tuple[Any, tuple[str, ...]]:
    """Numbers as they are (gaps only in what is observed); text as codes with their labels."""
    from pandas.api import types

    gaps = values.isna().to_numpy()
    text = not types.is_numeric_dtype(values) or types.is_bool_dtype(values)
    if gaps.any() and (text or not observed):
        raise DataError(
            f"column '{column}' has no value in row {int(gaps.argmax()) + 2}; expected one in "
            "every row"
        )
    if not text:
        return values.to_numpy(), ()
    words = [str(v) for v in values]
    known = like.coords.get(f"{column}_level") if like is not None else None
    levels = tuple(known) if known is not None else tuple(sorted(set(words)))
    code = {level: i for i, level in enumerate(levels)}
    for row, word in enumerate(words):
        if word not in code:
            raise DataError(
                f"column '{column}' has the level '{word}' in row {row + 2}, which the rows that "
                f"were fitted do not have; they have {', '.join(levels[:12])}"
            )
    return [code[word] for word in words], levels


class DataName(click.ParamType):
    """The ``--data`` of a command, with completion of names and files."""

    name = "data"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the built-in data sets, or files."""
        from click.shell_completion import CompletionItem

        from workbench.data import list_datasets

        cards = [card for card in list_datasets() if card.name.startswith(incomplete)]
        if not cards:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(card.name, help=card.title) for card in cards]
