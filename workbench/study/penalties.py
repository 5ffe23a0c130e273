r"""A prior's width as a penalty: ridge, lasso and early stopping, and the width each score picks.

A normal prior of sd :math:`\tau` on a coefficient adds to the negative log-likelihood the penalty
:math:`\beta^2 / (2 \tau^2)`. The same estimate has three names for its strength:

=====================================================================  ========================
minimises                                                              strength
=====================================================================  ========================
:math:`-\ell(\beta) + \tfrac12 \lambda \|\beta\|^2`                    :math:`1 / \tau^2`
:math:`\tfrac12 \|y - X\beta\|^2 + \tfrac12 \lambda \|\beta\|^2`       :math:`\sigma^2 / \tau^2`
:math:`\tfrac1{2N} \|y - X\beta\|^2 + \tfrac12 \lambda \|\beta\|^2`    :math:`\sigma^2 / (N \tau^2)`
=====================================================================  ========================

(Libraries differ in the factor one half: scikit-learn's ``Ridge`` minimises
:math:`\|y - X\beta\|^2 + \alpha \|\beta\|^2`, so that :math:`\alpha = \sigma^2 / \tau^2`, and its
``Lasso`` :math:`\tfrac1{2N} \|y - X\beta\|^2 + \alpha \|\beta\|_1`.)

Along widths :math:`s \tau` the study gives the posterior mode in constrained space (MAP), the
posterior mean (:mod:`workbench.study.averages`), the effective number of parameters
:math:`\mathrm{tr}(H^{-1} H_y)`, and three scores: the log evidence by Laplace's method, and the log
predictive density of rows left out, one by one and in ten folds (:mod:`workbench.study.ridge`).
Random effects are integrated out of all of them, by Laplace's method; what is left out are then
whole groups, as new to the model as a group that was never seen.

The lasso is the mode under a Laplace prior of the same sd, :math:`|\beta| \sqrt 2 / \tau`
(:mod:`workbench.study.lasso`); gradient descent that is stopped early is ridge regression without
a penalty (:mod:`workbench.study.stopping`). With draws of the posterior, power-scaling tells how
much it would move with the prior and with the likelihood, each to a power near 1.

References
----------
Hoerl and Kennard (1970), doi:10.1080/00401706.1970.10488634; MacKay (1992),
doi:10.1162/neco.1992.4.3.415; Kallioinen, Paananen, Bürkner and Vehtari (2024),
doi:10.1007/s11222-023-10366-5 (power-scaling).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import FitError
from workbench.fit import DrawsFit, ModeFit, fit_map, fit_nuts
from workbench.model import Density, Model, read_density
from workbench.study.averages import posterior_means
from workbench.study.instrument import Keep, Part, require_regular, start_anew, subject
from workbench.study.lasso import LassoFit, lasso
from workbench.study.parts import PARETO
from workbench.study.ridge import Programs, ridge_modes
from workbench.study.stopping import early_stopping
from workbench.study.units import Units, units_of
from workbench.study.widths import can_widen, prior_of

_SENSITIVITY = {"prior": float, "likelihood": float, "diagnosis": str}
SCORES = ("log_evidence", "elpd_loo", "elpd_kfold")


@dataclass(frozen=True, kw_only=True, eq=False)
class Penalties:
    """Estimates and scores along the width of a prior (K widths, Q terms).

    Attributes
    ----------
    name : str
        Model and data.
    sites : tuple of str
        Sites whose priors were scaled.
    table : pandas.DataFrame
        Index ``width`` (factor of the prior's scale); ``tau`` (median scale of the scaled priors),
        ``lambda`` (1 / tau^2, on the log-likelihood), ``lambda_rss`` and ``lambda_mean`` (on the
        residual sum of squares and on its mean, for normal noise), ``effective_parameters``,
        ``nonzero`` (coefficients that the lasso keeps), ``log_evidence``, ``elpd_loo``,
        ``elpd_kfold`` (nats, one by one and in ten folds) and ``reason``.
    path, lasso : pandas.DataFrame
        MAP of every term under normal priors (ridge, or the model's own kind) and under Laplace
        priors of the same sd, one row for each width.
    means : pandas.DataFrame
        Posterior mean of every term; ``nan`` where importance sampling cannot tell it, and for
        terms that move with a random effect.
    stopping : pandas.DataFrame
        Gradient descent from the centre of the prior, index ``steps``: ``width`` it stands for,
        ``effective_parameters``, those of ``ridge`` at that width, ``log_likelihood``.
    stopping_path : pandas.DataFrame
        The scaled coordinates after so many steps.
    sensitivity : pandas.DataFrame
        By term of the posterior, its power-scaling sensitivity to ``prior`` and ``likelihood`` and
        a ``diagnosis``; empty without draws.
    picks : pandas.Series
        Width with the highest score, by score.
    unit : str
        What is left out: ``rows``, or ``groups`` that share no random effect.

    Examples
    --------
    >>> table = pd.DataFrame({"effective_parameters": [0.1, 0.9], "log_evidence": [-5.0, -4.0],
    ...                       "nonzero": [0.0, 1.0], "reason": ["", ""]}, index=[0.1, 1.0])
    >>> path = pd.DataFrame({"beta": [0.1, 0.5]}, index=[0.1, 1.0])
    >>> found = Penalties(name="m-d", sites=("beta",), table=table, path=path, lasso=path,
    ...                   stopping=pd.DataFrame(), stopping_path=pd.DataFrame(),
    ...                   sensitivity=pd.DataFrame(), picks=pd.Series({"log_evidence": 1.0}),
    ...                   means=path)
    >>> found.sentences[1]
    'Of the widths tried, log evidence picks 1 times the width of the prior.'
    """

    name: str
    sites: tuple[str, ...]
    table: pd.DataFrame
    path: pd.DataFrame
    lasso: pd.DataFrame
    stopping: pd.DataFrame
    stopping_path: pd.DataFrame
    sensitivity: pd.DataFrame
    picks: pd.Series
    means: pd.DataFrame
    unit: str = "rows"

    @property
    def trusted(self) -> bool:
        """Whether every width has a regular mode."""
        return bool(self.path.notna().all(axis=None))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        parts = [
            f"{score.replace('_', ' ')} picks {width:.3g} times the width of the prior"
            f"{self._near(str(score))}"
            for score, width in self.picks.dropna().items()
        ]
        said = [
            f"Scaled the prior of {', '.join(self.sites)}: a normal prior of sd tau is the penalty "
            "beta^2 / (2 tau^2) on the log-likelihood, lambda = sigma^2 / tau^2 on the residual "
            "sum of squares, and that over N on its mean.",
            f"Of the widths tried, {'; '.join(parts)}." if parts else "No width has a score.",
        ]
        if self.unit == "groups":
            left_out = (
                "loo and kfold leave out whole groups, whose effects are then unknown"
                if self.picks.get("elpd_loo", np.nan) > 0
                else "no groups stand apart that could be left out"
            )
            said.append(f"Random effects are integrated out; {left_out}.")
        kept = self.table["nonzero"].dropna()
        if len(kept):
            said.append(
                f"Under Laplace priors of the same sd (lasso) {kept.iloc[0]:.0f} of "
                f"{len(self.stopping_path.columns)} coefficients differ from the centre of their "
                f"prior at {kept.index[0]:.3g} times the width, {kept.iloc[-1]:.0f} at "
                f"{kept.index[-1]:.3g} times."
            )
        if len(self.stopping):
            last = self.stopping.iloc[-1]
            said.append(
                f"Gradient descent stopped after {self.stopping.index[-1]} steps stands for "
                f"{last['width']:.2g} times the width: {last['effective_parameters']:.3g} "
                f"effective parameters, {last['ridge']:.3g} by ridge."
            )
        moved = self.sensitivity
        if len(moved):
            worst = moved["prior"].astype(float).idxmax()
            said.append(
                f"By power-scaling, {worst} depends most on the prior: "
                f"{moved.loc[worst, 'prior']:.2g}, on the likelihood "
                f"{moved.loc[worst, 'likelihood']:.2g} (0.05 and more is sensitive)."
            )
        return tuple(said)

    def _near(self, score: str) -> str:
        """Which widths have a score within a nat of the best, if several have."""
        known = self.table[score].dropna()
        near = known.index[known > known.max() - 1.0]
        return f" (within a nat from {near.min():.3g} to {near.max():.3g})" if len(near) > 1 else ""


def penalties(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    sites: tuple[str, ...] = (),
    fit: ModeFit | None = None,
    nuts: DrawsFit | None = None,
    keep: Keep = start_anew,
    on_stage: Callable[[str], None] | None = None,
) -> Penalties:
    """Follow the posterior mode and its scores along the width of a prior.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the fits and of the folds.
    quick : bool
        7 widths instead of 25, at most 2,000 steps of descent instead of 20,000, and no draws.
    sites : tuple of str, optional
        Sites with normal, Laplace, Cauchy or Student t priors; all of those by default.
    fit : ModeFit, optional
        MAP fit of the same model; made when not given.
    nuts : DrawsFit, optional
        Draws of the same model, for power-scaling; made when not given, unless ``quick``.
    keep : callable, optional
        Keeps finished parts, see :data:`workbench.study.instrument.Keep`.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Penalties
        A width without a regular mode has ``nan`` and its reason.

    Raises
    ------
    FitError
        When no parameter has such a prior, or the mode at the prior's own width is not regular.

    Examples
    --------
    One observation at 1 of variance 1: a prior of sd s, here
    10^(-2/3), 1 and 10^(2/3), shrinks it to s^2 / (1 + s^2).

    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1).expand([1]), obs=y)
    >>> found = penalties(normal, {"y": [1.0]}, quick=True)
    >>> found.path["mu"].iloc[2:5].round(6).tolist()
    [0.044357, 0.5, 0.955643]
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    known = can_widen(density)
    chosen = sites or known
    if not chosen or set(chosen) - set(known):
        raise FitError(
            f"penalties expects sites with a normal, Laplace, Cauchy or Student t prior of their "
            f"own; model '{density.model.name}' has {', '.join(known) or 'none'}, got "
            f"{', '.join(chosen) or 'none'}"
        )
    tell = on_stage or (lambda _: None)
    tell("MAP")
    best = fit if fit is not None else fit_map(density, seed=seed)
    require_regular(best, density, "penalties expects a regular posterior mode; that")
    widths = np.geomspace(10**-2.0, 10**2.0, 7 if quick else 25)
    units = units_of(density)
    programs = Programs(units, chosen, best.z)
    modes = ridge_modes(programs, best.z, seed)
    made: dict[float, Any] = {}
    for jacobian, space in ((0.0, "constrained"), (1.0, "unconstrained")):
        tell(f"widths, {space} modes")
        made[jacobian] = keep(f"modes {space}", lambda jacobian=jacobian: modes(widths, jacobian))
    constrained, unconstrained = made[0.0], made[1.0]
    tell("posterior means")
    averages = keep("posterior means", lambda: posterior_means(
        units, chosen, best.z, widths, unconstrained, num=2048 if quick else 8192, seed=seed
    ))  # fmt: skip
    places = np.concatenate([
        np.arange(x.start, x.stop) for x in density.latents if x.name in chosen
    ])  # fmt: skip
    priors = [prior_of(density, x.name) for x in density.latents if x.name in chosen]
    centre, sd = (np.concatenate(x) for x in zip(*priors, strict=True))
    tell("lasso")
    sparse = keep("lasso", lambda: _lasso_path(programs, places, centre, sd, widths, best.z))
    tell("early stopping")
    steps = np.unique(np.geomspace(1, 2_000 if quick else 20_000, 13).round().astype(int))
    moving = np.searchsorted(units.objective.free, places)
    own = np.argmin(np.abs(np.log(widths)))  # the prior's own width
    curvature = constrained["likelihood_information"][own][np.ix_(moving, moving)]
    stopping, stopped = early_stopping(density, best.z, places, centre, sd, curvature, steps=steps)
    sensitivity = pd.DataFrame()
    if nuts is not None or not quick:
        tell("NUTS")
        sensitivity = _sensitivity(
            keep("power-scaling", lambda: _power_scaling(nuts or fit_nuts(density, seed=seed))),
            best.estimates.index,
        )
    tau = widths * float(np.median(sd))
    regular = constrained["regular"] & unconstrained["regular"]
    held_out = constrained["elpd_loo"] + constrained["elpd_kfold"]
    table = pd.DataFrame(
        {
            "tau": tau,
            "lambda": 1 / tau**2,
            "lambda_rss": constrained["noise"] ** 2 / tau**2,
            "lambda_mean": constrained["noise"] ** 2 / tau**2 / max(density.num_observations, 1),
            "effective_parameters": constrained["effective"],
            "nonzero": sparse["nonzero"],
            "log_evidence": unconstrained["log_evidence"],
            "elpd_loo": constrained["elpd_loo"],
            "elpd_kfold": constrained["elpd_kfold"],
            "reason": _reasons(regular, sparse["nonzero"], held_out, averages["pareto_k"], units),
        },
        index=pd.Index(widths, name="width"),
    )
    table.loc[~regular, ["effective_parameters", *SCORES]] = np.nan
    terms = best.estimates.index
    path = pd.DataFrame(constrained["terms"], index=table.index, columns=terms)
    path[~regular] = np.nan
    return Penalties(
        name=subject(density),
        sites=chosen,
        table=table,
        path=path,
        lasso=pd.DataFrame(sparse["terms"], index=table.index, columns=terms),
        stopping=stopping,
        stopping_path=pd.DataFrame(
            stopped, index=stopping.index, columns=[density.z_labels[i] for i in places]
        ),
        sensitivity=sensitivity,
        picks=pd.Series(
            {k: table[k].idxmax() if table[k].notna().any() else np.nan for k in SCORES},
            name="width",
        ),
        means=pd.DataFrame(averages["means"], index=table.index, columns=terms),
        unit=units.kind,
    )


