"""Where an objective is highest, and how it falls off there: what every mode fit begins with."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from workbench.errors import FitError
from workbench.fit.compilation import keep_compiled_programs, spare_modules
from workbench.fit.concavity import one_maximum
from workbench.fit.curvature import Curvature, examine, run_off
from workbench.fit.explanation import explain, separation_of
from workbench.fit.firth import unpenalised
from workbench.fit.objective import Objective
from workbench.fit.optimiser import Optimum, maximise
from workbench.fit.separation import Separation
from workbench.fit.starts import StartKind
from workbench.fit.status import Status

_NUM_STARTS = 8


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The best end of all starts of an objective.

    Attributes
    ----------
    objective : Objective
        What was maximised.
    num_starts : int
        How many starts there were.
    optimum : Optimum
        Where the optimiser ended.
    curvature : Curvature
        How the objective falls off there, read in the data's own coordinates.
    separation : Separation or None
        Of data that a combination of covariates predicts perfectly.
    """

    objective: Objective
    num_starts: int
    optimum: Optimum
    curvature: Curvature
    separation: Separation | None

    @property
    def explained(self) -> tuple[Status, str]:
        """The status, and its detail in the terms of the model."""
        return explain(self.objective, self.optimum, self.curvature, self.separation)


def find_peak(
    objective: Objective,
    *,
    seed: int,
    num_starts: int | None = None,
    max_iterations: int = 500,
    init: np.ndarray | None = None,
    starts: StartKind = "scales",
) -> Peak:
    """Maximise an objective from several starts, and examine the best end.

    Parameters
    ----------
    objective : Objective
        What to maximise.
    seed, num_starts, max_iterations, init, starts
        As in :func:`workbench.fit_mle`.

    Returns
    -------
    Peak
        The best end, whatever is the matter with it.

    Raises
    ------
    FitError
        When there is no parameter, or no start.
    """
    if num_starts is None:
        num_starts = 1 if starts == "scales" and one_maximum(objective) else _NUM_STARTS
    if num_starts < 1:
        raise FitError(f"num_starts expects at least 1; got {num_starts}")
    if objective.free.size == 0:
        raise FitError(f"model '{objective.density.model.name}' has no parameter to fit")
    keep_compiled_programs()
    spare_modules()
    optimum = maximise(
        objective,
        key=jax.random.key(seed),
        num_starts=num_starts,
        max_iterations=max_iterations,
        init=init,
        kind=starts,
    )
    curvature = examine(objective, optimum)
    if objective.method == "Firth":
        curvature = unpenalised(objective, optimum, curvature)
    separation = separation_of(objective, curvature)
    if separation is not None:
        curvature = run_off(curvature, optimum, separation.span)
    return Peak(
        objective=objective,
        num_starts=num_starts,
        optimum=optimum,
        curvature=curvature,
        separation=separation,
    )
