"""What the instruments have in common: the face of a result, and what they ask of a fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from workbench.errors import FitError
from workbench.fit import DrawsFit, ModeFit
from workbench.fit.curvature import combination
from workbench.model import Density

Part = dict[str, np.ndarray]
Keep = Callable[[str, Callable[[], Part]], Part]
"""``keep(name, make)`` gives the finished part of that name, or makes it now and keeps it, so that
an interrupted study goes on where it stopped (:class:`workbench.store.StudyParts`)."""


def start_anew(name: str, make: Callable[[], Part]) -> Part:
    """Keep nothing: make every part now."""
    return make()


class Study(Protocol):
    """The result of an instrument, as shell and plots read it."""

    @property
    def name(self) -> str:
        """Model and data."""
        ...

    @property
    def table(self) -> pd.DataFrame:
        """The numbers."""
        ...

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        ...

    @property
    def trusted(self) -> bool:
        """Whether the numbers can be believed."""
        ...


def subject(density: Density) -> str:
    """Name of what is studied: model and data.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.linear import MODEL
    >>> subject(wb.model.read_density(MODEL, wb.load_dataset("diabetes")))
    'linear-diabetes'
    """
    return f"{density.model.name}-{density.data.name}"


def require_regular(fit: ModeFit, density: Density, expectation: str, advice: str = "") -> None:
    """Refuse a mode that is not a regular maximum.

    Parameters
    ----------
    fit : ModeFit
        Any mode fit.
    density : Density
        Its model.
    expectation : str
        Who expects what of which, such as ``bayes expects a regular posterior mode; that``.
    advice : str
        Said at the end.

    Raises
    ------
    FitError
        With what the fit is instead.
    """
    if not fit.status.ok:
        raise FitError(
            f"{expectation} of model '{density.model.name}' is "
            f"{fit.detail or fit.status.value}{advice}"
        )


def name_directions(
    values: np.ndarray, vectors: np.ndarray, labels: Sequence[str], unit: np.ndarray
) -> list[str]:
    """Write directions as combinations of labels.

    Parameters
    ----------
    values : numpy.ndarray
        Eigenvalue of each direction, shape (K,). Three or more that are equal have no directions
        of their own, only a space in common.
    vectors : numpy.ndarray
        Shape (P, K).
    labels : sequence of str
        One for each row.
    unit : numpy.ndarray
        What one of each label is worth, shape (P,).

    Examples
    --------
    >>> name_directions(np.array([2.0, 1.0, 1.0, 1.0]), np.eye(4), list("abcd"), np.ones(4))
    ['a', 'any of 3 directions alike', 'any of 3 directions alike', 'any of 3 directions alike']
    """
    alike = np.isclose(values[:, None], values, rtol=1e-6, atol=1e-9).sum(axis=1)
    return [
        f"any of {n} directions alike" if n > 2 else combination(v, labels, unit=unit)
        for n, v in zip(alike, vectors.T, strict=True)
    ]


def p_loo(keep: Keep, draw: Callable[[], DrawsFit]) -> float:
    """Effective number of parameters by leave-one-out, kept as a part of the study.

    ``nan`` for several observed sites.
    """

    def make() -> Part:
        from workbench import az

        tree = draw().datatree
        known = "log_likelihood" in tree and len(tree["log_likelihood"].data_vars) == 1
        return {"p_loo": np.array(float(az.loo(tree).p) if known else np.nan)}

    return float(keep("p_loo", make)["p_loo"])
