r"""The posterior of a network with Normal noise, its last layer integrated out exactly.

Given the hidden weights and σ, the location is linear in the last layer, :math:`\mu = m + \Phi
\tilde w` with :math:`\tilde w \sim N(0, I)` in prior sds, so that

.. math:: y \mid \text{hidden}, \sigma \sim N(m,\ \sigma^2 I + \Phi \Phi^\top), \qquad
          \tilde w \mid y, \text{hidden}, \sigma \sim N(\hat w,\ \sigma^2 A^{-1}), \qquad
          A = \Phi^\top \Phi + \sigma^2 I, \quad \hat w = A^{-1} \Phi^\top (y - m) .

NUTS runs over the hidden weights and log σ alone, and the last layer is drawn afterwards, one
exact draw for each of NUTS's: the joint posterior of all weights, without the narrow ridges along
which a unit's weights in and out compensate for each other. With :math:`e = y - m - \Phi \hat w`
the gradient of the log marginal density is

.. math:: \partial_\Phi = e \hat w^\top / \sigma^2 - \Phi A^{-1}, \qquad
          \partial_\sigma = e^\top e / \sigma^3 - (N - P) / \sigma - \sigma\, \mathrm{tr} A^{-1},

computed with the density from one Cholesky factor of A, P by P.

``fit_nuts(..., effects="integrated")`` finds the same integral by itself
(:mod:`workbench.fit.collapse`), at 2.0 times the cost of a gradient there and 4.4 times with the
691 rows and 20 units of ``energy`` (35 against 17, 370 against 84 microseconds): it learns the
quadratic from P derivatives of the whole density, of which here one pass and the closed form of
its gradient are enough.

A collapsed gradient costs three of the others there (17 against 5 microseconds; the gap closes as
covariates and layers make the network itself dearer). The two products of N P^2 take 6 to 7 of
them, tanh 3, the Cholesky factor with its inverse 2, the rest of network and reductions 5: a
gradient by hand, in any order of the products, wins a tenth. :mod:`workbench.network.nuts` runs the
chains, in a twentieth of the steps.

References
----------
Liu (1994), "The collapsed Gibbs sampler", doi:10.1080/01621459.1994.10476829; Neal (1996),
doi:10.1007/978-1-4612-0745-0 (chapter 3: HMC for networks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import handlers

from workbench.errors import FitError
from workbench.fit.batches import in_batches, random_keys
from workbench.fit.compilation import compiled
from workbench.fit.flat import density_of, flat_sites
from workbench.model import Density
from workbench.model.evaluation import Evaluation, evaluate
from workbench.network.reading import Network

_BATCH = 250  # draws of the last layer made at once


@dataclass(frozen=True, kw_only=True)
class LastLayerMarginal:
    """The NumPyro function of what is left: flat unconstrained sites, and one factor.

    Attributes
    ----------
    network : Network
        The network without values (its twin).
    """

    network: Network

    def __call__(self, arrays: Any, rows: Any, last_sd: Any) -> None:
        """Declare the sites of the marginal density."""
        last = self.network.weight_names[-2:]
        flat = flat_sites([x for x in self.network.density.latents if x.name not in last])
        with handlers.block():  # runs of the network's model are no part of this one
            value = self.log_density(flat, arrays, rows, last_sd)
        numpyro.factor("marginal", value)

    def log_density(self, flat: Any, arrays: Any, rows: Any, last_sd: jax.Array) -> jax.Array:
        """Log density of unconstrained hidden weights and noise by site (scalar, nats)."""
        found = self._at(flat, arrays)
        design, sigma, r = self.regression(found.values, arrays, rows, last_sd)
        prior = [jnp.sum(found.log_probs[n]) + found.log_jacobian.get(n, 0.0) for n in flat]
        return log_marginal(design, sigma, r) + sum(prior)

    def draw(
        self, flat: Any, arrays: Any, rows: Any, last_sd: jax.Array, normal: jax.Array
    ) -> dict[str, jax.Array]:
        """Every latent site, the last layer from standard normal noise of shape (P,)."""
        values, (W, b) = self._at(flat, arrays).values, self.network.weight_names[-2:]
        design, sigma, r = self.regression(values, arrays, rows, last_sd)
        _, root, mean = _solve(design, sigma, r)
        w = (mean + sigma * (root.T @ normal)) * last_sd
        return {**{n: values[n] for n in flat}, W: w[:-1, None], b: w[-1:]}

    def regression(
        self, values: Any, arrays: Any, rows: Any, last_sd: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Design in the last layer's prior sds, sd of the noise, and y less the offset."""
        network = self.network
        (W, b), fan_in = network.weight_names[-2:], network.widths[-2]
        (unseen,) = network.density.observed_arguments

        def location(w: jax.Array, row: Mapping[str, jax.Array]) -> jax.Array:
            w = w * last_sd
            moved = {**values, W: w[:fan_in, None], b: w[fan_in:]}
            return network.outputs(moved, {k: v[None] for k, v in row.items()}, arrays)[0, 0]

        # row by row, in reverse: one pass gives a row's P derivatives
        both = jax.vmap(jax.value_and_grad(location), in_axes=(None, 0))
        inputs = {k: v for k, v in rows.items() if k != unseen}
        offset, design = both(jnp.zeros(fan_in + 1), inputs)
        noise = values[network.noise.name]  # pyright: ignore[reportOptionalMemberAccess]
        return design, noise, rows[unseen] - offset

    def _at(self, flat: Any, arrays: Any) -> Evaluation:
        density = self.network.density
        zeros = {x.name: jnp.zeros(x.shape) for x in density.latents}
        return evaluate(density.model.fn, density.arguments.join(arrays), {**zeros, **flat})


