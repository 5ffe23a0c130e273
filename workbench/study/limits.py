r"""Limits in which the answers meet: more data, a wider prior, a lower temperature, more draws.

*Data*: as n grows, the posterior of a regular model tends to the normal distribution of the
maximum likelihood estimate (Bernstein and von Mises). Both are taken anew for nested parts of the
data, the first n rows of several random orders; the distance of a term's posterior from
:math:`N(\hat\theta_n, se_n^2)` in units of :math:`se_n`,

.. math:: W_1 = \int_0^1 | F^{-1}(p) - \Phi^{-1}(p) | \, dp,

falls as :math:`n^{-1/2}`: the pull of the prior and the skew are both of that order. Larger data
than there are come from the model at its estimate: several simulated data sets, taken together.

*Prior*: the log prior times :math:`\alpha \to 0`, which makes a normal prior
:math:`\alpha^{-1/2}` times as wide; the mode in constrained space tends to the maximum likelihood
estimate, as :math:`\alpha`.

*Temperature*: the density of z to the power :math:`1/T`, :math:`T \to 0`, tends to a normal
density about its mode with T times the inverse curvature; the distance falls as :math:`T^{1/2}`.

*Draws*: the Monte Carlo standard error of a posterior mean, in posterior sds, falls as
:math:`S^{-1/2}` in the number S of draws, at whatever effective sample size the sampler gets.

All refits run in one compiled program (:mod:`workbench.study.parts`).

References
----------
van der Vaart (1998), Asymptotic Statistics, section 10.2, doi:10.1017/CBO9780511802256;
Tierney and Kadane (1986), doi:10.1080/01621459.1986.10478240.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import FitError
from workbench.fit import DrawsFit, ModeFit, fit_mle, fit_nuts
from workbench.model import Density, Model, read_density
from workbench.study.instrument import Keep, require_regular, start_anew, subject
from workbench.study.parts import (
    Modes,
    Refitter,
    normal_weights,
    simulated,
    student,
    wasserstein,
)
from workbench.study.refits import num_cases

_PRIORS = 4.0 ** -np.arange(6)
_TEMPERATURES = 4.0 ** -np.arange(5)
_FLOOR = 3.0  # times the noise of the draws, above which a distance counts for the slope
_AGREE = 0.05  # standard errors


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Distances along the limits.

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        Columns ``limit`` (``data``, ``simulated``, ``prior``, ``temperature``, ``draws``), ``at``
        (rows n, power of the prior, temperature, draws of all chains), ``distance`` (mean over
        terms and orders, in standard errors; of draws, the Monte Carlo error in posterior sds),
        ``std_error`` (between orders; ``nan`` where there is one), ``refits`` (that count) and
        ``reason`` (why some are left out).
    rates : pandas.Series
        Slope of log distance in the log of what goes to its limit, by limit; ``nan`` where fewer
        than two distances stand out from the noise of the draws.
    agreement : float
        Number of rows from which posterior and normal agree to 0.05 standard errors, by the fitted
        line; ``nan`` where it does not fall.
    noise : float
        Distance of the cloud of draws itself from a normal: none below it is measured.

    Examples
    --------
    >>> table = pd.DataFrame({"limit": ["data", "data"], "at": [10.0, 40.0],
    ...                       "distance": [0.2, 0.1], "std_error": [0.01, 0.01]})
    >>> rates = pd.Series({"data": -0.5, "prior": 1.0, "temperature": 0.5})
    >>> found = Limits(name="m-d", table=table, rates=rates, agreement=160.0)
    >>> found.sentences[1]
    'Posterior and normal agree to 0.05 standard errors from about 1.6e+02 rows on.'
    """

    name: str
    table: pd.DataFrame
    rates: pd.Series
    agreement: float
    noise: float = np.nan

    @property
    def trusted(self) -> bool:
        """Whether the distance falls as the data grow and as the prior widens."""
        return bool(self.rates["data"] < 0 < self.rates["prior"])

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        said = [
            "Distance of the posterior from the normal of the MLE falls "
            f"{self._rate('data', 'n')} (regular models: -0.5), that of MAP from MLE "
            f"{self._rate('prior', 'alpha')} (1), that of the tempered posterior from its normal "
            f"{self._rate('temperature', 'T')} (0.5)."
        ]
        if np.isfinite(self.rates.get("simulated", np.nan)):
            said.append(
                "In data simulated from the model at its estimate, up to "
                f"{self.table.loc[self.table['limit'] == 'simulated', 'at'].max():.0f} rows, it "
                f"falls as n^{self.rates['simulated']:.2f}."
            )
        if np.isfinite(self.rates.get("draws", np.nan)):
            said.append(
                "The Monte Carlo error of a posterior mean falls as "
                f"S^{self.rates['draws']:.2f} (-0.5)."
            )
        if np.isfinite(self.agreement):
            said.append(
                f"Posterior and normal agree to {_AGREE:g} standard errors from about "
                f"{self.agreement:.2g} rows on."
            )
        return tuple(said)

    def _rate(self, limit: str, letter: str) -> str:
        rate = self.rates[limit]
        if np.isnan(rate):
            return "too little above the noise of the draws to have a rate"
        return f"as {letter}^{rate:.2f}"


