"""The finished parts of a study in a file, from which an interrupted study goes on."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.store.atomic import replaced

_IDENTITY = "identity"


class StudyParts:
    """Parts of a study by name, written to a file as they are finished.

    Parameters
    ----------
    path : str or Path
        The file. What it holds is reused where it is of the same study, and replaced where not.
    identity : mapping of str to str, int, float or bool
        What the study is made of: instrument, model, data, settings.

    Notes
    -----
    Give it to a study as ``keep``. The file is written whole after each part, to a temporary name,
    and renamed.

    Raises
    ------
    WorkbenchError
        When the file is damaged or cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> def slow():
    ...     print("made")
    ...     return {"x": np.arange(3)}
    >>> place, what = "parts.npz", {"study": "limits", "seed": 1}
    >>> StudyParts(place, what)("first", slow)["x"].tolist()
    made
    [0, 1, 2]
    >>> StudyParts(place, what)("first", slow)["x"].tolist()
    [0, 1, 2]
    """

    def __init__(self, path: str | Path, identity: Mapping[str, Any]) -> None:
        self.path, self.identity = Path(path), json.dumps(dict(identity), sort_keys=True)
        self._parts = self._read()

    def __call__(
        self, name: str, make: Callable[[], dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """The part of that name: the one in the file, or a new one, which is then there."""
        if name not in self._parts:
            self._parts[name] = {k: np.asarray(v) for k, v in make().items()}
            self._write()
        return self._parts[name]

    @property
    def names(self) -> list[str]:
        """Parts that are there."""
        return list(self._parts)

    def _read(self) -> dict[str, dict[str, np.ndarray]]:
        if not self.path.exists():
            return {}
        try:
            with np.load(self.path, allow_pickle=False) as file:
                if str(file[_IDENTITY]) != self.identity:
                    return {}
                parts: dict[str, dict[str, np.ndarray]] = {}
                for key in file.files:
                    if key != _IDENTITY:
                        name, _, array = key.rpartition("|")
                        parts.setdefault(name, {})[array] = file[key]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise WorkbenchError(
                f"'{self.path}' does not hold the parts of a study, or is damaged "
                f"({type(error).__name__}): remove it, or name another folder"
            ) from error
        return parts

    def _write(self) -> None:
        flat = {f"{n}|{k}": v for n, part in self._parts.items() for k, v in part.items()}
        with replaced(self.path) as place, place.open("wb") as file:
            np.savez(file, allow_pickle=False, **{_IDENTITY: np.asarray(self.identity), **flat})
