r"""Leave-one-out expected log predictive density by Pareto-smoothed importance sampling (PSIS).

With :math:`\ell_{si}` the log-likelihood of row i at draw s, the raw weights of the posterior
without the row are :math:`r_s = e^{-\ell_{si}}`. The largest M of them are replaced by quantiles of
a generalised Pareto distribution with the shape k and scale that fit them, cut off at the largest
raw weight, which gives :math:`w_s`, and

.. math:: \mathrm{elpd}_i = \log \frac{\sum_s w_s e^{\ell_{si}}}{\sum_s w_s}.

The shape has the posterior mean of Zhang and Stephens on a grid, drawn towards 1/2 by ten
observations' worth. All rows of a block are computed together; the numbers are those of ArviZ
(``workbench.az.loo``), which takes one row after the other.

References
----------
Vehtari, Gelman and Gabry (2017), doi:10.1007/s11222-016-9696-4;
Vehtari, Simpson, Gelman, Yao and Gabry (2024), JMLR 25(72):1-58, arXiv:1507.02646;
Zhang and Stephens (2009), doi:10.1198/tech.2009.08017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_NUMBERS = 2_000_000  # in the arrays of a block of rows
_NEGLIGIBLE = 10 * np.finfo(float).eps  # weight of a point of the grid
_PRIOR_SHAPE, _PRIOR_SIZE = 0.5, 10
_RAMP = 1e-10  # nats between the first draw and the last, which tell equal weights apart


@dataclass(frozen=True, kw_only=True, eq=False)
class LeaveOneOut:
    """What PSIS gives for N rows.

    Attributes
    ----------
    elpd_i, p_i, pareto_k : numpy.ndarray
        Of each row, shape (N,): log predictive density without it, how much that falls short of
        the one with it, and the shape of its weights (``inf`` where few outweigh all others).
    good_k : float
        Shape up to which the estimates are reliable with so many draws.
    """

    elpd_i: np.ndarray
    p_i: np.ndarray
    pareto_k: np.ndarray
    good_k: float

    @property
    def elpd(self) -> float:
        """Sum over the rows, nats."""
        return float(self.elpd_i.sum())

    @property
    def p(self) -> float:
        """Effective number of parameters."""
        return float(self.p_i.sum())

    @property
    def se(self) -> float:
        """Standard error of :attr:`elpd`; ``nan`` for one row."""
        n = self.elpd_i.size
        return float(np.sqrt(n * np.var(self.elpd_i, ddof=1))) if n > 1 else np.nan


def psis_loo(log_likelihood: np.ndarray) -> LeaveOneOut:
    """Leave every row out in turn.

    Parameters
    ----------
    log_likelihood : numpy.ndarray
        Finite, of S draws and N rows, shape (S, N), with S at least 25.

    Returns
    -------
    LeaveOneOut

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mean, y = rng.normal(0, 0.2, size=2000), np.linspace(-2, 2, 25)
    >>> score = psis_loo(-0.5 * (y - mean[:, None]) ** 2 - 0.5 * np.log(2 * np.pi))
    >>> score.elpd_i.shape, bool((score.pareto_k < score.good_k).all())
    ((25,), True)
    """
    draws, rows = log_likelihood.shape
    size = max(_NUMBERS // (20 * draws), 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        blocks = [_block(log_likelihood[:, i : i + size]) for i in range(0, rows, size)]
    elpd, p, k = (np.concatenate(x) for x in zip(*blocks, strict=True))
    return LeaveOneOut(elpd_i=elpd, p_i=p, pareto_k=k, good_k=min(1 - 1 / np.log10(draws), 0.7))


def _block(log_likelihood: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log predictive density, effective parameters and shape of a block of rows."""
    terms = np.array(log_likelihood.T, order="C")  # (n, S)
    draws = terms.shape[1]
    fifth = draws // 5
    # the best weights there are, all equal, would have no tail
    equal = np.partition(terms, fifth - 1, axis=1)[:, fifth - 1] == terms.min(axis=1)
    terms[equal] += np.linspace(0.0, _RAMP, draws)
    ratio = terms.min(axis=1, keepdims=True) - terms
    tail = int(3 * draws**0.5) if draws > 225 else fifth
    top = np.argpartition(ratio, draws - max(tail + 1, fifth), axis=1)[:, -max(tail + 1, fifth) :]
    order = np.argsort(np.take_along_axis(ratio, top, axis=1), axis=1)
    top = np.take_along_axis(top, order, axis=1)
    ordered = np.take_along_axis(ratio, top, axis=1)
    cutoff = np.exp(ordered[:, -tail - 1, None])
    shape, scale = _fit_pareto(np.exp(ordered[:, -tail:]) - cutoff)
    k = shape[:, None]
    tails = -np.log1p(-np.arange(0.5, tail) / tail)
    quantile = np.where(k == 0, tails, np.expm1(k * tails) / np.where(k == 0, 1.0, k))
    smooth = np.log(cutoff + scale[:, None] * quantile)
    smooth = np.minimum(np.where(scale[:, None] > 0, smooth, np.nan), 0.0)
    kept = np.where(np.isfinite(k), smooth, ordered[:, -tail:])
    np.put_along_axis(ratio, top[:, -tail:], kept, axis=1)
    elpd = _log_sum(ratio + terms) - _log_sum(ratio)
    # a few draws outweigh the fifth: no shape can be fitted to it
    weights = np.exp(ordered[:, -fifth:])
    quartile = weights[:, max(int(fifth / 4 + 0.5) - 1, 0)]
    lost = ((quartile <= weights[:, 0]) & (quartile < 1)) | np.isnan(shape)
    return elpd, _log_sum(terms) - np.log(draws) - elpd, np.where(lost, np.inf, shape)


def _fit_pareto(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shape and scale of sorted excesses, (n, M) to (n,) each."""
    size = x.shape[1]
    points = 30 + int(size**0.5)
    grid = 1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))
    b = grid / (3 * x[:, int(size / 4 + 0.5) - 1, None]) + 1 / x[:, -1, None]  # (n, G)
    k = np.mean(np.log1p(-b[:, :, None] * x[:, None, :]), axis=2)
    fit = size * (np.log(-b / k) - k - 1)
    weight = np.exp(fit - _log_sum(fit)[:, None])
    weight = np.where(weight < _NEGLIGIBLE, 0.0, weight)
    mean = np.sum(b * weight, axis=1) / weight.sum(axis=1)
    shape = np.mean(np.log1p(-mean[:, None] * x), axis=1)
    drawn = (size * shape + _PRIOR_SIZE * _PRIOR_SHAPE) / (size + _PRIOR_SIZE)
    return drawn, -shape / mean


def _log_sum(x: np.ndarray) -> np.ndarray:
    """Logarithm of the sum of exponentials along the last axis."""
    top = x.max(axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=-1)) + top[..., 0]
