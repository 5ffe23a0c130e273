"""The result of sampling: draws with everything ArviZ wants, and their diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import jax
import numpy as np
import pandas as pd

from workbench.errors import FitError
from workbench.fit.prediction import Prediction, predict_from_draws
from workbench.fit.provenance import Provenance
from workbench.fit.quantities import Groups
from workbench.fit.status import Status
from workbench.fit.tree import quantile_mcse
from workbench.model import Density


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawsFit:
    """Draws from a posterior, with diagnostics (C chains, S draws, N observations).

    Attributes
    ----------
    method : str
        ``NUTS``.
    samples : dict of str to numpy.ndarray
        Draws of every latent and deterministic site, shape (C, S, ...).
    sample_stats : dict of str to numpy.ndarray
        Sampler statistics, shape (C, S).
    estimands : pandas.DataFrame
        One row per term: ``estimate`` (posterior mean), ``std_error`` (posterior sd),
        ``mcse_mean``, ``mcse_sd``, ``ess_bulk``, ``ess_tail``, ``r_hat``, ``role``; index term.
    estimand_draws : numpy.ndarray
        Draws of the terms, shape (C, S, Q).
    status : Status
        How the sampling went.
    detail : str
        What the status is about (empty when it is well).
    provenance : Provenance
        Versions, seed, time, settings.
    density : Density or None
        The model at its data; ``None`` when loaded without a model.
    complete : callable
        Makes ``datatree`` and ``absent`` when they are first asked for.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.linear import MODEL
    >>> fit = wb.fit_nuts(MODEL, wb.load_dataset("kidiq"), num_samples=100, num_warmup=100)
    >>> fit.samples["beta"].shape
    (4, 100, 3)
    """

    method: Literal["NUTS"] = "NUTS"
    samples: dict[str, np.ndarray]
    sample_stats: dict[str, np.ndarray]
    estimands: pd.DataFrame
    estimand_draws: np.ndarray
    status: Status
    detail: str
    provenance: Provenance
    density: Density | None
    complete: Callable[[], Groups]

    @cached_property
    def _groups(self) -> Groups:
        return self.complete()

    @property
    def datatree(self) -> Any:
        """ArviZ's groups, an ``xarray.DataTree`` with named dimensions and labels.

        ``posterior``, ``sample_stats``, ``log_likelihood``, ``log_prior``,
        ``posterior_predictive``, ``prior``, ``prior_predictive``, ``observed_data``,
        ``constant_data``. Groups that could not be computed are absent and named in ``absent``.
        """
        return self._groups.datatree

    @property
    def absent(self) -> Mapping[str, str]:
        """Reason for each missing group of ``datatree``."""
        return self._groups.absent

    @property
    def num_chains(self) -> int:
        """Number of chains C."""
        return self.estimand_draws.shape[0]

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior mean, sd, equal-tailed interval and diagnostics of every term.

        Parameters
        ----------
        level : float
            Probability inside the interval.

        Returns
        -------
        pandas.DataFrame
            Columns ``term, estimate, std_error, lower, upper, mcse_mean, mcse_sd, ess_bulk,
            ess_tail, r_hat``.
        """
        flat = self.estimand_draws.reshape(-1, self.estimand_draws.shape[-1])
        tail = (1 - level) / 2
        low, high = np.quantile(flat, [tail, 1 - tail], axis=0)
        e = self.estimands
        diagnostics = e[["mcse_mean", "mcse_sd", "ess_bulk", "ess_tail", "r_hat"]]
        table = pd.DataFrame(
            {
                "term": e.index,
                "estimate": e["estimate"].to_numpy(),
                "std_error": e["std_error"].to_numpy(),
                "lower": low,
                "upper": high,
            }
        )
        return pd.concat([table, diagnostics.reset_index(drop=True)], axis=1)

    def term(self, name: str) -> np.ndarray:
        """Draws of one term, shape (C, S)."""
        return self.estimand_draws[..., self.estimands.index.get_loc(name)]

    def quantile_mcse(self, term: str, prob: float) -> float:
        """Monte Carlo standard error of a quantile of one term.

        Parameters
        ----------
        term : str
            The term.
        prob : float
            Probability of the quantile: 0.025 and 0.975 for the ends of a 95% interval.

        Returns
        -------
        float
            ``nan`` for a constant, or for fewer than four draws.

        References
        ----------
        Vehtari et al. (2021), section 4.4, doi:10.1214/20-BA1221.
        """
        return quantile_mcse(self.term(term), prob)

    def monte_carlo_errors(self, level: float = 0.95) -> pd.DataFrame:
        """Monte Carlo standard error of every figure that :meth:`summary` reports.

        Parameters
        ----------
        level : float
            Level of the interval.

        Returns
        -------
        pandas.DataFrame
            Columns ``estimate, std_error, lower, upper``, each the error of the figure of that
            name; index term.
        """
        tail = (1 - level) / 2
        ends = {
            name: [self.quantile_mcse(str(term), prob) for term in self.estimands.index]
            for name, prob in (("lower", tail), ("upper", 1 - tail))
        }
        named = {"mcse_mean": "estimate", "mcse_sd": "std_error"}
        return self.estimands[list(named)].rename(columns=named).assign(**ends)

    def draws(self, key: jax.Array, num: int) -> dict[str, np.ndarray]:
        """Posterior draws of every site, resampled to ``num``, each of shape (num, ...)."""
        flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in self.samples.items()}
        rows = np.asarray(jax.random.choice(key, len(next(iter(flat.values()))), (num,)))
        return {k: v[rows] for k, v in flat.items()}

    def predict(
        self,
        new_data: Any = None,
        *,
        key: jax.Array | None = None,
        num: int = 1000,
        level: float = 0.95,
    ) -> Prediction:
        """Posterior predictive distribution of new (or the fitted) rows.

        Parameters
        ----------
        new_data : Dataset, optional
            Rows to predict; the fitted data by default.
        key : jax.Array, optional
            Random key; fixed by default.
        num : int
            Number of posterior draws used, evenly spaced along the chains.
        level : float
            Level of the predictive interval.

        Returns
        -------
        Prediction
            Averaged over the posterior.
        """
        if self.density is None:
            raise FitError(
                "these draws were loaded without their model: expected load(path, model=...) "
                "before predictions"
            )
        latent = {}
        for x in self.density.latents:
            flat = self.samples[x.name].reshape(-1, *self.samples[x.name].shape[2:])
            rows = np.linspace(0, len(flat) - 1, min(num, len(flat))).astype(int)
            latent[x.name] = flat[rows]
        return predict_from_draws(
            self.density, latent, new_data, method=self.method, key=key, level=level
        )

    def __str__(self) -> str:
        """Summary table, the status below."""
        table = self.summary().to_string(index=False)
        return f"{self.method}\n{table}\n{self.detail or self.status.value}"

    def _repr_html_(self) -> str:
        return self.summary().to_html(index=False) + f"<p>{self.detail or self.status.value}</p>"
