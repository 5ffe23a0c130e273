r"""Profile likelihood: the likelihood of one term, the other parameters re-optimised.

.. math:: \ell_p(c) = \max_{\theta:\, g(\theta) = c} \ell(\theta), \qquad
          r(c) = \mathrm{sign}(c - \hat c) \sqrt{2 \{\ell(\hat\theta) - \ell_p(c)\}} .

The interval is :math:`\{c : r(c)^2 \le \chi^2_1(\text{level})\}`; it moves with the term under any
transformation, follows the skew of the likelihood, and is open where the likelihood never falls
far enough. The term is put on the line by the link of its support, and walked away from the
estimate in steps of about equal r, each point starting from the one before. Since
:math:`r\,r' = -\ell_p'`, and :math:`\ell_p'` is the multiplier of the constraint, the ends are
roots that Newton's method finds.

References
----------
Venzon and Moolgavkar (1988), doi:10.2307/2347496;
Pawitan (2001), In All Likelihood, Oxford University Press, sections 3.4 and 9.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import UsageError
from workbench.fit.intervals import Link
from workbench.fit.mode import ModeFit
from workbench.fit.objective import Objective
from workbench.fit.restricted import Equations, Surface, maximise_on
from workbench.fit.terms import (
    PREDICTED,
    predicted_terms,
    require_level,
    require_mle,
)
from workbench.fit.terms_on_line import TermOnLine, term_on_line

_MOST_STEPS = 80
_MOST_TRIALS = 60
_HALVINGS = 10
_FLAT = 1e-6  # nats still to be lost over as long a way again
_FAR = 8.0  # standard errors before a side is called open
_HIGHER = 1e-3  # nats by which a constrained point may exceed the fit


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """Profile likelihood of one term, and its interval.

    Attributes
    ----------
    term : str
        The term.
    estimate : float
        Its maximum likelihood estimate.
    level : float
        Confidence level.
    lower, upper : float
        Ends of the interval: infinite, or the bound of the support, where the likelihood never
        falls far enough; ``nan`` where they could not be found.
    reason : str
        Why an end is open or ``nan`` (empty when both were found).
    curve : pandas.DataFrame
        The points walked through, in order of the term: ``value``, ``log_likelihood`` (profile,
        nats) and ``signed_root`` (r, standard normal units).

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.fit import fit_mle, profile_likelihood
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> made = profile_likelihood(fit_mle(normal, {"y": [1.0, 2.0, 3.0, 2.0]}), "mu")
    >>> made.curve["signed_root"].abs().max().round(4)  # the normal quantile
    np.float64(1.96)
    """

    term: str
    estimate: float
    level: float
    lower: float
    upper: float
    reason: str
    curve: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class ConstrainedOptimum:
    """The maximum of an objective on a level of a term.

    Attributes
    ----------
    level : float
        The term's value on the line.
    theta : numpy.ndarray
        Where, shape (P,).
    value : float
        Log objective there, nats.
    slope : float
        Derivative of the maximum in the level.
    """

    level: float
    theta: np.ndarray
    value: float
    slope: float


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One side of a profile: the points walked through, the end, and what is said of it."""

    points: tuple[ConstrainedOptimum, ...]
    end: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """What a walk along one side knows: the objective, the term, the top and the unit."""

    objective: Objective
    term: TermOnLine
    top: ConstrainedOptimum
    unit: float
    sign: float
    quantile: float

    def root(self, point: ConstrainedOptimum) -> float:
        """Distance r from the top, in standard normal units."""
        return float(np.sqrt(max(0.0, 2 * (self.top.value - point.value))))

    def rate(self, point: ConstrainedOptimum) -> float:
        """Derivative of the distance r along the side; nan where the profile does not fall."""
        root, fall = self.root(point), -self.sign * point.slope
        return fall / root if root > 0 and fall > 0 else np.nan

    def step(self, start: ConstrainedOptimum, level: float) -> ConstrainedOptimum | None:
        """The constrained optimum at a level, or as near to it as can be got from the start."""
        for share in 2.0 ** -np.arange(_HALVINGS):
            there = start.level + share * (level - start.level)
            found = maximise_on_level(self.objective, self.term, start.theta, there)
            if found is not None:
                return found
        return None