def limits(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    mle: ModeFit | None = None,
    nuts: DrawsFit | None = None,
    keep: Keep = start_anew,
    on_stage: Callable[[str], None] | None = None,
) -> Limits:
    """Refit along more data, a wider prior and a lower temperature, and count draws.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the orders of the rows and of the draws.
    quick : bool
        4 orders and 4,096 draws for each refit instead of 16 and 16,384, simulated data of 8 times
        the size instead of 16, and no draws by NUTS unless ``nuts`` is given.
    mle : ModeFit, optional
        Maximum likelihood fit of the same model; made when not given.
    nuts : DrawsFit, optional
        Draws of the same model; made when not given, unless ``quick``.
    keep : callable, optional
        Keeps finished parts, see :data:`workbench.study.instrument.Keep`.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Limits
        Refits without a maximum, or whose importance weights are not to be believed, are left out
        and counted.

    Raises
    ------
    FitError
        Where rows are not independent (random effects, factors), or the whole data have no regular
        maximum: there is then no normal to tend to.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> y = 3 + np.random.default_rng(0).normal(size=400)
    >>> found = limits(normal, {"y": y}, quick=True)
    >>> bool(abs(found.rates["data"] + 0.5) < 0.1)
    True
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    if density.coordinates("random effect").size:
        raise FitError(
            f"limits expects independent rows, of which parts can be taken; model "
            f"'{density.model.name}' has random effects"
        )
    rows = num_cases(density)
    tell = on_stage or (lambda _: None)
    tell("MLE")
    best = mle if mle is not None else fit_mle(density, seed=seed)
    require_regular(
        best, density, "limits expects a regular maximum of the likelihood to tend to; that"
    )
    num_orders = 4 if quick else 16
    x, t = student(best.num_parameters, 4096 if quick else 16_384, seed)
    # the same draws, weighted to be normal: what is within their noise has no slope
    noise = float(np.mean([wasserstein(u, normal_weights(x, t)) for u in x.T]))
    least = min(max(5 * best.num_parameters, 10), rows)
    sizes = np.unique(np.geomspace(least, rows, 5).round().astype(int))
    study = _Study(density, best, seed, x, t, keep, tell)
    entries = [
        *study.data("data", sizes, num_orders, rows),
        *study.prior_and_temperature(rows),
    ]
    if not density.names("factor"):
        copies = 8 if quick else 16
        tell("simulated data")
        drawn = simulated(density, best.z, copies, seed)
        sizes = 2 ** np.arange(int(np.log2(copies)) + 1)
        entries += study.data("simulated", sizes, num_orders, rows, drawn)
    if nuts is None and not quick:
        tell("NUTS")
        nuts = fit_nuts(density, seed=seed)
    entries += [] if nuts is None else _monte_carlo_errors(nuts)
    table = pd.DataFrame(entries)
    # only Wasserstein distances have the noise of their draws
    floor: dict[str, float] = {k: _FLOOR * noise for k in ("data", "simulated", "temperature")}
    lines = {
        str(k): _line(part, floor.get(str(k), 0.0))
        for k, part in table.groupby("limit", sort=False)
    }
    slope, height = lines["data"]
    # height + slope log n = log 0.05
    agree = float(np.exp((np.log(_AGREE) - height) / slope)) if slope < 0 else np.nan
    return Limits(
        name=subject(density),
        table=table,
        rates=pd.Series({limit: line[0] for limit, line in lines.items()}, name="rate"),
        agreement=agree,
        noise=noise,
    )


@dataclass(frozen=True, kw_only=False, eq=False)
class _Study:
    """What the limits have in common: the model, its maximum, a cloud of draws, what is kept."""

    density: Density
    best: ModeFit
    seed: int
    x: np.ndarray
    t: np.ndarray
    keep: Keep
    tell: Callable[[str], None]

    def data(
        self, limit: str, sizes: np.ndarray, num_orders: int, rows: int, copies: Any = None
    ) -> list[dict[str, Any]]:
        """Posterior against the normal of the MLE, for nested parts in several random orders."""
        fits = Refitter(self.density, self.best, copies)
        units = rows if copies is None else len(next(iter(copies.values())))
        # how early each row (or copy) comes in each order
        rng = np.random.default_rng(self.seed)
        place = np.argsort(rng.random((num_orders, units)), axis=1)
        weights = np.concatenate([place < n for n in sizes]).astype(float)
        one = np.ones(len(weights))
        self.tell(f"{limit}, refits")
        likelihood = self._modes(fits, f"{limit} MLE", weights, 0 * one, 0 * one)
        posterior = self._modes(fits, f"{limit} modes", weights, one, one)
        entries = []
        for i, n in enumerate(sizes):
            self.tell(f"{limit}, posteriors: {i + 1} of {len(sizes)} sizes")
            at = range(i * num_orders, (i + 1) * num_orders)
            made = self._distances(f"{limit} {n}", lambda at=at: [
                fits.distance(likelihood, posterior, k, weights[k], 1.0, self.x, self.t)
                for k in at
            ])  # fmt: skip
            entries.append(_entry(limit, n if copies is None else n * rows, made))
        return entries

    def prior_and_temperature(self, rows: int) -> list[dict[str, Any]]:
        """MAP against MLE for powers of the prior; the tempered posterior against its normal."""
        fits = Refitter(self.density, self.best)
        every = np.ones((1, rows))
        one, zero = np.ones(1), np.zeros(1)
        self.tell("prior")
        likelihood = self._modes(fits, "MLE", every, zero, zero)
        posterior = self._modes(fits, "mode", every, one, one)
        flattened = self._modes(
            fits, "powers of the prior", np.repeat(every, len(_PRIORS), axis=0), _PRIORS,
            0 * _PRIORS,
        )  # fmt: skip
        self.tell("temperature")
        cold = [
            self._distances(f"temperature {T:g}", lambda T=T: [
                fits.distance(posterior, posterior, 0, every[0], T, self.x, self.t)
            ])
            for T in _TEMPERATURES
        ]  # fmt: skip
        return [
            *(_entry("prior", a, [_apart(likelihood, flattened, k)])
              for k, a in enumerate(_PRIORS)),
            *(_entry("temperature", T, d) for T, d in zip(_TEMPERATURES, cold, strict=True)),
        ]  # fmt: skip

    def _modes(
        self, fits: Refitter, name: str, weights: np.ndarray, prior: Any, jacobian: Any
    ) -> Modes:
        return Modes(**self.keep(name, lambda: vars(fits.modes(weights, prior, jacobian))))

    def _distances(
        self, name: str, make: Callable[[], list[tuple[float, str]]]
    ) -> list[tuple[float, str]]:
        def arrays() -> dict[str, np.ndarray]:
            distance, reason = zip(*make(), strict=True)
            return {"distance": np.array(distance), "reason": np.array(reason)}

        made = self.keep(name, arrays)
        return [(float(d), str(r)) for d, r in zip(made["distance"], made["reason"], strict=True)]


def _monte_carlo_errors(nuts: DrawsFit) -> list[dict[str, Any]]:
    """Monte Carlo error of the means of the terms from the first draws of every chain."""
    from workbench import az

    draws = nuts.estimand_draws.reshape(*nuts.estimand_draws.shape[:2], -1)
    num = draws.shape[1]
    counts = num // 2 ** np.arange(int(np.log2(max(num // 25, 1))) + 1)[::-1]
    sd = draws.std(axis=(0, 1), ddof=1)
    moves = sd > 0
    entries = []
    for n in counts:
        errors = [float(az.mcse(draws[:, :n, q])) / sd[q] for q in np.flatnonzero(moves)]
        entries.append(_entry("draws", n * len(draws), [(float(np.mean(errors)), "")]))
    return entries


def _apart(likelihood: Modes, mode: Modes, k: int) -> tuple[float, str]:
    """Mean distance of a mode's terms from the MLE of all rows, in standard errors."""
    if not mode.regular[k]:
        return np.nan, "no regular maximum"
    return float(np.mean(np.abs(mode.terms[k] - likelihood.terms[-1]) / likelihood.errors[-1])), ""


def _entry(limit: str, at: float, made: list[tuple[float, str]]) -> dict[str, Any]:
    """One row of the table, from the distance of each order."""
    known = np.array([d for d, _ in made if np.isfinite(d)])
    lost = [reason for _, reason in made if reason]
    counts = (f"{lost.count(r)} of {len(made)}: {r}" for r in dict.fromkeys(lost))
    several = known.size > 1
    return {
        "limit": limit,
        "at": float(at),
        "distance": float(known.mean()) if known.size else np.nan,
        "std_error": float(known.std(ddof=1) / np.sqrt(known.size)) if several else np.nan,
        "refits": int(known.size),
        "reason": "; ".join(counts),
    }


def _line(part: pd.DataFrame, floor: float) -> tuple[float, float]:
    """Slope and height of log distance over the log of what goes to its limit."""
    part = part[part["distance"] > floor]
    if len(part) < 2:
        return np.nan, np.nan
    slope, height = np.polyfit(np.log(part["at"]), np.log(part["distance"]), 1)
    return float(slope), float(height)
