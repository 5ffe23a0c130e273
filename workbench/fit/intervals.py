r"""Wald intervals built on the scale of the support, so that they stay inside it.

For a quantity :math:`\theta` with standard error :math:`s` and a link :math:`g` that maps its
support to the line,

.. math:: g^{-1}\big(g(\hat\theta) \pm q\, s\, |g'(\hat\theta)|\big), \qquad
          q = \Phi^{-1}\{(1 + \text{level}) / 2\}.

For NumPyro's elementwise transforms this is the interval in z, mapped. Agresti (2013),
Categorical Data Analysis, 3rd ed., section 1.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats


def support_link(lower: float, upper: float) -> str:
    """Name the link of a support with these bounds: identity, log, reflected log or logit.

    Examples
    --------
    >>> support_link(0.0, np.inf), support_link(0.0, 1.0)
    ('log', 'logit')
    """
    if np.isfinite(lower) and np.isfinite(upper):
        return "logit"
    if np.isfinite(lower):
        return "log"
    return "reflected log" if np.isfinite(upper) else "identity"


def wald_interval(
    estimate: np.ndarray,
    std_error: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    level: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Wald interval on the scale of the support, elementwise.

    Parameters
    ----------
    estimate, std_error : numpy.ndarray
        Of each quantity, shape (Q,); a ``nan`` standard error gives a ``nan`` interval.
    lower, upper : numpy.ndarray
        Bounds of the support, infinite where open, shape (Q,).
    level : float
        Confidence level, such as 0.95.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper ends, shape (Q,) each.

    Examples
    --------
    >>> low, high = wald_interval(*(np.array([v]) for v in (2.0, 0.5, 0.0, np.inf)), level=0.95)
    >>> round(float(low[0]), 4), round(float(high[0]), 4)
    (1.2253, 3.2646)
    """
    q = stats.norm.ppf((1 + level) / 2)
    low, high = np.empty_like(estimate), np.empty_like(estimate)
    with np.errstate(all="ignore"):
        for i, (m, s, a, b) in enumerate(zip(estimate, std_error, lower, upper, strict=True)):
            link = support_link(a, b)
            if link == "identity":
                low[i], high[i] = m - q * s, m + q * s
            elif link == "log":
                factor = np.exp(q * s / (m - a))
                low[i], high[i] = a + (m - a) / factor, a + (m - a) * factor
            elif link == "reflected log":
                factor = np.exp(q * s / (b - m))
                low[i], high[i] = b - (b - m) * factor, b - (b - m) / factor
            else:
                p = (m - a) / (b - a)
                half = q * s / ((b - a) * p * (1 - p))
                eta = np.log(p) - np.log1p(-p)
                low[i], high[i] = (a + (b - a) / (1 + np.exp(-(eta + d))) for d in (-half, half))
    return low, high


@dataclass(frozen=True, kw_only=True)
class Link:
    r"""The increasing map from a support to the line, with its first two derivatives.

    Attributes
    ----------
    lower, upper : float
        Bounds of the support, infinite where open.

    Notes
    -----
    The identity; :math:`\log(v - a)`; :math:`-\log(b - v)`; :math:`\log\{(v - a) / (b - v)\}`.

    Examples
    --------
    >>> link = Link(lower=0.0, upper=np.inf)
    >>> link.forward(1.0), link.slope(2.0), float(link.inverse(0.0))
    (0.0, 0.5, 1.0)
    """

    lower: float
    upper: float

    def forward(self, value: float) -> float:
        """Value to the line; infinite at a bound."""
        kind = support_link(self.lower, self.upper)
        if kind == "identity":
            return float(value)
        with np.errstate(divide="ignore"):
            below = np.log(value - self.lower) if kind in ("log", "logit") else 0.0
            above = np.log(self.upper - value) if kind in ("reflected log", "logit") else 0.0
        return float(below - above)

    def inverse(self, eta: float) -> float:
        """From the line to the support."""
        kind = support_link(self.lower, self.upper)
        if kind == "identity":
            return float(eta)
        with np.errstate(over="ignore"):
            if kind == "log":
                return float(self.lower + np.exp(eta))
            if kind == "reflected log":
                return float(self.upper - np.exp(-eta))
        return float(self.lower + (self.upper - self.lower) * special.expit(eta))

    def slope(self, value: float) -> float:
        """First derivative at a value."""
        kind = support_link(self.lower, self.upper)
        if kind == "identity":
            return 1.0
        below = 1 / (value - self.lower) if kind in ("log", "logit") else 0.0
        above = 1 / (self.upper - value) if kind in ("reflected log", "logit") else 0.0
        return float(below + above)

    def curvature(self, value: float) -> float:
        """Second derivative at a value."""
        kind = support_link(self.lower, self.upper)
        if kind == "identity":
            return 0.0
        below = (value - self.lower) ** -2 if kind in ("log", "logit") else 0.0
        above = (self.upper - value) ** -2 if kind in ("reflected log", "logit") else 0.0
        return float(above - below)