def profile_likelihood(
    fit: ModeFit, term: str, *, level: float = 0.95, num_points: int = 4
) -> Profile:
    r"""Profile likelihood of one term of a maximum likelihood fit.

    Parameters
    ----------
    fit : ModeFit
        From :func:`~workbench.fit.fit_mle`; declared random effects stay integrated out.
    term : str
        A term of its table: a parameter, a derived quantity or an estimand.
    level : float
        Confidence level.
    num_points : int
        Points of the curve between the estimate and each end, about equally far apart in r.

    Returns
    -------
    Profile
        The interval and the curve.

    Raises
    ------
    FitError
        For a posterior mode, or a fit that was loaded without its model.
    UsageError
        For an unknown term, or a level or number of points out of range.

    Notes
    -----
    The interval is :math:`\{c : 2 \{\ell(\hat\theta) - \ell_p(c)\} \le \chi^2_1(\text{level})\}`,
    asymptotically of that level at a regular maximum in the interior (Wilks 1938).

    References
    ----------
    Wilks (1938), doi:10.1214/aoms/1177732360; Venzon and Moolgavkar (1988), doi:10.2307/2347496.

    Examples
    --------
    The rate of exponential waiting times 1, 2, 3: the ends solve log(u) - u + 1 = -chi2 / 6,
    with u twice the rate.

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.fit import fit_mle, profile_likelihood
    >>> def waiting(y=None):
    ...     rate = numpyro.sample("rate", dist.Gamma(1, 1))
    ...     numpyro.sample("y", dist.Exponential(rate), obs=y)
    >>> made = profile_likelihood(fit_mle(waiting, {"y": [1.0, 2.0, 3.0]}), "rate")
    >>> round(made.lower, 4), round(made.upper, 4)
    (0.1243, 1.2965)
    """
    density = require_mle(fit, "a profile likelihood")
    require_level(level)
    if num_points < 1:
        raise UsageError(f"num_points expects at least 1; got {num_points}")
    if term not in fit.estimates.index:
        raise UsageError(
            f"a profile expects one of the fit's terms, such as '{fit.estimates.index[0]}'; "
            f"got '{term}'"
        )
    index = int(np.flatnonzero(fit.estimates.index == term)[0])
    row = fit.estimates.iloc[index]
    link = Link(lower=float(row["support_lower"]), upper=float(row["support_upper"]))
    estimate = float(row["estimate"])
    objective = Objective(density=density, method="MLE")
    on_line = term_on_line(density, index, link)
    theta = fit.z[objective.free]
    top = ConstrainedOptimum(
        level=on_line(theta).value, theta=theta, value=fit.log_objective, slope=0.0
    )
    if predicted_terms(fit)[index]:
        return _empty(term, estimate, level, PREDICTED)
    if not (np.isfinite(top.level) and np.isfinite(top.value)):
        return _empty(term, estimate, level, "the estimate is at the bound of its support")
    quantile = float(np.sqrt(stats.chi2.ppf(level, 1)))
    unit = _unit(float(row["std_error"]), estimate, top.level, link)
    sides = {}
    for name, sign in (("lower", -1.0), ("upper", 1.0)):
        walk = _Walk(
            objective=objective, term=on_line, top=top, unit=unit, sign=sign, quantile=quantile
        )
        sides[name] = _side(walk, quantile / num_points)
    points = sorted([*sides["lower"].points, top, *sides["upper"].points], key=lambda p: p.level)
    loss = np.array([max(0.0, top.value - p.value) for p in points])
    curve = pd.DataFrame(
        {
            "value": [link.inverse(p.level) for p in points],
            "log_likelihood": [p.value for p in points],
            "signed_root": np.sign([p.level - top.level for p in points]) * np.sqrt(2 * loss),
        }
    )
    return Profile(
        term=term,
        estimate=estimate,
        level=level,
        lower=link.inverse(sides["lower"].end),
        upper=link.inverse(sides["upper"].end),
        reason="; ".join(f"{name}: {s.reason}" for name, s in sides.items() if s.reason),
        curve=curve,
    )


