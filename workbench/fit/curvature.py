r"""Curvature at an optimum: what is identified, and how precisely.

The observed information is taken in coordinates w in which the data's Gauss-Newton information
is the identity (:mod:`workbench.fit.scaling`), so that its spectrum does not depend on units.
Along each eigenvector :math:`v_k` the objective is probed two standard errors to both sides,
where a regular maximum loses about 2 nats (nothing is probed where theory bounds that loss from
below, see :mod:`workbench.fit.least_loss`):

* no loss on both sides: a *null direction*, not identified;
* no loss on one side: a *runaway direction*, the objective rises (or stays) to infinity;
* a gain, with negative curvature: a saddle;
* a loss of a nat within a thousandth of a standard error: a *singular direction*, flat to second
  order only (a hidden unit without weight), whose standard error would mean nothing; so too one of
  negative curvature that loses on both sides, and a ridge that loses a million nats two standard
  errors away, on which Newton's method did not end.

The covariance is the inverse information on the remaining directions. It is never read along the
others: a quantity that moves along them gets no standard error (see :func:`refusals`).

References
----------
Rothenberg (1971), "Identification in parametric models", doi:10.2307/1913267;
Pawitan (2001), In All Likelihood, Oxford University Press, chapter 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.fit.concavity import one_maximum
from workbench.fit.least_loss import least_loss
from workbench.fit.newton import CONVERGED_DECREMENT
from workbench.fit.objective import Objective
from workbench.fit.optimiser import Optimum
from workbench.fit.spectral import symmetric_eigen
from workbench.fit.status import Status

_PROBES = 2.0 * 4.0 ** np.arange(4)  # standard errors; the longer ones for flat directions only
_SHRINK = 40  # halvings of a probe that is not finite
_PERFECT = 1e-6  # nats from the bound of a likelihood of choices
_NO_LOSS = 1e-6  # nats; a regular maximum loses about 2
_FALL = 1e-3  # nats, a loss beyond doubt where one is proved
_SINGULAR = np.array([1e-3])  # standard errors, where a regular maximum loses under 1e-6 nats
_RIDGE = 1e6  # nats at two standard errors, where a regular maximum loses about 2
_NULL = 1e-9  # eigenvalue in scaled coordinates, where an identified direction has about 1


@dataclass(frozen=True, kw_only=True)
class Curvature:
    """The spectrum of the observed information, and what follows from it.

    Attributes
    ----------
    eigenvalues : numpy.ndarray
        Of the information in scaled coordinates, ascending, shape (P,); about 1 where the data
        determine a direction as the Gauss-Newton information says.
    condition_number : float
        Largest over smallest eigenvalue of the information scaled to a unit diagonal.
    null, runaway : numpy.ndarray
        Directions in unconstrained coordinates, columns of shape (P, n); runaway ones point to
        where the objective does not fall. Singular directions are among the null ones.
    information, covariance : numpy.ndarray
        In unconstrained coordinates, shape (P, P); the covariance of the identified directions.
    status : Status
        What the curvature and the probes say.
    gain : float
        Largest gain among the probes, nats.
    """

    eigenvalues: np.ndarray
    condition_number: float
    null: np.ndarray
    runaway: np.ndarray
    information: np.ndarray
    covariance: np.ndarray
    status: Status
    gain: float


def examine(objective: Objective, optimum: Optimum) -> Curvature:
    """Read the curvature at an optimum and probe each direction.

    Parameters
    ----------
    objective : Objective
        What was maximised.
    optimum : Optimum
        Where the optimiser ended.

    Returns
    -------
    Curvature
        With the status; whether a runaway is a separation or a boundary is for the caller, who
        knows the sites.
    """
    scale, info_w = optimum.scale, optimum.information
    size = optimum.theta.size
    if not (np.isfinite(info_w).all() and np.isfinite(optimum.value)):
        blank = np.full((size, size), np.nan)
        none = np.zeros((size, 0))
        return Curvature(
            eigenvalues=np.full(size, np.nan),
            condition_number=np.nan,
            null=none,
            runaway=none,
            information=blank,
            covariance=blank,
            status=Status.NOT_CONVERGED,
            gain=np.nan,
        )
    eigenvalues, vectors = symmetric_eigen(info_w)
    flat = np.abs(eigenvalues) <= _NULL
    steps = vectors / np.sqrt(np.where(flat, 1.0, np.abs(eigenvalues)))
    directions = scale @ steps  # columns: one standard error in unconstrained coordinates
    noise = max(_NO_LOSS, 1e-11 * abs(optimum.value))
    least = -np.inf
    if _ended(optimum) and eigenvalues.min(initial=1.0) > _NULL:
        least = least_loss(objective, optimum, 2.0 * directions)
    proved = least > max(_FALL, noise)
    if proved:
        loss = np.full((2, size), least)
    else:
        loss = _losses(objective, optimum, directions, _PROBES[:1])[0]
    no_loss = loss <= noise
    # flat on both sides nearby: look further out before calling it flat
    plateau = no_loss.all(axis=0)
    if plateau.any():
        further = _losses(objective, optimum, directions[:, plateau], _PROBES[1:])
        no_loss[:, plateau] = (further <= noise).all(axis=0)
    null = no_loss.all(axis=0)
    one_sided = no_loss.any(axis=0) & ~null
    sign = np.where(no_loss[0], 1.0, -1.0)
    negative = (eigenvalues < -_NULL) & ~null & ~one_sided
    # a fall where the curvature promises a rise: it is not that of the function
    singular = negative & (loss.min(axis=0) > noise)
    singular |= (loss.min(axis=0) > _RIDGE) & (not _ended(optimum))
    if not one_maximum(objective):  # a concave function has no such directions
        near = _losses(objective, optimum, directions, _SINGULAR)[0]
        singular |= near.min(axis=0) > 1.0
    singular &= np.abs(eigenvalues) > _NULL
    regular = ~(null | one_sided | negative | flat | singular)
    undetermined = null | (flat & ~one_sided) | singular
    gain = float(max(0.0, -loss.min())) if size else 0.0
    basis = directions[:, regular]
    runaway = (directions * sign)[:, one_sided]
    pull = np.linalg.inv(scale)
    known = proved or one_sided.any()
    ray = None if known else _recession(objective, optimum, noise)
    if ray is not None:
        # a mixture of eigenvectors runs off: take it out of the identified directions
        share = np.linalg.lstsq(basis, ray, rcond=None)[0]
        basis = basis - np.outer(basis @ share, share) / (share @ share)
        runaway = ray[:, None]
        if abs(optimum.value) < _PERFECT:  # nothing is left to lose: every direction runs off
            runaway, basis = np.column_stack([ray, directions]), basis[:, :0]
    return Curvature(
        eigenvalues=eigenvalues,
        condition_number=_condition_number(pull.T @ info_w @ pull),
        null=directions[:, undetermined],
        runaway=runaway,
        information=pull.T @ info_w @ pull,
        covariance=basis @ basis.T,
        status=_status(optimum, undetermined, runaway, eigenvalues, gain),
        gain=gain,
    )


def _recession(objective: Objective, optimum: Optimum, noise: float) -> np.ndarray | None:
    """A direction along which likelihood is not lost for long, found where none should be.

    Where the likelihood of choices has reached its bound, every direction has the same tiny
    curvature, and eigenvectors are arbitrary mixtures. The last Newton step, and the ray from the
    centre through the point, are the directions in which such a likelihood still rises
    (Albert and Anderson 1984, doi:10.1093/biomet/71.1.1).
    """
    inverse = np.linalg.inv(optimum.scale)
    for w in (np.linalg.pinv(optimum.information) @ optimum.gradient, inverse @ optimum.theta):
        length = np.linalg.norm(w)
        if not np.isfinite(length) or length == 0.0:
            continue
        direction = optimum.scale @ w / length
        loss = _losses(objective, optimum, direction[:, None], _PROBES)[:, :, 0]
        if (loss[:, 0] <= noise).all() and (loss[0, 1] > noise or abs(optimum.value) < _PERFECT):
            return direction
    return None


def _losses(
    objective: Objective, optimum: Optimum, directions: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Loss in nats at each of L lengths (standard errors), side and direction, shape (L, 2, P).

    A probe that leaves the finite numbers (an exponential that underflows to the edge of a
    support) is halved until it does not.
    """
    both = np.stack([directions.T, -directions.T])
    length = np.broadcast_to(lengths[:, None, None], (len(lengths), *both.shape[:2])).copy()

    def losses() -> np.ndarray:
        points = optimum.theta + length[..., None] * both
        there = objective.values_at(points.reshape(-1, optimum.theta.size))
        return optimum.value - there.reshape(length.shape)

    loss = losses()
    for _ in range(_SHRINK):
        outside = ~np.isfinite(loss)
        if not outside.any():
            break
        length[outside] *= 0.5
        loss = losses()
    return np.where(np.isnan(loss), np.inf, loss)


