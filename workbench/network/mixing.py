r"""Whether the chains of a network's posterior agree: on weights, aligned weights, the function.

Chains that sit in different copies of one mode disagree about every weight and agree about every
prediction. So R-hat and effective sample size are given in three forms: of the weights as drawn,
of the weights in one order of the units (:mod:`workbench.network.symmetry`), and of the outputs
:math:`\eta` (location, log scale or log-odds; see :mod:`workbench.network.reading`) at the data
and on a grid that goes beyond them. Only the last says whether predictions can be trusted.

Chains are in one *mode of the function* when they mix there: when R-hat of the two alone is at
most 1.1 at every point of the grid and of the data; modes are the connected sets of chains.

References
----------
Vehtari et al. (2021), doi:10.1214/20-BA1221 (R-hat, ESS); Papamarkou et al. (2022), "Challenges
in Markov chain Monte Carlo for Bayesian neural networks", doi:10.1214/21-STS840.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import FitError
from workbench.fit import DrawsFit
from workbench.model.labels import scalar_labels
from workbench.network.reading import Network, read_network
from workbench.network.symmetry import Symmetry, align, find_symmetry

_ONE_MODE = 1.1  # R-hat of two chains at most, at every point
_POINTS = 60  # points of the function at most, of the data and of the grid
FORMS = ("weights", "aligned weights", "function at the data", "function on a grid")


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixing:
    """Agreement of the chains about a network, in every form.

    Attributes
    ----------
    table : pandas.DataFrame
        Indexed by form: worst ``r_hat``, least ``ess_bulk`` and ``ess_tail``, ``num_terms``.
    terms : pandas.DataFrame
        Columns ``form, term, r_hat, ess_bulk, ess_tail``; ``nan`` for a constant.
    mode_of_chain : pandas.Series
        Mode of the function that each chain sits in, from 0.
    symmetry : Symmetry
        What draws were aligned by.
    aligned : dict of str to numpy.ndarray
        Weights in one order of the units, shape (C, S, shape of the site).

    Examples
    --------
    From :func:`network_mixing`; two chains in one function, the third in another:

    >>> empty = pd.DataFrame()
    >>> group = Symmetry(hidden=(2,), permutations=(True,), signs=(True,))
    >>> Mixing(table=empty, terms=empty, mode_of_chain=pd.Series([0, 0, 1]), symmetry=group,
    ...     aligned={}).num_modes
    2
    """

    table: pd.DataFrame
    terms: pd.DataFrame
    mode_of_chain: pd.Series
    symmetry: Symmetry
    aligned: dict[str, np.ndarray]

    @property
    def num_modes(self) -> int:
        """Number of modes of the function that the chains sit in."""
        return int(self.mode_of_chain.nunique())


def network_mixing(fit: DrawsFit, *, grid: Any = None) -> Mixing:
    """Diagnose the draws of a network's posterior in weights, aligned weights and the function.

    Parameters
    ----------
    fit : DrawsFit
        Draws of a model whose weights are the sites ``W1, b1, W2, b2, ...``.
    grid : Dataset or mapping, optional
        Rows at which the function is looked at as well; by default each covariate in turn runs
        over its range and a fifth of it beyond either end, the others at their means.

    Returns
    -------
    Mixing
        R-hat and ESS of the three forms, and the modes of the function.

    Raises
    ------
    FitError
        When the draws were loaded without their model.
    ModelError
        When the model is no network.

    Examples
    --------
    The draws of :func:`workbench.fit_nuts` are diagnosed by ``network_mixing(fit).table``.

    >>> from types import SimpleNamespace
    >>> from workbench.errors import WorkbenchError
    >>> try:
    ...     network_mixing(SimpleNamespace(density=None))
    ... except WorkbenchError as error:
    ...     print(error)
    these draws were loaded without their model: expected load(path, model=...) before their
    mixing can be diagnosed
    """
    if fit.density is None:
        raise FitError(
            "these draws were loaded without their model: expected load(path, model=...) before "
            "their mixing can be diagnosed"
        )
    network = read_network(fit.density)
    latent = {x.name: fit.samples[x.name] for x in fit.density.latents}
    return mixing_of_draws(network, latent, fit.sample_stats["lp"], grid=grid)


def mixing_of_draws(
    network: Network,
    draws: Mapping[str, np.ndarray],
    log_density: np.ndarray,
    *,
    grid: Any = None,
) -> Mixing:
    """Diagnose draws that need not come from a fit.

    Parameters
    ----------
    network : Network
        The network.
    draws : mapping
        Draws of every latent site, shape (C, S, shape of the site).
    log_density : numpy.ndarray
        Log posterior density of each draw, shape (C, S).
    grid : Dataset or mapping, optional
        As in :func:`network_mixing`.

    Returns
    -------
    Mixing
        R-hat and ESS of the three forms, and the modes of the function.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import mlp_regression
    >>> network = read_network(mlp_regression(hidden=(2,)), wb.load_dataset("nile"))
    >>> rng = np.random.default_rng(0)
    >>> draws = network.draws_of_z(0.1 * rng.normal(size=(40, network.density.size)))
    >>> chains = {k: v.reshape(2, 20, *v.shape[1:]) for k, v in draws.items()}
    >>> made = mixing_of_draws(network, chains, rng.normal(size=(2, 20)))
    >>> made.table.index.tolist()
    ['weights', 'aligned weights', 'function at the data', 'function on a grid']
    >>> made.symmetry.order  # two units: two orders, four signs
    8
    """
    chains, num = log_density.shape
    symmetry = find_symmetry(network)
    flat = {k: np.reshape(v, (-1, *v.shape[2:])) for k, v in draws.items()}
    weights = {k: flat[k] for k in network.weight_names}
    moved = align(symmetry, weights, np.ravel(log_density))
    points = default_grid(network) if grid is None else network.rows_of(grid)
    at_data = {k: v[_spread(len(v))] for k, v in network.rows.items()}
    functions = [network.outputs_of_draws(flat, rows) for rows in (at_data, points)]
    columns = {
        FORMS[0]: _columns(weights),
        FORMS[1]: _columns(moved),
        FORMS[2]: _columns({"f(data)": functions[0]}),
        FORMS[3]: _columns({"f(grid)": functions[1]}),
    }
    parts = []
    for form, (names, values) in columns.items():
        found = _diagnostics(values.reshape(chains, num, -1))
        parts.append(pd.DataFrame({"form": form, "term": names, **found}))
    terms = pd.concat(parts, ignore_index=True)
    by_form = terms.groupby("form", sort=False)
    table = pd.DataFrame(
        {
            "r_hat": by_form["r_hat"].max(),
            "ess_bulk": by_form["ess_bulk"].min(),
            "ess_tail": by_form["ess_tail"].min(),
            "num_terms": by_form.size(),
        }
    )
    function = np.concatenate([f.reshape(chains, num, -1) for f in functions], axis=-1)
    return Mixing(
        table=table,
        terms=terms,
        mode_of_chain=_modes(function),
        symmetry=symmetry,
        aligned={k: v.reshape(chains, num, *v.shape[1:]) for k, v in moved.items()},
    )


def default_grid(network: Network, num: int = 20) -> dict[str, np.ndarray]:
    """Rows along each covariate in turn, the others at their means.

    Parameters
    ----------
    network : Network
        Its rows have one design ``x``.
    num : int
        Values of each covariate at most.

    Returns
    -------
    dict
        Rows without observations; a constant column (an intercept) keeps its value.
    """
    x = network.rows["x"]
    low, high, mean = x.min(axis=0), x.max(axis=0), x.mean(axis=0)
    varying = np.flatnonzero(high > low)
    each = max(3, min(num, _POINTS // max(len(varying), 1)))
    rows = np.tile(mean, (each * len(varying), 1))
    for k, j in enumerate(varying):
        beyond = 0.2 * (high[j] - low[j])
        rows[k * each : (k + 1) * each, j] = np.linspace(low[j] - beyond, high[j] + beyond, each)
    return {"x": rows}


def _spread(number: int) -> np.ndarray:
    return np.unique(np.linspace(0, number - 1, min(number, _POINTS)).astype(int))


def _columns(arrays: Mapping[str, np.ndarray]) -> tuple[list[str], np.ndarray]:
    """Labels and values of the scalars in some arrays of shape (S, ...)."""
    names = [t for k, v in arrays.items() for t in scalar_labels(k, v.shape[1:])]
    return names, np.concatenate([v.reshape(len(v), -1) for v in arrays.values()], axis=1)


def _diagnostics(draws: np.ndarray) -> dict[str, np.ndarray]:
    """R-hat and ESS of each scalar, draws of shape (C, S, Q); nan for a constant."""
    from workbench import az

    tree = az.from_dict({"posterior": {"q": draws}})["posterior"].to_dataset()
    found = {
        "r_hat": az.rhat(tree)["q"].to_numpy(),
        "ess_bulk": az.ess(tree, method="bulk")["q"].to_numpy(),
        "ess_tail": az.ess(tree, method="tail", prob=(0.05, 0.95))["q"].to_numpy(),
    }
    constant = np.ptp(draws, axis=(0, 1)) == 0
    return {k: np.where(constant, np.nan, v) for k, v in found.items()}


def _modes(function: np.ndarray) -> pd.Series:
    """Number the connected sets of chains that mix pairwise, in order of appearance."""
    from workbench import az

    number = len(function)
    function = function[..., np.ptp(function, axis=(0, 1)) > 0]
    label = np.arange(number)
    for a in range(number):
        for b in range(a + 1, number):
            if label[a] == label[b]:
                continue
            pair = az.from_dict({"posterior": {"q": function[[a, b]]}})["posterior"].to_dataset()
            if function.size == 0 or float(az.rhat(pair)["q"].max()) <= _ONE_MODE:
                label[label == label[b]] = label[a]
    codes = pd.factorize(label)[0]
    return pd.Series(codes, index=pd.RangeIndex(number, name="chain"), name="mode")