def maximise_on_level(
    objective: Objective, term: TermOnLine, start: np.ndarray, level: float
) -> ConstrainedOptimum | None:
    """Maximise an objective where a term has a given value on the line.

    Parameters
    ----------
    objective : Objective
        What to maximise.
    term : TermOnLine
        The term.
    start : numpy.ndarray
        A point near, such as the optimum on a level near by, shape (P,).
    level : float
        Its value on the line.

    Returns
    -------
    ConstrainedOptimum or None
        ``None`` when the level cannot be reached from the start, or no maximum on it is found.
    """

    def at(theta: np.ndarray) -> Equations:
        found = term(theta)
        return Equations(
            residual=np.array([found.value - level]),
            jacobian=found.gradient[None],
            hessian=found.hessian[None],
        )

    best = maximise_on(objective, start, Surface(at=at, size=np.array([1.0 + abs(level)])))
    if best.reason:
        return None
    return ConstrainedOptimum(
        level=level, theta=best.theta, value=best.value, slope=float(best.multipliers[0])
    )


def _empty(term: str, estimate: float, level: float, reason: str) -> Profile:
    """A profile that does not exist, with the reason."""
    return Profile(
        term=term,
        estimate=estimate,
        level=level,
        lower=np.nan,
        upper=np.nan,
        reason=reason,
        curve=pd.DataFrame(columns=["value", "log_likelihood", "signed_root"], dtype=float),
    )


def _unit(std_error: float, estimate: float, eta: float, link: Link) -> float:
    """Standard error on the line; where it was refused, a quarter of the way run from 0."""
    if np.isfinite(std_error) and std_error > 0:
        return std_error * link.slope(estimate)
    bounded = np.isfinite(link.lower) or np.isfinite(link.upper)
    return 0.25 * (max(abs(eta), 1.0) if bounded or eta == 0 else abs(eta))


def _side(walk: _Walk, spacing: float) -> _Side:
    """Walk away from the top until the distance r exceeds the quantile, then find the end."""
    points = [walk.top]
    step = spacing * walk.unit
    for _ in range(_MOST_STEPS):
        here = points[-1]
        there = walk.step(here, here.level + walk.sign * step)
        if there is None:
            return _stopped(points, "no maximum under the constraint was found")
        points.append(there)
        if there.value > walk.top.value + _HIGHER:
            gain = there.value - walk.top.value
            return _stopped(points, f"a maximum {gain:.2g} nats higher than the fit was met")
        if walk.root(there) >= walk.quantile:
            return _end(walk, points)
        way = abs(there.level - walk.top.level)
        if way >= _FAR * walk.unit and abs(there.slope) * way < _FLAT:
            lost = walk.top.value - there.value
            reason = (
                f"open, the likelihood falls by no more than {max(lost, 0.0):.2g} of the "
                f"{walk.quantile**2 / 2:.3g} nats of the interval"
            )
            return _Side(points=tuple(points[1:]), end=walk.sign * np.inf, reason=reason)
        rate = walk.rate(there)
        step = min(spacing / rate, 2 * way) if np.isfinite(rate) else 2 * way
    return _stopped(points, f"the interval's end was not reached in {_MOST_STEPS} steps")


def _stopped(points: list[ConstrainedOptimum], reason: str) -> _Side:
    return _Side(points=tuple(points[1:]), end=np.nan, reason=reason)


def _end(walk: _Walk, points: list[ConstrainedOptimum]) -> _Side:
    """The root of r - quantile between the last two points: Newton's method inside a bracket."""
    near, far = points[-2], points[-1]
    tolerance = max(1e-10, 1e-13 * (1.0 + abs(walk.top.value)) / walk.quantile)
    best = far
    for _ in range(_MOST_TRIALS):
        missing = walk.quantile - walk.root(best)
        width = abs(far.level - near.level)
        if abs(missing) <= tolerance or width <= 1e-14 * (1.0 + abs(far.level)):
            break
        level = best.level + walk.sign * missing / walk.rate(best)
        inside = min(near.level, far.level) < level < max(near.level, far.level)
        found = walk.step(best, level if inside else 0.5 * (near.level + far.level))
        if found is None:
            return _stopped(points, "no maximum under the constraint was found")
        points.append(found)
        near, far = (near, found) if walk.root(found) >= walk.quantile else (found, far)
        best = found
    # the curve keeps the end itself, not the trials on the way to it
    inner = [p for p in points[1:] if walk.root(p) < walk.quantile - 1e-3]
    return _Side(points=(*inner, best), end=best.level, reason="")
