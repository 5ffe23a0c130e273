r"""Chains that sit elsewhere: which chain, in which term, and how high the density is there.

The chains' means of a term are parted at the largest gap between neighbours. A gap of more than
two within-chain standard deviations (the median over chains) parts them into two groups that do
not visit each other: two modes, or a chain that is stuck. Where all is well a gap is of the order
of :math:`1/\sqrt{\mathrm{ESS}}` standard deviations. A chain whose own standard deviation is
below a twentieth of that of the others does not move at all.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.fit.draws import DrawsFit

_GAP = 2.0  # within-chain standard deviations
_STILL = 0.05  # of the others' standard deviation


def stuck_chains(fit: DrawsFit) -> pd.DataFrame:
    """Chains that part from the others, each with the term that shows it most.

    Parameters
    ----------
    fit : DrawsFit
        With two chains or more.

    Returns
    -------
    pandas.DataFrame
        One row per chain of the smaller group (of the one with the lower density, where both are
        equal), index chain, counted from 0: ``term``, ``mean`` and ``others`` (means of the chain
        and of the other group), ``gap`` (between the groups, in within-chain standard
        deviations; ``nan`` for a chain that does not move), ``log_density`` (mean log joint
        density of the chain less the median of the other group's, nats). Empty where all is well.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> fit = wb.fit_nuts(normal, {"y": [1.0, 2.0, 3.0]}, num_warmup=200, num_samples=200)
    >>> len(wb.stuck_chains(fit))  # all chains are in one place
    0
    """
    draws, lp = fit.estimand_draws, fit.sample_stats["lp"].mean(axis=1)
    columns = ["term", "mean", "others", "gap", "log_density"]
    rows: dict[int, list[object]] = {}
    if len(draws) > 1:
        means, spread = draws.mean(axis=1), draws.std(axis=1)  # (C, Q)
        typical = np.median(spread, axis=0)
        terms = fit.estimands.index
        still = (spread < _STILL * typical).sum(axis=1) > 0.5 * np.sum(typical > 0)
        for chain in np.flatnonzero(still):
            worst = int(np.argmin(np.where(typical > 0, spread[chain], np.inf)))
            others = np.delete(np.arange(len(draws)), chain)
            rows[int(chain)] = [terms[worst], means[chain, worst], means[others, worst].mean(),
                                np.nan, lp[chain] - np.median(lp[others])]  # fmt: skip
        order = np.sort(means, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            gaps = np.where(typical > 0, np.diff(order, axis=0) / typical, 0.0)  # (C - 1, Q)
        worst = int(np.argmax(gaps.max(axis=0)))
        if gaps[:, worst].max() > _GAP:
            cut = order[np.argmax(gaps[:, worst]), worst]
            low = means[:, worst] <= cut
            away = _minority(low, lp)
            for chain in np.flatnonzero(away):
                rows.setdefault(
                    int(chain),
                    [terms[worst], means[chain, worst], means[~away, worst].mean(),
                     gaps[:, worst].max(), lp[chain] - np.median(lp[~away])],
                )  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("chain").sort_index()


def _minority(low: np.ndarray, lp: np.ndarray) -> np.ndarray:
    """The smaller of two groups of chains; of equal ones, that of the lower density."""
    if 2 * low.sum() != len(low):
        return low if 2 * low.sum() < len(low) else ~low
    return low if lp[low].mean() < lp[~low].mean() else ~low
