r"""The evidence: the likelihood averaged over the prior, by estimators that can check each other.

.. math:: \log p(y) = \log \int p(y \mid \theta)\, p(\theta)\, d\theta
          = \underbrace{\log p(y \mid \hat\theta)}_{\text{fit}}
          - \underbrace{\big(\log p(y \mid \hat\theta) - \log p(y)\big)}_{\text{Occam factor}}
          = E[\log p(y \mid \theta)] - KL(\text{posterior} \,\|\, \text{prior}),

with :math:`\hat\theta` the posterior mode in unconstrained coordinates. The Occam factor is what a
model pays for the prior volume that the data rule out (MacKay 1992); by Laplace's method
:math:`\log p(y) \approx \log p(y, \hat z) + \tfrac D2 \log 2\pi - \tfrac12 \log\det H`.

=======================  ========================================================
estimator                integrates
=======================  ========================================================
Laplace                  the normal density that touches the posterior at its mode
quadrature               one or two parameters, by rule (:mod:`workbench.study.cubature`)
bridge sampling          from NUTS draws (:mod:`workbench.study.bridge`)
sequential Monte Carlo   from the prior, by temperatures (:mod:`workbench.study.tempering`)
=======================  ========================================================

The first two integrate declared random effects by Laplace's method, which is exact where they are
normal given the parameters; the last two take them as they are
(:mod:`workbench.study.estimators`).

References
----------
MacKay (1992), "Bayesian interpolation", doi:10.1162/neco.1992.4.3.415.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import numpy as np
import pandas as pd

from workbench.errors import UsageError
from workbench.fit import DrawsFit, ModeFit, fit_laplace, fit_nuts
from workbench.model import Density, Model, read_density
from workbench.study.bridge import LogIntegral
from workbench.study.estimators import (
    by_bridge,
    by_laplace,
    by_quadrature,
    by_tempering,
    refused,
)
from workbench.study.instrument import Keep, Part, start_anew, subject
from workbench.study.tempering import Tempering

Estimator = Literal["Laplace", "quadrature", "bridge sampling", "sequential Monte Carlo"]
_TRUST: tuple[Estimator, ...] = (
    "quadrature", "bridge sampling", "sequential Monte Carlo", "Laplace"
)  # fmt: skip
_APART = 4.0  # standard errors between two estimators, above which they disagree


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Log marginal likelihood of a model by several estimators.

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        Index estimator; columns ``log_evidence``, ``std_error`` (nats; ``nan`` where the estimator
        has none), ``occam_factor`` and ``reason``.
    fit : float
        Log-likelihood at the posterior mode, nats (marginal over declared random effects).
    expected_fit : float
        Posterior mean of the log-likelihood, nats; ``nan`` without draws.
    num_observations : int
        N.
    tempering : Tempering or None
        The run of sequential Monte Carlo.

    Examples
    --------
    >>> table = pd.DataFrame({"log_evidence": [-9.0, -9.2], "std_error": [np.nan, 0.1],
    ...                       "occam_factor": [2.0, 2.2], "reason": ["", ""]},
    ...                      index=["Laplace", "bridge sampling"])
    >>> found = Evidence(name="m-d", table=table, fit=-7.0, expected_fit=-7.5, num_observations=3,
    ...                  tempering=None)
    >>> found.best, found.log_evidence
    ('bridge sampling', -9.2)
    """

    name: str
    table: pd.DataFrame
    fit: float
    expected_fit: float
    num_observations: int
    tempering: Tempering | None

    @property
    def best(self) -> str:
        """The most exact estimator that has a value ("" when none has)."""
        known = self.table["log_evidence"].notna()
        return next((e for e in _TRUST if known.get(e, False)), "")

    @property
    def log_evidence(self) -> float:
        """Value of the best estimator, nats; ``nan`` when there is none."""
        return float(self.table["log_evidence"].get(self.best, np.nan))

    @property
    def std_error(self) -> float:
        """Its standard error, nats."""
        return float(self.table["std_error"].get(self.best, np.nan))

    @property
    def information(self) -> float:
        """Divergence (Kullback-Leibler) of the posterior from the prior, nats; ``nan`` undrawn."""
        return self.expected_fit - self.log_evidence

    @property
    def trusted(self) -> bool:
        """Whether there is a value, and no two estimators differ by more than their errors."""
        return bool(self.best) and not _disagreements(self.table)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        if not self.best:
            return ("No estimator of the evidence has a value: the table says why.",)
        said = [
            f"The log evidence is {self.log_evidence:.4g} nats ({self.best}): a fit of "
            f"{self.fit:.4g} at the posterior mode less an Occam factor of "
            f"{self.fit - self.log_evidence:.3g}."
        ]
        if np.isfinite(self.information):
            said.append(
                f"The data tell {self.information:.3g} nats about the parameters (divergence of "
                "the posterior from the prior)."
            )
        return (*said, *_disagreements(self.table))


