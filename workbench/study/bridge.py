r"""Bridge sampling: the integral of a density q from draws of q and of a normal density g.

For any function h, :math:`\int q = E_g[q h] / E_q[g h]` up to the sizes of the two samples; with
:math:`n_1` effective draws of q, :math:`n_2` of g and :math:`s_i = n_i / (n_1 + n_2)` the best is
:math:`h = 1 / (s_1 q + s_2 r g)` at the integral r itself, which is found by iteration,

.. math:: r \leftarrow \frac{n_2^{-1} \sum_j l_{2j} / (s_1 l_{2j} + s_2 r)}
                            {n_1^{-1} \sum_i 1 / (s_1 l_{1i} + s_2 r)}, \qquad l = q / g .

The relative error of r, with :math:`f_1 = p / (s_1 p + s_2 g)`, :math:`f_2 = g / (s_1 p + s_2 g)`
and :math:`p = q / r`, is

.. math:: \mathrm{RE}^2 = \frac{1}{n_2} \frac{V_g(f_1)}{E_g(f_1)^2}
                        + \frac{\mathrm{MCSE}(f_2)^2}{E_q(f_2)^2},

the second with the dependence of the chain. The normal density g is fitted to the first half of
each chain and used with the second, so that it is independent of the draws it meets.

References
----------
Meng and Wong (1996), "Simulating ratios of normalizing constants", Statistica Sinica 6:831-860;
Fruehwirth-Schnatter (2004), doi:10.1111/j.1368-423X.2004.00125.x;
Gronau et al. (2017), doi:10.1016/j.jmp.2017.09.005.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

_MAX_ITERATIONS = 1000
_TOLERANCE = 1e-12  # nats


@dataclass(frozen=True, kw_only=True)
class LogIntegral:
    """An estimate of a log integral.

    Attributes
    ----------
    value : float
        Nats; ``nan`` where there is none.
    std_error : float
        Standard error, nats; ``nan`` where the method has none.
    reason : str
        Why there is no value or no error, or what it may miss (empty when all is well).
    """

    value: float
    std_error: float
    reason: str = ""


def bridge_sampling(
    log_density: Callable[[np.ndarray], np.ndarray], z: np.ndarray, rng: np.random.Generator
) -> LogIntegral:
    """Log integral of a density from its draws.

    Parameters
    ----------
    log_density : callable
        Log of the unnormalised density q at points of shape (K, D), shape (K,), nats.
    z : numpy.ndarray
        Draws of q, shape (C, S, D), S at least 4.
    rng : numpy.random.Generator
        For the draws of the normal density.

    Returns
    -------
    LogIntegral
        ``nan`` with a reason where the draws have no covariance of full rank.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(size=(2, 1000, 1))
    >>> found = bridge_sampling(lambda z: -0.5 * z[:, 0] ** 2, draws, np.random.default_rng(1))
    >>> bool(abs(found.value - 0.5 * np.log(2 * np.pi)) < 4 * found.std_error < 0.1)
    True
    """
    from workbench import az

    half, size = z.shape[1] // 2, z.shape[2]
    first, second = z[:, :half].reshape(-1, size), z[:, half:]
    centre, covariance = first.mean(axis=0), np.atleast_2d(np.cov(first, rowvar=False))
    sd = np.sqrt(np.diag(covariance))
    try:
        root = sd[:, None] * np.linalg.cholesky(covariance / np.outer(sd, sd))
    except np.linalg.LinAlgError:
        return LogIntegral(
            value=np.nan, std_error=np.nan, reason="the draws have no covariance of full rank"
        )
    constant = -0.5 * size * np.log(2 * np.pi) - np.log(np.diag(root)).sum()
    drawn = rng.normal(size=(second.shape[0] * second.shape[1], size))

    def log_ratio(points: np.ndarray, x: np.ndarray) -> np.ndarray:
        ratio = log_density(points) - constant + 0.5 * np.sum(x**2, axis=-1)
        return np.where(np.isnan(ratio), -np.inf, ratio)

    flat = second.reshape(-1, size)
    l1 = log_ratio(flat, np.linalg.solve(root, (flat - centre).T).T)
    l2 = log_ratio(centre + drawn @ root.T, drawn)
    chains = l1.reshape(second.shape[:2])
    n1, n2 = min(float(az.ess(chains, method="mean")), l1.size), float(l2.size)
    s1, s2 = np.log(n1 / (n1 + n2)), np.log(n2 / (n1 + n2))
    log_r = float(np.median(l1))
    for _ in range(_MAX_ITERATIONS):
        above = logsumexp(l2 - np.logaddexp(s1 + l2, s2 + log_r)) - np.log(l2.size)
        below = logsumexp(-np.logaddexp(s1 + l1, s2 + log_r)) - np.log(l1.size)
        before, log_r = log_r, float(above - below)
        if not abs(log_r - before) > _TOLERANCE * (1 + abs(log_r)):
            break
    else:
        return LogIntegral(
            value=log_r, std_error=np.nan, reason="bridge sampling's iteration did not end"
        )
    f1 = np.exp(l2 - log_r - np.logaddexp(s1 + l2 - log_r, s2))
    f2 = np.exp(-np.logaddexp(s1 + chains - log_r, s2))
    from_normal = np.var(f1) / np.mean(f1) ** 2 / f1.size
    from_chains = (float(az.mcse(f2)) / np.mean(f2)) ** 2
    return LogIntegral(value=log_r, std_error=float(np.sqrt(from_normal + from_chains)))
