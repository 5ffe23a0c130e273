"""A posterior with certified answers: its model, its data, and how far a fit lies from them.

A statistic of ours and its reference differ by z of their joint Monte Carlo standard errors,

    z = (ours - reference) / sqrt(mcse_ours^2 + mcse_reference^2),

nearly standard normal where both are right. Four standard errors bound one comparison at
6e-5; the largest of N bounds all of them at the same risk only if it grows with N (Sidak 1967,
doi:10.1080/01621459.1967.10482935): see :func:`bound`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

import workbench as wb
import workbench.az as az

_QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """One posterior: ``fit_nuts(model, data(), **settings)`` should reproduce its reference."""

    model: Callable[..., Any]
    data: Callable[[], dict[str, Any]]
    settings: Mapping[str, Any]

    def fit(self) -> wb.DrawsFit:
        """Four chains with one seed."""
        return wb.fit_nuts(self.model, self.data(), seed=1, num_chains=4, **self.settings)


def posterior(
    model: Callable[..., Any], data: Callable[[], dict[str, Any]], **settings: Any
) -> Posterior:
    """A posterior, with what its fit needs beyond the defaults."""
    return Posterior(model=model, data=data, settings=settings)


def bound(number: int, risk: float = 0.01) -> float:
    """The z that the largest of ``number`` independent ones exceeds with probability ``risk``."""
    return float(stats.norm.isf(-np.expm1(np.log1p(-risk) / number) / 2))


def scalar(samples: Mapping[str, np.ndarray], parameter: str) -> np.ndarray:
    """The draws (C, S) of ``beta[1]`` or ``sigma``; indices count from 1 as in Stan and BUGS."""
    name, _, index = parameter.partition("[")
    draws = np.asarray(samples[name])
    return draws[..., int(index.rstrip("]")) - 1] if index else draws


def statistic(draws: np.ndarray, name: str) -> tuple[float, float]:
    """A mean, sd or quantile of draws (C, S), and its Monte Carlo standard error."""
    if name in _QUANTILES:
        prob = _QUANTILES[name]
        return np.quantile(draws, prob), az.mcse(draws, method="quantile", prob=prob)
    value = draws.mean() if name == "mean" else draws.std(ddof=1)
    return value, az.mcse(draws, method=name)


def _stated_error(values: Mapping[str, float], name: str, draws: np.ndarray) -> float:
    """Monte Carlo error of a reference; of an sd, if need be, from that of the mean.

    The mean's error says how many draws the reference is worth, M = (sd / mcse)^2; the sd's is
    then sd sqrt((kurtosis - 1) / (4 M)).
    """
    if name == "sd" and "mcse_sd" not in values and "mcse_mean" in values:
        shape = stats.kurtosis(draws, axis=None, fisher=False)
        return values["mcse_mean"] * np.sqrt((shape - 1) / 4)
    return values.get(f"mcse_{name}", 0.0)


def deviations(
    samples: Mapping[str, np.ndarray], case: Mapping[str, Any]
) -> dict[tuple[str, str, str], float]:
    """Every z by parameter, statistic and ``reference`` or ``exact`` (no error of its own)."""
    found = {}
    for kind in ("reference", "exact"):
        for parameter, values in case.get(kind, {}).items():
            draws = scalar(samples, parameter)
            for name in ("mean", "sd", *_QUANTILES):
                # what a case does not state is not compared
                if name not in values:
                    continue
                ours, error = statistic(draws, name)
                joint = np.hypot(error, _stated_error(values, name, draws))
                found[parameter, name, kind] = (ours - values[name]) / joint
    return found
