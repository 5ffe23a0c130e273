r"""Sufficient statistics of a normal likelihood whose means are affine in z.

With means :math:`\mu(z) = c + A z`, one noise scale :math:`\sigma(z)` and N rows,

.. math:: \log p(y \mid z) = -N \log \sigma - \tfrac N2 \log 2 \pi
          - \frac{s + \lVert q - R z \rVert^2}{2 \sigma^2},

where :math:`A = Q R` (thin QR, Golub and Van Loan, Matrix Computations, 4th ed., section 5.2),
:math:`q = Q^T (y - c)` and :math:`s = \lVert y - c \rVert^2 - \lVert q \rVert^2`, taken from the
residuals. R, q and s hold all that the rows say, and a gradient costs :math:`D^2` operations
instead of N D. That the model has this form is read off its traced operations
(:mod:`workbench.model.affine`), and the value is checked at a point, since a handler may scale it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.compilation import compiled
from workbench.model import Density
from workbench.model.affine import Form, forms
from workbench.model.evaluation import Evaluation, unmasked
from workbench.model.sites import bare

_MOST = 50  # coordinates: R z must cost less than the rows
_ROWS = 4  # per coordinate, at least
_NUMBERS = 5_000_000  # of A
_SAME = 1e-9  # of the log density


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What the rows of a normal likelihood say.

    Attributes
    ----------
    factor : jax.Array
        R, shape (D, D).
    target : jax.Array
        q, shape (D,).
    rest : jax.Array
        s, the sum of squares that no z removes.
    num : jax.Array
        N.
    """

    factor: jax.Array
    target: jax.Array
    rest: jax.Array
    num: jax.Array

    def log_likelihood(self, z: jax.Array, scale: jax.Array) -> jax.Array:
        """Log-likelihood at z, shape (D,), and a noise scale, nats."""
        squares = self.rest + jnp.sum((self.target - self.factor @ z) ** 2)
        constant = 0.5 * self.num * np.log(2 * np.pi)
        return -self.num * jnp.log(scale) - constant - 0.5 * squares / scale**2


jax.tree_util.register_dataclass(Moments)


def moments_of(density: Density, z: np.ndarray) -> Moments | None:
    """Sufficient statistics of a density's rows, where they have such.

    Parameters
    ----------
    density : Density
        The model at its data.
    z : numpy.ndarray
        A point of finite density, at which the two ways are compared, shape (D,).

    Returns
    -------
    Moments or None
        None where the model has another form, or few rows.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def line(x, y=None):
    ...     b = numpyro.sample("b", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(b * x, 1.0), obs=y)
    >>> x = np.arange(8.0)
    >>> found = moments_of(read_density(line, {"x": x, "y": 2 * x}), np.zeros(1))
    >>> slope = found.target[0] / found.factor[0, 0]
    >>> round(float(slope), 9), abs(round(float(found.rest), 9))
    (2.0, 0.0)
    """
    if not has_moments(density):
        return None
    design, residual = (np.asarray(x) for x in _rows(density)(density.arrays))
    if not (np.isfinite(design).all() and np.isfinite(residual).all()):
        return None
    q, factor = np.linalg.qr(design)
    target = q.T @ residual
    rest = residual - q @ target
    moments = Moments(
        factor=jnp.asarray(factor),
        target=jnp.asarray(target),
        rest=jnp.asarray(rest @ rest),
        num=jnp.asarray(float(len(residual))),
    )
    whole, reduced = (float(x) for x in _both(density)(jnp.asarray(z), density.arrays, moments))
    return moments if abs(whole - reduced) <= _SAME * (1.0 + abs(whole)) else None


def blank_moments(size: int) -> Moments:
    """Moments in the shapes of D coordinates, for which programs are compiled."""
    zero = jnp.zeros(())
    return Moments(factor=jnp.zeros((size, size)), target=jnp.zeros(size), rest=zero, num=zero)


def log_density_by_moments(
    density: Density, z: jax.Array, arrays: Any, moments: Moments
) -> jax.Array:
    """Log joint density of z plus log Jacobian, its likelihood from the moments, nats."""
    return _by_moments(density, density.evaluate(z, arrays), z, moments)


def _by_moments(density: Density, found: Evaluation, z: jax.Array, moments: Moments) -> jax.Array:
    (name,) = density.names("observed")
    scale = jnp.reshape(bare(found.distributions[name]).scale, ())
    # the log density of the rows is not asked for, so XLA leaves it out
    terms = density.sum_by_role({**found.log_probs, name: moments.log_likelihood(z, scale)})
    return terms.log_joint + sum(found.log_jacobian.values(), start=jnp.zeros(()))


@compiled
def has_moments(density: Density) -> bool:
    """Whether the likelihood is that of one normal site with affine means and one scale."""
    observed = [density.site(n) for n in density.names("observed")]
    rows = sum(int(np.prod(s.shape, dtype=int)) for s in observed)
    size = density.size
    if len(observed) != 1 or observed[0].moved_by or density.arguments.static:
        return False
    if size > _MOST or rows < _ROWS * size or rows * size > _NUMBERS:
        return False
    plain: list[bool] = []

    def program(z: dict[str, jax.Array], arrays: Any) -> Any:
        flat = jnp.concatenate([jnp.ravel(z[x.name]) for x in density.latents])
        found = density.evaluate(flat, arrays)
        fn = bare(found.distributions[observed[0].name])
        masked = unmasked(found.distributions[observed[0].name], observed[0].shape)
        plain.append(type(fn).__name__ == "Normal" and masked is None and jnp.size(fn.scale) == 1)
        return fn.loc if plain[-1] else flat

    z = {x.name: jax.ShapeDtypeStruct(x.shape, float) for x in density.latents}
    return forms(program, z, density.arrays) <= Form.AFFINE and plain[-1]


@compiled
def _rows(density: Density) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Program of A, shape (N, D), and y - c, shape (N,)."""
    (name,) = density.names("observed")

    def program(arrays: Any) -> tuple[jax.Array, jax.Array]:
        def means(z: jax.Array) -> tuple[jax.Array, jax.Array]:
            found = density.evaluate(z, arrays)
            y = jnp.ravel(found.observations[name])
            loc = bare(found.distributions[name]).loc
            loc = jnp.ravel(jnp.broadcast_to(loc, found.observations[name].shape))
            return loc, y - loc

        return jax.jacfwd(means, has_aux=True)(jnp.zeros(density.size))

    return jax.jit(program)


@compiled
def _both(density: Density) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Program of the log density by rows and by moments."""

    def program(z: jax.Array, arrays: Any, moments: Moments) -> tuple[jax.Array, jax.Array]:
        found = density.evaluate(z, arrays)
        jacobian = sum(found.log_jacobian.values(), start=jnp.zeros(()))
        by_rows = density.sum_by_role(found.log_probs).log_joint + jacobian
        return by_rows, _by_moments(density, found, z, moments)

    return jax.jit(program)
