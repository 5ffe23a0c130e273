r"""A prior's width as a penalty: the path of the estimate, and the width that each score picks.

A normal prior of sd :math:`\tau` on a coefficient adds to the negative log-likelihood the penalty
:math:`\beta^2 / (2 \tau^2)`. The same estimate has three names for its strength:

=====================================================================  ========================
minimises                                                              strength
=====================================================================  ========================
:math:`-\ell(\beta) + \tfrac12 \lambda \|\beta\|^2`                    :math:`1 / \tau^2`
:math:`\tfrac12 \|y - X\beta\|^2 + \tfrac12 \lambda \|\beta\|^2`       :math:`\sigma^2 / \tau^2`
:math:`\tfrac1{2N} \|y - X\beta\|^2 + \tfrac12 \lambda \|\beta\|^2`    :math:`\sigma^2 / (N \tau^2)`
=====================================================================  ========================

Along widths :math:`s \tau` the study gives the posterior mode in constrained space (MAP), the
effective number of parameters :math:`\mathrm{tr}(H^{-1} H_y)`, and two scores: the log evidence by
Laplace's method, and the log predictive density of each row left out. The latter refits by one
Newton step without the row, :math:`\theta_{-i} = \hat\theta - (H - H_i)^{-1} s_i` with its score
and its curvature, which is exact where the log posterior is quadratic.

References
----------
Hoerl and Kennard (1970), doi:10.1080/00401706.1970.10488634; MacKay (1992),
doi:10.1162/neco.1992.4.3.415; Pregibon (1981), doi:10.1214/aos/1176345513 (the one-step refit).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from workbench.errors import FitError
from workbench.fit import ModeFit, fit_map
from workbench.fit.objective import Objective
from workbench.fit.optimiser import lbfgs
from workbench.fit.scaling import rescale
from workbench.fit.terms import term_vector
from workbench.model import Density, Model, read_density
from workbench.study.instrument import require_regular, subject
from workbench.study.refits import num_cases
from workbench.study.widths import can_widen, prior_scale, widened

_NEAR = 1e-6  # Newton decrement, nats
_NEWTON = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Penalties:
    """Estimates and scores along the width of a prior (K widths, Q terms).

    Attributes
    ----------
    name : str
        Model and data.
    sites : tuple of str
        Sites whose priors were scaled.
    table : pandas.DataFrame
        Index ``width`` (factor of the prior's scale); ``tau`` (median sd of the scaled priors),
        ``lambda`` (1 / tau^2, on the log-likelihood), ``lambda_rss`` (on the residual sum of
        squares, for normal noise), ``effective_parameters``, ``log_evidence``, ``elpd_loo`` (nats)
        and ``reason``.
    path : pandas.DataFrame
        MAP of every term, one row for each width.
    picks : pandas.Series
        Width with the highest ``log_evidence`` and ``elpd_loo``.

    Examples
    --------
    >>> table = pd.DataFrame({"effective_parameters": [0.1, 0.9], "log_evidence": [-5.0, -4.0],
    ...                       "elpd_loo": [-4.5, -4.2], "reason": ["", ""]}, index=[0.1, 1.0])
    >>> found = Penalties(name="m-d", sites=("beta",), table=table,
    ...                   path=pd.DataFrame({"beta": [0.1, 0.5]}, index=[0.1, 1.0]),
    ...                   picks=pd.Series({"log_evidence": 1.0, "elpd_loo": 1.0}))
    >>> found.sentences[1]
    'Of the widths tried, log evidence picks 1 times the width of the prior; elpd loo picks 1 times
    the width of the prior.'
    """

    name: str
    sites: tuple[str, ...]
    table: pd.DataFrame
    path: pd.DataFrame
    picks: pd.Series

    @property
    def trusted(self) -> bool:
        """Whether every width has a regular mode."""
        return bool((self.table["reason"] == "").all())

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        parts = [
            f"{score.replace('_', ' ')} picks {width:.3g} times the width of the prior"
            for score, width in self.picks.dropna().items()
        ]
        return (
            f"Scaled the prior of {', '.join(self.sites)}: a normal prior of sd tau is the penalty "
            "beta^2 / (2 tau^2) on the log-likelihood, lambda = sigma^2 / tau^2 on the residual "
            "sum of squares, and that over N on its mean.",
            f"Of the widths tried, {'; '.join(parts)}." if parts else "No width has a score.",
        )


def penalties(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    sites: tuple[str, ...] = (),
    fit: ModeFit | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Penalties:
    """Follow the posterior mode and its scores along the width of a prior.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the first fit.
    quick : bool
        7 widths instead of 25.
    sites : tuple of str, optional
        Sites with normal, Laplace, Cauchy or Student t priors; all of those by default.
    fit : ModeFit, optional
        MAP fit of the same model; made when not given.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Penalties
        A width without a regular mode has ``nan`` and its reason.

    Raises
    ------
    FitError
        When no parameter has such a prior, the model has random effects, or the mode at the
        prior's own width is not regular.

    Examples
    --------
    One observation at 1 of variance 1: a prior of sd s, here
    10^(-2/3), 1 and 10^(2/3), shrinks it to s^2 / (1 + s^2).

    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1).expand([1]), obs=y)
    >>> found = penalties(normal, {"y": [1.0]}, quick=True)
    >>> found.path["mu"].iloc[2:5].round(6).tolist()
    [0.044357, 0.5, 0.955643]
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    known = can_widen(density)
    chosen = sites or known
    if not chosen or set(chosen) - set(known):
        raise FitError(
            f"penalties expects sites with a normal, Laplace, Cauchy or Student t prior of their "
            f"own; model '{density.model.name}' has {', '.join(known) or 'none'}, got "
            f"{', '.join(chosen) or 'none'}"
        )
    if density.coordinates("random effect").size:
        raise FitError(
            f"penalties expects parameters alone; model '{density.model.name}' has random effects, "
            "whose spread is already the width of their prior and is estimated (fit_mle)"
        )
    tell = on_stage or (lambda _: None)
    tell("MAP")
    best = fit if fit is not None else fit_map(density, seed=seed)
    require_regular(best, density, "penalties expects a regular posterior mode; that")
    tell("widths")
    widths = np.geomspace(10**-2.0, 10**2.0, 7 if quick else 25)
    objective = Objective(density=density, method="MAP")
    start = jnp.asarray(best.z)
    scale = jnp.asarray(rescale(objective, start, density.arrays)[0])
    program = _program(density, chosen, start, scale)
    constrained, unconstrained = (
        {k: np.asarray(v) for k, v in program(jnp.asarray(widths), flag, density.arrays).items()}
        for flag in (0.0, 1.0)
    )
    tau = widths * float(np.median(np.concatenate(
        [np.ravel(np.asarray(prior_scale(density, n))) for n in chosen]
    )))  # fmt: skip
    regular = constrained["regular"] & unconstrained["regular"]
    rows = _rows(density)
    table = pd.DataFrame(
        {
            "tau": tau,
            "lambda": 1 / tau**2,
            "lambda_rss": constrained["noise"] ** 2 / tau**2,
            "effective_parameters": constrained["effective"],
            "log_evidence": unconstrained["log_evidence"],
            "elpd_loo": constrained["elpd_loo"] if rows else np.nan,
            "reason": np.where(regular, "", "no regular mode"),
        },
        index=pd.Index(widths, name="width"),
    )
    scores = ["effective_parameters", "log_evidence", "elpd_loo"]
    table.loc[~regular, scores] = np.nan
    path = pd.DataFrame(constrained["terms"], index=table.index, columns=best.estimates.index)
    path[~regular] = np.nan
    return Penalties(
        name=subject(density),
        sites=chosen,
        table=table,
        path=path,
        picks=pd.Series(
            {
                k: table[k].idxmax() if table[k].notna().any() else np.nan
                for k in ("log_evidence", "elpd_loo")
            },
            name="width",
        ),
    )


