r"""What a network predicts, in one form for every method: a mixture over its draws of the outputs.

One draw is plug-in prediction, M draws an ensemble or a posterior. For Normal rows the predictive
distribution is :math:`S^{-1} \sum_s \mathrm{Normal}(\mu_s, \sigma_s)`; its log score, quantiles
and continuous ranked probability score are computed, not simulated:

.. math:: \mathrm{CRPS}(y) = \frac1S \sum_s A(y - \mu_s, \sigma_s)
          - \frac1{2 S^2} \sum_{s,t} A(\mu_s - \mu_t, \sqrt{\sigma_s^2 + \sigma_t^2}), \qquad
          A(m, s) = m (2 \Phi(m / s) - 1) + 2 s \varphi(m / s)

(Grimit et al. 2006, doi:10.1256/qj.05.235). For classes it is the mean of the draws'
probabilities. All scores: Gneiting and Raftery (2007), doi:10.1198/016214506000001437.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

_HALVINGS = 60  # of a quantile's bracket
_PAIRED = 200  # draws of the double sum at most


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalMixture:
    """Predictive distribution of Normal rows (S draws, N rows).

    Attributes
    ----------
    loc, scale : numpy.ndarray
        Mean and sd of each draw's distribution, shape (S, N), in the unit of y.

    Examples
    --------
    >>> one = NormalMixture(loc=np.zeros((1, 1)), scale=np.ones((1, 1)))
    >>> [round(float(one.quantile(p)[0]), 4) for p in (0.025, 0.5)]
    [-1.96, 0.0]
    """

    loc: np.ndarray
    scale: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Predictive mean, shape (N,)."""
        return self.loc.mean(axis=0)

    @property
    def sd(self) -> np.ndarray:
        """Predictive sd, noise included, shape (N,)."""
        return np.sqrt((self.scale**2).mean(axis=0) + self.loc.var(axis=0))

    def log_score(self, y: np.ndarray) -> np.ndarray:
        """Log predictive density of each row, nats."""
        u = (y - self.loc) / self.scale
        log_density = -0.5 * u**2 - np.log(self.scale) - 0.5 * np.log(2 * np.pi)
        return special.logsumexp(log_density, axis=0) - np.log(len(self.loc))

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Predictive probability of a value at most y, shape (N,)."""
        return special.ndtr((y - self.loc) / self.scale).mean(axis=0)

    def quantile(self, probability: float) -> np.ndarray:
        """Quantile of each row, by bisection, shape (N,)."""
        reach = special.ndtri(probability) * self.scale + self.loc
        low, high = reach.min(axis=0), reach.max(axis=0)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Continuous ranked probability score of each row (smaller is better), in y's unit."""
        thin = np.unique(np.linspace(0, len(self.loc) - 1, _PAIRED).astype(int))
        loc, scale = self.loc[thin], self.scale[thin]
        apart = _absolute(y - self.loc, self.scale).mean(axis=0)
        pairs = [
            _absolute(m - loc, np.hypot(s, scale)).mean(axis=0)
            for m, s in zip(loc, scale, strict=True)
        ]
        return apart - 0.5 * np.mean(pairs, axis=0)


def _absolute(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Expected absolute value of a normal variable."""
    u = mean / sd
    density = np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)
    return mean * (2 * special.ndtr(u) - 1) + 2 * sd * density


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassMixture:
    """Predictive distribution of classes (S draws, N rows, K classes).

    Attributes
    ----------
    draws : numpy.ndarray
        Class probabilities of each draw, shape (S, N, K).

    Examples
    --------
    >>> two = ClassMixture(draws=np.array([[[0.2, 0.8]], [[0.6, 0.4]]]))
    >>> two.prob.round(6).tolist()
    [[0.4, 0.6]]
    """

    draws: np.ndarray

    @property
    def prob(self) -> np.ndarray:
        """Predictive probabilities, shape (N, K)."""
        return self.draws.mean(axis=0)

    def log_score(self, y: np.ndarray) -> np.ndarray:
        """Log predictive probability of each row's class, nats."""
        chosen = self.prob[np.arange(len(y)), y.astype(int)]
        with np.errstate(divide="ignore"):
            return np.log(chosen)

    def brier(self, y: np.ndarray) -> np.ndarray:
        """Brier score of each row: squared distance to the class's indicator, 0 to 2."""
        return np.sum((self.prob - np.eye(self.prob.shape[1])[y.astype(int)]) ** 2, axis=1)

    def correct(self, y: np.ndarray) -> np.ndarray:
        """Whether the likeliest class is the row's, shape (N,)."""
        return self.prob.argmax(axis=1) == y


Predictive = NormalMixture | ClassMixture


def mixture_of_outputs(family: str, outputs: np.ndarray) -> Predictive:
    """Make the predictive mixture of draws of a network's outputs.

    Parameters
    ----------
    family : str
        ``Normal``, ``Bernoulli`` or ``Categorical``, see :mod:`workbench.network.reading`.
    outputs : numpy.ndarray
        Shape (S, N, K).

    Returns
    -------
    NormalMixture or ClassMixture
        With equal weights.

    Examples
    --------
    >>> mixture_of_outputs("Bernoulli", np.zeros((1, 2, 1))).prob.tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    if family == "Normal":
        return NormalMixture(loc=outputs[..., 0], scale=np.exp(outputs[..., 1]))
    if family == "Bernoulli":
        p = special.expit(outputs)
        return ClassMixture(draws=np.concatenate([1 - p, p], axis=-1))
    return ClassMixture(draws=special.softmax(outputs, axis=-1))


def equal_mixture(parts: Sequence[Predictive]) -> Predictive:
    """Mix predictive distributions of the same rows with equal weights.

    Parameters
    ----------
    parts : sequence of NormalMixture or of ClassMixture
        Each of the same number of draws.

    Returns
    -------
    NormalMixture or ClassMixture
        Of all their draws.

    Examples
    --------
    >>> low, high = (NormalMixture(loc=np.full((1, 1), m), scale=np.ones((1, 1))) for m in (-1, 1))
    >>> float(equal_mixture([low, high]).mean[0])
    0.0
    """
    normal = [p for p in parts if isinstance(p, NormalMixture)]
    classes = [p for p in parts if isinstance(p, ClassMixture)]
    if normal:
        loc, scale = (
            np.concatenate(x) for x in zip(*((p.loc, p.scale) for p in normal), strict=True)
        )
        return NormalMixture(loc=loc, scale=scale)
    return ClassMixture(draws=np.concatenate([p.draws for p in classes]))
