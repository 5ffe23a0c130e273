r"""Methods compared fairly: the same splits, the same scores, paired differences, the cost beside.

With :math:`d_j` the difference of a score between two methods at split j, of J,

.. math:: \bar d = \frac1J \sum_j d_j, \qquad
          \mathrm{se}(\bar d) = \sqrt{\frac{1}{J (J - 1)} \sum_j (d_j - \bar d)^2} ,

which leaves out how hard a split is. Splits at random share rows, so that the standard error is
somewhat too small (Nadeau and Bengio 2003, doi:10.1023/A:1024068626366).

A method is one function: ``method(train, seed) -> Answer``, whose ``predict(test)`` gives the
predictive distribution of other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.data import Dataset
from workbench.errors import UsageError
from workbench.fit.provenance import stopwatch
from workbench.network.mixing import Mixing
from workbench.network.prediction import Predictive
from workbench.network.reading import Network
from workbench.network.scores import scores


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a method made of the training data.

    Attributes
    ----------
    predict : callable
        ``predict(data)``: the predictive distribution of the rows of a Dataset, or of a mapping
        from arguments to values.
    num_gradients : float
        Gradients of the whole data's log-likelihood (or passes over it) that it took.
    note : str
        What should be known about this fit ("" for nothing).
    network : Network, optional
        What was fitted, for the diagnosis.
    modes : numpy.ndarray, optional
        Unconstrained points where the starts of an optimiser ended, the best first, shape (S, D).
    mixing : Mixing, optional
        Agreement of the chains, of a method that has chains.

    Examples
    --------
    >>> from workbench.network import NormalMixture
    >>> zero = NormalMixture(loc=np.zeros((1, 2)), scale=np.ones((1, 2)))
    >>> Answer(predict=lambda data: zero, num_gradients=0.0).note
    ''
    """

    predict: Callable[[Any], Predictive]
    num_gradients: float
    note: str = ""
    network: Network | None = None
    modes: np.ndarray | None = None
    mixing: Mixing | None = None


Method = Callable[[Dataset, int], Answer]


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """Scores of several methods on several splits.

    Attributes
    ----------
    by_split : pandas.DataFrame
        One row per split and method: ``split, method``, the scores
        (:func:`workbench.network.scores.scores`), ``seconds`` (training and predicting, with
        compilation), ``num_gradients``, ``note``.
    answers : dict of str to Answer
        Of every method at the first split.

    Examples
    --------
    >>> made = Contest(answers={}, by_split=pd.DataFrame({
    ...     "split": [0, 1, 0, 1], "method": list("aabb"), "rmse": [1.0, 2.0, 1.5, 2.5],
    ...     "seconds": 1.0, "num_gradients": 9.0, "note": ""}))
    >>> made.table.loc[("b", "rmse"), ["mean", "difference", "paired_se"]].tolist()
    [2.0, 0.5, 0.0]
    """

    by_split: pd.DataFrame
    answers: dict[str, Answer]

    @property
    def table(self) -> pd.DataFrame:
        """Mean of every score by method, and its paired difference to the first method.

        Indexed by method and score: ``mean``, ``std_error`` over splits, ``difference`` (method
        less the first), ``paired_se`` (``nan`` with one split).
        """
        wide = self.by_split.drop(columns="note").set_index(["split", "method"]).unstack("method")
        methods = self.by_split["method"].unique()
        rows = []
        for method in methods:
            for score in wide.columns.get_level_values(0).unique():
                value = wide[score][method]
                apart = value - wide[score][methods[0]]
                root = np.sqrt(len(value))
                rows.append(
                    {
                        "method": method,
                        "score": score,
                        "mean": value.mean(),
                        "std_error": value.std() / root,
                        "difference": apart.mean(),
                        "paired_se": apart.std() / root,
                    }
                )
        return pd.DataFrame(rows).set_index(["method", "score"])


def hold_contest(
    methods: Mapping[str, Method],
    splits: Iterable[tuple[Dataset, Dataset]],
    *,
    seed: int = 0,
    progress: Callable[[int, str], None] | None = None,
) -> Contest:
    """Fit every method to the first part of every split and score it at the second.

    Parameters
    ----------
    methods : mapping
        Methods by name; differences are to the first.
    splits : iterable of (Dataset, Dataset)
        Training and test rows.
    seed : int
        Seed of split j is ``seed + j``.
    progress : callable, optional
        Called with split and method before each fit.

    Returns
    -------
    Contest
        Scores, cost and notes.

    Raises
    ------
    UsageError
        Without a method or a split.

    Examples
    --------
    >>> import workbench as wb
    >>> from workbench.network import NormalMixture
    >>> def mean_and_sd(train, seed):
    ...     y = train.observed["y"]
    ...     def predict(data):
    ...         shape = (1, data.num_rows)
    ...         return NormalMixture(loc=np.full(shape, y.mean()), scale=np.full(shape, y.std()))
    ...     return Answer(predict=predict, num_gradients=0.0)
    >>> data = wb.load_dataset("kidiq")
    >>> made = hold_contest({"constant": mean_and_sd}, [data.split(0.9, seed=s) for s in range(3)])
    >>> bool(15 < made.table.loc[("constant", "rmse"), "mean"] < 25)
    True
    """
    rows: list[dict[str, Any]] = []
    answers: dict[str, Answer] = {}
    for j, (train, test) in enumerate(splits):
        y = next(iter(test.observed.values()))
        for name, method in methods.items():
            if progress is not None:
                progress(j, name)
            with stopwatch() as seconds:
                answer = method(train, seed + j)
                made = answer.predict(test)
                elapsed = seconds()
            answers.setdefault(name, answer)
            rows.append(
                {
                    "split": j,
                    "method": name,
                    **scores(made, y),
                    "seconds": elapsed,
                    "num_gradients": answer.num_gradients,
                    "note": answer.note,
                }
            )
    if not rows:
        raise UsageError("a contest expects at least one method and one split; got none")
    return Contest(by_split=pd.DataFrame(rows), answers=answers)
