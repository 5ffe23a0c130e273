r"""Early stopping as a ridge penalty that nobody wrote down.

Gradient descent on the negative log-likelihood from the centre of the prior, in units w of the
prior's sd and with step :math:`\eta`, has after t steps on a quadratic with curvature
:math:`h_k` along its eigenvectors kept the shares

.. math:: 1 - (1 - \eta h_k)^t \approx 1 - e^{-\eta t h_k}
          \qquad\text{of the maximum likelihood estimate; ridge keeps}\qquad
          \frac{h_k}{h_k + 1 / s^2}

at s times the width of the prior. Both go from 0 to 1 in the same order of directions, and with
:math:`s^2 = \eta t` they agree to first order; they are nowhere further apart than 0.204. The
number of steps is a width: :math:`t = s^2 / \eta`. Parameters without a scaled prior are held at
the posterior mode.

References
----------
Ali, Kolter and Tibshirani (2019), PMLR 89:1370-1378; Goodfellow, Bengio and Courville (2016), Deep
Learning, section 7.8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from workbench.fit.objective import Objective
from workbench.model import Density


def early_stopping(
    density: Density,
    at: np.ndarray,
    places: np.ndarray,
    centre: np.ndarray,
    sd: np.ndarray,
    curvature: np.ndarray,
    *,
    steps: np.ndarray,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Gradient descent from the centre of the prior, stopped at several steps.

    Parameters
    ----------
    density : Density
        The model at its data; random effects are integrated out of the likelihood.
    at : numpy.ndarray
        Where the other coordinates are held, shape (D,).
    places : numpy.ndarray
        Positions of the coordinates that move, shape (P,).
    centre, sd : numpy.ndarray
        Of their prior, shape (P,).
    curvature : numpy.ndarray
        Minus the Hessian of the log-likelihood in the moving coordinates there, shape (P, P); the
        step is the inverse of its largest eigenvalue, in units of the prior's sd.
    steps : numpy.ndarray
        Increasing numbers of steps to stop at, shape (K,).

    Returns
    -------
    table : pandas.DataFrame
        Index ``steps``; ``width`` (the s that it stands for), ``effective_parameters`` of stopping
        and of ``ridge`` at that width, for the curvature at the mode, and ``log_likelihood``.
    path : numpy.ndarray
        Coordinates at each, shape (K, P).
    """
    program = _descent(density, places)
    fixed = tuple(jnp.asarray(x) for x in (at, centre, sd))
    own = np.linalg.eigvalsh(curvature * np.outer(sd, sd))
    rate = 1 / own[-1]
    w, path, fits = jnp.zeros(len(places)), [], []
    for count in np.diff(steps, prepend=0):
        w, fit = program(w, int(count), rate, *fixed, density.arrays)
        path.append(centre + sd * np.asarray(w))
        fits.append(float(fit))
    width = np.sqrt(rate * steps)
    own = np.maximum(own, 0.0)
    kept = 1 - np.maximum(1 - rate * own, 0.0) ** steps[:, None]
    table = pd.DataFrame(
        {
            "width": width,
            "effective_parameters": kept.sum(axis=1),
            "ridge": (own / (own + 1 / width[:, None] ** 2)).sum(axis=1),
            "log_likelihood": fits,
        },
        index=pd.Index(steps, name="steps"),
    )
    return table, np.array(path)


def _descent(density: Density, places: np.ndarray) -> Callable[..., Any]:
    """Compiled: so many steps of descent."""
    likelihood = Objective(density=density, method="MLE")

    def fit(w: jax.Array, at: Any, centre: Any, sd: Any, arrays: Any) -> jax.Array:
        z = at.at[places].set(centre + sd * w)
        return likelihood(z[likelihood.free], arrays)

    def descend(w: jax.Array, count: Any, rate: Any, *rest: Any) -> tuple[jax.Array, jax.Array]:
        def step(_: Any, w: jax.Array) -> jax.Array:
            return w + rate * jax.grad(fit)(w, *rest)

        w = jax.lax.fori_loop(0, count, step, w)
        return w, fit(w, *rest)

    return jax.jit(descend)
