r"""Scores of predictions at rows held out, and calibration of class probabilities.

Coverage of a central interval is the share of rows inside it, to be read with its width. The
expected calibration error sorts rows by the probability of their likeliest class into B bins,

.. math:: \mathrm{ECE} = \sum_b \frac{n_b}{N} \lvert \mathrm{accuracy}_b - \mathrm{confidence}_b
          \rvert .

Temperature scaling replaces p by :math:`p^{1/T} / \sum_k p_k^{1/T}` with the T of highest
likelihood at rows that were not fitted.

References
----------
Gneiting and Raftery (2007), doi:10.1198/016214506000001437; Guo, Pleiss, Sun and Weinberger (2017),
"On calibration of modern neural networks", arXiv:1706.04599 (ECE, temperature scaling).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize

from workbench.network.prediction import ClassMixture, NormalMixture, Predictive

_LEVELS = (0.5, 0.95)


def row_scores(made: Predictive, y: np.ndarray) -> pd.DataFrame:
    """Scores of every row; their means over rows are what tables show.

    Parameters
    ----------
    made : NormalMixture or ClassMixture
        Predictive distribution of N rows.
    y : numpy.ndarray
        What was observed there, shape (N,).

    Returns
    -------
    pandas.DataFrame
        Normal rows: ``squared_error, log_score, crps`` and, at 50 and 95 %, ``coverage_LEVEL`` (0
        or 1) and ``width_LEVEL``. Classes: ``accuracy`` (0 or 1), ``log_score, brier``. Log
        scores in nats, higher is better; of the other losses lower is.

    Examples
    --------
    >>> one = NormalMixture(loc=np.zeros((1, 2)), scale=np.ones((1, 2)))
    >>> row_scores(one, np.array([0.0, 3.0]))["coverage_95"].tolist()
    [1.0, 0.0]
    """
    if isinstance(made, ClassMixture):
        columns = {"accuracy": made.correct(y) * 1.0, "log_score": made.log_score(y)}
        return pd.DataFrame({**columns, "brier": made.brier(y)})
    columns = {
        "squared_error": (made.mean - y) ** 2,
        "log_score": made.log_score(y),
        "crps": made.crps(y),
    }
    for level in _LEVELS:
        low, high = (made.quantile(0.5 + sign * level / 2) for sign in (-1, 1))
        columns[f"coverage_{level * 100:.0f}"] = ((low <= y) & (y <= high)) * 1.0
        columns[f"width_{level * 100:.0f}"] = high - low
    return pd.DataFrame(columns)


def scores(made: Predictive, y: np.ndarray) -> pd.Series:
    """Scores of a prediction over all rows.

    Parameters
    ----------
    made : NormalMixture or ClassMixture
        Predictive distribution of N rows.
    y : numpy.ndarray
        What was observed there, shape (N,).

    Returns
    -------
    pandas.Series
        Means of :func:`row_scores`, with ``rmse`` in place of the squared error, and for classes
        ``ece``.

    Examples
    --------
    >>> one = NormalMixture(loc=np.zeros((1, 2)), scale=np.ones((1, 2)))
    >>> round(float(scores(one, np.array([3.0, 4.0]))["rmse"]), 4)  # sqrt(12.5)
    3.5355
    """
    found = row_scores(made, y).mean()
    if isinstance(made, NormalMixture):
        found["rmse"] = np.sqrt(found.pop("squared_error"))
    else:
        found["ece"] = calibration_error(made.prob, y)
    return found


def reliability(prob: np.ndarray, y: np.ndarray, num_bins: int = 10) -> pd.DataFrame:
    """Accuracy against confidence, the table behind a reliability diagram.

    Parameters
    ----------
    prob : numpy.ndarray
        Class probabilities, shape (N, K).
    y : numpy.ndarray
        Classes, shape (N,).
    num_bins : int
        Bins of equal width on (0, 1].

    Returns
    -------
    pandas.DataFrame
        One row per bin that has rows: ``lower, upper, confidence, accuracy, num_rows``.

    Examples
    --------
    >>> made = reliability(np.array([[0.2, 0.8], [0.3, 0.7]]), np.array([1, 0]), num_bins=2)
    >>> made[["confidence", "accuracy", "num_rows"]].values.tolist()
    [[0.75, 0.5, 2.0]]
    """
    confidence, correct = prob.max(axis=1), prob.argmax(axis=1) == y
    number = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    frame = pd.DataFrame({"bin": number, "confidence": confidence, "accuracy": correct * 1.0})
    by_bin = frame.groupby("bin")
    table = by_bin.mean()
    table["num_rows"] = by_bin.size()
    table.insert(0, "lower", table.index / num_bins)
    table.insert(1, "upper", (table.index + 1) / num_bins)
    return table.reset_index(drop=True)


def calibration_error(prob: np.ndarray, y: np.ndarray, num_bins: int = 10) -> float:
    """Expected calibration error of the likeliest class, 0 to 1.

    Examples
    --------
    >>> round(calibration_error(np.array([[0.2, 0.8], [0.3, 0.7]]), np.array([1, 0]), 2), 6)
    0.25
    """
    table = reliability(prob, y, num_bins)
    gap = (table["accuracy"] - table["confidence"]).abs()
    return float((gap * table["num_rows"]).sum() / len(y))


def scaled_by_temperature(made: ClassMixture, temperature: float) -> ClassMixture:
    """Raise the predictive probabilities to the power 1/T.

    Examples
    --------
    >>> one = ClassMixture(draws=np.array([[[0.2, 0.8]]]))
    >>> scaled_by_temperature(one, 0.5).prob.round(6).tolist()  # odds 4 become 16
    [[0.058824, 0.941176]]
    """
    log_prob = np.log(np.maximum(made.prob, np.finfo(float).tiny)) / temperature
    power = np.exp(log_prob - log_prob.max(axis=1, keepdims=True))
    return ClassMixture(draws=(power / power.sum(axis=1, keepdims=True))[None])


def fit_temperature(made: ClassMixture, y: np.ndarray) -> float:
    """Temperature of highest likelihood, at rows that were not fitted.

    Parameters
    ----------
    made : ClassMixture
        Predictive distribution of N rows.
    y : numpy.ndarray
        Classes, shape (N,).

    Returns
    -------
    float
        T, between 1/20 and 20.

    Examples
    --------
    Said with odds of 4 to 1, true 16 times in 17: the temperature is one half.

    >>> made = ClassMixture(draws=np.array([[[0.2, 0.8]] * 17]))
    >>> round(fit_temperature(made, np.array([0] + [1] * 16)), 5)
    0.5
    """

    def loss(log_temperature: float) -> float:
        scaled = scaled_by_temperature(made, float(np.exp(log_temperature)))
        return -float(np.mean(scaled.log_score(y)))

    bound = np.log(20.0)
    found = optimize.minimize_scalar(
        loss, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-8}
    )
    return float(np.exp(found.x))