def _rows(density: Density) -> int:
    """Number of independent rows, 0 where there are none to leave out."""
    try:
        return num_cases(density)
    except FitError:
        return 0


def _program(
    density: Density, sites: tuple[str, ...], start: jax.Array, scale: jax.Array
) -> Callable[..., dict[str, jax.Array]]:
    """Compiled: modes at many widths; a flag puts the Jacobian in (mode and evidence in z)."""
    rows = _rows(density)

    def objective(z: jax.Array, data: Any) -> jax.Array:
        width, flag, arrays = data
        here = Objective(density=widened(density, sites, width), method="MAP")
        jacobian = density.evaluate(z, arrays).log_jacobian
        total = here.log_joint(z, jnp.zeros(0), arrays)
        return total + flag * sum(jacobian.values(), start=jnp.zeros(()))

    def likelihood(z: jax.Array, data: Any) -> jax.Array:
        return density.log_terms(z, data[2]).log_likelihood

    def hessian(f: Callable[[jax.Array], jax.Array]) -> jax.Array:
        return -density.jacobian(jax.grad(f))(jnp.zeros_like(start))

    def one(width: jax.Array, flag: jax.Array, arrays: Any) -> dict[str, jax.Array]:
        data: Any = (width, flag, arrays)
        theta = lbfgs(objective, start[None], scale[None], data, 1e-4)[0][0]

        def newton(_: int, theta: jax.Array) -> jax.Array:
            g = jax.grad(lambda w: objective(theta + scale @ w, data))(jnp.zeros_like(theta))
            h = hessian(lambda w: objective(theta + scale @ w, data))
            return theta + scale @ jnp.linalg.solve(h, g)

        theta = jax.lax.fori_loop(0, _NEWTON, newton, theta)
        g = jax.grad(lambda w: objective(theta + scale @ w, data))(jnp.zeros_like(theta))
        h = hessian(lambda w: objective(theta + scale @ w, data))
        fit = hessian(lambda w: likelihood(theta + scale @ w, data))
        log_det = jnp.linalg.slogdet(h)[1] - 2 * jnp.linalg.slogdet(scale)[1]
        return {
            "terms": term_vector(density, theta, arrays),
            "effective": jnp.trace(jnp.linalg.solve(h, fit)),
            "log_evidence": objective(theta, data)
            + 0.5 * theta.size * jnp.log(2 * jnp.pi)
            - 0.5 * log_det,
            "elpd_loo": _left_out(density, theta, scale, h, rows, arrays)
            if rows
            else jnp.asarray(jnp.nan),
            "noise": _noise(density, theta, arrays),
            "regular": (jnp.linalg.eigvalsh(h)[0] > 0) & (g @ jnp.linalg.solve(h, g) < _NEAR),
        }

    return jax.jit(lambda widths, flag, arrays: jax.lax.map(lambda s: one(s, flag, arrays), widths))


def _left_out(
    density: Density, theta: jax.Array, scale: jax.Array, h: jax.Array, rows: int, arrays: Any
) -> jax.Array:
    """Sum of each row's log density at the mode without it, by one Newton step."""

    def by_row(w: jax.Array) -> jax.Array:
        each = density.pointwise_log_likelihood(theta + scale @ w, arrays).values()
        return sum((x.reshape(rows, -1).sum(axis=1) for x in each), start=jnp.zeros(rows))

    zero = jnp.zeros_like(theta)
    score = density.jacobian(by_row)(zero)
    curvature = -density.jacobian(density.jacobian(by_row))(zero)

    def one(i: jax.Array) -> jax.Array:
        return by_row(-jnp.linalg.solve(h - curvature[i], score[i]))[i]

    return jnp.sum(jax.lax.map(one, jnp.arange(rows), batch_size=64))


def _noise(density: Density, z: jax.Array, arrays: Any) -> jax.Array:
    """Mean sd of normal observations; ``nan`` for other families."""
    found = density.evaluate(z, arrays).distributions
    if set(density.observed_families) != {"Normal"}:
        return jnp.asarray(jnp.nan)
    (first, *_) = density.names("observed")
    return jnp.mean(jnp.sqrt(found[first].variance))
