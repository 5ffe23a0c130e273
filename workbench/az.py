"""One ArviZ on every Python: the only file that knows ArviZ's versions.

Python 3.11 gets the modular packages ``arviz_base``, ``arviz_stats`` and ``arviz_plots`` in
version 0.8, Python 3.12 and later in version 1. Their public names are the same (all but a few,
see Notes), so ``import workbench.az as az`` gives them all. The functions defined here replace
the six whose answers differ between the versions.

Notes
-----
What differs, and what holds here:

=================  =====================================  =====================================
function           version 0.8 / version 1                here
=================  =====================================  =====================================
``summary``        rounds to 2 / rounds by its error;     raw numbers; equal-tailed interval in
                   the interval's columns are named by    the columns ``lower`` and ``upper``;
                   probability; ``sd`` divides by S / S-1 ``sd`` divides by S-1
``mcse``           of an sd: from the effective size of   of (x - mean)^2
                   x / of (x - mean)^2
``loo``            ``se`` divides by N / N-1; pointwise   N-1; pointwise always
                   by a global setting
``compare``        ``elpd_diff`` positive / negative for  negative: model minus best; raw
                   the worse model; raw / rounded
``from_numpyro``   log-likelihood by a global setting /   stored
                   not stored
``psense_summary`` words its diagnosis apart; rounds;     raw numbers; no log
                   logs
``rhat, bfmi``     RuntimeWarning for draws that never    ``nan`` or ``inf``
                   move
=================  =====================================  =====================================

Only in version 1: ``diagnose``, ``loo_influence``, ``plot_loo_interval``, ``plot_loo_pava``,
``plot_ppc_dist_pit``; call ``plot_rank`` and ``plot_ppc_pit`` without ``ci_prob`` (0.8) or
``envelope_prob`` (1). Never name a dimension ``group``: ArviZ keeps that word for itself.
Importing ArviZ takes seconds, so import this module where it is needed and not before; its plots,
half of that, come when one is first asked for.

References
----------
Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Rank-normalization, folding, and
localization: an improved R-hat. https://doi.org/10.1214/20-BA1221

Vehtari, Gelman and Gabry (2017), Practical Bayesian model evaluation using leave-one-out
cross-validation and WAIC. https://doi.org/10.1007/s11222-016-9696-4
"""

# The point of this module is to be ArviZ under one name, with some of its functions replaced.
# ruff: noqa: F403
# pyright: reportWildcardImportFromLibrary=false, reportAssignmentType=false

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import arviz_base
import arviz_stats
import numpy as np
import pandas as pd
import xarray as xr
from arviz_base import *
from arviz_stats import *
from arviz_stats.base.array import array_stats

# their types differ between the versions too
_base: Any = arviz_base
_stats: Any = arviz_stats
_arrays: Any = array_stats

_SAMPLE_DIMS = ["chain", "draw"]
_SENSITIVE = 0.05  # power-scaling sensitivity, of the paper


def __getattr__(name: str) -> Any:
    """Look a name up among ArviZ's plots, which are imported when one is first asked for."""
    if name.startswith("__"):
        raise AttributeError(f"module 'workbench.az' has no attribute '{name}'")
    return getattr(importlib.import_module("arviz_plots"), name)


def __dir__() -> list[str]:
    """List ArviZ's names, those of its plots included."""
    return sorted({*globals(), *dir(importlib.import_module("arviz_plots"))})


