r"""Simulation-based calibration: whether draws are from the posterior they claim to be of.

Draw a truth from the prior and data from the model at it, fit those data, and rank the truth
among L posterior draws,

.. math:: \theta_b \sim p(\theta), \quad y_b \sim p(y \mid \theta_b), \quad
          r_b = \#\{s : \theta_b^{(s)} < \theta_b\}.

Truth and draws then come from the same distribution, :math:`p(\theta \mid y_b)`, so that
:math:`r_b` is uniform on :math:`0, \dots, L`, for every function of parameters and data. One
function of both is always looked at, the log-likelihood: it sees errors that no parameter's
ranks show, such as a posterior that has ignored the data.

References
----------
Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788;
Modrák, Moon, Kim, Bürkner, Huurre, Faltejsková, Gelman and Vehtari (2023), "Simulation-based
calibration checking for Bayesian computation: the choice of test quantities shapes sensitivity",
doi:10.1214/23-BA1404.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd

from workbench.errors import UsageError
from workbench.fit import DrawsFit, Status, fit_nuts
from workbench.model import Density, Model, read_density
from workbench.study.truths import (
    LOG_LIKELIHOOD,
    log_likelihood_of,
    simulate_truths,
    with_replaced,
)
from workbench.study.uniformity import uniformity

_RISK = 0.01  # of calling a right sampler wrong, over all terms
_FLAGGED = 0.05  # share of fits that may have a diagnostic against them


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Ranks of simulated truths among posterior draws (B simulations, L draws, Q terms).

    Attributes
    ----------
    model : str
        Name of the model.
    num_simulations, num_draws : int
        B and L.
    seed : int
        Seed of truths, data and fits.
    ranks : pandas.DataFrame
        Number of draws below the truth, 0 to L, one row per simulation, one column per term; the
        last column is the ``log-likelihood``.
    table : pandas.DataFrame
        One row per term: ``p_value`` of uniform ranks, ``mean_rank`` as a share of L (1/2 where
        all is well; below, the posterior lies above the truths), ``spread`` of the ranks over
        that of uniform ones (1 where all is well; above, the posterior is too narrow).
    fits : pandas.DataFrame
        One row per simulation: ``seed, status, detail`` of its fit.
    status : Status
        ``CONVERGED`` where nothing speaks against the sampler.
    detail : str
        What the status is about (empty when it is well).

    Examples
    --------
    Truths that always lie above the posterior:

    >>> ranks = pd.DataFrame({"mu": np.full(50, 19)})
    >>> fits = pd.DataFrame({"seed": np.arange(50), "status": Status.CONVERGED, "detail": ""})
    >>> calibration_of(ranks, fits, model="normal", num_draws=19, seed=0).table.round(2)
          p_value  mean_rank  spread
    term
    mu        0.0        1.0     0.0
    """

    model: str
    num_simulations: int
    num_draws: int
    seed: int
    ranks: pd.DataFrame
    table: pd.DataFrame
    fits: pd.DataFrame
    status: Status
    detail: str

    def __str__(self) -> str:
        """The table, the status below."""
        head = f"{self.num_simulations} simulations of {self.model}, {self.num_draws} draws each"
        return f"{head}\n{self.table.to_string()}\n{self.detail or self.status.value}"

    def _repr_html_(self) -> str:
        return self.table.to_html() + f"<p>{self.detail or self.status.value}</p>"


