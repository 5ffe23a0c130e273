"""Reading tables from files.

Rows are counted as a spreadsheet shows them: the header is row 1, the first row of data row 2.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.data.columns import row_number
from workbench.data.formula import absent
from workbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_TEXT = {".csv", ".txt", ".tsv", ".tab"}
_PARQUET = {".parquet", ".pq"}
_MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null", "."})
_TRUTHS = {"true": True, "false": False}


def read_table(path: str | Path, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    r"""Read a table from a CSV, TSV or Parquet file.

    Parameters
    ----------
    path : str or Path
        A file whose name ends in ``.csv``, ``.txt``, ``.tsv``, ``.tab``, ``.parquet`` or ``.pq``.
        Text is UTF-8 with the names of the columns in row 1. The separator is the tab, or in
        ``.csv`` and ``.txt`` whichever of comma, semicolon and tab is most frequent in row 1.
    columns : sequence of str, optional
        The columns to read; all when omitted.

    Returns
    -------
    DataFrame
        Columns of int64, float64, bool or text. Empty cells and NA, N/A, NaN, NULL and a lone
        point are missing values; blanks around a cell do not count.

    Raises
    ------
    DataError
        If the file cannot be read, or is not a table: no rows, rows of different lengths, columns
        without a name or with the name of another.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "trees.csv"
    ...     _ = path.write_text("height,species\n3.5,oak\n4,elm\n", encoding="utf-8")
    ...     frame = read_table(path)
    >>> frame["height"].tolist()
    [3.5, 4.0]
    """
    path = Path(path)
    kind = path.suffix.lower()
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; expected a file such as data.csv")
    if not path.exists():
        raise DataError(f"there is no file '{path}'")
    if kind in _PARQUET:
        frame = _read_parquet(path)
    elif kind in _TEXT:
        frame = _read_text(path)
    else:
        raise DataError(
            f"'{path}' ends in '{kind}'; expected a CSV, TSV or Parquet file "
            f"({', '.join(sorted(_TEXT | _PARQUET))})"
        )
    for name in columns or ():
        if name not in frame.columns:
            raise DataError(
                f"'{path}' is asked for column '{name}', {absent(name, list(frame.columns))}"
            )
    return frame if columns is None else frame[list(columns)]


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise DataError(
            f"'{path}' is a Parquet file, and reading one needs pyarrow, which is not installed; "
            "install probabilistic-workbench[parquet] or save the table as CSV"
        ) from error
    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"'{path}' cannot be read as Parquet: {_one_line(error)}") from error
    _check_names(path, table.column_names)
    if table.num_rows == 0:
        raise DataError(f"'{path}' has no rows of data")
    return table.to_pandas()


def _read_text(path: Path) -> pd.DataFrame:
    text = _decode(path)
    if not text.strip():
        raise DataError(f"'{path}' is empty; expected the names of the columns in row 1")
    try:
        rows = list(
            csv.reader(io.StringIO(text, newline=""), delimiter=_separator(path, text), strict=True)
        )
    except csv.Error as error:
        raise DataError(f"'{path}' cannot be read as a table: {_one_line(error)}") from error
    rows = [[cell.strip() for cell in row] for row in rows]
    while not any(rows[-1]):  # blank lines at the end; there is a row with text, seen above
        rows.pop()
    header, body = rows[0], rows[1:]
    _check_names(path, header)
    if not body:
        raise DataError(f"'{path}' has column names in row 1 but no rows of data")
    for position, row in enumerate(body):
        # with one column an empty line is an empty cell
        if len(row) != len(header) and not (len(header) == 1 and not row):
            raise DataError(
                f"'{path}' has {_count(len(row), 'cell')} in row {row_number(position)}; expected "
                f"{len(header)} as in row 1"
            )
    return _frame(header, body)


def _decode(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # the codec drops the byte-order mark before it counts; a mark holds no line end
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"'{path}' is not UTF-8 text: byte 0x{content[error.start]:02x} in row {line}; save it "
            "as UTF-8"
        ) from error


def _separator(path: Path, text: str) -> str:
    if path.suffix.lower() in {".tsv", ".tab"}:
        return "\t"
    header = text.split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _check_names(path: Path, names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"column {position} of '{path}' has no name in row 1; give it one")
        if name in seen:
            raise DataError(
                f"columns {seen[name]} and {position} of '{path}' are both called '{name}'"
            )
        seen[name] = position
    if all(_is_number(name) for name in names):
        raise DataError(f"row 1 of '{path}' holds numbers; expected the names of the columns")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _frame(header: Sequence[str], body: Sequence[Sequence[str]]) -> pd.DataFrame:
    import pandas as pd

    columns = {}
    for place, name in enumerate(header):
        cells = [row[place] if row else "" for row in body]
        columns[name] = _column(cells)
    return pd.DataFrame(columns)


def _column(cells: Sequence[str]) -> pd.Series:
    import pandas as pd

    present = [None if cell in _MISSING else cell for cell in cells]
    if all(cell is not None and cell.lower() in _TRUTHS for cell in present):
        return pd.Series([_TRUTHS[cell.lower()] for cell in cells])
    text = pd.Series(present, dtype=object)
    if text.isna().all():
        return text.astype("float64")
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.notna().sum() < text.notna().sum():
        return text
    return numbers if numbers.dtype == "int64" else numbers.astype("float64")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
