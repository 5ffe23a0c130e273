r"""Which way of fitting a network predicts best, how sure it is, and what it costs.

Maximum likelihood, posterior mode, deep ensemble, Laplace's approximation and NUTS, from one model
text, on the same splits (:mod:`workbench.network.contest`): the standard splits of a data set that
has them, else splits at random. A regression is also fitted without the middle third of its rows
by one covariate and asked about them: between two parts of the data a method that knows only one
function is as sure as beside them.

Weights are not compared, predictions are (:mod:`workbench.network`). About the posterior mode the
loss is cut along the axes of its Hessian, and on the line to another mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.comparison import Finding, Severity
from workbench.data import Dataset, list_splits, load_dataset, load_splits
from workbench.errors import DataError
from workbench.model import Model, as_model, read_density
from workbench.model.binding import as_dataset
from workbench.network import (
    ClassMixture,
    Contest,
    Network,
    NormalMixture,
    Surface,
    by_laplace,
    by_mode,
    by_nuts,
    by_training,
    diagnose_network,
    hold_contest,
    loss_surface,
    other_mode,
    prior_outputs,
    read_network,
    reliability,
)
from workbench.network.contest import Answer, Method
from workbench.network.probes import along, gap_split, most_graded, rows_at, telling_columns
from workbench.study.instrument import subject

_POINTS = 160  # of a curve
_STARTS = 16  # of an optimiser
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Methods:
    """Methods of fitting a network side by side.

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        Index method; means over splits of the scores (see
        :func:`workbench.network.scores.scores`), ``apart`` (log score less the first method's) with
        its ``paired_se``; of a regression ``gap_log_score``, ``gap_coverage_95`` and
        ``gap_width_95`` at the rows of the gap; ``seconds`` and ``num_gradients`` of one fit. Log
        scores in nats a row.
    contest : Contest
        Scores by split.
    findings : dict of str to tuple of Finding
        What is wrong with each method's fit to the first split.
    surface : Surface
        The loss about the posterior mode of the first split.
    curve : Curve or None
        Of a regression.
    plane : Plane or None
        Of a classifier with two covariates or more.
    reliability : dict of str to pandas.DataFrame
        Of a classifier: accuracy against confidence at the rows held out in the first split.

    Examples
    --------
    From :func:`methods`; the rows of the table that are best come first in its sentences:

    >>> table = pd.DataFrame({"log_score": [-1.0, -0.8], "apart": [0.0, 0.2],
    ...     "paired_se": [0.0, 0.05]}, index=pd.Index(["MLE", "NUTS"], name="method"))
    >>> none = pd.DataFrame({"units matched": []})
    >>> surface = Surface(eigenvalues=np.array([9.0, 0.1]), gauss_newton=np.ones(2), plane=none,
    ...     flat=none, line=none, num_rows=9)
    >>> contest = Contest(by_split=pd.DataFrame({"split": [0, 1]}), answers={})
    >>> made = Methods(name="m-d", table=table, contest=contest, findings={},
    ...     surface=surface, curve=None, plane=None)
    >>> made.sentences[0]
    'Best log-likelihood at rows held out: NUTS, -0.8 nats a row; it is 0.2 (0.05) above MLE
    (paired standard error over 2 splits).'
    """

    name: str
    table: pd.DataFrame
    contest: Contest
    findings: dict[str, tuple[Finding, ...]]
    surface: Surface
    curve: Curve | None
    plane: Plane | None
    reliability: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def trusted(self) -> bool:
        """Whether the chains agree about the function."""
        return not any(f.severity is Severity.ERROR for x in self.findings.values() for f in x)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        said = [_ranking(self.table, self.contest)]
        if self.curve is not None and "gap_coverage_95" in self.table:
            low, high = self.curve.gap
            cells = [f"{m} {100 * r['gap_coverage_95']:.0f} %" for m, r in self.table.iterrows()]
            said.append(
                f"With the rows of {self.curve.label} from {low:.4g} to {high:.4g} left out, "
                f"intervals of 95 % there cover: {', '.join(cells)}."
            )
        surface = self.surface
        said.append(
            f"At the posterior mode the data decide {surface.num_decided} of "
            f"{len(surface.eigenvalues)} directions of the weights; the prior holds the others."
        )
        if np.isfinite(surface.barrier()):
            said.append(
                "On the line to another mode the loss rises by "
                f"{max(surface.barrier('as found'), 0.0):.3g} nats a row, and with its units "
                f"matched by {max(surface.barrier(), 0.0):.3g}."
            )
        for method, found in self.findings.items():
            said += [f"{method}, {f.code}: {f.sentence} {f.advice}" for f in found]
        notes = self.contest.by_split.get("note")
        if notes is not None:
            first = self.contest.by_split[notes != ""].drop_duplicates("method")
            said += [f"{m}: {n.split(';')[0]}." for m, n in first[["method", "note"]].to_numpy()]
        return tuple(said)


def _ranking(table: pd.DataFrame, contest: Contest) -> str:
    best, first = str(table["log_score"].idxmax()), str(table.index[0])
    row = table.loc[best]
    said = f"Best log-likelihood at rows held out: {best}, {row['log_score']:.4g} nats a row"
    number = contest.by_split["split"].nunique()
    if best == first:
        return f"{said} (mean over {number} splits)."
    return (
        f"{said}; it is {row['apart']:.2g} ({row['paired_se']:.2g}) above {first} (paired standard "
        f"error over {number} splits)."
    )


def methods(
    model: Model | Callable[..., Any],
    data: Any,
    *,
    seed: int = 0,
    quick: bool = False,
    on_stage: Callable[[str], None] | None = None,
) -> Methods:
    """Compare methods of fitting a network by what they predict.

    Parameters
    ----------
    model : Model or callable
        Its weights are the sites ``W1, b1, W2, b2, ...``.
    data : Dataset or mapping
        Values by argument name; one design ``x`` with a row for each observation.
    seed : int
        Of splits and fits.
    quick : bool
        Two splits and five methods, rather than five and nine (the other structures of Laplace's
        approximation, and a cold posterior), and shorter chains.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    made : Methods
        Scores, diagnosis, and what the pictures show.

    Raises
    ------
    ModelError
        When the model is no network, or its weights have priors other than Normal about 0.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.linear import MODEL
    >>> try:
    ...     methods(MODEL, wb.load_dataset("kidiq"))
    ... except wb.WorkbenchError as error:
    ...     print(error)
    model 'linear' is no network: expected sites W1, b1, W2, b2 and so on
    """
    tell = on_stage or (lambda _: None)
    model, data = as_model(model), as_dataset(data)
    network = read_network(read_density(model, data))
    network.prior_sd()  # what has no Normal priors is refused before the first fit
    ways = ways_to_fit(model, quick=quick)
    splits = _splits(data, 2 if quick else 5, seed)
    contest = hold_contest(
        ways,
        splits,
        seed=seed,
        progress=lambda split, name: tell(f"split {split + 1}, {name}"),
    )
    table = _table(contest)
    train, test = splits[0]
    findings = {}
    tell("diagnosis")
    for name, answer in contest.answers.items():
        findings[name] = diagnose_network(_Fit(answer), train, test, mixing=answer.mixing)
    mode = contest.answers["MAP"]
    curve = plane = None
    tables = {}
    if network.family == "Normal":
        curve, gap = _curve(ways, network, data, seed, tell)
        table = table.join(gap)
    else:
        y = next(iter(test.observed.values()))
        made = {m: a.predict(test) for m, a in contest.answers.items()}
        tables = {m: reliability(p.prob, y) for m, p in made.items() if isinstance(p, ClassMixture)}
        if np.sum(np.ptp(network.rows["x"], axis=0) > 0) > 1:
            plane = _plane(contest.answers, data)
    tell("surface")
    costs = ["seconds", "num_gradients"]
    return Methods(
        name=subject(network.density),
        table=table[[*table.columns.drop(costs), *costs]],
        contest=contest,
        findings=findings,
        surface=_surface(mode),
        curve=curve,
        plane=plane,
        reliability=tables,
    )


def ways_to_fit(model: Model, *, quick: bool) -> dict[str, Method]:
    """Give the methods by the names of the table.

    Examples
    --------
    >>> from models.mlp_regression import MODEL
    >>> list(ways_to_fit(MODEL, quick=True))
    ['MLE', 'MAP', 'ensemble', 'Laplace', 'NUTS']
    """
    num = 400 if quick else 1000
    nuts: dict[str, Any] = {"num_warmup": num, "num_samples": num, "num_chains": 4}
    epochs = 200 if quick else 500
    made = {
        "MLE": by_mode(model, penalised=False, num_starts=_STARTS),
        "MAP": by_mode(model, penalised=True, num_starts=_STARTS),
        "ensemble": by_training(model, num_members=5, num_epochs=epochs),
        "Laplace": by_laplace(model, precision="layer"),
        "NUTS": by_nuts(model, **nuts),
    }
    if quick:
        return made
    return made | {
        "Laplace, last layer": by_laplace(model, "last layer", precision="layer"),
        "Laplace, Kronecker": by_laplace(model, "kronecker", precision="layer"),
        "Laplace, diagonal": by_laplace(model, "diagonal", precision="layer"),
        "cold NUTS": by_nuts(model, temperature=0.5, **nuts),
    }


class _Fit:
    """An answer as the diagnosis takes a fit."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    @property
    def network(self) -> Network:
        """The network."""
        return _network(self._answer)

    def predict(self, data: Any) -> Any:
        """Predictive distribution of some rows."""
        return self._answer.predict(data)


def _network(answer: Answer) -> Network:
    if answer.network is None:
        raise DataError(
            "an answer without its network cannot be diagnosed; expected Answer.network"
        )
    return answer.network


def _splits(data: Dataset, num: int, seed: int) -> list[tuple[Dataset, Dataset]]:
    """The first standard splits of a data set that has them, else random ones of four to one."""
    standard = data.name in list_splits()
    if standard and load_dataset(data.name).fingerprint == data.fingerprint:
        return list(load_splits(data.name)[:num])
    return [data.split(0.8, seed=seed + j) for j in range(num)]


def _table(contest: Contest) -> pd.DataFrame:
    """Scores by method, the paired difference of the log score beside it."""
    made = contest.table
    wide = made["mean"].unstack("score").loc[list(contest.answers)]
    wide.columns.name = None
    apart = made.xs("log_score", level="score").loc[wide.index]
    wide.insert(0, "log_score", wide.pop("log_score"))
    wide.insert(1, "apart", apart["difference"])
    wide.insert(2, "paired_se", apart["paired_se"])
    return wide


def _curve(
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


def _plane(answers: Mapping[str, Answer], data: Dataset) -> Plane:
    """Class probabilities over the two covariates that tell most."""
    mode = answers["MAP"]
    network = _network(mode)
    x = np.asarray(data.inputs["x"])
    columns = telling_columns(network, _modes(mode)[0])
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


def _modes(answer: Answer) -> np.ndarray:
    if answer.modes is None or not len(answer.modes):
        raise DataError("no start of the posterior mode ended at a finite density")
    return answer.modes


def _surface(mode: Answer) -> Surface:
    """The loss about the best mode, and on the line to another."""
    network, z = _network(mode), _modes(mode)
    return loss_surface(network, z[0], other_mode(network, z))