@dataclass(frozen=True, kw_only=True, eq=False)
class Collapsed:
    """A network's posterior without its last layer.

    Attributes
    ----------
    network : Network
        The network.
    density : Density
        Of the hidden weights and σ, unconstrained; its programs serve all data of one structure.
    kept : numpy.ndarray
        Their places in the network's z.
    hidden : numpy.ndarray
        Places of the hidden weights in this density's z, in the order of ``network.positions``.
    """

    network: Network
    density: Density
    kept: np.ndarray
    hidden: np.ndarray

    @classmethod
    def of(cls, network: Network) -> Collapsed:
        """Integrate the last layer of a network out."""
        name = network.density.model.name
        if network.noise is None or network.num_layers < 2 or network.widths[-1] != 1:
            raise FitError(
                f"network '{name}' expects hidden layers and constant Normal noise for its last "
                f"layer to be integrated out; got family {network.family} and "
                f"{network.num_layers - 1} hidden layers: use fit_nuts"
            )
        last_sd = network.prior_sd()[network.layers == network.num_layers - 1]
        density = density_of(
            f"{name} without its last layer",
            LastLayerMarginal(network=network.twin),
            {"arrays": network.density.arrays, "rows": network.rows, "last_sd": last_sd},
        )
        left = [x for x in network.density.latents if x.name not in network.weight_names[-2:]]
        here = {x.name: y for x, y in zip(left, density.latents, strict=True)}
        return cls(
            network=network,
            density=density,
            kept=np.concatenate([np.arange(x.start, x.stop) for x in left]),
            hidden=np.concatenate(
                [np.arange(here[n].start, here[n].stop) for n in network.weight_names[:-2]]
            ),
        )

    def expand(self, z: np.ndarray, key: jax.Array) -> dict[str, np.ndarray]:
        """Every latent site at draws of shape (S, D'), the last layer drawn given the others."""
        program, arrays = _expander(self.density), self.density.arrays
        keys = random_keys(key, len(z))
        return in_batches(lambda x: program(*x, arrays), _BATCH, (z, keys))


@compiled
def _expander(marginal: Density) -> Callable[..., dict[str, jax.Array]]:
    """Program of every latent site from draws of the others and random keys."""
    function: Any = marginal.model.fn
    network = function.network
    names = [x.name for x in network.density.latents if x.name not in network.weight_names[-2:]]

    def one(z: jax.Array, key: jax.Array, arrays: Any) -> dict[str, jax.Array]:
        flat = dict(zip(names, marginal.unflatten(z).values(), strict=True))
        normal = jax.random.normal(jax.random.wrap_key_data(key), (network.widths[-2] + 1,))
        return function.draw(flat, **marginal.arguments.join(arrays), normal=normal)

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None)))


def _solve(design: jax.Array, sigma: jax.Array, r: jax.Array) -> tuple[jax.Array, ...]:
    """Cholesky factor of A, its inverse, and the posterior mean of the last layer."""
    eye = jnp.eye(design.shape[1])
    L = jnp.linalg.cholesky(design.T @ design + sigma**2 * eye)
    root = jax.scipy.linalg.solve_triangular(L, eye, lower=True)
    return L, root, root.T @ (root @ (design.T @ r))


@jax.custom_jvp
def log_marginal(design: jax.Array, sigma: jax.Array, r: jax.Array) -> jax.Array:
    r"""Log density of r under :math:`N(0, \sigma^2 I + \Phi \Phi^\top)`, with its own gradient.

    Parameters
    ----------
    design : jax.Array
        Φ, shape (N, P).
    sigma : jax.Array
        σ, a scalar.
    r : jax.Array
        Shape (N,).

    Returns
    -------
    jax.Array
        Nats.

    Examples
    --------
    >>> round(float(log_marginal(jnp.zeros((2, 1)), jnp.asarray(1.0), jnp.zeros(2))), 6)
    -1.837877
    """
    return _log_marginal(design, sigma, r)[0]


def _log_marginal(
    design: jax.Array, sigma: jax.Array, r: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The log density, the inverse Cholesky factor, the posterior mean and the residual."""
    number, size = design.shape
    L, root, mean = _solve(design, sigma, r)
    e = r - design @ mean
    log_det = 2 * jnp.sum(jnp.log(jnp.diag(L))) + 2 * (number - size) * jnp.log(sigma)
    value = -0.5 * (r @ e / sigma**2 + log_det + number * jnp.log(2 * jnp.pi))
    return value, root, mean, e


@log_marginal.defjvp
def _derivative(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    design, sigma, r = primals
    number, size = design.shape
    value, root, mean, e = _log_marginal(*primals)
    inverse = root.T @ root
    by_design = jnp.outer(e, mean) / sigma**2 - design @ inverse
    by_sigma = e @ e / sigma**3 - (number - size) / sigma - sigma * jnp.trace(inverse)
    by_r = -e / sigma**2
    d_design, d_sigma, d_r = tangents
    return value, jnp.sum(by_design * d_design) + by_sigma * d_sigma + by_r @ d_r
