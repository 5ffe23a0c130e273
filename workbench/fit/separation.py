r"""Separation: when counts and choices leave a linear predictor without a finite estimate.

Each outcome gives rows :math:`x` of the design of the linear predictors
(:mod:`workbench.fit.predictors`): a row of A where the likelihood never falls with
:math:`a^T \beta` (a success with x; a failure, or a count of zero, with -x; the chosen category
less another), a row of E where it falls on both sides (a count between its bounds). There is no
finite maximum when, for some direction d,

.. math:: A d \ge 0, \qquad A d \ne 0, \qquad E d = 0:

*complete* separation where some d predicts every outcome strictly, *quasi-complete* otherwise
(Albert and Anderson 1984). A linear program finds it (Konis 2007):

.. math:: \max_{d, e} \sum_i e_i \quad\text{with}\quad
          A d \ge e, \quad 0 \le e \le 1, \quad E d = 0.

Such d form a cone, so at the maximum every :math:`e_i` is 0 or 1, and it is 1 for each row that
some d predicts. What runs off is the span of the cone: the d with :math:`a_i^T d = 0` on the
remaining rows. Of the d that predict all that can be predicted, a second program gives the one of
least :math:`\sum_j |d_j|` (columns scaled to a largest entry of 1), which names few parameters.

References
----------
Albert and Anderson (1984), doi:10.1093/biomet/71.1.1;
Konis (2007), Linear programming algorithms for detecting separated data in binary logistic
regression models, DPhil thesis, University of Oxford;
Correia, Guimaraes and Zylkin (2019), for counts, arXiv:1903.01633.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, sparse

from workbench.errors import FitError
from workbench.fit.predictors import Predictors

_MANY = 1000  # rows; the program takes a minute for 100,000
_ROUNDING = 1e-9  # of the largest singular value, or of the largest weight


@dataclass(frozen=True, kw_only=True, eq=False)
class Separation:
    """A separating combination of parameters, and all that runs off with it.

    Attributes
    ----------
    direction : numpy.ndarray
        The combination along which the likelihood rises without end, shape (P,).
    span : numpy.ndarray
        Basis of all combinations without a finite estimate, columns of shape (P, n).
    size : numpy.ndarray
        Largest entry of each column of the design, shape (P,): what a weight is measured by.
    num_predicted, num_observations : int
        Observations predicted perfectly, and all of them.
    """

    direction: np.ndarray
    span: np.ndarray
    size: np.ndarray
    num_predicted: int
    num_observations: int

    @property
    def complete(self) -> bool:
        """Whether every outcome is predicted perfectly."""
        return self.num_predicted == self.num_observations


def find_separation(predictors: Predictors) -> Separation | None:
    """Solve the two linear programs.

    Parameters
    ----------
    predictors : Predictors
        The rows of the design, and the side to which each may go.

    Returns
    -------
    Separation or None
        ``None`` for overlapping data, which have a finite maximum along the linear parameters.

    Raises
    ------
    FitError
        When the solver gives up on a program that has a solution.

    Examples
    --------
    >>> found = find_separation(Predictors(
    ...     design=np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]),
    ...     side=np.array([-1, -1, 1]), owner=np.arange(3), linear=np.ones(2, dtype=bool),
    ...     links={"y": "logit"}))
    >>> found.complete, (found.direction / found.direction[1]).round(6).tolist()
    (True, [-2.5, 1.0])
    """
    size = np.abs(predictors.design).max(axis=0)
    size[size == 0.0] = 1.0
    scaled = predictors.design / size
    free = predictors.side != 0
    rises = scaled[free] * predictors.side[free, None]
    rows, inverse = np.unique(rises, axis=0, return_inverse=True)
    fixed = np.unique(scaled[~free], axis=0)
    if len(rows) > _MANY:
        # the cone of some rows holds the cone of all: where they overlap, so do all
        some = np.random.default_rng(0).choice(len(rows), _MANY, replace=False)
        if not _predictable(rows[some], fixed).any():
            return None
    predicted = _predictable(rows, fixed)
    if not predicted.any():
        return None
    span = _span(rows, fixed, predicted)
    direction = _sparsest(rows[predicted], span)
    if direction is None:
        return None
    # an observation is predicted when each of its rows is
    open_rows = predictors.owner[np.flatnonzero(free)[~predicted[inverse.reshape(-1)]]]
    unpredicted = np.union1d(open_rows, predictors.owner[~free])
    observations = np.unique(predictors.owner[predictors.owner >= 0])
    return Separation(
        direction=direction / size,
        span=span / size[:, None],
        size=size,
        num_predicted=len(np.setdiff1d(observations, unpredicted)),
        num_observations=len(observations),
    )


def _predictable(rows: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Rows that some direction predicts strictly while no other row falls."""
    count, size = rows.shape
    # unknowns: d (free), then e in [0, 1]
    result = optimize.linprog(
        np.concatenate([np.zeros(size), -np.ones(count)]),
        A_ub=sparse.hstack([sparse.csr_array(-rows), sparse.eye_array(count)], format="csr"),
        b_ub=np.zeros(count),
        A_eq=np.column_stack([fixed, np.zeros((len(fixed), count))]) if len(fixed) else None,
        b_eq=np.zeros(len(fixed)) if len(fixed) else None,
        bounds=[(None, None)] * size + [(0.0, 1.0)] * count,
        method="highs",
    )
    if result.status != 0:
        raise FitError(
            f"the linear program that looks for separation in {count} rows and {size} parameters "
            f"expects a solution; got: {result.message}"
        )
    return result.x[size:] > 0.5


def _span(rows: np.ndarray, fixed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Directions that move no unpredicted row, but some row; columns, shape (P, n)."""
    moving = linalg.orth(np.concatenate([rows, fixed]).T, rcond=_ROUNDING)
    held = np.concatenate([rows[~predicted], fixed]) @ moving
    if len(held) == 0:
        return moving
    return moving @ linalg.null_space(np.linalg.qr(held, mode="r"), rcond=_ROUNDING)


def _sparsest(rows: np.ndarray, span: np.ndarray) -> np.ndarray | None:
    """Direction of least absolute weights in the span that predicts every row; None if none does.

    The last is how a separation that is within rounding of an overlap shows itself.
    """
    size, k = span.shape
    if k == 0:
        return None
    # unknowns: c (free) with d = span c, then |d|
    eye = np.eye(size)
    result = optimize.linprog(
        np.concatenate([np.zeros(k), np.ones(size)]),
        A_ub=np.block([[-rows @ span, np.zeros((len(rows), size))], [span, -eye], [-span, -eye]]),
        b_ub=np.concatenate([-np.ones(len(rows)), np.zeros(2 * size)]),
        bounds=[(None, None)] * k + [(0.0, None)] * size,
        method="highs",
    )
    if result.status != 0:
        return None
    direction = span @ result.x[:k]
    direction[np.abs(direction) < _ROUNDING * np.abs(direction).max()] = 0.0
    return direction