def _disagreements(table: pd.DataFrame) -> list[str]:
    """A sentence for each pair of estimators with errors that differ by more than they allow."""
    known = table[table["std_error"].notna() & table["log_evidence"].notna()]
    said = []
    for i, a in enumerate(known.index):
        for b in known.index[i + 1 :]:
            apart = float(known.loc[a, "log_evidence"] - known.loc[b, "log_evidence"])
            error = float(np.hypot(known.loc[a, "std_error"], known.loc[b, "std_error"]))
            if abs(apart) > _APART * error + 1e-6:
                said.append(
                    f"{a} and {b} differ by {abs(apart):.3g} nats, {abs(apart) / error:.2g} "
                    f"standard errors (limit {_APART:g}): one of them missed a part of the "
                    "posterior, or the random effects are not normal; believe neither."
                )
    return said


def evidence(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    estimators: tuple[Estimator, ...] = get_args(Estimator),
    laplace: ModeFit | None = None,
    nuts: DrawsFit | None = None,
    keep: Keep = start_anew,
    on_stage: Callable[[str], None] | None = None,
    progress: Callable[[Any], None] | None = None,
) -> Evidence:
    r"""Estimate the log marginal likelihood of a model.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        One seed, split between the estimators.
    quick : bool
        Fewer draws and particles.
    estimators : tuple of str
        Which of ``Laplace``, ``quadrature``, ``bridge sampling``, ``sequential Monte Carlo``.
    laplace, nuts : ModeFit, DrawsFit, optional
        Fits of the same model; made when not given and needed.
    keep : callable, optional
        Keeps finished parts, see :data:`workbench.study.instrument.Keep`.
    on_stage, progress : callable, optional
        Called with the name of what begins, and with the progress of each chain.

    Returns
    -------
    Evidence
        An estimator that does not apply has ``nan`` and its reason.

    Raises
    ------
    UsageError
        For an unknown estimator.

    Notes
    -----
    Every normalising constant of the priors counts. With an improper prior the evidence has an
    arbitrary constant, and only differences between models that share the prior mean anything.

    Examples
    --------
    One observation of variance 1 under a normal prior of variance 1 has the evidence N(0, 2):

    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> found = evidence(normal, {"y": 1.0}, estimators=("Laplace", "quadrature"))
    >>> found.table["log_evidence"].round(6).to_dict()
    {'Laplace': -1.515512, 'quadrature': -1.515512}
    """
    unknown = [e for e in estimators if e not in get_args(Estimator)]
    if unknown:
        raise UsageError(
            f"estimators expects some of {', '.join(get_args(Estimator))}; got '{unknown[0]}'"
        )
    density = model if isinstance(model, Density) else read_density(model, data)
    tell = on_stage or (lambda _: None)
    keys = jax.random.split(jax.random.key(seed), 2)
    tell("Laplace")
    mode = laplace if laplace is not None else fit_laplace(density, seed=seed)
    found: dict[str, LogIntegral] = {}
    if "Laplace" in estimators:
        found["Laplace"] = by_laplace(mode)
    if "quadrature" in estimators:
        found["quadrature"] = by_quadrature(density, mode)
    expected_fit, run = np.nan, None
    if "bridge sampling" in estimators:
        steps, kept = (400, 500) if quick else (1000, 1000)

        def bridge() -> Part:
            draws = nuts
            if draws is None:
                tell("NUTS")
                draws = fit_nuts(
                    density,
                    seed=seed,
                    num_warmup=steps,
                    num_samples=kept,
                    laplace=mode,
                    progress=progress,
                )
            rng = np.random.default_rng(np.asarray(jax.random.bits(keys[0], (4,))))
            made, mean = by_bridge(density, draws, rng)
            return {**_arrays(made), "expected_fit": np.array(mean)}

        part = keep("bridge sampling", bridge)
        found["bridge sampling"], expected_fit = _log_integral(part), float(part["expected_fit"])
    if "sequential Monte Carlo" in estimators:
        tell("sequential Monte Carlo")

        def sequential() -> Part:
            made, run = by_tempering(density, keys[1], 128 if quick else 400)
            return {**_arrays(made), **({} if run is None else vars(run))}

        part = dict(keep("sequential Monte Carlo", sequential))
        found["sequential Monte Carlo"] = _log_integral(part)
        rest = {k: v for k, v in part.items() if k not in _arrays(refused(""))}
        run = Tempering(**rest) if rest else None
    fit = float(mode.log_terms.log_likelihood)
    table = pd.DataFrame(
        {
            "log_evidence": [x.value for x in found.values()],
            "std_error": [x.std_error for x in found.values()],
            "occam_factor": [fit - x.value for x in found.values()],
            "reason": [x.reason for x in found.values()],
        },
        index=pd.Index(list(found), name="estimator"),
    )
    return Evidence(
        name=subject(density),
        table=table,
        fit=fit,
        expected_fit=expected_fit,
        num_observations=density.num_observations,
        tempering=run,
    )


def _arrays(found: LogIntegral) -> Part:
    """An estimate as arrays."""
    return {k: np.asarray(v) for k, v in vars(found).items()}


def _log_integral(part: Part) -> LogIntegral:
    """And back."""
    return LogIntegral(
        value=float(part["value"]), std_error=float(part["std_error"]), reason=str(part["reason"])
    )
