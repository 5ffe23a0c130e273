r"""Which latent sites are jointly normal given the others, proved from the traced density.

With z the unconstrained coordinates, a set S of sites on the whole line is normal given the rest
where :math:`\log p(z_S, z_{-S}, y)` is, at every :math:`z_{-S}`, a polynomial of degree two in
:math:`z_S`: a normal prior with any location and scale, and a normal likelihood whose mean is
affine in S. Degrees are read off the operations (:mod:`workbench.model.affine`), so that nothing
is assumed of how the model is written: centred or not, with a covariance matrix or by elements.

The set is grown from the declared random effects, then the largest sites; of two sites that are
normal each but not together (a product of both), the first is kept.

References
----------
Lindley and Smith (1972), "Bayes estimates for the linear model", J. Royal Statistical Society B
34(1):1-41.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from workbench.model.affine import Form, forms_through
from workbench.model.density import Density
from workbench.model.evaluation import evaluate


def gaussian_sites(density: Density) -> tuple[str, ...]:
    """Latent sites that are jointly normal given the others and the data.

    Parameters
    ----------
    density : Density
        The model at its data.

    Returns
    -------
    tuple of str
        In the order of z; empty where there is none, or where there are no others.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def means(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 5))
    ...     tau = numpyro.sample("tau", dist.HalfNormal(5))
    ...     a = numpyro.sample("a", dist.Normal(mu, tau).expand([2]))
    ...     numpyro.sample("y", dist.Normal(a, 1), obs=y)
    >>> gaussian_sites(read_density(means, {"y": [1.0, 2.0]}))
    ('mu', 'a')
    """
    return _gaussian_sites(density.twin)


@lru_cache(maxsize=32)
def _gaussian_sites(density: Density) -> tuple[str, ...]:
    on_line = [x for x in density.latents if x.scale == "" and not x.improper]
    if not on_line:
        return ()
    shapes = {x.name: jax.ShapeDtypeStruct(x.shape, float) for x in density.latents}
    # not one flat vector, out of which every site would seem to hold all
    closed = jax.make_jaxpr(log_joint_of_sites(density))(shapes, density.arrays)
    order = sorted(shapes)  # as JAX flattens a dict
    num_arrays = len(closed.in_avals) - len(order)

    def normal(names: set[str]) -> bool:
        given = [Form.AFFINE if n in names else Form.CONSTANT for n in order]
        (form,) = forms_through(closed, [*given, *[Form.CONSTANT] * num_arrays])
        return form.polynomial

    declared = set(density.names("random effect"))
    chosen: set[str] = set()
    for x in sorted(on_line, key=lambda x: (x.name not in declared, x.start - x.stop)):
        if normal(chosen | {x.name}):
            chosen.add(x.name)
    if len(chosen) == len(density.latents):
        return ()
    return tuple(x.name for x in density.latents if x.name in chosen)


def log_joint_of_sites(density: Density) -> Callable[..., jax.Array]:
    """Log joint density plus log Jacobian, of unconstrained values by site and the arrays."""

    def program(z: dict[str, jax.Array], arrays: Any) -> jax.Array:
        found = evaluate(density.model.fn, density.arguments.join(arrays), z)
        parts = [*found.log_probs.values(), *found.log_jacobian.values()]
        return sum((jnp.sum(x) for x in parts), start=jnp.zeros(()))

    return program
