r"""Limits in which the answers meet: more data, a wider prior, a lower temperature, more draws.

*Data*: as n grows, the posterior of a regular model tends to the normal distribution of the
maximum likelihood estimate (Bernstein and von Mises). Both are taken anew for nested parts of the
data, the first n rows of several random orders; the distance of a term's posterior from
:math:`N(\hat\theta_n, se_n^2)` in units of :math:`se_n`,

.. math:: W_1 = \int_0^1 | F^{-1}(p) - \Phi^{-1}(p) | \, dp,

falls as :math:`n^{-1/2}`: the pull of the prior and the skew are both of that order. (Posterior
and normal are the same draws with other weights, so that their noise falls with the distance.)
Larger data than there are come from the model at its estimate: several simulated data sets, taken
together.
With random effects n counts the groups that share none, each taken or left as a whole; likelihood
and posterior are those of the parameters, the effects integrated out by Laplace's method, and terms
that move with an effect, which has a posterior of its own in each group, have no such limit.

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
from workbench.fit import DrawsFit, ModeFit, Status, fit_mle, fit_nuts
from workbench.fit.terms import moved_by_effects
from workbench.model import Density, Model, read_density
from workbench.study.instrument import Keep, Part, require_regular, start_anew, subject
from workbench.study.parts import (
    Modes,
    Refitter,
    Weights,
    simulated,
    student,
)
from workbench.study.units import Units, units_of

_PRIORS = 4.0 ** -np.arange(6)
_TEMPERATURES = 4.0 ** -np.arange(5)
_AGREE = 0.05  # standard errors
_AT_BOUNDARY = "; with more data the posterior there tends to no normal density"


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Distances along the limits.

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        Columns ``limit`` (``data``, ``simulated``, ``prior``, ``temperature``, ``draws``), ``at``
        (rows or groups n, power of the prior, temperature, draws of all chains), ``distance``
        (mean over terms and orders, in standard errors; of draws, the Monte Carlo error in
        posterior sds), ``std_error`` (between orders; ``nan`` where there is one), ``refits``
        (that count) and ``reason`` (why some are left out).
    rates : pandas.Series
        Slope of log distance in the log of what goes to its limit, by limit; ``nan`` where fewer
        than two distances are known.
    agreement : float
        Number of rows (groups) from which posterior and normal agree to 0.05 standard errors, by
        the fitted line; ``nan`` where it does not fall.
    unit : str
        What n counts: ``rows``, or ``groups`` that share no random effect.

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
    unit: str = "rows"

    @property
    def trusted(self) -> bool:
        """Whether the distance falls as the data grow and as the prior widens."""
        return bool(self.rates["data"] < 0 < self.rates["prior"])

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        said = [
            "Distance of the posterior from the normal of the MLE goes "
            f"{self._rate('data', 'n')} (regular models: -0.5), that of MAP from MLE "
            f"{self._rate('prior', 'alpha')} (1), that of the tempered posterior from its normal "
            f"{self._rate('temperature', 'T')} (0.5)."
        ]
        if self.rates["data"] >= 0:
            said.append(
                f"With more {self.unit} of these data it does not fall: they are too few, or of "
                "too narrow a range of sizes, for the limit to be seen."
            )
        if np.isfinite(self.rates.get("simulated", np.nan)):
            most = self.table.loc[self.table["limit"] == "simulated", "at"].max()
            said.append(
                f"In data simulated from the model at its estimate, up to {most:.0f} {self.unit}, "
                f"it goes as n^{self.rates['simulated']:.2f}."
            )
        if np.isfinite(self.rates.get("draws", np.nan)):
            said.append(
                "The Monte Carlo error of a posterior mean goes as "
                f"S^{self.rates['draws']:.2f} (-0.5)."
            )
        if np.isfinite(self.agreement):
            said.append(
                f"Posterior and normal agree to {_AGREE:g} standard errors from about "
                f"{self.agreement:.2g} {self.unit} on."
            )
        return tuple(said)

    def _rate(self, limit: str, letter: str) -> str:
        rate = self.rates[limit]
        if np.isnan(rate):
            return "at no known rate"
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
        4 orders and 8,192 draws (2,048 with random effects) for each refit instead of 16 and
        16,384, simulated data of 8 times the size instead of 16, and no draws by NUTS unless
        ``nuts`` is given.
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
        Where the data have no independent parts (a factor, crossed random effects), or all of
        them no regular maximum, as with a variance of zero, at the boundary: there is then no
        normal to tend to.

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
    units = units_of(density)
    if units.reason:
        raise FitError(f"limits expects independent parts of the data; {units.reason}")
    tell = on_stage or (lambda _: None)
    tell("MLE")
    best = mle if mle is not None else fit_mle(density, seed=seed)
    require_regular(
        best,
        density,
        "limits expects a regular maximum of the likelihood to tend to; that",
        _AT_BOUNDARY if best.status is Status.AT_BOUNDARY else "",
    )
    num_orders = 4 if quick else 16
    if moved_by_effects(density, best.z).all():
        raise FitError(
            f"limits expects a term that no random effect moves; model '{density.model.name}' has "
            "none"
        )
    # a draw costs much more where effects are integrated out
    few = 2048 if units.kind == "groups" else 8192
    x, t = student(best.num_parameters, few if quick else 16_384, seed)
    copies = 8 if quick else 16
    tell("simulated data")
    study = _Study(units, best, seed, x, t, keep, tell, copies)
    least = min(max(5 * best.num_parameters, 10), units.num)
    sizes = np.unique(np.geomspace(least, units.num, 5).round().astype(int))
    entries = [
        *study.data("data", sizes, num_orders),
        *study.prior_and_temperature(),
        *study.data("simulated", 2 ** np.arange(int(np.log2(copies)) + 1), num_orders),
    ]
    if nuts is not None or not quick:
        tell("NUTS")
        errors = keep("draws", lambda: _monte_carlo_errors(nuts or fit_nuts(density, seed=seed)))
        pairs = zip(errors["at"], errors["error"], strict=True)
        entries += [_entry("draws", n, [(float(e), "")]) for n, e in pairs]
    table = pd.DataFrame(entries)
    lines = {str(k): _line(part) for k, part in table.groupby("limit", sort=False)}
    slope, height = lines["data"]
    # height + slope log n = log 0.05
    agree = float(np.exp((np.log(_AGREE) - height) / slope)) if slope < 0 else np.nan
    return Limits(
        name=subject(density),
        table=table,
        rates=pd.Series({limit: line[0] for limit, line in lines.items()}, name="rate"),
        agreement=agree,
        unit=units.kind,
    )


class _Study:
    """What the limits have in common: the refits, a cloud of draws, what is kept."""

    def __init__(
        self, units: Units, best: ModeFit, seed: int, x: np.ndarray, t: np.ndarray, keep: Keep,
        tell: Callable[[str], None], copies: int,
    ) -> None:  # fmt: skip
        self._seed, self._x, self._t, self._keep, self._tell = seed, x, t, keep, tell
        self._num, self._copies = units.num, copies
        self._fits = Refitter(units, best, simulated(units.density, best.z, copies, seed))

    def _weights(self, limit: str, chosen: np.ndarray) -> Weights:
        """Weights of the parts of the data that were chosen, or of all of the chosen copies."""
        # copy 0 is the data themselves
        every, first = np.ones(self._num), np.eye(self._copies + 1)[0]
        if limit == "data":
            return first, chosen.astype(float)
        return np.concatenate([[0.0], chosen]), every

    def data(self, limit: str, sizes: np.ndarray, num_orders: int) -> list[dict[str, Any]]:
        """Posterior against the normal of the MLE, for nested parts in several random orders."""
        num = self._num if limit == "data" else self._copies
        # how early each part (or copy) comes in each order
        rng = np.random.default_rng(self._seed)
        place = np.argsort(rng.random((num_orders, num)), axis=1)
        # all parts together have one order
        chosen = [place[: 1 if n == num else None] < n for n in sizes]
        weights = [[self._weights(limit, w) for w in part] for part in chosen]
        every = [w for part in weights for w in part]
        one = np.ones(len(every))
        self._tell(f"{limit}, refits")
        likelihood = self._modes(f"{limit} MLE", every, 0 * one, 0 * one)
        posterior = self._modes(f"{limit} modes", every, one, one)
        entries, start = [], 0
        for n, part in zip(sizes, weights, strict=True):
            self._tell(f"{limit}, posteriors: {n} of {num}")
            made = self._distances(f"{limit} {n}", lambda part=part, start=start: [
                self._distance(likelihood, posterior, start + k, w, 1.0)
                for k, w in enumerate(part)
            ])  # fmt: skip
            start += len(part)
            entries.append(_entry(limit, n if limit == "data" else n * self._num, made))
        return entries

    def prior_and_temperature(self) -> list[dict[str, Any]]:
        """MAP against MLE for powers of the prior; the tempered posterior against its normal."""
        every = self._weights("data", np.ones(self._num))
        one, zero = np.ones(1), np.zeros(1)
        self._tell("prior")
        likelihood = self._modes("MLE", [every], zero, zero)
        posterior = self._modes("mode", [every], one, one)
        flattened = self._modes("powers of the prior", [every] * len(_PRIORS), _PRIORS, 0 * _PRIORS)
        self._tell("temperature")
        cold = [
            self._distances(f"temperature {T:g}", lambda T=T: [
                self._distance(posterior, posterior, 0, every, T)
            ])
            for T in _TEMPERATURES
        ]  # fmt: skip
        return [
            *(_entry("prior", a, [self._apart(likelihood, flattened, k)])
              for k, a in enumerate(_PRIORS)),
            *(_entry("temperature", T, d) for T, d in zip(_TEMPERATURES, cold, strict=True)),
        ]  # fmt: skip

    def _apart(self, likelihood: Modes, mode: Modes, k: int) -> tuple[float, str]:
        """Mean distance of a mode's terms from the MLE of all data, in standard errors."""
        if not mode.regular[k]:
            return np.nan, self._fits.no_maximum(mode, k)
        apart = np.abs(mode.terms[k] - likelihood.terms[-1]) / likelihood.errors[-1]
        return float(np.mean(apart)), ""

    def _distance(
        self, normal: Modes, posterior: Modes, k: int, weights: Weights, temperature: float
    ) -> tuple[float, str]:
        return self._fits.distance(normal, posterior, k, weights, temperature, self._x, self._t)

    def _modes(self, name: str, weights: list[Weights], prior: Any, jacobian: Any) -> Modes:
        make = self._fits.modes
        return Modes(**self._keep(name, lambda: vars(make(weights, prior, jacobian))))

    def _distances(
        self, name: str, make: Callable[[], list[tuple[float, str]]]
    ) -> list[tuple[float, str]]:
        def arrays() -> dict[str, np.ndarray]:
            distance, reason = zip(*make(), strict=True)
            return {"distance": np.array(distance), "reason": np.array(reason)}

        made = self._keep(name, arrays)
        return [(float(d), str(r)) for d, r in zip(made["distance"], made["reason"], strict=True)]


def _monte_carlo_errors(nuts: DrawsFit) -> Part:
    """Monte Carlo error of the means of the terms from the first draws of every chain.

    Numbers of draws ``at``, and the mean ``error`` over the terms, in posterior sds.
    """
    from workbench import az

    draws = nuts.estimand_draws.reshape(*nuts.estimand_draws.shape[:2], -1)
    num = draws.shape[1]
    counts = num // 2 ** np.arange(int(np.log2(max(num // 25, 1))) + 1)[::-1]
    sd = draws.std(axis=(0, 1), ddof=1)
    moves = np.flatnonzero(sd > 0)
    error = [np.mean([float(az.mcse(draws[:, :n, q])) / sd[q] for q in moves]) for n in counts]
    return {"at": counts * len(draws), "error": np.array(error)}


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


def _line(part: pd.DataFrame) -> tuple[float, float]:
    """Slope and height of log distance over the log of what goes to its limit."""
    part = part[part["distance"] > 0]
    if len(part) < 2:
        return np.nan, np.nan
    slope, height = np.polyfit(np.log(part["at"]), np.log(part["distance"]), 1)
    return float(slope), float(height)
