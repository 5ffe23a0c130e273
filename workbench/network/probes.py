r"""Where a network is looked at: along a covariate, over a plane of two, and inside a gap.

A gap split leaves out the middle third of the rows by one covariate: both sides are fitted, and
what is between them is predicted. A method that knows only one function is as sure there as beside
the data (Foong et al. 2019, "'In-between' uncertainty in Bayesian neural networks",
arXiv:1906.11537).
"""

from __future__ import annotations

import numpy as np

from workbench.data import Dataset
from workbench.errors import UsageError
from workbench.network.reading import Network


def gap_split(data: Dataset, column: int) -> tuple[Dataset, Dataset]:
    """Leave out the middle third of the rows by one covariate.

    Parameters
    ----------
    data : Dataset
        With a design ``x``, shape (N, P).
    column : int
        Column of the design.

    Returns
    -------
    train, test : Dataset
        The outer rows, and those in the gap, whose values of the covariate are shared with none of
        the outer ones.

    Raises
    ------
    UsageError
        When the covariate has fewer than three values.

    Examples
    --------
    >>> import workbench as wb
    >>> train, test = gap_split(wb.load_dataset("nile"), 1)
    >>> train.num_rows, test.inputs["x"][[0, -1], 1].tolist()
    (66, [1904.0, 1937.0])
    """
    values = np.asarray(data.inputs["x"])[:, column]
    if len(np.unique(values)) < 3:
        raise UsageError(
            "a gap expects a covariate of three values at least; got column "
            f"{column} of data '{data.name}' with {len(np.unique(values))}"
        )
    order = np.sort(values)
    low, high = order[len(order) // 3], order[-(len(order) // 3) - 1]
    if low == order[0]:
        low = np.unique(values)[1]
    if high == order[-1]:
        high = np.unique(values)[-2]
    inside = (values >= low) & (values <= high)
    return data.take(~inside), data.take(inside)


def most_graded(x: np.ndarray) -> int:
    """Column of a design with the most distinct values, the first of several.

    Examples
    --------
    >>> most_graded(np.array([[1.0, 0.0], [1.0, 2.0], [1.0, 3.0]]))
    1
    """
    return int(np.argmax([len(np.unique(column)) for column in x.T]))


def along(x: np.ndarray, columns: tuple[int, ...], num: int, beyond: float) -> list[np.ndarray]:
    """Values of some columns over their range and a share of it beyond either end.

    Examples
    --------
    >>> along(np.array([[0.0], [10.0]]), (0,), 3, 0.1)[0].tolist()
    [-1.0, 5.0, 11.0]
    """
    found = []
    for column in columns:
        low, high = x[:, column].min(), x[:, column].max()
        room = beyond * (high - low)
        found.append(np.linspace(low - room, high + room, num))
    return found


def rows_at(x: np.ndarray, columns: tuple[int, ...], values: np.ndarray) -> dict[str, np.ndarray]:
    """Rows with given values in some columns, and the means of the data in the others.

    Parameters
    ----------
    x : numpy.ndarray
        Design of the data, shape (N, P).
    columns : tuple of int
        Which columns are given.
    values : numpy.ndarray
        Their values, shape (M, number of columns).

    Returns
    -------
    dict
        ``x``, shape (M, P).

    Examples
    --------
    >>> rows_at(np.array([[1.0, 4.0], [1.0, 6.0]]), (0,), np.array([[7.0]]))["x"].tolist()
    [[7.0, 5.0]]
    """
    rows = np.tile(x.mean(axis=0), (len(values), 1))
    rows[:, list(columns)] = values
    return {"x": rows}


def telling_columns(network: Network, z: np.ndarray) -> tuple[int, int]:
    """The two columns along which a network's outputs change most, the others at their means.

    Parameters
    ----------
    network : Network
        With two covariates at least that vary.
    z : numpy.ndarray
        Unconstrained point, shape (D,).

    Returns
    -------
    tuple of int
        The one of more change first.

    Raises
    ------
    UsageError
        When fewer than two columns vary.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_classifier import mlp_classifier
    >>> from workbench.network import fit_network_laplace
    >>> fit = fit_network_laplace(mlp_classifier(hidden=()), wb.load_dataset("iris"))
    >>> names = wb.load_dataset("iris").coords["coefficient"]
    >>> sorted(names[j] for j in telling_columns(fit.network, fit.z))
    ['petal_length', 'petal_width']
    """
    x = network.rows["x"]
    varying = np.flatnonzero(np.ptp(x, axis=0) > 0)
    if len(varying) < 2:
        raise UsageError(
            f"a plane expects two covariates that vary; got {len(varying)} in network "
            f"'{network.density.model.name}'"
        )
    draws, change = network.draws_of_z(z[None]), []
    for column in varying:
        values = along(x, (int(column),), 20, 0.0)[0]
        outputs = network.outputs_of_draws(draws, rows_at(x, (int(column),), values[:, None]))[0]
        change.append(np.ptp(outputs, axis=0).max())
    first, second = varying[np.argsort(change)[::-1][:2]]
    return int(first), int(second)
