r"""The log posterior of a network seen near a mode: along its axes, in a plane, between two modes.

In weights over their prior sds, all other coordinates held, minus the log posterior per row

.. math:: L(\tilde w) = -\tfrac1N \big(\log p(y \mid \tilde w) - \tfrac12 \lVert \tilde w \rVert^2
          \big)

is cut through a mode along the eigenvectors of its Hessian. Its Hessian is that of the likelihood
plus the prior's, which is one in every direction: an eigenvalue of the likelihood above one belongs
to a direction that the data decide, one about zero to a direction that changes no prediction.

On the line :math:`(1 - t) \tilde w_a + t \tilde w_b` between two modes the loss may rise: a
barrier. Part of it is only that the units of b stand in another order; with b's units matched to
a's (:mod:`workbench.network.symmetry`) what is left is a barrier between functions.

References
----------
Li et al. (2018), "Visualizing the loss landscape of neural nets", arXiv:1712.09913; Sagun et al.
(2017), "Empirical analysis of the Hessian of over-parametrized neural networks",
arXiv:1706.04454; Ainsworth, Hayase and Srinivasa (2023), "Git re-basin", arXiv:2209.04836.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from workbench.fit.spectral import symmetric_eigen
from workbench.network.climb import Programs
from workbench.network.reading import Network
from workbench.network.symmetry import find_symmetry, nearest_copy

_STEPS = 41  # of each axis of a plane, and of a line
_FLAT = 1e-6  # curvature, where the prior's is one
_ANOTHER = 0.05  # sds of the outputs, by which two functions differ
_BATCH = 100  # points evaluated at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """The loss of a network about a mode (D' weights, N rows).

    Attributes
    ----------
    eigenvalues : numpy.ndarray
        Of minus the Hessian of the log-likelihood in prior sds, descending, shape (D',).
    gauss_newton : numpy.ndarray
        Those of the Gauss-Newton matrix, which are never negative, descending, shape (D',).
    plane : pandas.DataFrame
        Loss above the mode's, nats per row, on a grid along the two stiffest directions: index
        and columns in prior sds.
    flat : pandas.DataFrame
        The same along the stiffest direction (index) and the flattest (columns).
    line : pandas.DataFrame
        Index ``t`` from the mode (0) to another (1); loss above the mode's, nats per row, ``as
        found`` and with ``units matched``; no rows without another mode.
    num_rows : int
        N.

    Examples
    --------
    >>> none = pd.DataFrame()
    >>> line = pd.DataFrame({"as found": [0.0, 2.0, 0.1], "units matched": [0.0, 0.75, 0.25]})
    >>> made = Surface(eigenvalues=np.array([40.0, 2.0, 0.1, -0.2]), gauss_newton=np.zeros(4),
    ...     plane=none, flat=none, line=line, num_rows=9)
    >>> made.num_decided, made.barrier()
    (2, 0.5)
    """

    eigenvalues: np.ndarray
    gauss_newton: np.ndarray
    plane: pd.DataFrame
    flat: pd.DataFrame
    line: pd.DataFrame
    num_rows: int

    @property
    def num_decided(self) -> int:
        """Number of directions in which the likelihood curves more than the prior."""
        return int(np.sum(self.eigenvalues > 1))

    def barrier(self, which: str = "units matched") -> float:
        """Highest point of the line above its higher end, nats per row; ``nan`` without a line."""
        if self.line.empty:
            return np.nan
        loss = self.line[which].to_numpy()
        return float(np.max(loss) - max(loss[0], loss[-1]))


def loss_surface(network: Network, z: np.ndarray, other: np.ndarray | None = None) -> Surface:
    """Cut the loss of a network about a mode.

    Parameters
    ----------
    network : Network
        With Normal priors about 0.
    z : numpy.ndarray
        The mode, unconstrained, shape (D,).
    other : numpy.ndarray, optional
        Another mode, shape (D,), to go to on a line; all of its coordinates are gone over.

    Returns
    -------
    Surface
        Eigenvalues, two planes and the line.

    Raises
    ------
    ModelError
        When a weight has another prior.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import mlp_regression
    >>> from workbench.network import fit_network_laplace
    >>> fit = fit_network_laplace(mlp_regression(hidden=()), wb.load_dataset("nile"))
    >>> made = loss_surface(fit.network, fit.z)
    >>> bool(made.eigenvalues[0] > made.eigenvalues[1] > 1), made.plane.shape
    (True, (41, 41))
    """
    programs, place = Programs.of(network), network.positions
    number = len(network.observations)
    curvature = programs.curvature(z)
    values, vectors = symmetric_eigen(curvature)
    values, vectors = values[::-1], vectors[:, ::-1]
    gauss_newton = np.linalg.eigvalsh(programs.expand(z, network.rows).curvature)[::-1]
    rows = network.rows

    def loss_at(points: np.ndarray) -> np.ndarray:
        def loss(z: jax.Array) -> jax.Array:
            w = z[place] / programs.prior_sd
            return (0.5 * w @ w - jnp.sum(network.log_likelihood(z, rows))) / number

        return np.asarray(
            jax.jit(lambda p: jax.lax.map(loss, p, batch_size=_BATCH))(jnp.asarray(points))
        )

    lowest = loss_at(z[None])[0]

    def plane(axes: np.ndarray, reach: np.ndarray) -> pd.DataFrame:
        a, b = (np.linspace(-r, r, _STEPS) for r in reach)
        first, second = np.meshgrid(a, b, indexing="ij")
        move = np.stack([first.ravel(), second.ravel()], axis=1) @ axes.T * programs.prior_sd
        points = np.tile(z, (len(move), 1))
        points[:, place] += move
        loss = loss_at(points).reshape(first.shape) - lowest
        return pd.DataFrame(loss, index=a, columns=b)

    # six sds of a normal with that curvature, the prior's included, three prior sds at most
    reach = np.minimum(6 / np.sqrt(np.maximum(values, 0.0) + 1), 3.0)
    stiff, soft = [0, min(1, len(values) - 1)], [0, int(np.argmin(np.abs(values)))]
    line = pd.DataFrame({"as found": [], "units matched": []}, index=pd.Index([], name="t"))
    if other is not None:
        t = np.linspace(0.0, 1.0, _STEPS)
        ends = {"as found": other, "units matched": _matched(network, z, other)}
        line = pd.DataFrame(
            {
                k: loss_at((1 - t)[:, None] * z + t[:, None] * end) - lowest
                for k, end in ends.items()
            },
            index=pd.Index(t, name="t"),
        )
    return Surface(
        eigenvalues=values,
        gauss_newton=gauss_newton,
        plane=plane(vectors[:, stiff], reach[stiff]),
        flat=plane(vectors[:, soft], reach[soft]),
        line=line,
        num_rows=number,
    )


def other_mode(network: Network, modes: np.ndarray) -> np.ndarray | None:
    """Pick a mode to walk to from the first: another function, or else a copy of the same one.

    Parameters
    ----------
    network : Network
        With Normal priors about 0.
    modes : numpy.ndarray
        Points where an optimiser of the posterior ended, the best first, shape (S, D).

    Returns
    -------
    numpy.ndarray or None
        The best one that is another function (outputs that differ by a twentieth of their sd), or
        without one that which lies farthest; saddles are left out.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import MODEL
    >>> from workbench.network import fit_network_laplace
    >>> fit = fit_network_laplace(MODEL, wb.load_dataset("nile"), precision=1.0)
    >>> other_mode(fit.network, fit.z[None]) is None
    True
    """
    programs = Programs.of(network)
    prior = np.eye(len(network.positions))
    kept = [z for z in modes[1:] if np.linalg.eigvalsh(programs.curvature(z) + prior)[0] > -_FLAT]
    if not kept:
        return None
    z = np.stack([modes[0], *kept])
    outputs = network.outputs_of_draws(network.draws_of_z(z), network.rows)
    size = max(float(np.std(outputs[0], axis=0).max()), 1e-300)
    apart = np.sqrt(np.mean((outputs - outputs[0]) ** 2, axis=(1, 2))) / size
    if (apart > _ANOTHER).any():
        return z[int(np.argmax(apart > _ANOTHER))]
    return z[int(np.argmax(np.sum((z - z[0]) ** 2, axis=1)))]


def _matched(network: Network, z: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The copy of a point that lies nearest to another one."""
    moved = nearest_copy(find_symmetry(network), network.weights(other), network.weights(z))
    out = other.copy()
    out[network.positions] = np.concatenate([moved[n].ravel() for n in network.weight_names])
    return out


def prior_outputs(
    network: Network, rows: dict[str, np.ndarray], *, num: int, seed: int = 0
) -> np.ndarray:
    """Outputs of networks drawn from the prior of the weights.

    Parameters
    ----------
    network : Network
        With Normal priors about 0.
    rows : dict of str to numpy.ndarray
        Where, by the names of the model's arguments.
    num : int
        Number of draws S.
    seed : int
        Of the draws.

    Returns
    -------
    numpy.ndarray
        Shape (S, N, K); see :mod:`workbench.network.reading`. Coordinates that are no weights are
        at zero.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import MODEL
    >>> from workbench.network import read_network
    >>> network = read_network(MODEL, wb.load_dataset("nile"))
    >>> prior_outputs(network, network.rows, num=5).shape
    (5, 100, 2)
    """
    rng = np.random.default_rng(seed)
    z = np.zeros((num, network.density.size))
    size = (num, network.positions.size)
    z[:, network.positions] = network.prior_sd() * rng.normal(size=size)
    return network.outputs_of_draws(network.draws_of_z(z), rows)
