"""A file from which a killed run goes on: the state of its chains and their draws.

The file is written every so many seconds to a temporary name and renamed, so that a run killed at
any moment leaves the last whole one. Arrays are stored as they are (numpy's ``npz``, without
pickled objects), so that a chain that goes on makes, bit for bit, the draws it would have made.
"""

from __future__ import annotations

import json
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from workbench.errors import WorkbenchError
from workbench.fit.checkpoint import Saved
from workbench.store.atomic import replaced

_IDENTITY = "identity"


class Checkpoint:
    """Where a run of :func:`~workbench.fit.fit_nuts` is saved as it goes, and goes on from.

    Parameters
    ----------
    path : str or Path
        The file. Where it is there, the run goes on from it.
    every : float
        Least number of seconds between two writes.

    Notes
    -----
    A run of another model, data, seed or settings is refused; more draws of the same run are not.
    After the last draw the file holds all of them.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.linear import MODEL
    >>> data, place = wb.load_dataset("kidiq"), wb.Checkpoint("kidiq.checkpoint")
    >>> first = wb.fit_nuts(MODEL, data, num_samples=100, checkpoint=place)
    >>> more = wb.fit_nuts(MODEL, data, num_samples=200, checkpoint=place)
    >>> bool((more.samples["beta"][:, :100] == first.samples["beta"]).all())
    True
    """

    def __init__(self, path: str | Path, *, every: float = 10.0) -> None:
        self.path, self.every = Path(path), every
        self._lock = threading.Lock()
        self._last = time.monotonic()

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def read(self) -> Saved | None:
        """What the file holds; ``None`` where there is no file.

        Raises
        ------
        WorkbenchError
            When the file is not a checkpoint.
        """
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            identity = json.loads(str(arrays.pop(_IDENTITY)))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise WorkbenchError(
                f"'{self.path}' is not a checkpoint, or is damaged ({type(error).__name__}): "
                "expected a file that a run wrote; remove it, or name another"
            ) from error
        return Saved(identity=identity, arrays=arrays)

    def offer(self, make: Callable[[], Saved], *, now: bool = False) -> None:
        """Write what ``make`` gives, if it is time to (or ``now``).

        Raises
        ------
        WorkbenchError
            When the file cannot be written.
        """
        if not now and time.monotonic() - self._last < self.every:
            return
        # where another chain's thread is writing, it writes this chain's draws too
        if not self._lock.acquire(blocking=now):
            return
        try:
            saved = make()
            with replaced(self.path) as place, place.open("wb") as file:
                identity = np.asarray(json.dumps(dict(saved.identity)))
                np.savez(file, allow_pickle=False, **{_IDENTITY: identity, **saved.arrays})
            self._last = time.monotonic()
        finally:
            self._lock.release()
