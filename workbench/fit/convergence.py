r"""Effective sample sizes, R-hat and Monte Carlo errors of all terms at once.

The definitions are those of Vehtari et al. (2021), as ArviZ computes them term by term: chains
are split in half; bulk ESS and R-hat are those of the normal scores of the ranks,
:math:`\Phi^{-1}((r - 3/8) / (n + 1/4))`, R-hat the larger of that of the draws and that of their
distances from the median; tail ESS is the smaller of those of the indicators of the 5% and 95%
quantiles. With :math:`\hat\rho_t` the autocorrelation of the chains together,

.. math:: \mathrm{ESS} = \frac{n}{-1 + 2 \sum_k \hat P'_k}, \qquad
          \hat P_k = \hat\rho_{2k} + \hat\rho_{2k+1},

summed while :math:`\hat P_k` is positive, each no larger than the one before (Geyer 1992,
doi:10.1214/ss/1177011137). A fit reports dozens of terms and a look at each costs more than
sampling them, hence arrays.

References
----------
Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), "Rank-normalization, folding, and
localization: an improved R-hat", Bayesian Analysis 16:667-718, doi:10.1214/20-BA1221.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtri

DIAGNOSTICS = ("mcse_mean", "mcse_sd", "ess_bulk", "ess_tail", "r_hat")
_NUMBERS = 12_000  # draws looked at together: few, so that memory is not given back and asked anew
_TAILS = (0.05, 0.95)


def diagnose(draws: np.ndarray) -> dict[str, np.ndarray]:
    """Monte Carlo errors, effective sample sizes and R-hat of every term.

    Parameters
    ----------
    draws : numpy.ndarray
        Draws of the terms, shape (C, S, Q).

    Returns
    -------
    dict of str to numpy.ndarray
        ``mcse_mean, mcse_sd, ess_bulk, ess_tail, r_hat``, each of shape (Q,); ``nan`` for a term
        that is constant or not finite, and for fewer than four draws. R-hat takes two chains.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(size=(4, 1000, 2))
    >>> found = diagnose(draws)
    >>> bool((found["r_hat"] < 1.01).all()), found["ess_bulk"].shape
    (True, (2,))
    """
    num_terms = draws.shape[2]
    found = {name: np.full(num_terms, np.nan) for name in DIAGNOSTICS}
    terms = np.ascontiguousarray(np.moveaxis(draws, 2, 0), dtype=float)
    flat = terms.reshape(num_terms, -1)
    if draws.shape[1] < 4 or not num_terms:
        return found
    told = np.flatnonzero(np.isfinite(flat).all(axis=1) & (np.ptp(flat, axis=1) > 0))
    size = max(_NUMBERS // flat.shape[1], 1)
    for start in range(0, len(told), size):
        at = told[start : start + size]
        for name, values in _diagnose(terms[at]).items():
            found[name][at] = values
    return found


@np.errstate(over="ignore", invalid="ignore")  # squares of draws beyond 1e150: those are nan
def _diagnose(terms: np.ndarray) -> dict[str, np.ndarray]:
    """Diagnostics of terms that move, (Q, C, S) to (Q,)."""
    flat = terms.reshape(len(terms), -1)
    split = _split(terms)
    halves = split.reshape(len(split), -1)
    order = np.argsort(halves, axis=1)
    ascending = np.take_along_axis(halves, order, axis=1)
    middle = np.median(ascending, axis=1, keepdims=True)
    # in ascending order the distances from the median fall, then rise: a merge sorts them
    distance = np.abs(ascending - middle)
    outwards = np.argsort(distance, axis=1, kind="stable")
    scores = _normal_scores(order, ascending).reshape(split.shape)
    folded = _normal_scores(
        np.take_along_axis(order, outwards, axis=1),
        np.take_along_axis(distance, outwards, axis=1),
    ).reshape(split.shape)
    whole = ascending if halves.shape == flat.shape else np.sort(flat, axis=1)  # S may be odd
    ends = np.quantile(whole, _TAILS, axis=1)[..., None, None]
    square = (terms - flat.mean(axis=1)[:, None, None]) ** 2
    variance = square.mean(axis=(1, 2))
    bulk, tail = _r_hat(scores), _r_hat(folded)
    # of two values as often as each other, the distances from the median are all equal
    r_hat = np.where(np.isnan(tail), bulk, np.maximum(bulk, tail))
    parts = [scores, *(_split((terms <= end).astype(float)) for end in ends), split, _split(square)]
    of_bulk, low, high, of_mean, of_square = _ess(np.stack(parts))
    spread = np.sqrt(((square**2).mean(axis=(1, 2)) - variance**2) / (4 * variance * of_square))
    return {
        "mcse_mean": flat.std(axis=1, ddof=1) / np.sqrt(of_mean),
        "mcse_sd": spread,
        "ess_bulk": of_bulk,
        "ess_tail": np.minimum(low, high),
        "r_hat": r_hat if terms.shape[1] > 1 else np.full(len(terms), np.nan),
    }


def _split(terms: np.ndarray) -> np.ndarray:
    """First and last half of each chain, (Q, C, S) to (Q, 2 C, S // 2)."""
    half = terms.shape[-1] // 2
    return np.concatenate([terms[..., :half], terms[..., -half:]], axis=-2)


def _normal_scores(order: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Normal scores of ranks, equal values sharing theirs, from the order of each row, (Q, n)."""
    num = order.shape[1]
    scores = np.empty(order.shape)
    first = np.ones(order.shape, dtype=bool)
    np.not_equal(ascending[:, 1:], ascending[:, :-1], out=first[:, 1:])
    whole = np.arange(2, 2 * num + 2, 2)  # twice the rank, where no two are equal
    for row in range(len(order)):
        twice = whole
        if not first[row].all():
            starts = np.flatnonzero(first[row])
            lengths = np.diff(starts, append=num)
            twice = np.repeat(2 * starts + lengths + 1, lengths)
        scores[row, order[row]] = _scores(num)[twice]
    return scores


@lru_cache(maxsize=4)
def _scores(size: int) -> np.ndarray:
    """Normal score of each half rank among ``size`` draws, shape (2 size + 1,)."""
    rank = np.maximum(np.arange(2 * size + 1), 2) / 2
    return ndtri((rank - 0.375) / (size + 0.25))


def _r_hat(chains: np.ndarray) -> np.ndarray:
    """Square root of the variance of all chains over that within, (Q, C, S) to (Q,)."""
    num = chains.shape[-1]
    within = chains.var(axis=-1, ddof=1).mean(axis=-1)
    between = num * chains.mean(axis=-1).var(axis=-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that never move
        return np.sqrt((between / within + num - 1) / num)


def _ess(chains: np.ndarray) -> np.ndarray:
    """Effective sample size of the means, shape (..., C, S) to (...)."""
    num_chains, num = chains.shape[-2:]
    total, length = num_chains * num, next_fast_len(2 * num, real=True)
    means = chains.mean(axis=-1)
    padded = np.zeros((*chains.shape[:-1], length))
    np.subtract(chains, means[..., None], out=padded[..., :num])
    spectrum = rfft(padded, axis=-1)
    squares = np.square(spectrum.view(float), out=spectrum.view(float))
    power = squares.mean(axis=-2).reshape(*spectrum.shape[:-2], -1, 2).sum(axis=-1)
    autocovariance = irfft(power, n=length, axis=-1)[..., :num] / num
    within = autocovariance[..., 0] * num / (num - 1.0)
    variance = within * (num - 1.0) / num
    if num_chains > 1:
        variance = variance + means.var(axis=-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1.0 - (within[..., None] - autocovariance) / variance[..., None]
    rho[..., 0] = 1.0
    # pairs of lags, as far as ArviZ looks
    last = max((num - 3) // 2, 0)
    pairs = rho[..., : 2 * last + 2].reshape(*rho.shape[:-1], -1, 2).sum(axis=-1)
    negative = pairs <= 0.0
    end = np.where(negative.any(axis=-1), negative.argmax(axis=-1), last)
    kept = np.arange(pairs.shape[-1]) < end[..., None]
    sums = np.where(kept, np.minimum.accumulate(pairs, axis=-1), 0.0).sum(axis=-1)
    # the first lag beyond counts where its correlation is positive, or its pair is
    beyond = np.take_along_axis(rho, 2 * end[..., None], axis=-1)[..., 0]
    paired = np.take_along_axis(pairs, end[..., None], axis=-1)[..., 0]
    tau = -1.0 + 2.0 * sums + np.where(paired >= 0.0, beyond, np.maximum(beyond, 0.0))
    size = total / np.maximum(tau, 1.0 / np.log10(total))
    still = np.ptp(chains, axis=(-2, -1)) < np.finfo(float).resolution  # as ArviZ has it
    return np.where(still, total, size)