def _status(
    optimum: Optimum, null: np.ndarray, runaway: np.ndarray, eigenvalues: np.ndarray, gain: float
) -> Status:
    if runaway.size:
        return Status.UNBOUNDED
    if null.any():
        return Status.NOT_IDENTIFIED
    if eigenvalues.size and eigenvalues.min() < -_NULL:
        return Status.SADDLE
    return Status.CONVERGED if _ended(optimum) and gain <= 1e-3 else Status.NOT_CONVERGED


def _ended(optimum: Optimum) -> bool:
    """Whether the decrement has fallen to rounding, that of the objective itself included."""
    return optimum.decrement <= max(CONVERGED_DECREMENT, 1e-14 * abs(optimum.value))


def _condition_number(information: np.ndarray) -> float:
    """Of the information scaled to a unit diagonal, so that units do not matter."""
    d = np.sqrt(np.abs(np.diag(information)))
    d[d == 0] = 1.0
    eigenvalues = np.abs(np.linalg.eigvalsh(information / np.outer(d, d)))
    if eigenvalues.size == 0:
        return 1.0
    return float(eigenvalues.max() / eigenvalues.min()) if eigenvalues.min() > 0 else np.inf


def run_off(curvature: Curvature, optimum: Optimum, span: np.ndarray) -> Curvature:
    """Curvature in which the given combinations, and no others, run off.

    Parameters
    ----------
    curvature : Curvature
        As read by :func:`examine`.
    optimum : Optimum
        Where the optimiser ended.
    span : numpy.ndarray
        Basis of the combinations without a finite optimum, columns of shape (P, n).

    Returns
    -------
    Curvature
        The covariance is that of the others, in the limit: the information of what does not run
        off, inverted on a complement of the span. For a combination that vanishes on the span it
        is the same for every complement.
    """
    # far out the objective is flat to rounding along what runs off, which is not a null direction
    to_w = np.linalg.inv(optimum.scale)
    runs = np.linalg.qr(to_w @ span)[0]
    beside = to_w @ curvature.null
    beside = beside - runs @ (runs.T @ beside)
    size = np.linalg.norm(to_w @ curvature.null, axis=0)
    null = curvature.null[:, np.linalg.norm(beside, axis=0) > 1e-3 * size]
    away = to_w @ np.column_stack([span, null])
    left = np.linalg.qr(away, mode="complete")[0][:, away.shape[1] :]
    information = left.T @ optimum.information @ left
    covariance = np.full_like(curvature.covariance, np.nan)
    if np.isfinite(information).all() and np.linalg.eigvalsh(information).min(initial=1.0) > _NULL:
        basis = optimum.scale @ left
        covariance = basis @ np.linalg.solve(information, basis.T)
    return replace(
        curvature, null=null, runaway=span, covariance=covariance, status=Status.UNBOUNDED
    )


