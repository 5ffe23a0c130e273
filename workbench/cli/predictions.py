"""Predictions of new rows by every method, as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from workbench.comparison import Comparison
    from workbench.data import Dataset
    from workbench.fit import Prediction


def predictions_table(
    comparison: Comparison, rows: Dataset, *, seed: int, num: int, level: float
) -> pd.DataFrame:
    """Predict rows by maximum likelihood and by NUTS.

    Parameters
    ----------
    comparison : Comparison
        With its model (``load(path, model)``).
    rows : Dataset
        Rows coded as the data that were fitted.
    seed, num : int
        Of the predictive draws.
    level : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Column ``row`` (and one for each further axis of the outcome), ``observed`` where known,
        and ``mean``, ``sd``, ``lower``, ``upper`` of each method as ``mle_mean``, ...,
        ``nuts_upper``.
    """
    import jax
    import numpy as np
    import pandas as pd

    key = jax.random.key(seed)
    columns: dict[str, Any] = {}
    methods = [m for m in ("MLE", "NUTS") if m in comparison.fits]
    for method in methods:
        p: Prediction = comparison.fits[method].predict(rows, key=key, num=num, level=level)
        if not columns:
            labels = _labels(rows, p.mean.shape)
            index = [np.ravel(a) for a in np.indices(p.mean.shape)]
            for (name, at), i in zip(labels, index, strict=True):
                columns[name] = np.asarray(at)[i]
            if p.observed is not None:
                columns["observed"] = np.ravel(p.observed)
        for part in ("mean", "sd", "lower", "upper"):
            columns[f"{method.lower()}_{part}"] = np.ravel(getattr(p, part))
    return pd.DataFrame(columns)


def _labels(rows: Dataset, shape: tuple[int, ...]) -> list[tuple[str, Any]]:
    """Name and labels of each axis of the outcome; rows are counted from 0 where unlabelled."""
    found = []
    for axis, size in enumerate(shape):
        labels = rows.coords.get("obs", ()) if axis == 0 else ()
        name = "row" if axis == 0 else f"axis_{axis}"
        found.append((name, list(labels) if len(labels) == size else list(range(size))))
    return found
