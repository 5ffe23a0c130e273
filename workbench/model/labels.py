"""Labels of scalars: ``beta[bmi]`` for the element of ``beta`` along a labelled axis."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def scalar_labels(
    name: str,
    shape: tuple[int, ...],
    dims: Sequence[str] = (),
    coords: Mapping[str, Sequence[Any]] | None = None,
) -> list[str]:
    """Label each scalar of an array, in C order.

    Parameters
    ----------
    name : str
        Name of the array.
    shape : tuple of int
        Its shape.
    dims : sequence of str, optional
        One dimension name per axis; an axis without labels in ``coords`` is numbered from 0.
    coords : mapping, optional
        Labels by dimension name.

    Returns
    -------
    list of str
        As many labels as the array has elements.

    Examples
    --------
    >>> scalar_labels("beta", (2,), ("coefficient",), {"coefficient": ["Intercept", "bmi"]})
    ['beta[Intercept]', 'beta[bmi]']
    >>> scalar_labels("sigma", ())
    ['sigma']
    """
    axes: list[list[str]] = []
    for axis, length in enumerate(shape):
        known = (coords or {}).get(dims[axis]) if axis < len(dims) else None
        names = [str(v) for v in known or ()]
        # labels that do not tell the elements apart are no labels
        fit = len(names) == length and len(set(names)) == length
        axes.append(names if fit else [str(i) for i in range(length)])
    if not axes:
        return [name]
    return [f"{name}[{', '.join(index)}]" for index in itertools.product(*axes)]


def unique_labels(labels: Sequence[str]) -> list[str]:
    """Number the repetitions of a label (sites ``a`` of two elements and ``a[0]`` may meet).

    Parameters
    ----------
    labels : sequence of str
        Labels, perhaps not unique.

    Returns
    -------
    list of str
        Labels without repetition.

    Examples
    --------
    >>> unique_labels(["a[0]", "a[1]", "a[0]"])
    ['a[0]', 'a[1]', 'a[0] (2)']
    """
    seen: Counter[str] = Counter()
    unique = []
    for label in labels:
        seen[label] += 1
        unique.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return unique
