r"""The integral of a density in one or two dimensions, by the trapezoidal rule.

In coordinates :math:`\theta = m + L \sinh(t)` about a mode, an analytic density decays doubly
exponentially in t, so that the trapezoidal rule converges faster than any power of its step
(Takahasi and Mori 1974, doi:10.2977/prims/1195192451). The same rule with every other point tells
how far it has converged; what stands on the edge of the grid tells how much lies beyond it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from workbench.study.bridge import LogIntegral

_EDGE = 7.0  # in t: 548 standard deviations
_POINTS = {1: 1025, 2: 257}  # odd, so that every other point is a rule too
_EXACT = 1e-6  # nats, beyond which the rule is said not to have converged


def cubature(
    log_density: Callable[[np.ndarray], np.ndarray], mode: np.ndarray, root: np.ndarray
) -> LogIntegral:
    """Log integral of a density over the line or the plane.

    Parameters
    ----------
    log_density : callable
        Log density at points of shape (K, P), shape (K,), nats; not finite counts as zero density.
    mode : numpy.ndarray
        m, shape (P,), P 1 or 2.
    root : numpy.ndarray
        L, a root of the covariance there, shape (P, P).

    Returns
    -------
    LogIntegral
        Its error is that of the rule: the change from half the points, plus the share on the edge.

    Examples
    --------
    >>> found = cubature(lambda z: -0.5 * np.sum(z**2, axis=1), np.ones(2), np.eye(2))
    >>> bool(abs(found.value - np.log(2 * np.pi)) < 1e-12), found.std_error < 1e-12
    (True, True)
    """
    size = mode.size
    num = _POINTS[size]
    t = np.linspace(-_EDGE, _EDGE, num)
    axes = np.meshgrid(*[t] * size, indexing="ij")
    points = mode + np.stack([np.sinh(a).ravel() for a in axes], axis=1) @ root.T
    log_weight = np.sum([np.log(np.cosh(a)) for a in axes], axis=0)
    value = np.asarray(log_density(points), dtype=float).reshape(log_weight.shape)
    value = np.where(np.isfinite(value), value, -np.inf) + log_weight
    log_step = np.linalg.slogdet(root)[1] + size * np.log(t[1] - t[0])
    whole = float(logsumexp(value) + log_step)
    every_other = value[(slice(None, None, 2),) * size]
    half = float(logsumexp(every_other) + log_step + size * np.log(2.0))
    inner = value[(slice(1, -1),) * size]
    edge = -float(np.expm1(logsumexp(inner) - logsumexp(value)))
    error = abs(whole - half) + edge
    reason = "" if error < _EXACT else "the rule has not converged on its grid"
    return LogIntegral(value=whole, std_error=error, reason=reason)
