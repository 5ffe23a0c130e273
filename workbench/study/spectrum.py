r"""Which directions the data decide, and which the prior does.

At the posterior mode the curvature of the log posterior is that of the log-likelihood plus that of
the prior, :math:`H = H_y + H_\pi` (in unconstrained coordinates; the prior of random effects given
their parameters counts as prior). The generalised eigenvectors

.. math:: H_y v_k = s_k H v_k, \qquad v_j^T H v_k = \delta_{jk},

are uncorrelated posterior directions, along each of which the data hold the share :math:`s_k` of
the curvature: 1 where they decide, 0 where the prior does. Their sum

.. math:: p_{\mathit{eff}} = \sum_k s_k = \mathrm{tr}(H^{-1} H_y)

is the effective number of parameters (MacKay's :math:`\gamma`). For a linear map with normal noise
and prior :math:`N(0, \tau^2)`, with singular values :math:`d_k` of the design,
:math:`s_k = d_k^2 / (d_k^2 + \lambda)`, :math:`\lambda = \sigma^2 / \tau^2`: ridge regression's
shrinkage and its degrees of freedom.

With the spectrum :math:`H = Q \Lambda Q^T`, the variance of coordinate i is
:math:`\sum_k Q_{ik}^2 / \lambda_k`: the inverse, read off eigenvalues.

References
----------
MacKay (1992), doi:10.1162/neco.1992.4.3.415; Hastie, Tibshirani and Friedman (2009), The Elements
of Statistical Learning, section 3.4.1, doi:10.1007/978-0-387-84858-7;
Spiegelhalter et al. (2002), doi:10.1111/1467-9868.00353.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.linalg import eigh

from workbench.errors import FitError
from workbench.fit import DrawsFit, ModeFit, fit_laplace, fit_nuts
from workbench.fit.curvature import combination
from workbench.fit.spectral import symmetric_eigen
from workbench.model import Density, Model, read_density
from workbench.study.instrument import (
    Keep,
    name_directions,
    p_loo,
    require_regular,
    start_anew,
    subject,
)

_DECIDED = 0.9  # share of the curvature


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Curvature of likelihood against prior at the posterior mode (D coordinates).

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        One row for each direction, the best-informed first, index ``direction`` (from 1):
        ``data_share`` (s, negative where the likelihood curves upwards), ``decided_by`` (``data``,
        ``prior`` or ``both``) and ``combination`` (its largest weights, by label).
    directions : pandas.DataFrame
        Every direction, one posterior sd long: index coordinate, a column for each direction.
    standard_errors : pandas.DataFrame
        Index coordinate; posterior sd by Laplace ``from_spectrum`` and ``from_inverse``.
    effective_parameters : float
        Sum of the shares.
    p_loo : float
        Effective number of parameters by leave-one-out cross-validation of NUTS draws; ``nan``
        where no draws were made.
    condition_number : float
        Of H scaled to a unit diagonal.

    Examples
    --------
    >>> table = pd.DataFrame({"data_share": [0.97, 0.2], "decided_by": ["data", "both"],
    ...                       "combination": ["a + b", "a - b"]})
    >>> found = Spectrum(name="m-d", table=table, directions=table, standard_errors=table,
    ...                  effective_parameters=1.17, p_loo=float("nan"), condition_number=40.0)
    >>> found.sentences[1]
    'Effective number of parameters 1.17; condition number 40 with units set aside.'
    """

    name: str
    table: pd.DataFrame
    directions: pd.DataFrame
    standard_errors: pd.DataFrame
    effective_parameters: float
    p_loo: float
    condition_number: float

    @property
    def trusted(self) -> bool:
        """Whether no share is negative: the likelihood curves downwards in every direction."""
        return bool((self.table["data_share"] > -1e-6).all())

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        counts = self.table["decided_by"].value_counts()
        loo = f", p_loo {self.p_loo:.3g}" if np.isfinite(self.p_loo) else ""
        said = [
            f"Of {len(self.table)} directions the data decide {counts.get('data', 0)}, the prior "
            f"{counts.get('prior', 0)}, both {counts.get('both', 0)} (limit {_DECIDED:.0%} of the "
            "curvature).",
            f"Effective number of parameters {self.effective_parameters:.3g}{loo}; condition "
            f"number {self.condition_number:.3g} with units set aside.",
        ]
        if (self.table["data_share"] > 1 + 1e-6).any():
            said.append(
                "Along a direction with a share above 1 the prior curves upwards at the posterior "
                "mode: it takes information away."
            )
        if not self.trusted:
            said.append(
                "Along a direction with a negative share the likelihood curves upwards at the "
                "posterior mode: there the prior alone makes a maximum."
            )
        return tuple(said)


