"""What a picture is of: terms, fits and the kind of outcome, or a sentence why it cannot be."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workbench.comparison import Comparison
from workbench.data import Dataset
from workbench.errors import UsageError
from workbench.fit import DrawsFit, ModeFit, Prediction

LIMIT = 30  # terms that one picture shows
WIDE = 100.0  # an interval so many times wider than the others says "anywhere" and sets no scale

OutcomeKind = Literal["continuous", "count", "binary", "categorical"]


def choose_terms(known: Sequence[str], terms: str | Sequence[str] | None) -> list[str]:
    """Choose among the terms of a table.

    Parameters
    ----------
    known : sequence of str
        The table's terms.
    terms : str or sequence of str, optional
        Terms, or arrays for all of their elements; all terms by default.

    Returns
    -------
    list of str

    Raises
    ------
    UsageError
        When a term is not in the table; the nearest one is named.

    Examples
    --------
    >>> choose_terms(["beta[a]", "beta[b]", "sigma"], ["sigma", "beta"])
    ['sigma', 'beta[a]', 'beta[b]']
    """
    if terms is None:
        return list(known)
    chosen: list[str] = []
    for name in [terms] if isinstance(terms, str) else terms:
        found = [t for t in known if t == name or t.startswith(f"{name}[")]
        if not found:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise UsageError(
                f"term '{name}' is not in the comparison, which has {len(known)} terms; the "
                f"nearest is '{near[0]}'"
                if near
                else f"term '{name}' is not in the comparison, which has no terms"
            )
        chosen += found
    return list(dict.fromkeys(chosen))


def one_term(known: Sequence[str], term: str) -> str:
    """Check that a term is in a table; an array of one element stands for it.

    Raises
    ------
    UsageError
        When it is not, or when it names several.
    """
    found = choose_terms(known, term)
    if len(found) > 1:
        raise UsageError(
            f"term '{term}' has {len(found)} elements, from '{found[0]}' to '{found[-1]}'; "
            "expected one of them"
        )
    return found[0]


def draws_of(source: Comparison | DrawsFit) -> DrawsFit:
    """The posterior draws of a comparison, or the draws given.

    Raises
    ------
    UsageError
        When there are none.
    """
    fit = source.fits.get("NUTS") if isinstance(source, Comparison) else source
    if isinstance(fit, DrawsFit):
        return fit
    if isinstance(source, Comparison):
        raise UsageError(
            f"comparison '{source.name}' has no posterior draws: "
            + source.refused.get("NUTS", "expected a fit by NUTS")
        )
    raise UsageError(f"this picture needs a Comparison or a DrawsFit; got {type(source).__name__}")


def mode_of(source: Comparison | ModeFit, method: str) -> ModeFit:
    """The mode fit of a comparison by its method, or the fit given.

    Raises
    ------
    UsageError
        When there is none.
    """
    fit = source.fits.get(method) if isinstance(source, Comparison) else source
    if isinstance(fit, ModeFit):
        return fit
    if isinstance(source, Comparison):
        modes = [m for m, f in source.fits.items() if isinstance(f, ModeFit)]
        raise UsageError(
            f"comparison '{source.name}' has no mode fit '{method}', only {modes}: "
            + source.refused.get(method, "expected one of these")
        )
    raise UsageError(f"this picture needs a Comparison or a ModeFit; got {type(source).__name__}")


def predictions_of(comparison: Comparison) -> dict[str, Prediction]:
    """The predictions at the fitted data, by method.

    Raises
    ------
    UsageError
        When the model predicts nothing, or its outcome is not one number per row.
    """
    found = {m: p for m, p in comparison.predictions.items() if p.observed is not None}
    if not found:
        raise UsageError(
            f"comparison '{comparison.name}' has no predictions at the fitted data: its model has "
            "no observed site that can be drawn anew"
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Covariate:
    """The one covariate of a model.

    Attributes
    ----------
    label : str
        Its name with its unit.
    values : numpy.ndarray
        Its value at every row, shape (N,).
    """

    label: str
    values: np.ndarray


def one_covariate(data: Dataset, rows: int) -> Covariate | None:
    """The covariate of data that have exactly one, and more than two values of it.

    Parameters
    ----------
    data : Dataset
        The data.
    rows : int
        Number N of observed rows.

    Returns
    -------
    Covariate or None
        ``None`` where there are none or several.

    Examples
    --------
    >>> from workbench.data import load_dataset
    >>> one_covariate(load_dataset("nile"), 100).label
    'year'
    >>> one_covariate(load_dataset("diabetes"), 442) is None
    True
    """
    x = data.inputs.get("x")
    if not isinstance(x, np.ndarray) or x.shape[:1] != (rows,) or x.ndim > 2:
        return None
    groups = [k for k in data.inputs if k == "group" or k.startswith("group_")]
    columns = x.reshape(rows, -1)
    varying = [j for j in range(columns.shape[1]) if np.ptp(columns[:, j]) > 0]
    if len(varying) != 1 or groups:
        return None
    values = columns[:, varying[0]]
    if len(np.unique(values)) <= 2:
        return None
    dims = data.dims.get("x", ())
    name = str(data.coords[dims[1]][varying[0]]) if len(dims) == 2 else "x"
    return Covariate(label=data.axis_label(name), values=values)


def outcome_kind(comparison: Comparison, prediction: Prediction) -> OutcomeKind:
    """What an outcome is: real numbers, counts, a yes or no, or categories.

    Parameters
    ----------
    comparison : Comparison
        Its data know the levels of a categorical outcome.
    prediction : Prediction
        Its draws have the outcome's type.

    Returns
    -------
    str
    """
    draws = prediction.draws
    if draws.dtype.kind == "f":
        return "continuous"
    if int(draws.max()) <= 1 and int(np.max(_known(prediction.observed))) <= 1:
        return "binary"
    coded = "response_level" in comparison.data.coords or "num_classes" in comparison.data.inputs
    return "categorical" if coded else "count"


def _known(observed: Any) -> np.ndarray:
    """The observed values that are not missing."""
    values = np.asarray(observed, dtype=float).ravel()
    return values[~np.isnan(values)]
