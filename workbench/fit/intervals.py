r"""Wald intervals built on the scale of the support, so that they stay inside it.

For a quantity :math:`\theta` with standard error :math:`s` and a link :math:`g` that maps its
support to the line,

.. math:: g^{-1}\big(g(\hat\theta) \pm q\, s\, |g'(\hat\theta)|\big), \qquad
          q = \Phi^{-1}\{(1 + \text{level}) / 2\}.

For NumPyro's elementwise transforms this is the interval in z, mapped. Agresti (2013),
Categorical Data Analysis, 3rd ed., section 1.4.
"""

from __future__ import annotations

import numpy as np
from scipy import stats


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
