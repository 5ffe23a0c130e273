r"""The symmetries of a network, and draws of its weights brought to one order of the hidden units.

Exchanging two units of a hidden layer (columns of :math:`W_l`, entries of :math:`b_l` and rows of
:math:`W_{l+1}` together) leaves the function and a prior that treats units alike as they are; so
does changing the sign of one of them where :math:`\phi(-a) = -\phi(a)`. The group has

.. math:: \prod_{l < L} H_l!\; 2^{H_l s_l}, \qquad s_l \in \{0, 1\},

elements. Which of them a model has is not taken from its words but tried: outputs and log prior
at random weights, before and after.

Draws are aligned to a reference by the element of the group that brings them nearest: with
:math:`u_h` all weights into and out of unit h, the assignment of units to the reference's that
maximises :math:`\sum_k |u_{\pi(k)}^\top u^0_k|` (without the bars where signs are not free), since
no element changes a norm. Several hidden layers are swept until nothing changes (Ainsworth et al.
2023, arXiv:2209.04836), which may end at a local maximum. The reference is the mean of the draws so
aligned (generalised Procrustes: Gower 1975, doi:10.1007/BF02291478), begun at a canonical form of
the draw of highest density.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import factorial, prod

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment

from workbench.network.reading import Network

Weights = Mapping[str, np.ndarray]
_SWEEPS = 20  # of the layers, and of the reference


@dataclass(frozen=True, kw_only=True)
class Symmetry:
    """Which rearrangements of hidden units leave a network's posterior as it is.

    Attributes
    ----------
    hidden : tuple of int
        Units H of each hidden layer.
    permutations, signs : tuple of bool
        Whether the units of each hidden layer can change places, and signs.

    Examples
    --------
    >>> Symmetry(hidden=(4,), permutations=(True,), signs=(True,)).order  # 4! 2**4
    384
    """

    hidden: tuple[int, ...]
    permutations: tuple[bool, ...]
    signs: tuple[bool, ...]

    @property
    def order(self) -> int:
        """Number of elements of the group: of equal copies of every point of the posterior."""
        layers = zip(self.hidden, self.permutations, self.signs, strict=True)
        return prod((factorial(h) if p else 1) * (2**h if s else 1) for h, p, s in layers)

    def random(self, weights: Weights, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Apply a random element of the group to weights of shape (..., shape of the site)."""
        out = dict(weights)
        for layer, h in enumerate(self.hidden):
            order = rng.permutation(h) if self.permutations[layer] else np.arange(h)
            sign = rng.choice([-1.0, 1.0], h) if self.signs[layer] else np.ones(h)
            out = rearranged(out, layer, order, sign)
        return out


def rearranged(
    weights: Weights, layer: int, order: np.ndarray, sign: np.ndarray
) -> dict[str, np.ndarray]:
    """Put the units of a hidden layer in another order, and change their signs.

    Parameters
    ----------
    weights : mapping
        ``W1, b1, ...``, each of shape (..., shape of the site).
    layer : int
        Hidden layer, from 0.
    order, sign : numpy.ndarray
        Which old unit stands at each place, and its sign, shape (..., H) or (H,).

    Returns
    -------
    dict
        All weights, those of the layer rearranged.

    Examples
    --------
    >>> ones = {"W1": np.array([[1.0, 2.0]]), "b1": np.zeros(2), "W2": np.array([[3.0], [4.0]])}
    >>> turned = rearranged(ones, 0, np.array([1, 0]), np.array([-1.0, 1.0]))
    >>> turned["W1"].tolist(), turned["W2"].tolist()
    ([[-2.0, 1.0]], [[-4.0], [3.0]])
    """
    W, b, V = f"W{layer + 1}", f"b{layer + 1}", f"W{layer + 2}"
    order = np.broadcast_to(order, weights[b].shape)
    turned = {
        W: np.take_along_axis(weights[W], order[..., None, :], -1) * sign[..., None, :],
        b: np.take_along_axis(weights[b], order, -1) * sign,
        V: np.take_along_axis(weights[V], order[..., :, None], -2) * sign[..., :, None],
    }
    return {**weights, **turned}


def find_symmetry(network: Network) -> Symmetry:
    """Find a network's symmetries by trying them at random weights.

    Parameters
    ----------
    network : Network
        From :func:`~workbench.network.read_network`.

    Returns
    -------
    Symmetry
        An exchange or a change of sign counts when outputs and log prior agree to rounding.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import mlp_regression
    >>> from workbench.network import read_network
    >>> model = mlp_regression(hidden=(3,), activation="relu")
    >>> find_symmetry(read_network(model, wb.load_dataset("nile")))
    Symmetry(hidden=(3,), permutations=(True,), signs=(False,))
    """
    rng, density = np.random.default_rng(0), network.density
    hidden = network.widths[1:-1]
    z = rng.normal(size=density.size)
    trials = [z]
    for layer, h in enumerate(hidden):
        turn = np.roll(np.arange(h), 1), np.ones(h)
        flip = np.arange(h), np.where(np.arange(h) == 0, -1.0, 1.0)
        for order, sign in (turn, flip):
            moved = z.copy()
            turned = rearranged(network.weights(z), layer, order, sign)
            moved[network.positions] = np.concatenate(
                [turned[n].ravel() for n in network.weight_names]
            )
            trials.append(moved)
    rows = {k: v[:8] for k, v in network.rows.items()}

    def seen(z: jax.Array) -> jax.Array:
        outputs = network.outputs(density.constrain(z), rows)
        return jnp.append(jnp.ravel(outputs), density.log_terms(z).log_prior)

    found = np.asarray(jax.jit(jax.vmap(seen))(jnp.asarray(np.stack(trials))))
    same = [bool(np.allclose(f, found[0], rtol=1e-9, atol=1e-9)) for f in found[1:]]
    return Symmetry(hidden=hidden, permutations=tuple(same[::2]), signs=tuple(same[1::2]))


