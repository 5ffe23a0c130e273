"""Where methods of fitting a network are looked at: along one covariate, over a plane of two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.data import Dataset
from workbench.errors import DataError
from workbench.network import ClassMixture, Network, NormalMixture, hold_contest, prior_outputs
from workbench.network.contest import Answer, Method
from workbench.network.probes import along, gap_split, most_graded, rows_at, telling_columns

_POINTS = 160  # of a curve
_SIDE = 60  # of a plane
_BEYOND = 0.25  # of the covariate's range, on either side
_PRIOR = 200  # functions drawn from the prior


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Predictions along one covariate, the others at their means (M values).

    Attributes
    ----------
    x : numpy.ndarray
        Values of the covariate, ascending, shape (M,).
    label, response : str
        Names of the two axes, with units.
    predictions : dict of str to NormalMixture
        By method, fitted to the rows outside the gap.
    gap : tuple of float
        From where to where no rows were fitted.
    observed : tuple of numpy.ndarray
        Covariate and response of the rows fitted and left out alike; empty where other covariates
        vary too, so that a curve does not go through the rows.
    prior : numpy.ndarray
        Location of networks drawn from the prior, shape (S, M).
    """

    x: np.ndarray
    label: str
    response: str
    predictions: dict[str, NormalMixture]
    gap: tuple[float, float]
    observed: tuple[np.ndarray, np.ndarray]
    prior: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """Class probabilities over two covariates, the others at their means.

    Attributes
    ----------
    x, y : numpy.ndarray
        Values of the covariates, shape (A,) and (B,).
    labels : tuple of str
        Names of the two axes, with units.
    probabilities : dict of str to numpy.ndarray
        By method, shape (A, B, K).
    observed : tuple of numpy.ndarray
        Both covariates and the class of the rows.
    classes : tuple of str
        Names of the classes.
    """

    x: np.ndarray
    y: np.ndarray
    labels: tuple[str, str]
    probabilities: dict[str, np.ndarray]
    observed: tuple[np.ndarray, np.ndarray, np.ndarray]
    classes: tuple[str, ...]


def curve_with_gap(
    ways: Mapping[str, Method],
    network: Network,
    data: Dataset,
    seed: int,
    tell: Callable[[str], None],
) -> tuple[Curve, pd.DataFrame]:
    """Fit without the gap; predictions along the covariate, and scores inside the gap."""
    x = network.rows["x"]
    column = most_graded(x)
    train, inside = gap_split(data, column)
    contest = hold_contest(
        ways, [(train, inside)], seed=seed, progress=lambda _, name: tell(f"gap, {name}")
    )
    values = along(x, (column,), _POINTS, _BEYOND)[0]
    rows = rows_at(x, (column,), values[:, None])
    predictions = {m: a.predict(rows) for m, a in contest.answers.items()}
    alone = np.sum(np.ptp(x, axis=0) > 0) == 1
    seen = (x[:, column], network.observations) if alone else (np.empty(0), np.empty(0))
    within = inside.inputs["x"][:, column]
    scores = contest.by_split.set_index("method")[["log_score", "coverage_95", "width_95"]]
    prior = prior_outputs(network, rows, num=_PRIOR, seed=seed)[..., 0]
    observed = next(iter(data.observed))
    curve = Curve(
        x=values,
        label=_label(data, column),
        response=data.axis_label(observed),
        predictions={m: p for m, p in predictions.items() if isinstance(p, NormalMixture)},
        gap=(float(within.min()), float(within.max())),
        observed=seen,
        prior=prior,
    )
    return curve, scores.add_prefix("gap_")


def plane_of_classes(answers: Mapping[str, Answer], data: Dataset) -> Plane:
    """Class probabilities over the two covariates that tell most."""
    mode = answers["MAP"]
    network = network_of(mode)
    x = np.asarray(data.inputs["x"])
    columns = telling_columns(network, modes_of(mode)[0])
    a, b = along(x, columns, _SIDE, 0.1)
    grid = np.stack([g.ravel() for g in np.meshgrid(a, b, indexing="ij")], axis=1)
    rows = rows_at(x, columns, grid)
    found = {}
    for name, answer in answers.items():
        made = answer.predict(rows)
        if isinstance(made, ClassMixture):
            found[name] = made.prob.reshape(len(a), len(b), -1)
    y = next(iter(data.observed.values()))
    number = next(iter(found.values())).shape[-1]
    classes = data.coords.get("response_level", tuple(range(number)))
    return Plane(
        x=a,
        y=b,
        labels=(_label(data, columns[0]), _label(data, columns[1])),
        probabilities=found,
        observed=(x[:, columns[0]], x[:, columns[1]], y),
        classes=tuple(str(c) for c in classes),
    )


def _label(data: Dataset, column: int) -> str:
    names = data.coords.get(data.dims.get("x", ("", ""))[-1], ())
    return data.axis_label(str(names[column])) if column < len(names) else f"x[{column}]"


def network_of(answer: Answer) -> Network:
    """What an answer was fitted with."""
    if answer.network is None:
        raise DataError(
            "an answer without its network cannot be diagnosed; expected Answer.network"
        )
    return answer.network


def modes_of(answer: Answer) -> np.ndarray:
    """Points where the starts of an answer ended, the best first."""
    if answer.modes is None or not len(answer.modes):
        raise DataError("no start of the posterior mode ended at a finite density")
    return answer.modes
