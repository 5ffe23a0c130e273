"""What the end of a mode fit means in terms of the model: a status, and a sentence that names."""

from __future__ import annotations

import numpy as np

from workbench.fit.curvature import Curvature, combination
from workbench.fit.objective import Objective
from workbench.fit.optimiser import Optimum
from workbench.fit.prediction import observed_value
from workbench.fit.predictors import linear_predictors
from workbench.fit.separation import Separation, find_separation
from workbench.fit.status import Status
from workbench.model import Density
from workbench.model.labels import scalar_labels

_CHOICE = ("Bernoulli", "Binomial", "Categorical", "Multinomial", "OrderedLogistic", "Ordinal")
_RIVAL = 3.0  # nats


def separation_of(objective: Objective, curvature: Curvature) -> Separation | None:
    """Separation behind an irregular maximum of a likelihood (a regular one has none)."""
    if objective.method != "MLE" or curvature.status is Status.CONVERGED:
        return None
    predictors = linear_predictors(objective.density)
    return None if predictors is None else find_separation(predictors)


def explain(
    objective: Objective,
    optimum: Optimum,
    curvature: Curvature,
    separation: Separation | None,
) -> tuple[Status, str]:
    """Name what the curvature found in terms of the model: which combination, which support."""
    density = objective.density
    labels = [density.z_labels[i] for i in objective.free]
    status = curvature.status
    if separation is not None:
        return Status.SEPARATED, _separated(separation, labels)
    if curvature.runaway.size:
        direction = curvature.runaway[:, 0] / np.abs(curvature.runaway[:, 0]).max()
        name = combination(direction, labels)
        unbounded = optimum.value > 0 and curvature.gain > 1.0
        leading = [density.latents_at(i) for i in objective.free[np.abs(direction) > 0.1]]
        if all(x.scale in ("log", "logit") for x in leading) and not unbounded:
            return Status.AT_BOUNDARY, f"at the boundary: the objective does not fall along {name}"
        if _predicts_perfectly(objective) and objective.method == "MLE":
            return Status.SEPARATED, f"separated: the likelihood rises without end along {name}"
        return Status.UNBOUNDED, f"unbounded: the objective rises without end along {name}"
    if status is Status.NOT_IDENTIFIED:
        signed = (d * np.sign(d[np.abs(d).argmax()]) for d in curvature.null.T)
        names = "; ".join(list(dict.fromkeys(combination(d, labels) for d in signed))[:3])
        return status, (
            f"not identified: the objective is flat along {names}; "
            f"{_settling(curvature.null[:, 0], labels)}"
        )
    if status is Status.SADDLE:
        return status, "stopped at a saddle"
    if status is Status.NOT_CONVERGED:
        return status, (
            f"not converged: Newton decrement {optimum.decrement:.2g} nats after "
            f"{len(optimum.history.log_objective)} iterations"
        )
    return _several(optimum)


def _separated(separation: Separation, labels: list[str]) -> str:
    """Say which combination separates, and how much of the data it predicts."""
    name = combination(separation.direction, labels, unit=separation.size)
    predicted, total = separation.num_predicted, separation.num_observations
    if separation.complete:
        return (
            f"separated: completely, {name} predicts all {total} outcomes, so the likelihood rises "
            "without end along it"
        )
    return (
        f"separated: quasi-completely, {name} predicts {predicted} of {total} outcomes and leaves "
        "the others alone, so the likelihood rises without end along it"
    )


def _settling(direction: np.ndarray, labels: list[str]) -> str:
    """Say which data or which prior would settle a direction without information."""
    weights = np.abs(direction) / np.abs(direction).max()
    named = [labels[i] for i in np.argsort(-weights) if weights[i] > 1e-3][:4]
    if len(named) == 1:
        return f"the data say nothing of {named[0]}: drop it, or give it an informative prior"
    all_of_them = f"{', '.join(named[:-1])} and {named[-1]}"
    return (
        f"data in which {all_of_them} act apart, or an informative prior on one of them, would "
        "settle it"
    )


def scales_at_rounding(density: Density, values: dict[str, np.ndarray]) -> list[str]:
    """Scales below the rounding of the observations: the model fits them, or some, exactly."""
    scales = [x for x in density.latents if x.scale == "log"]
    limit = _rounding(density) if scales else 0.0
    found: list[str] = []
    for x in scales:
        site = density.site(x.name)
        names = scalar_labels(x.name, site.shape, site.dims, density.data.coords)
        value = np.ravel(values[x.name])
        found += [n for n, v in zip(names, value, strict=True) if 0 <= v < limit]
    return found


def is_exact(density: Density, log_likelihood: float) -> bool:
    """Whether the observations' mean log density is that of values known to half their digits."""
    rounding = _rounding(density)
    return rounding > 0 and log_likelihood > -0.5 * np.log(rounding) * density.num_observations


def _rounding(density: Density) -> float:
    """Ten units in the last place of the largest observation that is a real number."""
    sizes = [
        float(np.nanmax(np.abs(y)))
        for name in density.names("observed")
        if (y := observed_value(density, name)) is not None and y.dtype.kind == "f" and y.size
    ]
    return 10 * float(np.finfo(float).eps) * max(sizes, default=0.0)


def _predicts_perfectly(objective: Objective) -> bool:
    """Whether the outcome is a choice or a count of successes, the data that can separate."""
    return any(f in _CHOICE for f in objective.density.observed_families)


def _several(optimum: Optimum) -> tuple[Status, str]:
    """Tell other maxima that compete: within 3 nats, a likelihood ratio of 20, of the best."""
    starts = optimum.starts
    ended = np.isfinite(starts.log_objective) & (starts.gradient_norm < 1e-3)
    below = optimum.value - starts.log_objective
    rival = ended & (below > 1e-3) & (below < _RIVAL)
    if rival.any():
        return Status.SEVERAL_OPTIMA, (
            f"several optima: {int(rival.sum())} of {len(below)} starts ended at another maximum "
            f"within {_RIVAL:.0f} nats (the next is {below[rival].min():.3g} below)"
        )
    return Status.CONVERGED, ""
