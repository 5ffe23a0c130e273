"""Files that are there whole or not at all: written beside their place, then renamed into it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import WorkbenchError


@contextmanager
def replaced(path: str | Path) -> Iterator[Path]:
    """Give a temporary name to write to, which takes the place of `path` at the end.

    Parameters
    ----------
    path : str or Path
        The file to write; folders above it are made.

    Yields
    ------
    Path
        A name in the same folder. When the block ends well the file is flushed to the disk and
        renamed; when it does not, the file is removed and `path` is left as it was.

    Raises
    ------
    WorkbenchError
        When the folder cannot be made or written to.

    Notes
    -----
    A rename within a folder is atomic on POSIX: a reader, or a machine that loses power, sees the
    old file or the new one and never a part.

    Examples
    --------
    >>> with replaced("note.txt") as place:
    ...     _ = place.write_text("whole")
    >>> Path("note.txt").read_text()
    'whole'
    """
    path = Path(path)
    place = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield place
            _flush(place)
            os.replace(place, path)
            _flush(path.parent)
        finally:
            place.unlink(missing_ok=True)
    except OSError as error:
        raise WorkbenchError(
            f"'{path}' cannot be written: {error.strerror or error}; expected a folder to write to"
        ) from error


def _flush(path: Path) -> None:
    """Have the system write a file or a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
