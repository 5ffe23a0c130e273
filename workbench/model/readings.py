"""Densities read lately: a model fitted again to the same data need not be read anew.

A reading is taken again where the function and the contents of the data are the same and the
function's operations, when JAX traces them, are too: a function that reads a variable around it
may have changed since.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.data import Dataset
from workbench.model.binding import same_arrays

if TYPE_CHECKING:
    from workbench.model.density import Density

_KEPT = 8
_PLAIN = (bool, int, float, str, bytes, type(None))
_NUMBERS = 1_000_000  # of data that may be held


@dataclass(frozen=True)
class _Reading:
    model: Any
    data: Dataset | None  # None where it was a mapping
    density: Density


_READINGS: deque[_Reading] = deque(maxlen=_KEPT)


def read_before(model: Any, data: Any, dataset: Dataset) -> Density | None:
    """The density of a model and data as they were given, where it was read lately.

    Parameters
    ----------
    model, data
        As given to :func:`workbench.read_density`.
    dataset : Dataset
        The data.

    Returns
    -------
    Density or None
        ``None`` where the model is to be read.
    """
    if _size(dataset) > _NUMBERS:
        return None
    for kept in reversed(_READINGS):
        same_model = kept.model is model or (callable(model) and kept.model == model)
        if same_model and _same_data(kept, data, dataset):
            # traced anew, since neither comparison sees what the function reads around it
            now = replace(kept.density)
            return kept.density if now.operations_digest == kept.density.operations_digest else None
    return None


def remember(model: Any, data: Any, density: Density) -> None:
    """Keep a reading, unless its data are large."""
    if _size(density.data) <= _NUMBERS:
        _READINGS.append(_Reading(model, data if isinstance(data, Dataset) else None, density))


def _size(data: Dataset) -> int:
    return sum(np.size(x) for part in (data.inputs, data.observed) for x in part.values())


def _same_data(kept: _Reading, data: Any, dataset: Dataset) -> bool:
    if isinstance(data, Dataset):
        return kept.data is data
    other = kept.density.data
    return (
        kept.data is None
        and other.inputs.keys() == dataset.inputs.keys()
        and all(_same(x, other.inputs[k]) for k, x in dataset.inputs.items())
    )


def _same(a: Any, b: Any) -> bool:
    """Whether two values are known to be equal (nan equals nan)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and same_arrays(a, b)
    return isinstance(a, _PLAIN) and a == b