def _reasons(
    regular: np.ndarray, nonzero: np.ndarray, held_out: np.ndarray, k: np.ndarray, units: Units
) -> list[str]:
    """Why a width lacks a number."""
    found = []
    for i in range(len(regular)):
        said = [] if regular[i] else ["no regular mode"]
        said += [] if np.isfinite(nonzero[i]) else ["lasso did not converge"]
        if regular[i] and not k[i] < PARETO:
            said.append(f"no posterior mean: Pareto k {k[i]:.2g} (limit {PARETO:g})")
        if regular[i] and not units.reason and not np.isfinite(held_out[i]):
            said.append(f"{units.kind} left out leave no regular mode")
        found.append("; ".join([*said, units.reason] if units.reason else said))
    return found


def _lasso_path(
    programs: Programs, places: np.ndarray, centre: np.ndarray, sd: np.ndarray, widths: np.ndarray,
    start: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Modes under Laplace priors of the same sd, from the widest on; terms and how many differ."""
    density, objective = programs.units.density, programs.units.objective
    free = objective.free
    at = np.searchsorted(free, places)
    start = start[free]
    middle, penalty = np.zeros(free.size), np.zeros(free.size)
    middle[at] = centre
    fits: list[LassoFit] = []
    for width in widths[::-1]:
        penalty[at] = np.sqrt(2) / (width * sd)
        fits.append(lasso(programs.flat, start, penalty, middle))
        start = fits[-1].x if fits[-1].converged else start
    fits.reverse()
    converged = np.array([f.converged for f in fits])
    values = np.stack([programs.report(f.x, density.arrays)["terms"] for f in fits])
    kept = np.array([np.sum(f.x[at] != centre) for f in fits], dtype=float)
    return {
        "terms": np.where(converged[:, None], values, np.nan),
        "nonzero": np.where(converged, kept, np.nan),
    }


def _power_scaling(nuts: DrawsFit) -> Part:
    """Power-scaling sensitivity of each term; empty without what it is made of."""
    if not {"log_likelihood", "log_prior"} <= set(nuts.datatree.children):
        return {column: np.zeros(0, dtype=kind) for column, kind in _SENSITIVITY.items()}
    from workbench import az

    tree = az.from_dict({"posterior": {"term": nuts.estimand_draws}})
    for part in ("log_prior", "log_likelihood"):
        tree[part] = nuts.datatree[part]
    table = az.psense_summary(tree)
    return {column: np.array(table[column], dtype=kind) for column, kind in _SENSITIVITY.items()}


def _sensitivity(part: Part, terms: pd.Index) -> pd.DataFrame:
    """And back to a table."""
    return pd.DataFrame(part, index=terms) if part["prior"].size else pd.DataFrame()