def calibrate(
    model: Model | Callable[..., Any],
    data: Any = None,
    *,
    num_simulations: int = 100,
    num_draws: int = 99,
    seed: int = 0,
    simulator: Model | Callable[..., Any] | None = None,
    num_warmup: int | None = None,
    num_samples: int = 1000,
    num_chains: int = 4,
    target_accept_prob: float | None = None,
    max_tree_depth: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Calibration:
    r"""Fit data simulated from the model, and compare ranks of the truths with uniform ones.

    Parameters
    ----------
    model : Model or callable
        A model with a proper prior, or any plain NumPyro function.
    data : Dataset or mapping, optional
        Inputs, and observations whose shapes are simulated anew.
    num_simulations : int
        Number of truths B, each with data and a fit of its own.
    num_draws : int
        Draws L, evenly spaced along the chains, that each truth is ranked among. Few of many are
        nearly independent, as the ranks' law asks.
    seed : int
        One seed; the fit of simulation b has seed ``seed + b``.
    simulator : Model or callable, optional
        What draws truths and data instead of the model: the ranks then say how the posterior of
        ``model`` fares where the world is another one. It has the model's latent sites.
    num_warmup, num_samples, num_chains, target_accept_prob, max_tree_depth
        As in :func:`~workbench.fit.fit_nuts`.
    progress : callable, optional
        Called with the number of simulations done.

    Returns
    -------
    Calibration
        Ranks and p-values. Fits with a diagnostic against them are counted, not left out: their
        data are part of the prior's range.

    Raises
    ------
    FitError
        Where truths or data cannot be drawn, or observations are not arguments of the model.
    UsageError
        When a number is out of range.

    Notes
    -----
    With Q terms, the status is ``NOT_CALIBRATED`` when :math:`Q \min p < 0.01` (Bonferroni).

    References
    ----------
    Talts et al. (2018), arXiv:1804.06788; Säilynoja et al. (2022),
    doi:10.1007/s11222-022-10090-6.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> found = wb.calibrate(normal, {"y": [0.0, 0.0]}, num_simulations=2, num_draws=19)
    >>> found.ranks.shape, list(found.table.index)
    ((2, 2), ['mu', 'log-likelihood'])
    """
    for name, value, least in (
        ("num_simulations", num_simulations, 2),
        ("num_draws", num_draws, 1),
    ):
        if value < least:
            raise UsageError(f"{name} expects {least} or more; got {value}")
    if num_draws > num_chains * num_samples:
        raise UsageError(
            f"num_draws expects at most num_chains * num_samples = {num_chains * num_samples}; "
            f"got {num_draws}"
        )
    density = read_density(model, data)
    source = density if simulator is None else read_density(simulator, data)
    rng = np.random.default_rng(seed)
    # a key of its own: that of the seed is the first fit's
    key = jax.random.key(int(rng.integers(2**31)))
    truths = simulate_truths(density, source, key, num_simulations)
    likelihood = log_likelihood_of(density)
    ranks, fits = [], []
    for b in range(num_simulations):
        observations = {k: v[b] for k, v in truths.observations.items()}
        made = read_density(model, with_replaced(density, observations))
        fit = fit_nuts(
            made,
            seed=seed + b,
            num_warmup=num_warmup,
            num_samples=num_samples,
            num_chains=num_chains,
            target_accept_prob=target_accept_prob,
            max_tree_depth=max_tree_depth,
        )
        ranked = _evenly_spaced(fit, made, likelihood, num_draws)
        truth = truths.terms.loc[b, ranked.columns]
        # a tie is broken at random
        ties = rng.integers(0, (ranked == truth).sum().to_numpy() + 1)
        ranks.append((ranked < truth).sum() + ties)
        fits.append({"seed": seed + b, "status": fit.status, "detail": fit.detail})
        if progress is not None:
            progress(b + 1)
    return calibration_of(
        pd.DataFrame(ranks).rename_axis(columns="term"),
        pd.DataFrame(fits),
        model=density.model.name,
        num_draws=num_draws,
        seed=seed,
    )


def calibration_of(
    ranks: pd.DataFrame, fits: pd.DataFrame, *, model: str, num_draws: int, seed: int
) -> Calibration:
    """Judge ranks, wherever they are from.

    Parameters
    ----------
    ranks : pandas.DataFrame
        One row per simulation, one column per term.
    fits : pandas.DataFrame
        One row per simulation: ``seed, status, detail``.
    model : str
        Name of the model.
    num_draws : int
        Draws L that each truth was ranked among.
    seed : int
        Seed of the study.

    Returns
    -------
    Calibration
        With p-values and status.

    Examples
    --------
    >>> ranks = pd.DataFrame({"mu": np.full(50, 19)})
    >>> fits = pd.DataFrame({"seed": np.arange(50), "status": Status.CONVERGED, "detail": ""})
    >>> calibration_of(ranks, fits, model="normal", num_draws=19, seed=0).status.name
    'NOT_CALIBRATED'
    """
    table = _table(ranks, num_draws)
    status, detail = _judge(table, fits)
    return Calibration(
        model=model,
        num_simulations=len(ranks),
        num_draws=num_draws,
        seed=seed,
        ranks=ranks,
        table=table,
        fits=fits,
        status=status,
        detail=detail,
    )


def _evenly_spaced(
    fit: DrawsFit, density: Density, likelihood: Callable[..., Any], num_draws: int
) -> pd.DataFrame:
    """Terms and log-likelihood at L draws evenly spaced along the chains, one row per draw."""
    flat = fit.estimand_draws.reshape(-1, fit.estimand_draws.shape[-1])
    rows = np.linspace(0, len(flat) - 1, num_draws).round().astype(int)
    latent = {}
    for x in density.latents:
        site = fit.samples[x.name]
        latent[x.name] = site.reshape(-1, *site.shape[2:])[rows]
    draws = pd.DataFrame(flat[rows], columns=fit.estimands.index)
    return draws.assign(**{LOG_LIKELIHOOD: np.asarray(likelihood(latent, density.arrays))})


def _table(ranks: pd.DataFrame, num_draws: int) -> pd.DataFrame:
    """Of every term: p-value, and mean and spread of the ranks."""
    spread = np.sqrt(((num_draws + 1) ** 2 - 1) / 12)  # sd of a uniform rank
    return pd.DataFrame(
        {
            "p_value": {t: uniformity(ranks[t].to_numpy(), num_draws) for t in ranks},
            "mean_rank": ranks.mean() / num_draws,
            "spread": ranks.std(ddof=1) / spread,
        }
    ).rename_axis("term")


def _judge(table: pd.DataFrame, fits: pd.DataFrame) -> tuple[Status, str]:
    """The status: first of the ranks, then of the fits they come from."""
    adjusted = len(table) * table["p_value"]
    worst = str(adjusted.idxmin())
    if adjusted[worst] < _RISK:
        row = table.loc[worst]
        return Status.NOT_CALIBRATED, (
            f"not calibrated: the ranks of {worst} are not uniform (p {row['p_value']:.1g}, times "
            f"{len(table)} terms below {_RISK}; mean rank {row['mean_rank']:.2f} for 0.50, spread "
            f"{row['spread']:.2f} for 1.00)"
        )
    flagged = Counter(s for s in fits["status"] if not s.ok)
    if sum(flagged.values()) > _FLAGGED * len(fits):
        most = flagged.most_common(1)[0][0]
        first = fits.loc[fits["status"] == most].iloc[0]
        return most, (
            f"{sum(flagged.values())} of {len(fits)} fits have a diagnostic against them "
            f"(threshold {_FLAGGED:.0%}), such as that of seed {first['seed']}: {first['detail']}"
        )
    return Status.CONVERGED, ""
