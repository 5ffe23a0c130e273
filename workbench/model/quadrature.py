r"""Adaptive Gauss-Hermite quadrature over one-dimensional effects: the check of Laplace's method.

Where the effect of each group is one-dimensional, the integral is a product of integrals over
:math:`u_g`. With :math:`\hat u_g` its conditional mode, :math:`s_g = h_g^{-1/2}` and
:math:`(x_k, w_k)` the nodes and weights of :math:`\int e^{-x^2/2} p(x) dx`,

.. math:: \log \int e^{f_g(u)} du \approx f_g(\hat u_g) + \log s_g
          + \log \sum_k w_k \, e^{f_g(\hat u_g + s_g x_k) - f_g(\hat u_g) + x_k^2 / 2},

whose case of one node is Laplace's method. What the other nodes add is its error.

References
----------
Liu and Pierce (1994), doi:10.1093/biomet/81.3.624;
Pinheiro and Bates (1995), doi:10.1080/10618600.1995.10474663.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.errors import ModelError
from workbench.model.grouping import Groups
from workbench.model.marginal import LogJoint, Marginal, scatter

MOST_POINTS = 25


def checked_groups(groups: Groups, num_points: int) -> np.ndarray:
    """The group of each term; refuse what the groups or the number of nodes do not allow.

    Raises
    ------
    ModelError
        When a group has several effects, or is not seen term by term.
    """
    if not 1 <= num_points <= MOST_POINTS:
        raise ModelError(f"quadrature expects 1 to {MOST_POINTS} points; got {num_points}")
    if groups.of_term is None or groups.blocks.shape[1] != 1:
        raise ModelError(
            "quadrature expects groups with one effect each, every element of a site the density "
            f"of one group; got a group of {groups.blocks.shape[1]} effects"
            + (", whose elements see several" if groups.of_term is None else "")
        )
    return groups.of_term


def laplace_correction(
    marginal: Marginal,
    terms: LogJoint,
    groups: Groups,
    num_points: int,
    theta: jax.Array,
    data: Any,
) -> jax.Array:
    """Log marginal by quadrature, less that by Laplace's method.

    Parameters
    ----------
    marginal : Marginal
        The integral.
    terms : callable
        ``terms(theta, u, data)``: the terms of the integrand, shape (K,).
    groups : Groups
        The groups, one effect each, and the group of each term.
    num_points : int
        Number of nodes, 1 to 25.
    theta : jax.Array
        Parameters, shape (P,).
    data : tree of arrays
        Data.

    Returns
    -------
    jax.Array
        Scalar, nats; 0 for one node.

    Examples
    --------
    The integral of ``exp(u - exp(u))`` is 1, which Laplace's method has as ``sqrt(2 pi) / e``:

    >>> f = lambda theta, u, data: u - jnp.exp(u)
    >>> blocks = np.array([[0]])
    >>> marginal = Marginal(
    ...     log_joint=lambda *a: jnp.sum(f(*a)), num_effects=1, blocks=blocks)
    >>> groups = Groups(blocks=blocks, of_term=np.array([0]))
    >>> error = laplace_correction(marginal, f, groups, 25, jnp.zeros(0), None)
    >>> round(float(error), 3), round(1 - 0.5 * float(np.log(2 * np.pi)), 3)
    (0.081, 0.081)
    """
    of_term = checked_groups(groups, num_points)
    blocks, q = marginal.blocks, marginal.num_effects
    node, weight = np.polynomial.hermite_e.hermegauss(num_points)
    log_weight = jnp.asarray(np.log(weight) - 0.5 * np.log(2 * np.pi) + 0.5 * node**2)
    u = marginal.mode(theta, data)
    spread = scatter(1 / jnp.sqrt(marginal.information(theta, u, data)[..., 0]), blocks, q)
    seen = np.flatnonzero(of_term >= 0)
    at_mode = terms(theta, u, data)[seen]

    def by_group(x: jax.Array) -> jax.Array:
        gain = terms(theta, u + spread * x, data)[seen] - at_mode
        return jax.ops.segment_sum(gain, of_term[seen], num_segments=len(blocks))

    gains = jax.vmap(by_group)(jnp.asarray(node))  # (nodes, G)
    return jnp.sum(jax.scipy.special.logsumexp(gains + log_weight[:, None], axis=0))