def refusals(jacobian: np.ndarray, curvature: Curvature, labels: Sequence[str]) -> list[str]:
    """Reason for refusing a standard error, for each quantity (empty where none).

    Parameters
    ----------
    jacobian : numpy.ndarray
        Derivative of Q quantities in the unconstrained parameters, shape (Q, P).
    curvature : Curvature
        Of the fit.
    labels : sequence of str
        Labels of the P coordinates.

    Returns
    -------
    list of str
        ``""``, or a sentence that names the combination that is not determined.

    Notes
    -----
    A null direction is infinitely long, so any loading on it counts (above rounding, 1e-6 of the
    quantity's gradient). A runaway direction ends at the last iterate, so a loading counts when
    it is above one hundredth of the quantity's own standard error.
    """
    variance = np.einsum("qi,ij,qj->q", jacobian, curvature.covariance, jacobian)
    error = np.sqrt(np.maximum(variance, 0.0))
    reasons = [""] * len(jacobian)
    moves = moves_along(jacobian, curvature.null, curvature.information)
    for direction, moved in zip(curvature.null.T, moves.T, strict=True):
        for q in np.flatnonzero(moved):
            reasons[q] = reasons[q] or (
                "not identified: the objective is flat along " + combination(direction, labels)
            )
    for direction in curvature.runaway.T:
        loading = np.abs(jacobian @ direction)
        # where both are 0 a limit has been reached: a probability of exactly 0 or 1
        for q in np.flatnonzero(~(loading < 0.01 * error)):
            reasons[q] = reasons[q] or (
                "no finite optimum: the objective does not fall along "
                + combination(direction, labels)
            )
    return reasons


