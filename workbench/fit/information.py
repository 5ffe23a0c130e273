r"""Expected (Fisher) information of the parameters, as a factor that can be inverted accurately.

With :math:`\phi_i(z)` the parameters of the distribution of observation i, :math:`F_i` their
Fisher information and :math:`J_i = \partial \phi_i / \partial z`,

.. math:: I(z) = \sum_i J_i^T F_i J_i = A^T A, \qquad A_i = L_i^T J_i, \quad F_i = L_i L_i^T .

For normal noise this is the Gauss-Newton information :math:`J^T J / \sigma^2` of nonlinear least
squares, next to :math:`2 N` for :math:`\log \sigma`. The inverse is taken from the singular values
of the column-scaled A, so that the condition number of the problem is not squared.

References
----------
Pawitan (2001), In All Likelihood, chapter 8; Bates and Watts (1988), Nonlinear Regression Analysis
and Its Applications, chapter 2, doi:10.1002/9780470316757.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.compilation import compiled
from workbench.fit.families import Family, family_of
from workbench.fit.rows import without_row_scores
from workbench.model import Density
from workbench.model.evaluation import family, unmasked
from workbench.model.sites import bare


def without_fisher_information(density: Density) -> str:
    """Why the expected information is not known in closed form ("" where it is)."""
    reason = without_row_scores(density)
    if reason:
        return reason
    kinds: dict[str, tuple[str, Family | None]] = {}

    def program(z: jax.Array) -> jax.Array:
        found = density.evaluate(z).distributions
        for name in density.names("observed"):
            kinds[name] = family(found[name]), family_of(found[name])
        return z

    jax.eval_shape(program, jax.ShapeDtypeStruct((density.size,), float))
    for name, (kind, facts) in kinds.items():
        if facts is None or facts.fisher is None:
            return (
                f"the expected information of observed site '{name}' is not known in closed form "
                f"for the family {kind}: ask for the observed one"
            )
    return ""


@compiled
def _factor_program(density: Density) -> Callable[..., jax.Array]:
    names, free = density.names("observed"), density.coordinates("parameter")

    def parameters(z: jax.Array, arrays: Any) -> list[tuple[Family, dict[str, jax.Array], Any]]:
        found = density.evaluate(z, arrays)
        out = []
        for name in names:
            fn = found.distributions[name]
            facts = family_of(fn)
            assert facts is not None  # see without_fisher_information
            shape = jnp.shape(found.observations[name])
            kept = unmasked(fn, found.log_probs[name].shape)
            if kept is not None:
                kept = jnp.reshape(kept, kept.shape + (1,) * (len(shape) - kept.ndim))
            flat = {
                k: jnp.ravel(jnp.broadcast_to(v, shape))
                for k, v in facts.parameters(bare(fn)).items()
            }
            counted = jnp.broadcast_to(True if kept is None else kept, shape)
            out.append((facts, flat, jnp.ravel(counted)))
        return out

    def stacked(z: jax.Array, arrays: Any) -> list[jax.Array]:
        return [
            jnp.stack([v.astype(float) for v in flat.values()], axis=1)
            for _, flat, _ in parameters(z, arrays)
        ]

    def program(z: jax.Array, arrays: Any) -> jax.Array:
        blocks = []
        jacobians = density.jacobian(stacked)(z, arrays)
        for (facts, flat, kept), jacobian in zip(parameters(z, arrays), jacobians, strict=True):
            assert facts.fisher is not None  # see without_fisher_information
            root = jnp.linalg.cholesky(facts.fisher(flat))
            block = jnp.einsum("nkl,nkp->nlp", root, jacobian[:, : root.shape[-1], free])
            block = jnp.where(kept[:, None, None], block, 0.0)
            blocks.append(block.reshape(-1, free.size))
        return jnp.concatenate(blocks)

    return jax.jit(program)


def fisher_factor(density: Density, z: np.ndarray) -> np.ndarray:
    """A with expected information ``A.T @ A``, shape (M, P), M parameters of all observations.

    Examples
    --------
    Four Poisson counts of mean mu have information 4 mu in log mu, whatever the counts:

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def counts(y=None):
    ...     mu = numpyro.sample("mu", dist.Gamma(1, 1))
    ...     numpyro.sample("y", dist.Poisson(mu), obs=y)
    >>> factor = fisher_factor(read_density(counts, {"y": [1, 0, 2, 9]}), np.zeros(1))
    >>> (factor.T @ factor).round(12).tolist()
    [[4.0]]
    """
    return np.asarray(_factor_program(density)(jnp.asarray(z), density.arrays))


def inverse_from_factor(factor: np.ndarray) -> tuple[np.ndarray, int]:
    """Inverse of ``A.T @ A`` on the directions that A sees, and their number (the rank of A).

    Examples
    --------
    >>> inverse_from_factor(np.array([[2.0, 0.0], [0.0, 0.5]]))
    (array([[0.25, 0.  ],
           [0.  , 4.  ]]), 2)
    """
    length = np.linalg.norm(factor, axis=0)
    length[length == 0] = 1.0
    _, s, vt = np.linalg.svd(factor / length, full_matrices=False)
    seen = s > np.finfo(float).eps * max(factor.shape) * s.max(initial=0.0)
    root = (vt[seen].T / s[seen]) / length[:, None]
    return root @ root.T, int(seen.sum())
