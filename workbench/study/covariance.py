r"""Four answers to how the estimates vary together, of one vector of named parameters.

The parameters of a model, whatever their shapes, are one vector z of unconstrained coordinates,
each with a label; every matrix here is over that vector.

=============  =====================================================================
``observed``   :math:`J^{-1}`, :math:`J = -\nabla^2 \ell(\hat z)`
``expected``   :math:`I^{-1}`, the Fisher information :math:`I = E[s s^T]` of the model
``sandwich``   :math:`J^{-1} (\sum_i s_i s_i^T) J^{-1}`, right if the model is wrong (HC0)
``Laplace``    :math:`(-\nabla^2 \log p(z \mid y))^{-1}` at the posterior mode
``posterior``  of NUTS's draws
=============  =====================================================================

The first two agree when the model is right and n is large, the third too; where it parts from
them the rows vary more, or less, than the model says. The last two add the information of the
prior, and the last gives up the normal shape. For :math:`y \sim N(X\beta, \sigma^2)` all of the
first are :math:`\hat\sigma^2 (X^T X)^{-1}` for the coefficients, and
:math:`1 / (2N)` for :math:`\log\sigma`; White's sandwich is
:math:`(X^T X)^{-1} X^T \mathrm{diag}(e^2) X (X^T X)^{-1}`.

References
----------
White (1982), doi:10.2307/1912526; Efron and Hinkley (1978), doi:10.1093/biomet/65.3.457.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import jax
import numpy as np
import pandas as pd
from scipy.linalg import eigh

from workbench.errors import FitError
from workbench.fit import DrawsFit, ModeFit, fit_laplace, fit_mle, fit_nuts
from workbench.fit.covariance import CovType
from workbench.fit.curvature import combination
from workbench.model import Density, Model, read_density
from workbench.model.latents import unconstrain
from workbench.study.instrument import Keep, Part, require_regular, start_anew, subject

_KINDS = {"observed": "observed", "expected": "expected", "sandwich": "HC0"}
_APART = 1.25  # ratio of sds
_SAME = 0.01  # of a ratio


@dataclass(frozen=True, kw_only=True, eq=False)
class Covariance:
    """Covariances of one vector of parameters, side by side (P coordinates).

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        Index coordinate: ``estimate`` (MLE), and the sd by each kind of matrix.
    matrices : dict of str to pandas.DataFrame
        Covariance by kind, labelled.
    reasons : dict of str to str
        Why a kind is missing.
    ratios : pandas.DataFrame
        Index kind: smallest and largest ratio of a variance to the observed one over all
        combinations of coordinates, and the combination of the largest.

    Examples
    --------
    >>> one = pd.DataFrame([[0.25]], index=["mu"], columns=["mu"])
    >>> table = pd.DataFrame({"estimate": [1.0], "observed": [0.5]}, index=["mu"])
    >>> ratios = pd.DataFrame({"smallest": [1.0], "largest": [2.0], "combination": ["mu"]},
    ...                       index=["sandwich"])
    >>> found = Covariance(name="m-d", table=table, matrices={"observed": one}, reasons={},
    ...                    ratios=ratios)
    >>> found.sentences[1]
    'sandwich: its variances are 1 to 2 times the observed ones, the most along mu.'
    """

    name: str
    table: pd.DataFrame
    matrices: dict[str, pd.DataFrame]
    reasons: dict[str, str]
    ratios: pd.DataFrame

    @property
    def trusted(self) -> bool:
        """Whether there are at least two covariances to compare."""
        return len(self.matrices) > 1

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        said = [f"One vector of {len(self.table)} coordinates: {', '.join(self.table.index)}."]
        for kind, row in self.ratios.iterrows():
            low, high = row["smallest"], row["largest"]
            if high - low < _SAME and abs(high - 1) < _SAME:
                said.append(f"{kind}: the same as the observed one.")
                continue
            said.append(
                f"{kind}: its variances are {low:.3g} to {high:.3g} times the observed ones, the "
                f"most along {row['combination']}."
            )
        if "sandwich" in self.table:
            ratio = self.table["sandwich"] / self.table["observed"]
            worst = ratio.apply(np.log).abs().idxmax()
            if not 1 / _APART < ratio[worst] < _APART:
                said.append(
                    f"The sandwich gives {worst} {ratio[worst]:.3g} times the standard error of "
                    "the observed information: the rows do not vary as the model says."
                )
        said += [f"{kind} is missing: {reason}." for kind, reason in self.reasons.items()]
        return tuple(said)


def covariance(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    mle: ModeFit | None = None,
    laplace: ModeFit | None = None,
    nuts: DrawsFit | None = None,
    keep: Keep = start_anew,
    on_stage: Callable[[str], None] | None = None,
) -> Covariance:
    """Put the covariances of the parameters side by side.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the fits.
    quick : bool
        Without draws of the posterior, unless ``nuts`` is given.
    mle, laplace, nuts : ModeFit, DrawsFit, optional
        Fits of the same model; made when not given and needed.
    keep : callable, optional
        Keeps finished parts, see :data:`workbench.study.instrument.Keep`.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Covariance
        A kind that the model does not have is left out, with its reason.

    Raises
    ------
    FitError
        When the likelihood has no regular maximum.

    Examples
    --------
    Counts twice as dispersed as Poisson's law says (of the log of the mean):

    >>> import numpyro, numpyro.distributions as dist
    >>> def counts(y=None):
    ...     mu = numpyro.sample("mu", dist.Gamma(1, 1))
    ...     numpyro.sample("y", dist.Poisson(mu), obs=y)
    >>> found = covariance(counts, {"y": [0, 0, 4, 4]}, quick=True)
    >>> (found.table.loc["log(mu)", ["expected", "sandwich"]] ** 2).round(6).tolist()
    [0.125, 0.25]
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    tell = on_stage or (lambda _: None)
    tell("MLE")
    best = mle if mle is not None else fit_mle(density, seed=seed)
    require_regular(best, density, "covariance expects a regular maximum of the likelihood; that")
    at = density.coordinates("parameter")
    labels = [density.z_labels[i] for i in at]
    matrices: dict[str, np.ndarray] = {}
    reasons: dict[str, str] = {}
    for kind, cov_type in _KINDS.items():
        tell(kind)
        assert cov_type in get_args(CovType)
        try:
            matrices[kind] = best.cov_params(cov_type).to_numpy()[np.ix_(at, at)]  # pyright: ignore[reportArgumentType]
        except FitError as error:
            reasons[kind] = str(error)
    tell("Laplace")
    mode = laplace if laplace is not None else fit_laplace(density, seed=seed)
    if mode.status.ok:
        matrices["Laplace"] = mode.covariance[np.ix_(at, at)]
    else:
        reasons["Laplace"] = mode.detail or mode.status.value
    if nuts is not None or not quick:
        tell("NUTS")

        def drawn() -> Part:
            z = _draws_of_z(density, nuts or fit_nuts(density, seed=seed))
            return {"covariance": np.atleast_2d(np.cov(z[:, at].T))}

        matrices["posterior"] = keep("posterior", drawn)["covariance"]
    index = pd.Index(labels, name="coordinate")
    sd = {kind: np.sqrt(np.diag(matrix)) for kind, matrix in matrices.items()}
    return Covariance(
        name=subject(density),
        table=pd.DataFrame({"estimate": best.z[at], **sd}, index=index),
        matrices={k: pd.DataFrame(m, index=labels, columns=labels) for k, m in matrices.items()},
        reasons=reasons,
        ratios=_ratios(matrices, labels),
    )


def _draws_of_z(density: Density, nuts: DrawsFit) -> np.ndarray:
    """Unconstrained draws, shape (C S, D)."""
    names = [x.name for x in density.latents]
    flat = {n: nuts.samples[n].reshape(-1, *nuts.samples[n].shape[2:]) for n in names}
    return np.asarray(jax.jit(jax.vmap(lambda v: unconstrain(density, v)))(flat))


def _ratios(matrices: dict[str, np.ndarray], labels: list[str]) -> pd.DataFrame:
    """Extreme generalised eigenvalues of each covariance against the observed one."""
    first = matrices["observed"]
    sd = np.sqrt(np.diag(first))
    scaled = first / np.outer(sd, sd)
    rows = {}
    for kind, matrix in matrices.items():
        if kind == "observed" or not np.isfinite(matrix).all():
            continue
        own, axes = eigh(matrix / np.outer(sd, sd), scaled)
        most = combination(axes[:, -1] / sd, labels, unit=sd)
        rows[kind] = {"smallest": own[0], "largest": own[-1], "combination": most}
    return pd.DataFrame.from_dict(rows, orient="index")