def align(
    symmetry: Symmetry, weights: Weights, log_density: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Bring draws of the weights to one order and sign of the hidden units.

    Parameters
    ----------
    symmetry : Symmetry
        What may be rearranged.
    weights : mapping
        Draws by site, shape (S, shape of the site).
    log_density : numpy.ndarray, optional
        Log posterior density of each draw, shape (S,), whose highest begins the reference; the
        first draw by default.

    Returns
    -------
    dict
        The same draws, each moved by an element of the group: same function, same density.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shapes = {"W1": (2, 3), "b1": (3,), "W2": (3, 1), "b2": (1,)}
    >>> one = {k: rng.normal(size=s) for k, s in shapes.items()}
    >>> group = Symmetry(hidden=(3,), permutations=(True,), signs=(True,))
    >>> copies = [group.random(one, rng) for _ in range(5)]
    >>> aligned = align(group, {k: np.stack([c[k] for c in copies]) for k in one})
    >>> bool(np.ptp(aligned["W1"], axis=0).max() == 0)
    True
    """
    draws = {k: np.asarray(v, dtype=float) for k, v in weights.items()}
    best = 0 if log_density is None else int(np.argmax(log_density))
    reference = _canonical(symmetry, {k: v[best] for k, v in draws.items()})
    for turn in range(_SWEEPS):
        draws, moved = _towards(symmetry, draws, reference, first=turn == 0)
        if turn and not moved:
            break
        reference = {k: v.mean(axis=0) for k, v in draws.items()}
    return draws


def nearest_copy(symmetry: Symmetry, weights: Weights, reference: Weights) -> dict[str, np.ndarray]:
    """Rearrange the units of one network to lie nearest to another one.

    Parameters
    ----------
    symmetry : Symmetry
        What may be rearranged.
    weights, reference : mapping
        Weights by site, each of the shape of its site.

    Returns
    -------
    dict
        The first network's weights, moved by an element of the group: the same function.

    Examples
    --------
    >>> one = {"W1": np.array([[1.0, 2.0]]), "b1": np.zeros(2), "W2": np.array([[3.0], [4.0]])}
    >>> group = Symmetry(hidden=(2,), permutations=(True,), signs=(True,))
    >>> twin = rearranged(one, 0, np.array([1, 0]), np.array([-1.0, 1.0]))
    >>> nearest_copy(group, twin, one)["W1"].tolist()
    [[1.0, 2.0]]
    """
    moved, _ = _towards(symmetry, {k: v[None] for k, v in weights.items()}, reference, first=False)
    return {k: v[0] for k, v in moved.items()}


def _canonical(symmetry: Symmetry, weights: Weights) -> dict[str, np.ndarray]:
    """The one of a draw's copies whose outgoing sums are positive and whose biases ascend."""
    out = dict(weights)
    for layer, h in enumerate(symmetry.hidden):
        out_sum = out[f"W{layer + 2}"].sum(axis=1)
        sign = np.where(out_sum < 0, -1.0, 1.0) if symmetry.signs[layer] else np.ones(h)
        biases = out[f"b{layer + 1}"] * sign
        order = np.argsort(biases) if symmetry.permutations[layer] else np.arange(h)
        out = rearranged(out, layer, order, sign[order])
    return out


def _towards(
    symmetry: Symmetry, draws: Weights, reference: Weights, *, first: bool
) -> tuple[dict[str, np.ndarray], bool]:
    """Move every draw towards the reference, layer after layer, and say whether any moved."""
    out, moved = dict(draws), False
    last = len(symmetry.hidden) - 1
    for sweep in range(_SWEEPS):
        still = True
        for layer, h in enumerate(symmetry.hidden):
            # while the next layer's order is unknown, the weights into it say nothing
            full = layer == last or not (first and sweep == 0)
            inner = np.einsum("sfh,fk->skh", *(_units(w, layer, full) for w in (out, reference)))
            size = np.abs(inner) if symmetry.signs[layer] else inner
            order = np.tile(np.arange(h), (len(size), 1))
            if symmetry.permutations[layer]:
                order = np.stack([linear_sum_assignment(-s)[1] for s in size])
            chosen = np.take_along_axis(inner, order[..., None], -1)[..., 0]
            sign = np.where(symmetry.signs[layer] & (chosen < 0), -1.0, 1.0)
            still = still and bool((order == np.arange(h)).all() and (sign > 0).all())
            out = rearranged(out, layer, order, sign)
        moved = moved or not still
        if still:
            break
    return out, moved


def _units(weights: Weights, layer: int, full: bool) -> np.ndarray:
    """Weights into each unit of a hidden layer (if ``full``, also out of it), (..., F, H)."""
    into, bias = weights[f"W{layer + 1}"], weights[f"b{layer + 1}"]
    out = [np.swapaxes(weights[f"W{layer + 2}"], -1, -2)] if full else []
    return np.concatenate([into, bias[..., None, :], *out], axis=-2)
