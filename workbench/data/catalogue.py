"""The data sets that come with the workbench: a table and a card each."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING

from workbench.data.card import Card
from workbench.data.dataset import Dataset
from workbench.data.formula import absent
from workbench.data.table import read_table
from workbench.errors import DataError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import pandas as pd


def list_datasets() -> tuple[Card, ...]:
    """Return the cards of the built-in data sets, sorted by name.

    Returns
    -------
    tuple of Card

    Examples
    --------
    >>> {card.name: card.rows for card in list_datasets()}["kidiq"]
    434
    """
    return tuple(_card(name) for name in _names())


def load_frame(name: str) -> pd.DataFrame:
    """Return the table of a built-in data set.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    DataFrame

    Raises
    ------
    DataError
        If there is no such data set.

    Examples
    --------
    >>> load_frame("spector").columns.tolist()
    ['grade', 'gpa', 'tuce', 'psi']
    """
    _check(name)
    with resources.as_file(_folder() / f"{name}.csv") as path:
        return read_table(path)


def load_dataset(name: str) -> Dataset:
    """Return a built-in data set, coded by the formula of its card.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    Dataset
        For another formula, give ``load_frame(name)`` to ``Dataset.from_frame``.

    Raises
    ------
    DataError
        If there is no such data set.

    Examples
    --------
    >>> load_dataset("diabetes").inputs["x"].shape
    (442, 11)
    """
    frame, card = load_frame(name), _card(name)
    if card.formula is not None:
        return Dataset.from_frame(frame, formula=card.formula, name=name, card=card)
    return _from_columns(frame, card)


def list_splits() -> tuple[str, ...]:
    """Return the names of the built-in data sets that have standard splits, sorted.

    Examples
    --------
    >>> list_splits()
    ('energy', 'ionosphere')
    """
    folder = _folder() / "splits"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir()))


def load_splits(name: str) -> tuple[tuple[Dataset, Dataset], ...]:
    """Return the standard splits of a built-in data set into training and test rows.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    tuple of (Dataset, Dataset)
        The formula of the card is fitted to the training rows (their means, sds and levels) and
        the test rows are coded as they are.

    Raises
    ------
    DataError
        If there is no such data set, or it has no standard splits.

    Examples
    --------
    >>> splits = load_splits("energy")
    >>> len(splits), splits[0][0].num_rows, splits[0][1].num_rows
    (20, 691, 77)
    """
    _check(name)
    known = list_splits()
    if name not in known:
        raise DataError(
            f"data set '{name}' has no standard splits; expected one of {', '.join(known)}"
        )
    entry = _folder() / "splits" / f"{name}.json"
    frame, card = load_frame(name), _card(name)
    splits = []
    for test in json.loads(entry.read_text(encoding="utf-8"))["test_index"]:
        train = Dataset.from_frame(
            frame.drop(index=test), formula=card.formula, name=name, card=card
        )
        splits.append((train, train.new(frame.iloc[test])))
    return tuple(splits)


def _from_columns(frame: pd.DataFrame, card: Card) -> Dataset:
    labels, observed = card.labels, card.observed
    if labels is None or observed is None:
        raise DataError(
            f"card '{card.name}' has no formula; expected its labels and observed column"
        )
    inputs = {name: frame[name].to_numpy() for name in frame.columns.difference([labels, observed])}
    return Dataset(
        name=card.name,
        inputs=inputs,
        observed={observed: frame[observed].to_numpy()},
        coords={labels: frame[labels].tolist()},
        dims={name: (labels,) for name in (observed, *inputs)},
        units=card.units,
        card=card,
    )


def _folder() -> Traversable:
    return resources.files("workbench.data") / "builtin"


def _names() -> list[str]:
    return sorted(
        entry.name.removesuffix(".json")
        for entry in _folder().iterdir()
        if entry.name.endswith(".json")
    )


def _check(name: str) -> None:
    names = _names()
    if name not in names:
        raise DataError(f"asked for data set '{name}', {absent(name, names)}")


def _card(name: str) -> Card:
    text = (_folder() / f"{name}.json").read_text(encoding="utf-8")
    return Card.from_dict(name, json.loads(text))
