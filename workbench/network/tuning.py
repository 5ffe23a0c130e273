r"""Prior precisions and noise of a network at the maximum of Laplace's evidence.

With hyper-parameters :math:`\theta = (\log\alpha, \log\sigma)`, the mode :math:`\tilde w(\theta)`
of the log posterior :math:`P = \log p(y \mid \tilde w, \sigma) - \tfrac12 \sum_d \alpha_d
\tilde w_d^2` and its Gauss-Newton precision :math:`H = C + \mathrm{diag}(\alpha)`,

.. math:: E(\theta) = P + \tfrac12 \sum_d \log \alpha_d - \tfrac12 \log \det H .

C moves with the mode, and the mode with θ. Since P is flat at the mode,

.. math:: \frac{dE}{d\theta} = \frac{\partial E}{\partial \theta}
          + \frac{\partial E}{\partial \tilde w}^\top A^{-1}
            \frac{\partial^2 P}{\partial \tilde w\, \partial \theta}, \qquad
          A = -\frac{\partial^2 P}{\partial \tilde w^2},

whose first term alone, set to zero, is MacKay's fixed point: :math:`\alpha = \gamma /
\lVert \tilde w \rVert^2` and :math:`\sigma^2 = \sum_i (y_i - \hat\mu_i)^2 / (N - \gamma)`, γ the
number of well-determined weights. Where the outputs are linear in the weights the second is zero.
Elsewhere it is not small: on Boston housing with 20 hidden units the fixed point's iterates follow
the noise into the data and *lower* the evidence from -1288 to -1477 nats. So the whole gradient is
taken, by BFGS steps with backtracking, each trial climbing to its own mode.

Where the noise depends on the inputs, the joint mode of both heads is no place to begin: the noise
follows the residuals of the fitted rows to zero. On Boston housing with 10 units and the model's
own prior the smallest sd falls to 2e-6 within 300 steps, the log posterior still rising and the
evidence falling from -1291 to -1417 nats. So the weights of the noise head have a precision of
their own, which begins where the noise is nearly the same everywhere (100 times the prior's) and
which the evidence then sets: 43 and 75 on two splits there, about 10,000, which is constant noise,
on ``kidiq`` and ``nile``.

References
----------
MacKay (1992), doi:10.1162/neco.1992.4.3.448; Foresee and Hagan (1997),
doi:10.1109/ICNN.1997.614194; Nocedal and Wright (2006), Numerical Optimization, chapter 6,
doi:10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.network.climb import Programs, Summit, climb

_ROUNDS = 60  # of setting the hyper-parameters
_STEP = 1.5  # of a log hyper-parameter at most
_LARGEST = np.log(1e8)  # log precision, as a multiple of the model's: no weights at all
_HALVINGS = 8
_CONSTANT = 100.0  # precision of the noise head to begin with: nearly the same noise for all
_GAIN = 1e-4  # share of the predicted gain that a step has to win


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuned:
    """A mode with its hyper-parameters.

    Attributes
    ----------
    z : numpy.ndarray
        The mode, the noise included, shape (D,).
    alpha : numpy.ndarray
        Prior precision of each group of weights, as a multiple of the model's own, shape (G,).
    log_evidence : float
        Of the full matrix, nats.
    history : pandas.DataFrame
        By round: ``log_evidence, precision`` (geometric mean), ``noise, num_effective, steps``.
    converged : bool
        Whether the gradient vanished at the mode, and no step of the hyper-parameters was found
        that would raise the evidence by more than the tolerance.
    num_gradients : int
        Evaluations of the Jacobian.
    """

    z: np.ndarray
    alpha: np.ndarray
    log_evidence: float
    history: pd.DataFrame
    converged: bool
    num_gradients: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Point:
    """The evidence at some hyper-parameters, with its whole gradient."""

    theta: np.ndarray
    summit: Summit
    alpha: np.ndarray
    value: float
    gradient: np.ndarray
    num_effective: float


def tune(
    programs: Programs,
    z: np.ndarray,
    *,
    by_layer: bool,
    precision: float | None,
    noise: int | None,
    max_steps: int,
    tolerance: float,
) -> Tuned:
    """Climb to a network's mode, and its hyper-parameters to the maximum of the evidence.

    Parameters
    ----------
    programs : Programs
        Of the network.
    z : numpy.ndarray
        Where to begin, the noise included, shape (D,).
    by_layer : bool
        One precision for each layer, rather than one for all; the noise head has its own.
    precision : float, optional
        The precision, where it is given and not tuned.
    noise : int, optional
        Where the log sd of the noise that is to be tuned lies in z.
    max_steps : int
        Evaluations of the Jacobian at most.
    tolerance : float
        Nats still to be won, at the mode and by the hyper-parameters, that count as nothing.

    Returns
    -------
    Tuned
        Mode and hyper-parameters.

    Examples
    --------
    Through :func:`workbench.network.fit_network_laplace`.
    """
    network = programs.network
    number = network.num_groups
    # one precision for each layer or one for all; the noise head has its own
    groups = np.arange(number) if by_layer else np.arange(number) // network.num_layers
    size = 0 if precision is not None else groups[-1] + 1
    place, used = network.positions, 0

    def at(theta: np.ndarray, z: np.ndarray, damping: float) -> _Point:
        nonlocal used
        alpha = np.full(number, precision or 1.0)
        if size:
            alpha = np.exp(theta[:size])[groups]
        z = z.copy()
        if noise is not None:
            z[noise] = theta[size]
        end = climb(
            programs,
            z,
            alpha,
            damping=damping,
            max_steps=max(max_steps - used, 1),
            # the curvature is known to the root of what the mode is
            tolerance=min(tolerance, 1e-2) ** 2,
        )
        used += end.num_steps
        value, by_z, by_log_alpha, effective = programs.evidence(end.z, alpha)
        sd, precisions = programs.prior_sd, alpha[network.groups]
        pull = precisions * end.z[place] / sd
        exact = programs.curvature(end.z) + np.diag(precisions)
        along = np.linalg.solve(exact, (by_z[place] * sd))
        # the mode answers to log alpha by -alpha w, to log sigma by -2 alpha w, through A
        moved = np.bincount(network.groups, along * pull, minlength=number)
        total = by_log_alpha - moved
        gradient = np.bincount(groups, total)[:size]
        if noise is not None:
            gradient = np.append(gradient, by_z[noise] - 2 * along @ pull)
        return _Point(
            theta=theta,
            summit=end,
            alpha=alpha,
            value=value,
            gradient=gradient,
            num_effective=effective,
        )

    theta = np.zeros(size)
    if network.noise_head.size and size:
        theta[-1] = np.log(_CONSTANT)
    if noise is not None:
        theta = np.append(theta, z[noise])
    point = at(theta, z, 1.0)
    counts = [max(point.num_effective, 1.0)] * size
    left = max(len(network.observations) - point.num_effective, 1.0)
    inverse = np.diag([2 / n for n in counts] + ([0.5 / left] if noise is not None else []))
    history, settled = [_row(point, noise, used)], False
    for _ in range(_ROUNDS):
        step = inverse @ point.gradient
        gain = 0.5 * float(step @ point.gradient)
        settled = gain < tolerance
        if settled or used >= max_steps or not np.isfinite(point.value):
            break
        step = step / max(1.0, float(np.max(np.abs(step))) / _STEP)
        found, before = None, used
        for _ in range(_HALVINGS):
            trial = point.theta + step
            trial[:size] = np.clip(trial[:size], -_LARGEST, _LARGEST)
            tried = at(trial, point.summit.z, point.summit.damping)
            if tried.value > point.value + _GAIN * float(step @ point.gradient):
                found = tried
                break
            if used >= max_steps:
                break
            step = step / 2
        if found is None:
            # where two units merge the evidence has a ridge: its gradient does not vanish there,
            # but no step wins, down to one that promises next to nothing
            settled = used < max_steps and float(step @ point.gradient) < np.sqrt(tolerance)
            break
        inverse = _bfgs(inverse, found.theta - point.theta, point.gradient - found.gradient)
        point = found
        history.append(_row(point, noise, used - before))
    return Tuned(
        z=point.summit.z,
        alpha=point.alpha,
        log_evidence=point.value,
        history=pd.DataFrame(history),
        converged=bool(settled and point.summit.converged and np.isfinite(point.value)),
        num_gradients=used,
    )


def _bfgs(inverse: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Update of the inverse curvature; left as it is where the function bends upwards."""
    curvature = float(step @ change)
    if curvature <= 1e-10 * float(np.linalg.norm(step) * np.linalg.norm(change)):
        return inverse
    left = np.eye(step.size) - np.outer(step, change) / curvature
    return left @ inverse @ left.T + np.outer(step, step) / curvature


def _row(point: _Point, noise: int | None, steps: int) -> dict[str, float]:
    return {
        "log_evidence": point.value,
        "precision": float(np.exp(np.mean(np.log(point.alpha)))),
        "noise": np.nan if noise is None else float(np.exp(point.theta[-1])),
        "num_effective": point.num_effective,
        "steps": steps,
    }
