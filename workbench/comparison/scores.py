r"""Scores of both answers: fit, information criteria, and predictions.

AIC and BIC belong to the MLE: :math:`2P - 2\ell(\hat\theta)` and :math:`P \log N -
2\ell(\hat\theta)`. The posterior's counterpart is the leave-one-out expected log predictive
density by Pareto-smoothed importance sampling. Log score, RMSE and coverage are computed for
both from their predictive distributions, at the fitted and at held-out rows.

References
----------
Akaike (1974), doi:10.1109/TAC.1974.1100705; Schwarz (1978), doi:10.1214/aos/1176344136;
Vehtari, Gelman and Gabry (2017), doi:10.1007/s11222-016-9696-4;
Gneiting and Raftery (2007), doi:10.1198/016214506000001437.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from workbench.fit import DrawsFit, ModeFit, Prediction

COLUMNS = ("score", "method", "value", "std_error", "note")


def scores_table(
    fits: Mapping[str, ModeFit | DrawsFit],
    predictions: Mapping[str, Prediction],
    held_out: Mapping[str, Prediction],
    random_effects: bool = False,
) -> pd.DataFrame:
    """Every score of every method that has it.

    Parameters
    ----------
    fits : mapping
        Fits by method.
    predictions, held_out : mapping
        Predictions by method at the fitted and at held-out rows.
    random_effects : bool
        Whether the model has declared random effects (leave-one-out is then conditional on
        them, and says so).

    Returns
    -------
    pandas.DataFrame
        Columns ``score, method, value, std_error, note``; log scores in nats, RMSE in the
        outcome's units, coverage as a share.
    """
    rows: list[tuple[Any, ...]] = []
    mle = fits.get("MLE")
    if isinstance(mle, ModeFit):
        kind = "marginal over the random effects" if random_effects else ""
        if mle.num_observations == 0:
            kind = "the likelihood is written as a factor, so its observations cannot be counted"
        rows += [
            ("log-likelihood", "MLE", mle.llf, np.nan, kind),
            ("AIC", "MLE", mle.aic, np.nan, f"{mle.num_parameters} parameters"),
            ("BIC", "MLE", mle.bic, np.nan, f"{mle.nobs} observations"),
        ]
    draws = fits.get("NUTS")
    if isinstance(draws, DrawsFit):
        rows += _loo_rows(draws, random_effects)
    for label, found in (("in-sample", predictions), ("held-out", held_out)):
        for method, prediction in found.items():
            rows += _prediction_rows(label, method, prediction)
    return pd.DataFrame(rows, columns=list(COLUMNS))


@lru_cache(maxsize=2)
def leave_one_out(fit: DrawsFit) -> Any:
    """PSIS-LOO of a fit over its observed sites together; ``None`` where it cannot be had."""
    if "log_likelihood" not in fit.datatree.children:
        return None
    from workbench import az

    group = fit.datatree["log_likelihood"].to_dataset()
    stacked = [v.to_numpy().reshape(*v.shape[:2], -1) for v in group.data_vars.values()]
    log_likelihood = np.concatenate(stacked, axis=-1)
    _, draws, rows = log_likelihood.shape
    if draws < 25 or rows < 2 or not np.isfinite(log_likelihood).all():
        return None
    tree = az.from_dict(
        {"posterior": {"one": log_likelihood[..., 0]}, "log_likelihood": {"y": log_likelihood}}
    )
    return az.loo(tree, reff=1.0)


def _loo_rows(fit: DrawsFit, random_effects: bool) -> list[tuple[Any, ...]]:
    result = leave_one_out(fit)
    if result is None:
        why = fit.absent.get(
            "log_likelihood",
            "needs a finite log-likelihood of two observations or more, and 25 draws per chain",
        )
        return [("elpd_loo", "NUTS", np.nan, np.nan, why)]
    k = np.asarray(result.pareto_k)
    bad = int((k > result.good_k).sum())
    note = f"{bad} of {k.size} Pareto k above {result.good_k:.2f}"
    if random_effects:
        note += "; conditional on the random effects"
    return [
        ("elpd_loo", "NUTS", float(result.elpd), float(result.se), note),
        ("p_loo", "NUTS", float(result.p), np.nan, "effective number of parameters"),
        ("worst Pareto k", "NUTS", float(k.max()), np.nan, f"row {int(k.argmax())} (from 0)"),
    ]


def _prediction_rows(label: str, method: str, p: Prediction) -> list[tuple[Any, ...]]:
    score = p.log_score
    number = int(np.isfinite(score).sum())
    error = float(np.std(score, ddof=1) / np.sqrt(number)) if number > 1 else np.nan
    rows = [
        (f"{label} mean log score", method, float(np.mean(score)), error, f"{number} rows"),
        (f"{label} RMSE", method, p.rmse, np.nan, ""),
    ]
    binary = p.observed is not None and set(np.unique(p.observed)) <= {0, 1}
    if not binary:
        rows.append((f"{label} coverage", method, p.coverage, np.nan, f"of {p.level:.0%}"))
    return rows