def spectrum(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    laplace: ModeFit | None = None,
    nuts: DrawsFit | None = None,
    keep: Keep = start_anew,
    on_stage: Callable[[str], None] | None = None,
) -> Spectrum:
    """Compare the curvature of the likelihood with that of the prior, direction by direction.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the fits.
    quick : bool
        Without draws, and so without ``p_loo``, unless ``nuts`` is given.
    laplace, nuts : ModeFit, DrawsFit, optional
        Fits of the same model; made when not given and needed.
    keep : callable, optional
        Keeps finished parts, see :data:`workbench.study.instrument.Keep`.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Spectrum
        Directions by their shares.

    Raises
    ------
    FitError
        When the posterior has no regular mode.

    Examples
    --------
    Three observations of variance 1 and a prior of variance 1: three quarters are the data's.

    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> found = spectrum(normal, {"y": [1.0, 2.0, 3.0]}, quick=True)
    >>> round(found.effective_parameters, 10), found.table["decided_by"].tolist()
    (0.75, ['both'])
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    tell = on_stage or (lambda _: None)
    tell("Laplace")
    mode = laplace if laplace is not None else fit_laplace(density, seed=seed)
    require_regular(mode, density, "spectrum expects a regular posterior mode; that")
    loo = np.nan
    if nuts is not None or not quick:
        tell("NUTS")
        loo = p_loo(keep, lambda: nuts or fit_nuts(density, seed=seed, laplace=mode))
    likelihood, whole = _curvatures(density, mode.z)
    sd = 1 / np.sqrt(np.abs(np.diag(whole)))
    scaled = whole * np.outer(sd, sd)
    own, axes = symmetric_eigen(scaled)
    if not own[0] > 0:
        raise FitError(
            f"spectrum expects a maximum of the joint density; at the mode of the parameters that "
            f"of model '{density.model.name}' curves upwards along "
            + combination(axes[:, 0], density.z_labels)
        )
    shares, vectors = eigh(likelihood * np.outer(sd, sd), scaled)
    order = np.argsort(-shares)
    shares, vectors = shares[order], sd[:, None] * vectors[:, order]
    inverse = np.sqrt(np.diag(np.linalg.inv(scaled))) * sd
    labels = list(density.z_labels)
    numbers = pd.Index(range(1, len(shares) + 1), name="direction")
    table = pd.DataFrame(
        {
            "data_share": shares,
            "decided_by": [_decided(s) for s in shares],
            "combination": name_directions(shares, vectors, labels, 1 / inverse),
        },
        index=numbers,
    )
    return Spectrum(
        name=subject(density),
        table=table,
        directions=pd.DataFrame(
            vectors, index=pd.Index(labels, name="coordinate"), columns=numbers
        ),
        standard_errors=pd.DataFrame(
            {"from_spectrum": sd * np.sqrt(np.sum(axes**2 / own, axis=1)), "from_inverse": inverse},
            index=pd.Index(labels, name="coordinate"),
        ),
        effective_parameters=float(shares.sum()),
        p_loo=loo,
        condition_number=float(own[-1] / own[0]),
    )


def _decided(share: float) -> str:
    if share >= _DECIDED:
        return "data"
    return "prior" if share <= 1 - _DECIDED else "both"


def _curvatures(density: Density, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minus the Hessians of log-likelihood and of log density of z, shape (D, D)."""

    def program(z: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array]:
        def both(z: jax.Array) -> jax.Array:
            fit = density.log_terms(z, arrays).log_likelihood
            return jnp.stack([fit, density.log_density(z, arrays)])

        return density.jacobian(jax.jacrev(both))(z)

    hessians = -np.asarray(jax.jit(program)(jnp.asarray(z), density.arrays))
    likelihood, whole = 0.5 * (hessians + hessians.transpose(0, 2, 1))
    return likelihood, whole
