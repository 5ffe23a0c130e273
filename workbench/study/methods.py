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

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from workbench.data import Dataset, list_splits, load_dataset, load_splits
from workbench.model import Model, as_model, read_density
from workbench.model.binding import as_dataset
from workbench.network import (
    ClassMixture,
    Contest,
    Network,
    Surface,
    by_laplace,
    by_mode,
    by_nuts,
    by_training,
    diagnose_network,
    hold_contest,
    loss_surface,
    other_mode,
    read_network,
    reliability,
)
from workbench.network.contest import Answer, Method
from workbench.study.instrument import subject
from workbench.study.methods_result import Methods
from workbench.study.network_predictions import (
    curve_with_gap,
    modes_of,
    network_of,
    plane_of_classes,
)

_STARTS = 16  # of an optimiser


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
        Two splits and five methods, rather than five and ten (mixture and other structures of
        Laplace's approximation, and a cold posterior), and shorter chains.
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
        curve, gap = curve_with_gap(ways, network, data, seed, tell)
        table = table.join(gap)
    else:
        y = next(iter(test.observed.values()))
        made = {m: a.predict(test) for m, a in contest.answers.items()}
        tables = {m: reliability(p.prob, y) for m, p in made.items() if isinstance(p, ClassMixture)}
        if np.sum(np.ptp(network.rows["x"], axis=0) > 0) > 1:
            plane = plane_of_classes(contest.answers, data)
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
    ['MAP', 'MLE', 'ensemble', 'Laplace', 'NUTS']
    """
    num = 400 if quick else 1000
    nuts: dict[str, Any] = {"num_warmup": num, "num_samples": num, "num_chains": 4}
    epochs = 200 if quick else 500
    made = {
        # differences are to the first: not to maximum likelihood, whose climb may have no end
        "MAP": by_mode(model, penalised=True, num_starts=_STARTS),
        "MLE": by_mode(model, penalised=False, num_starts=_STARTS),
        "ensemble": by_training(model, num_members=5, num_epochs=epochs),
        "Laplace": by_laplace(model),
        "NUTS": by_nuts(model, **nuts),
    }
    if quick:
        return made
    return made | {
        "Laplace mixture": by_laplace(model, num_members=5),
        "Laplace, last layer": by_laplace(model, "last layer"),
        "Laplace, Kronecker": by_laplace(model, "kronecker"),
        "Laplace, diagonal": by_laplace(model, "diagonal"),
        "cold NUTS": by_nuts(model, temperature=0.5, **nuts),
    }


class _Fit:
    """An answer as the diagnosis takes a fit."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    @property
    def network(self) -> Network:
        """The network."""
        return network_of(self._answer)

    def predict(self, data: Any) -> Any:
        """Predictive distribution of some rows."""
        return self._answer.predict(data)


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


def _surface(mode: Answer) -> Surface:
    """The loss about the best mode, and on the line to another."""
    network, z = network_of(mode), modes_of(mode)
    return loss_surface(network, z[0], other_mode(network, z))
