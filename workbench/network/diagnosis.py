r"""What is wrong with a fitted network, in words: a number, its threshold, and what to do.

==========================  =====================================================================
code                        held against its threshold
==========================  =====================================================================
under-fitted                RMSE at the fitted rows over that of linear least squares
over-fitted                 mean log score at the fitted rows less that at rows held out, in nats
noise absorbed              RMSE at rows held out over the sd of one draw's prediction of a row
ensemble collapsed          spread of the members over their noise, at rows held out
not mixed                   R-hat of the function at the data and on a grid
several functions           number of modes of the function that the chains sit in
prior too wide              prior sd of the function at the data, in sds of the response
==========================  =====================================================================

A rule that a fit gives no numbers for (members of an ensemble, chains, noise) is left out. The
prior of the function is looked at by drawing from it: with priors scaled by fan-in its sd does not
grow with the width of a layer, without it grows as the square root (Neal 1996,
doi:10.1007/978-1-4612-0745-0, chapter 2).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from workbench.comparison import Finding, Severity
from workbench.data import Dataset
from workbench.errors import UsageError
from workbench.network.mixing import Mixing
from workbench.network.prediction import NormalMixture, Predictive
from workbench.network.reading import Network
from workbench.network.surface import prior_outputs

_LINEAR = 0.98  # of the RMSE of least squares
_GAP = 0.3  # nats per row
_ABSORBED = 1.5  # times the sd of the noise
_COLLAPSED = 0.05  # of the sd of the noise
_MIXED = 1.01  # R-hat
_WIDE = 3.0  # sds of the response
_PRIOR_DRAWS = 500


class NetworkFit(Protocol):
    """What the fits of this room have in common."""

    @property
    def network(self) -> Network:
        """The network."""
        ...

    def predict(self, data: Any) -> Predictive:
        """Predictive distribution of other rows."""
        ...


def diagnose_network(
    fit: NetworkFit, train: Dataset, held_out: Dataset, *, mixing: Mixing | None = None
) -> tuple[Finding, ...]:
    """Say in words what is wrong with a fitted network.

    Parameters
    ----------
    fit : NetworkLaplace, TrainedNetwork or NetworkDraws
        The fit.
    train, held_out : Dataset
        The rows it was fitted to, and others.
    mixing : Mixing, optional
        Agreement of the chains, where the fit has chains.

    Returns
    -------
    tuple of Finding
        Empty when no rule has anything to say.

    Raises
    ------
    UsageError
        When the rows given as fitted are not as many as the fit has.

    Examples
    --------
    A network without hidden units can bend nothing:

    >>> import workbench as wb
    >>> from models.mlp_regression import mlp_regression
    >>> from workbench.network import fit_network_laplace
    >>> train, test = wb.load_dataset("nile").split(0.8)
    >>> fit = fit_network_laplace(mlp_regression(hidden=()), train)
    >>> [finding.code for finding in diagnose_network(fit, train, test)]
    ['under-fitted']
    """
    network, findings = fit.network, []
    (y,), (y_new,) = train.observed.values(), held_out.observed.values()
    if len(y) != len(network.observations):
        raise UsageError(
            f"a diagnosis expects the {len(network.observations)} rows that were fitted; got "
            f"{len(y)}"
        )
    here, there = fit.predict(train), fit.predict(held_out)
    gap = float(np.mean(here.log_score(y)) - np.mean(there.log_score(y_new)))
    if gap > _GAP:
        findings.append(
            _finding(
                "over-fitted",
                gap,
                _GAP,
                f"the log score falls by {gap:.2f} nats a row from the fitted rows to those held "
                "out",
                "Use a smaller prior scale or one tuned by the evidence, stop early, or average "
                "over an ensemble or the posterior.",
            )
        )
    if isinstance(here, NormalMixture) and isinstance(there, NormalMixture):
        findings += _of_regression(network, here, there, y, y_new)
    if mixing is not None:
        findings += _of_chains(mixing)
    return tuple(findings)


def _of_regression(
    network: Network, here: NormalMixture, there: NormalMixture, y: np.ndarray, y_new: np.ndarray
) -> list[Finding]:
    """Findings about location and noise."""
    found = []
    x = network.rows["x"]
    design = np.column_stack([x, np.ones(len(x))])
    line = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    ratio = float(np.sqrt(np.mean((here.mean - y) ** 2) / max(np.mean((line - y) ** 2), 1e-300)))
    if ratio > _LINEAR:
        found.append(
            _finding(
                "under-fitted",
                ratio,
                _LINEAR,
                f"at the fitted rows the RMSE is {ratio:.2f} times that of a straight line",
                "Train longer or from more starts, use more units or a wider prior; or a line is "
                "all there is.",
            )
        )
    noise = float(np.sqrt(np.mean(there.scale**2)))
    absorbed = float(np.sqrt(np.mean((there.mean - y_new) ** 2))) / noise
    if absorbed > _ABSORBED:
        found.append(
            _finding(
                "noise absorbed",
                absorbed,
                _ABSORBED,
                f"errors at rows held out are {absorbed:.2f} times what the prediction says of one "
                "row",
                "The function follows the noise: use a stronger prior, or average over an "
                "ensemble or the posterior, whose bands hold the doubt about the function.",
            )
        )
    if len(there.loc) > 1:
        spread = float(np.mean(there.loc.std(axis=0))) / noise
        if spread < _COLLAPSED:
            found.append(
                _finding(
                    "ensemble collapsed",
                    spread,
                    _COLLAPSED,
                    f"members differ by {spread:.3f} of the sd of the noise at rows held out",
                    "They are one function: their mixture says nothing about the doubt. Start "
                    "further apart, or let each see a part of the rows.",
                )
            )
    wide = prior_spread(network)
    if wide > _WIDE:
        found.append(
            _finding(
                "prior too wide",
                wide,
                _WIDE,
                f"functions of the prior have an sd of {wide:.1f} sds of the response at the data",
                "Scale the prior of each layer by the square root of its fan-in, or make it "
                "narrower; look at functions drawn from it.",
            )
        )
    return found


def prior_spread(network: Network, seed: int = 0) -> float:
    """Prior sd of the location at the data, in sds of the response.

    Parameters
    ----------
    network : Network
        With Normal noise.
    seed : int
        Seed of the draws.

    Returns
    -------
    float
        Root mean square over rows, from 500 draws of the weights.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import MODEL
    >>> from workbench.network import read_network
    >>> bool(2 < prior_spread(read_network(MODEL, wb.load_dataset("nile"))) < 4)
    True
    """
    outputs = prior_outputs(network, network.rows, num=_PRIOR_DRAWS, seed=seed)[..., 0]
    return float(np.sqrt(np.mean(outputs.var(axis=0))) / np.std(network.observations))


def _of_chains(mixing: Mixing) -> list[Finding]:
    """Findings about the agreement of chains."""
    found = []
    worst = float(mixing.table["r_hat"].filter(like="function").max())
    if worst > _MIXED:
        found.append(
            _finding(
                "not mixed",
                worst,
                _MIXED,
                f"R-hat of the function is {worst:.3f}",
                "Run longer; R-hat of the weights says nothing here.",
                Severity.ERROR,
            )
        )
    if mixing.num_modes > 1:
        found.append(
            _finding(
                "several functions",
                float(mixing.num_modes),
                1.0,
                f"the chains sit in {mixing.num_modes} different functions",
                "Their shares are not posterior shares: run more chains, and compare what each "
                "predicts at rows held out.",
                Severity.ERROR,
            )
        )
    return found


def _finding(
    code: str,
    value: float,
    threshold: float,
    sentence: str,
    advice: str,
    severity: Severity = Severity.WARNING,
) -> Finding:
    return Finding(
        code=code,
        severity=severity,
        terms=(),
        evidence={code: value},
        threshold=threshold,
        sentence=f"{sentence} (threshold {threshold:g}).",
        advice=advice,
    )
