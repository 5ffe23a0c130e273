r"""Paths of second-order optimisers, iteration by iteration.

L-BFGS builds the curvature from the gradients it meets (Liu and Nocedal 1989,
doi:10.1007/BF01589116); Newton's method computes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from workbench.fit.spectral import symmetric_eigen

Path = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # value, gradient norm, count, w


def lbfgs_path(gradient: Callable[..., Any], fixed: Any, start: np.ndarray) -> Path:
    """L-BFGS by scipy: one row for each iteration, counted in its gradients.

    Parameters
    ----------
    gradient : callable
        ``gradient(w, fixed)``: value and gradient of what is minimised.
    fixed : Any
        Passed on.
    start : numpy.ndarray
        Shape (P,).

    Examples
    --------
    >>> value, *_, w = lbfgs_path(lambda w, _: (float(w @ w), 2 * w), None, np.ones(2))
    >>> bool(value[0] == 2.0 and np.abs(w[-1]).max() < 1e-8)
    True
    """
    seen: list[tuple[float, float]] = []
    kept: list[tuple[float, float, int, np.ndarray]] = []

    def counted(w: np.ndarray) -> tuple[float, np.ndarray]:
        value, g = (np.asarray(x) for x in gradient(w, fixed))
        seen.append((float(value), float(np.linalg.norm(g))))
        if not kept:
            kept.append((*seen[0], 1, w.copy()))
        return float(value), g

    def each(w: np.ndarray) -> None:
        value, norm = min(seen)
        kept.append((value, norm, len(seen), w.copy()))

    options = {"maxiter": 500, "ftol": 0.0, "gtol": 1e-10}
    minimize(counted, start, jac=True, method="L-BFGS-B", callback=each, options=options)
    value, norm, count, w = zip(*kept, strict=True)
    return np.array(value), np.array(norm), np.array(count), np.stack(w)


def newton_path(derivatives: Callable[[np.ndarray], Any], start: np.ndarray) -> Path:
    """Newton's method with halved steps; a Hessian counts as P gradients.

    Parameters
    ----------
    derivatives : callable
        Value, gradient and Hessian at w of what is *maximised*.
    start : numpy.ndarray
        Shape (P,).

    Examples
    --------
    >>> value, *_, w = newton_path(lambda w: (-w @ w, -2 * w, -2 * np.eye(2)), np.ones(2))
    >>> w.tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    w, count, kept = start, 0, []
    for _ in range(50):
        value, g, hessian = (-np.asarray(x) for x in derivatives(w))
        count += 1 + len(w)
        if kept and not value <= kept[-1][0] + 1e-9 * (1 + abs(value)):
            w = 0.5 * (w + kept[-1][3])  # too far: half the way back
            continue
        kept.append((float(value), float(np.linalg.norm(g)), count, w))
        own, axes = symmetric_eigen(hessian)
        move = axes @ (axes.T @ g / np.maximum(np.abs(own), 1e-8 * np.abs(own).max()))
        if g @ move < 1e-14:
            break
        w = w - move
    value, norm, counts, path = zip(*kept, strict=True)
    return np.array(value), np.array(norm), np.array(counts), np.stack(path)