def summary(
    data: Any,
    var_names: Sequence[str] | None = None,
    *,
    filter_vars: str | None = None,
    group: str = "posterior",
    ci_prob: float = 0.95,
) -> pd.DataFrame:
    """Tabulate mean, sd, equal-tailed interval and diagnostics of every scalar, unrounded.

    Parameters
    ----------
    data : xarray.DataTree or xarray.Dataset
        Draws with the dimensions ``chain`` and ``draw``.
    var_names : sequence of str, optional
        The variables to tabulate; all by default.
    filter_vars : {None, "like", "regex"}
        How `var_names` are matched, as in ArviZ.
    group : str
        The group of the tree that holds the draws.
    ci_prob : float
        Probability inside the interval; each tail holds half of the rest.

    Returns
    -------
    pandas.DataFrame
        One row for each scalar, with the columns ``mean``, ``sd``, ``lower``, ``upper``,
        ``ess_bulk``, ``ess_tail``, ``r_hat``, ``mcse_mean`` and ``mcse_sd``.

    Examples
    --------
    >>> import numpy as np
    >>> import workbench.az as az
    >>> draws = np.random.default_rng(0).normal(size=(4, 500))
    >>> tree = az.from_dict({"posterior": {"mu": draws}})
    >>> table = az.summary(tree, ci_prob=0.9)
    >>> bool(table.loc["mu", "sd"] == draws.std(ddof=1))
    True
    >>> [str(column) for column in table.columns[:4]]
    ['mean', 'sd', 'lower', 'upper']
    """
    selection: dict[str, Any] = {
        "var_names": var_names, "filter_vars": filter_vars, "group": group,
        "sample_dims": _SAMPLE_DIMS,
    }  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):  # R-hat of draws that never move
        table = _stats.summary(data, ci_prob=ci_prob, ci_kind="eti", round_to="none", **selection)
    low, high = (name for name in table.columns if name.startswith("eti"))
    draws = _base.extract(data, combined=False, keep_dataset=True, **selection)
    spread = xr.concat(
        [
            draws.std(_SAMPLE_DIMS, ddof=1).expand_dims(summary=["sd"]),
            _mcse_sd(draws).expand_dims(summary=["mcse_sd"]),
        ],
        dim="summary",
    )
    exact = _base.dataset_to_dataframe(spread, sample_dims=["summary"]).T
    table = pd.DataFrame(table).rename(columns={low: "lower", high: "upper"})
    return table.assign(sd=exact["sd"], mcse_sd=exact["mcse_sd"])


def mcse(data: Any, *, method: str = "mean", **options: Any) -> Any:
    """Give the Monte Carlo standard error of a mean, a standard deviation or a quantile.

    Parameters
    ----------
    data : array_like, xarray.Dataset or xarray.DataTree
        Draws: an array of shape (C, S) or (C, S, ...), or ArviZ's containers.
    method : {"mean", "sd", "median", "quantile"}
        What the error is of.
    **options
        Passed to ArviZ, such as ``prob`` of the quantile.

    Returns
    -------
    float, numpy.ndarray, xarray.Dataset or xarray.DataTree
        The error, in the units of the draws, for each variable and element. The error of an
        sd comes as a Dataset for a tree too.

    Notes
    -----
    For the standard deviation s, by the delta method on the variance,
    ``mcse(s)^2 = (E[(x - m)^4] - s^4) / (4 s^2 ESS)`` with ESS the effective size of
    ``(x - m)^2``: that of x itself would be far too large for antithetic chains.

    Examples
    --------
    >>> import numpy as np
    >>> import workbench.az as az
    >>> draws = np.random.default_rng(0).normal(size=(4, 1000))
    >>> bool(abs(az.mcse(draws, method="sd") * np.sqrt(2 * 4000) - 1) < 0.1)
    True
    """
    if method != "sd":
        return _stats.mcse(data, method=method, **options)
    if isinstance(data, xr.DataTree):
        return _mcse_sd(data[options.get("group", "posterior")].to_dataset())
    if isinstance(data, xr.Dataset):
        return _mcse_sd(data)
    array = np.asarray(data)
    dims = [*_SAMPLE_DIMS, *(f"axis_{i}" for i in range(array.ndim - 2))]
    error = _mcse_sd(xr.Dataset({"x": (dims, array)}))["x"].to_numpy()
    return error if error.ndim else float(error)


def _mcse_sd(draws: xr.Dataset) -> xr.Dataset:
    """Monte Carlo standard error of the sd of every variable; see `mcse` for the formula."""
    square = (draws - draws.mean(_SAMPLE_DIMS)) ** 2
    size = square.azstats.ess(sample_dims=_SAMPLE_DIMS, method="mean")
    variance = square.mean(_SAMPLE_DIMS)
    with np.errstate(invalid="ignore"):  # draws that never move have no error: 0 / 0 is nan
        return np.sqrt(((square**2).mean(_SAMPLE_DIMS) - variance**2) / (4 * variance * size))


