"""A data set as one line and as a small table for notebooks."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workbench.data.dataset import Dataset


def as_line(data: Dataset) -> str:
    """Return one line: name and arrays.

    Parameters
    ----------
    data : Dataset
        The data set.

    Returns
    -------
    str
    """
    shapes = ", ".join(f"{name} {content}" for name, _, _, content in _overview(data))
    return f"Dataset({data.name!r}, {shapes})"


def as_html(data: Dataset) -> str:
    """Return a heading, the formula and a table of the arrays with their dimensions.

    Parameters
    ----------
    data : Dataset
        The data set.

    Returns
    -------
    str
        HTML; names and labels in it are escaped.
    """
    heading = f"<h4>{html.escape(data.name)}</h4>"
    if data.card is not None:
        heading += f"<p>{html.escape(data.card.title)}</p>"
    if data.design is not None:
        heading += f"<p><code>{html.escape(data.design.formula)}</code></p>"
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in _overview(data)
    )
    titles = "<tr><th>name</th><th>role</th><th>dimensions</th><th>shape or value</th></tr>"
    return f"{heading}<table><thead>{titles}</thead><tbody>{rows}</tbody></table>"


def _overview(data: Dataset) -> list[tuple[str, str, str, str]]:
    return [
        (
            name,
            role,
            ", ".join(data.dims.get(name, ())),
            str(value.shape) if isinstance(value, np.ndarray) else repr(value),
        )
        for role, values in (("observed", data.observed), ("input", data.inputs))
        for name, value in values.items()
    ]
