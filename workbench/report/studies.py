"""The section of a study on the page: what it says, its table and its picture."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.report.numbers import cells

if TYPE_CHECKING:
    import pandas as pd

    from workbench.study.instrument import Study

_VECTOR = 300_000  # bytes from which an SVG is drawn as pixels instead
_ROWS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class StudySection:
    """What the page shows of a study.

    Attributes
    ----------
    instrument : str
        Such as ``spectrum``.
    name : str
        Model and data.
    table : pandas.DataFrame
        The numbers, without an index.
    sentences : tuple of str
        What they say; why there are none, where the study was refused.
    trusted : bool
        Whether they can be believed.
    picture : bytes
        An SVG or PNG file (empty where there is none).
    """

    instrument: str
    name: str
    table: pd.DataFrame
    sentences: tuple[str, ...]
    trusted: bool
    picture: bytes

    @property
    def address(self) -> str:
        """The picture as a data URI ("" where there is none)."""
        if not self.picture:
            return ""
        kind = "png" if self.picture[1:4] == b"PNG" else "svg+xml"
        return f"data:image/{kind};base64,{base64.b64encode(self.picture).decode()}"

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """Columns, and whether each holds words."""
        return [(str(c), self.table[c].dtype.kind not in "fiub") for c in self.table.columns]

    @property
    def rows(self) -> list[list[str]]:
        """The first rows as text."""
        kinds = [words for _, words in self.heads]
        return [
            [x if words else x.replace("-", "−") if len(x) > 1 else x
             for x, words in zip(row, kinds, strict=True)]
            for row in cells(self.table.head(_ROWS))
        ]  # fmt: skip

    @property
    def left_out(self) -> int:
        """Rows that the page does not show."""
        return max(len(self.table) - _ROWS, 0)


def study_section(study: Study) -> StudySection:
    """Put a study into its section, its picture drawn.

    Parameters
    ----------
    study : Study
        What an instrument gave, such as :func:`workbench.study.spectrum`.

    Returns
    -------
    StudySection

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> section = study_section(wb.spectrum(normal, {"y": [1.0, 2.0, 3.0]}, quick=True))
    >>> section.instrument, section.rows
    ('spectrum', [['1', '0.75', 'both', 'mu']])
    """
    from workbench import plot
    from workbench.plot.image import finished

    instrument = type(study).__name__.lower()
    draw = getattr(plot, instrument)
    picture = finished(draw(study), "svg")
    if len(picture) > _VECTOR:
        picture = finished(draw(study), "png")
    table = study.table
    return StudySection(
        instrument=instrument,
        name=study.name,
        table=table.reset_index(drop=table.index.name is None),
        sentences=study.sentences,
        trusted=study.trusted,
        picture=picture,
    )