def loo(data: Any, *, var_name: str | None = None, reff: float | None = None) -> Any:
    """Estimate the expected log predictive density by leave-one-out cross-validation (PSIS).

    Parameters
    ----------
    data : xarray.DataTree
        With the groups ``posterior`` and ``log_likelihood``.
    var_name : str, optional
        The observed site, where there are several.
    reff : float, optional
        Relative efficiency of the draws, ESS over their number; estimated by default.

    Returns
    -------
    ELPDData
        ArviZ's result. The same in every version are ``elpd``, ``se``, ``p``, ``elpd_i``,
        ``pareto_k``, ``good_k`` and ``warning`` (some Pareto k is above ``good_k``). No Python
        warning is given besides: the answer carries it.

    Examples
    --------
    >>> import numpy as np
    >>> import workbench.az as az
    >>> rng = np.random.default_rng(0)
    >>> mu, y = rng.normal(0, 0.2, size=(4, 500)), np.linspace(-2, 2, 25)
    >>> log_likelihood = -0.5 * (y - mu[..., None]) ** 2 - 0.5 * np.log(2 * np.pi)
    >>> tree = az.from_dict({"posterior": {"mu": mu}, "log_likelihood": {"y": log_likelihood}})
    >>> score = az.loo(tree)
    >>> score.elpd_i.shape, bool(score.warning)
    ((25,), False)
    """
    groups = data["log_likelihood"].to_dataset()
    name = var_name or next(iter(groups))
    terms = groups[name].transpose(*_SAMPLE_DIMS, ...)
    reciprocal = -terms.to_numpy().reshape(-1, *terms.shape[2:])
    tail = max(len(reciprocal) // 5, 1)
    # ArviZ refuses weights that are all equal (a masked observation), the best there are: a ramp
    # of 1e-10 nats tells them apart
    equal = np.sort(reciprocal, axis=0)[-tail] == reciprocal.max(axis=0)
    if equal.any():
        ramp = np.linspace(0.0, 1e-10, len(reciprocal)).reshape(terms.shape[:2])
        steps = xr.DataArray(ramp, dims=_SAMPLE_DIMS) * xr.DataArray(equal, dims=terms.dims[2:])
        data = data.copy()
        data["log_likelihood"] = groups.assign({name: terms + steps})
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.filterwarnings("ignore", "Estimated shape parameter of Pareto", UserWarning)
        result = _stats.loo(data, pointwise=True, var_name=var_name, reff=reff)
    # where few draws outweigh all others no tail can be fitted
    known = xr.DataArray(~_outweighed(reciprocal, tail), dims=terms.dims[2:])
    result.pareto_k = result.pareto_k.where(known, np.inf).fillna(np.inf)
    result.warning = bool((result.pareto_k > result.good_k).any())
    result.se = _standard_error(result.elpd_i.to_numpy())
    return result


def _standard_error(pointwise: np.ndarray) -> float:
    """Standard error of a sum of N independent terms; nan where N is 1."""
    n = pointwise.size
    return float(np.sqrt(n * np.var(pointwise, ddof=1))) if n > 1 else float("nan")


def compare(models: Mapping[str, Any], *, method: str = "stacking") -> pd.DataFrame:
    """Rank models by their leave-one-out predictive density.

    Parameters
    ----------
    models : mapping of str to ELPDData or xarray.DataTree
        Results of `loo` by the models' names, or the trees to take them from. All must be of
        the same observations in the same order.
    method : {"stacking", "BB-pseudo-BMA", "pseudo-BMA"}
        How the weights are found.

    Returns
    -------
    pandas.DataFrame
        Best first, with the columns ``rank``, ``elpd``, ``se``, ``elpd_diff`` (model minus the
        best: zero or negative), ``dse`` (standard error of that difference, paired by
        observation), ``p``, ``weight`` and ``warning``.

    Examples
    --------
    >>> import numpy as np
    >>> import workbench.az as az
    >>> rng = np.random.default_rng(0)
    >>> mu, y = rng.normal(0, 0.2, size=(4, 500)), np.linspace(-2, 2, 25)
    >>> def tree(scale):
    ...     log_likelihood = -0.5 * ((y - mu[..., None]) / scale) ** 2 - np.log(scale)
    ...     groups = {"posterior": {"mu": mu}, "log_likelihood": {"y": log_likelihood}}
    ...     return az.from_dict(groups)
    >>> table = az.compare({"narrow": tree(0.5), "wide": tree(1.2)})
    >>> list(table.index), bool(table.loc["narrow", "elpd_diff"] < 0)
    (['wide', 'narrow'], True)
    """
    scores = {name: loo(m) if isinstance(m, xr.DataTree) else m for name, m in models.items()}
    with warnings.catch_warnings():
        # version 0.8 sorts in place, which pandas 3 deprecates
        warnings.filterwarnings("ignore", "The inplace keyword in DataFrame.sort_values")
        weights = _stats.compare(scores, method=method)["weight"]
    order = sorted(scores, key=lambda name: -scores[name].elpd)
    best = scores[order[0]].elpd_i.to_numpy()
    rows = []
    for rank, name in enumerate(order):
        score = scores[name]
        difference = score.elpd_i.to_numpy() - best
        rows.append(
            {
                "rank": rank,
                "elpd": float(score.elpd),
                "se": float(score.se),
                "elpd_diff": float(difference.sum()),
                "dse": _standard_error(difference) if rank else 0.0,
                "p": float(score.p),
                "weight": float(weights[name]),
                "warning": bool(score.warning),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(order))


def from_numpyro(posterior: Any = None, *, log_likelihood: bool = True, **options: Any) -> Any:
    """Convert a NumPyro fit to a DataTree, with its log-likelihood unless told otherwise.

    Parameters
    ----------
    posterior : numpyro.infer.MCMC
        A fit that has run.
    log_likelihood : bool
        Whether to compute the pointwise log-likelihood, which `loo` needs.
    **options
        Passed to ArviZ: ``prior``, ``posterior_predictive``, ``constant_data``, ``coords``,
        ``dims``, ...

    Returns
    -------
    xarray.DataTree
        The groups ``posterior``, ``sample_stats``, ``log_likelihood``, ``observed_data`` and
        those of the options.

    Examples
    --------
    >>> import jax, numpyro, numpyro.distributions as dist
    >>> import workbench.az as az
    >>> def model(y):
    ...     numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, 1)), 1), obs=y)
    >>> mcmc = numpyro.infer.MCMC(
    ...     numpyro.infer.NUTS(model), num_warmup=50, num_samples=50, progress_bar=False
    ... )
    >>> mcmc.run(jax.random.key(0), jax.numpy.ones(3))
    >>> az.from_numpyro(mcmc).log_likelihood["y"].shape
    (1, 50, 3)
    """
    return _base.from_numpyro(posterior, log_likelihood=log_likelihood, **options)


def psense_summary(data: Any) -> pd.DataFrame:
    """Tabulate how much the posterior moves with the powers of prior and likelihood, unrounded.

    Parameters
    ----------
    data : xarray.DataTree
        Draws with their groups ``log_prior`` and ``log_likelihood``.

    Returns
    -------
    pandas.DataFrame
        One row for each scalar: power-scaling sensitivity to ``prior`` and to ``likelihood`` (the
        change of its distribution, a Jensen-Shannon distance, for each doubling of the power), and
        ``diagnosis``: ``prior-data conflict`` where both are 0.05 or more, ``strong prior, weak
        likelihood`` where the prior's alone is, else empty.

    References
    ----------
    Kallioinen, Paananen, Bürkner and Vehtari (2024), doi:10.1007/s11222-023-10366-5.

    Examples
    --------
    A prior without influence: its log density is the same at every draw.

    >>> import numpy as np
    >>> import workbench.az as az
    >>> mu = np.random.default_rng(0).normal(size=(4, 500))
    >>> tree = az.from_dict({"posterior": {"mu": mu}, "log_prior": {"mu": 0.0 * mu},
    ...                      "log_likelihood": {"y": -0.5 * mu[..., None] ** 2}})
    >>> table = az.psense_summary(tree)
    >>> float(table.loc["mu", "prior"]), bool(table.loc["mu", "likelihood"] > 0.05)
    (0.0, True)
    """
    draws = _base.extract(data, group="posterior", combined=False, keep_dataset=True)
    parts = []
    for part in ("prior", "likelihood"):
        if _moves(data[f"log_{part}"].to_dataset()):
            parts.append(_stats.psense(data, group=part, sample_dims=_SAMPLE_DIMS))
        else:  # a constant to any power is a constant; ArviZ finds no tail to smooth
            parts.append(xr.zeros_like(draws.isel(chain=0, draw=0, drop=True), dtype=float))
    both = xr.concat(parts, dim="component").assign_coords(component=["prior", "likelihood"])
    table = _base.dataset_to_dataframe(both, sample_dims=["component"]).T
    prior, likelihood = table["prior"] >= _SENSITIVE, table["likelihood"] >= _SENSITIVE
    table["diagnosis"] = np.select(
        [prior & likelihood, prior],
        ["prior-data conflict", "strong prior, weak likelihood"],
        "",
    )
    return table


def _moves(log_density: xr.Dataset) -> bool:
    """Whether a log density, summed over all but the draws, differs from draw to draw."""
    parts = [v.sum([d for d in v.dims if d not in _SAMPLE_DIMS]) for v in log_density.values()]
    total = sum(parts[1:], start=parts[0])
    return bool(np.ptp(total.values) > 0)


def pareto_k(log_weights: np.ndarray) -> float:
    """Give the Pareto k of importance weights: the tail shape of the largest ones.

    Parameters
    ----------
    log_weights : numpy.ndarray
        Log importance weights, shape (S,); minus infinity is allowed.

    Returns
    -------
    float
        The shape k; below 0.7 the weights' mean is usable. ``inf`` where a weight is ``nan`` or
        infinite, or where the largest one outweighs the tail altogether; 0 where the weights of
        the tail are all equal; ``nan`` for fewer than 25 weights, which show no tail.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling.
    JMLR 25(72):1-58.

    Examples
    --------
    Weights of a normal target under a normal proposal twice as wide are bounded; half as wide,
    their variance is infinite:

    >>> import numpy as np
    >>> import workbench.az as az
    >>> z = np.random.default_rng(0).normal(size=4000)
    >>> az.pareto_k(0.5 * z**2 - 0.5 * (2 * z) ** 2) < 0.5
    True
    >>> az.pareto_k(0.5 * z**2 - 0.5 * (z / 2) ** 2) > 0.5
    True
    """
    weights = np.asarray(log_weights, float)
    if np.isnan(weights).any() or np.isposinf(weights).any() or np.isneginf(weights).all():
        return float("inf")
    size = weights.size
    if size < 25:
        return float("nan")
    # the tail that is fitted: 3 sqrt(S) of the largest weights, at most a fifth of them
    tail = int(np.ceil(3 * np.sqrt(size) if size > 225 else size / 5))
    if np.partition(weights, -tail)[-tail] == weights.max():
        return 0.0
    if _outweighed(weights, tail):
        return float("inf")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # psislw takes log-likelihoods, whose leave-one-out weights are their reciprocals
        k = float(_arrays.psislw(-weights, r_eff=1.0)[1])
    return k if np.isfinite(k) else float("inf")


def _outweighed(log_weights: np.ndarray, tail: int) -> np.ndarray:
    """Whether all but a few weights of the tail vanish beside the largest, along the first axis.

    Version 1 fits no shape then (the first quartile of the tail is no larger than its minimum);
    version 0.8 divides by 0 and gives a small one.
    """
    ordered = np.sort(log_weights, axis=0)[-tail:]
    weights = np.exp(ordered - ordered[-1])
    quartile = weights[max(int(tail / 4 + 0.5) - 1, 0)]
    return (quartile <= weights[0]) & (quartile < 1)


def rhat(data: Any, **options: Any) -> Any:
    """Give the split R-hat of ranked draws, between and within chains.

    Parameters
    ----------
    data : array_like, xarray.Dataset or xarray.DataTree
        Draws: an array of shape (C, S) or (C, S, ...), or ArviZ's containers.
    **options
        Passed to ArviZ, such as ``method``.

    Returns
    -------
    float, numpy.ndarray, xarray.Dataset or xarray.DataTree
        R-hat; very large or ``inf`` for chains that stand still at different places, ``nan``
        where all draws are equal.

    Examples
    --------
    >>> import numpy as np
    >>> import workbench.az as az
    >>> bool(az.rhat(np.random.default_rng(0).normal(size=(4, 500))) < 1.01)
    True
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return _stats.rhat(data, **options)


def bfmi(data: Any, **options: Any) -> Any:
    """Give the Bayesian fraction of missing information, by chain.

    Parameters
    ----------
    data : array_like or xarray.DataTree
        The energies, shape (C, S), or a tree that holds them in ``sample_stats``.
    **options
        Passed to ArviZ.

    Returns
    -------
    numpy.ndarray, xarray.Dataset or xarray.DataTree
        Mean squared change of the energy over its variance; below 0.3 the momentum is refreshed
        too weakly to explore the energies. ``nan`` where the energy never changes.

    References
    ----------
    Betancourt (2016), Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo.
    https://doi.org/10.48550/arXiv.1604.00695

    Examples
    --------
    Independent energies change by twice their variance on average:

    >>> import numpy as np
    >>> import workbench.az as az
    >>> az.bfmi(np.random.default_rng(0).normal(size=(2, 10_000))).round(1).tolist()
    [2.0, 2.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return _stats.bfmi(data, **options)
