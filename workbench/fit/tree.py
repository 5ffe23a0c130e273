"""Draws as ArviZ's DataTree, and the diagnostics of every reported term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd

from workbench.fit.convergence import diagnose
from workbench.fit.prediction import observed_value
from workbench.model import Density

_NUMBERS = (int, float, np.ndarray, jax.Array)


def build_tree(
    density: Density,
    statistics: Mapping[str, np.ndarray],
    parts: Mapping[str, Mapping[str, np.ndarray]],
    predictive: Mapping[str, np.ndarray],
    prior: Mapping[str, np.ndarray],
) -> Any:
    """Put draws and statistics into an ``xarray.DataTree`` with named dimensions and labels.

    Parameters
    ----------
    density : Density
        Gives dimensions and labels.
    statistics : mapping
        Sampler statistics, shape (C, S).
    parts : mapping
        ``values``, ``log_likelihood`` and ``log_prior`` of the draws, shape (C, S, ...).
    predictive : mapping
        Posterior predictive draws, shape (C, S, ...); may be empty.
    prior : mapping
        Prior draws of every site, shape (S', ...); may be empty.

    Returns
    -------
    xarray.DataTree
        Groups without content are left out.
    """
    from workbench import az

    observed = density.names("observed")
    values = {n: v for n in observed if (v := observed_value(density, n)) is not None}
    constant = {
        k: np.asarray(v)
        for k, v in density.arguments.join().items()
        if k not in density.observed_arguments and isinstance(v, _NUMBERS)
    }
    groups: dict[str, dict[str, np.ndarray]] = {
        "posterior": dict(parts["values"]),
        "sample_stats": dict(statistics),
        "log_likelihood": dict(parts["log_likelihood"]),
        "log_prior": dict(parts["log_prior"]),
        "posterior_predictive": dict(predictive),
        "prior": {k: v[None] for k, v in prior.items() if k not in observed},
        "prior_predictive": {k: v[None] for k, v in prior.items() if k in observed},
        "observed_data": values,
        "constant_data": constant,
    }
    groups = {k: v for k, v in groups.items() if v}
    dims = {s.name: list(s.dims) for s in density.sites if s.dims}
    dims |= {k: list(density.data.dims[k]) for k in constant if k in density.data.dims}
    dims = _fitting(dims, groups)
    return az.from_dict(groups, dims=dims, coords=_coords(density, dims, groups))


def _fitting(
    dims: Mapping[str, list[str]], groups: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, list[str]]:
    """Keep the dimension names that fit every array of that name."""
    samples = {"observed_data": 0, "constant_data": 0}
    kept = dict(dims)
    for group, arrays in groups.items():
        for name, array in arrays.items():
            if name in kept and len(kept[name]) != array.ndim - samples.get(group, 2):
                del kept[name]
    return kept


def _coords(
    density: Density,
    dims: Mapping[str, list[str]],
    groups: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, Any]:
    """Labels of the dimensions in use, where they fit the arrays' lengths."""
    lengths: dict[str, set[int]] = {}
    for group, arrays in groups.items():
        skip = 0 if group in ("observed_data", "constant_data") else 2
        for name, array in arrays.items():
            for dim, length in zip(dims.get(name, []), array.shape[skip:], strict=False):
                lengths.setdefault(dim, set()).add(length)
    return {
        d: list(density.data.coords[d])
        for d, n in lengths.items()
        if d in density.data.coords and n == {len(density.data.coords[d])}
    }


def estimand_table(
    density: Density, estimands: Mapping[str, np.ndarray]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Posterior mean, sd and diagnostics of every scalar estimand.

    Parameters
    ----------
    density : Density
        Gives the labels.
    estimands : mapping
        Draws by estimand, shape (C, S, ...).

    Returns
    -------
    table : pandas.DataFrame
        Indexed by term: ``estimate, std_error, mcse_mean, mcse_sd, ess_bulk, ess_tail, r_hat,
        role``.
    draws : numpy.ndarray
        The terms' draws, shape (C, S, Q).
    """
    labels = density.estimand_labels({k: v.shape[2:] for k, v in estimands.items()})
    draws = stacked(estimands)
    terms = [t for name in estimands for t in labels[name]]
    own = density.model.estimands is None
    roles = [density.site(n).role if own else "estimand" for n in estimands for _ in labels[n]]
    columns: dict[str, Any] = {
        "estimate": draws.mean(axis=(0, 1)),
        "std_error": draws.std(axis=(0, 1), ddof=1) if draws[..., 0].size > 1 else np.nan,
    }
    columns |= diagnose(draws)
    table = pd.DataFrame({**columns, "role": roles}, index=pd.Index(terms, name="term"))
    return table, draws


def quantile_mcse(draws: np.ndarray, prob: float) -> float:
    """Monte Carlo standard error of a quantile of one term's draws, shape (C, S).

    Parameters
    ----------
    draws : numpy.ndarray
        Draws of one term.
    prob : float
        Probability of the quantile.

    Returns
    -------
    float
        ``nan`` for a constant, or for fewer than four draws.
    """
    from workbench import az

    if draws.shape[1] < 4 or np.ptp(draws) == 0:
        return np.nan
    return float(az.mcse(draws, method="quantile", prob=prob))


def stacked(estimands: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draws of the estimands, each (C, S, ...), as one array of scalar terms, (C, S, Q)."""
    flat = [v.reshape(*v.shape[:2], -1) for v in estimands.values()]
    return np.concatenate(flat, axis=-1).astype(float)
