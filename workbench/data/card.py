"""What is known about a data set besides its numbers: origin, licence, units, question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    description : str
        What was measured.
    unit : str
        The unit of measurement; ``"1"`` for a pure number, ``"label"`` for names of categories, and
        empty where the source states none.
    """

    description: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """The card of a data set.

    Parameters
    ----------
    name : str
        The name under which ``load_dataset`` knows it.
    title : str
        One line for lists and headings.
    origin : str
        Who measured or published the numbers, and through which collection they came here.
    licence : str
        The terms under which the numbers are passed on.
    citation : str
        The publication to cite.
    rows : int
        Number of rows of the table.
    columns : Mapping of str to Column
        Description and unit of each column, in the order of the table.
    question : str
        The question that the data answer.
    formula : str or None
        The formula that ``load_dataset`` applies. None when the columns go into the model under
        their own names (see `observed` and `labels`).
    notes : str
        What to know before modelling.
    observed : str or None
        Without a formula: the column that is observed.
    labels : str or None
        Without a formula: the column that names the rows, which also names their dimension.
    """

    name: str
    title: str
    origin: str
    licence: str
    citation: str
    rows: int
    columns: Mapping[str, Column]
    question: str
    formula: str | None = None
    notes: str = ""
    observed: str | None = None
    labels: str | None = None

    @property
    def units(self) -> dict[str, str]:
        """The unit of each column, by column name."""
        return {name: column.unit for name, column in self.columns.items()}

    @classmethod
    def from_dict(cls, name: str, fields: Mapping[str, Any]) -> Card:
        """Build a card from its JSON form.

        Parameters
        ----------
        name : str
            The name of the data set.
        fields : Mapping
            The fields of the card; ``columns`` maps a name to its ``description`` and ``unit``.

        Returns
        -------
        Card
        """
        columns = {column: Column(**entry) for column, entry in fields["columns"].items()}
        return cls(name=name, **{**fields, "columns": columns})

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of the card, without its name; ``from_dict`` reads it back.

        Returns
        -------
        dict
        """
        columns = {
            name: {"description": column.description, "unit": column.unit}
            for name, column in self.columns.items()
        }
        fields = {key: value for key, value in vars(self).items() if key != "name"}
        return {**fields, "columns": columns}