def moves_along(
    jacobian: np.ndarray, directions: np.ndarray, information: np.ndarray
) -> np.ndarray:
    """Which quantities move along which directions, above rounding (1e-6 of their gradient).

    Parameters
    ----------
    jacobian : numpy.ndarray
        Derivative of Q quantities in the unconstrained parameters, shape (Q, P).
    directions : numpy.ndarray
        Columns of shape (P, n).
    information : numpy.ndarray
        Whose diagonal gives the units, shape (P, P).

    Returns
    -------
    numpy.ndarray
        Booleans, shape (Q, n).
    """
    unit = np.sqrt(np.maximum(np.diag(np.abs(information)), 1e-300))
    size = np.linalg.norm(jacobian / unit, axis=1)
    length = np.linalg.norm(directions * unit[:, None], axis=0)
    loading = np.abs(jacobian @ directions) / np.maximum(np.outer(size, length), 1e-300)
    return loading > 1e-6


def combination(
    direction: np.ndarray, labels: Sequence[str], most: int = 4, unit: np.ndarray | None = None
) -> str:
    """Write a direction as a combination of labels, the weight that counts most scaled to 1.

    Parameters
    ----------
    direction : numpy.ndarray
        Weights, shape (P,).
    labels : sequence of str
        One for each weight.
    most : int
        How many are written.
    unit : numpy.ndarray, optional
        What one of each label is worth, shape (P,): weights count by their product with it, so
        that a covariate in dollars is not dropped beside one in millions. All 1 by default.

    Examples
    --------
    >>> combination(np.array([2.0, 0.0, -1.0]), ["a", "b", "c"])
    'a - 0.5 c'
    """
    worth = np.abs(direction) * (1.0 if unit is None else unit)
    order = [i for i in np.argsort(-worth) if worth[i] > 1e-3 * worth.max()]
    weights = direction / abs(direction[order[0]])
    parts: list[str] = []
    for i in order[:most]:
        size = f"{abs(weights[i]):.2g}"
        sign = "-" if weights[i] < 0 else "+"
        term = str(labels[i]) if size == "1" else f"{size} {labels[i]}"
        parts += [sign, term] if parts or sign == "-" else [term]
    text = " ".join(parts).replace("- ", "-", 1) if parts and parts[0] == "-" else " ".join(parts)
    return text + (" + ..." if len(order) > most else "")
