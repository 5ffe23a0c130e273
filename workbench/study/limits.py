r"""Three limits in which the answers meet: more data, a wider prior, a lower temperature.

*Data*: as n grows, the posterior of a regular model tends to the normal distribution of the
maximum likelihood estimate (Bernstein and von Mises). Both are taken anew for nested parts of the
data, the first n rows of several random orders; the distance of a term's posterior from
:math:`N(\hat\theta_n, se_n^2)` in units of :math:`se_n`,

.. math:: W_1 = \int_0^1 | F^{-1}(p) - \Phi^{-1}(p) | \, dp,

falls as :math:`n^{-1/2}`: the pull of the prior and the skew are both of that order.

*Prior*: the log prior times :math:`\alpha \to 0`, which makes a normal prior
:math:`\alpha^{-1/2}` times as wide; the mode in constrained space tends to the maximum likelihood
estimate, as :math:`\alpha`.

*Temperature*: the density of z to the power :math:`1/T`, :math:`T \to 0`, tends to a normal
density about its mode with T times the inverse curvature; the distance falls as :math:`T^{1/2}`.

Parts of the data have weights 0 and 1 on the rows, so that all refits run in one compiled program;
posteriors are draws from a Student t about each mode, with importance weights.

References
----------
van der Vaart (1998), Asymptotic Statistics, section 10.2, doi:10.1017/CBO9780511802256;
Tierney and Kadane (1986), doi:10.1080/01621459.1986.10478240; Vehtari et al. (2024), JMLR
25(72):1-58.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import stats
from scipy.stats import qmc

from workbench.errors import FitError
from workbench.fit import ModeFit, fit_mle
from workbench.fit.objective import Objective
from workbench.fit.optimiser import lbfgs
from workbench.fit.scaling import rescale
from workbench.fit.terms import term_vector
from workbench.model import Density, Model, read_density
from workbench.study.instrument import require_regular, subject
from workbench.study.refits import num_cases

_FREEDOM = 5  # of the Student t
_PARETO = 0.7
_NEAR = 1e-4  # Newton decrement, nats
_VANISHED = 1e-4  # information of a part, as a share of what its rows should have
_PRIORS = 4.0 ** -np.arange(6)
_TEMPERATURES = 4.0 ** -np.arange(5)
_FLOOR = 3.0  # times the noise of the draws, above which a distance counts for the slope
_AGREE = 0.05  # standard errors


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Distances along the three limits.

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        Columns ``limit`` (``data``, ``prior``, ``temperature``), ``at`` (rows n, power of the
        prior, temperature), ``distance`` (mean over terms and orders, in standard errors),
        ``std_error`` (between orders; ``nan`` where there is one), ``refits`` (that count) and
        ``reason`` (why some are left out).
    rates : pandas.Series
        Slope of log distance in log n, log alpha and log T, by limit; ``nan`` where fewer than two
        distances stand out from the noise of the draws.
    agreement : float
        Number of rows from which posterior and normal agree to 0.05 standard errors, by the fitted
        line; ``nan`` where it does not fall.

    Examples
    --------
    >>> table = pd.DataFrame({"limit": ["data", "data"], "at": [10.0, 40.0],
    ...                       "distance": [0.2, 0.1], "std_error": [0.01, 0.01]})
    >>> rates = pd.Series({"data": -0.5, "prior": 1.0, "temperature": 0.5})
    >>> found = Limits(name="m-d", table=table, rates=rates, agreement=160.0)
    >>> found.sentences[1]
    'Posterior and normal agree to 0.05 standard errors from about 1.6e+02 rows on.'
    """

    name: str
    table: pd.DataFrame
    rates: pd.Series
    agreement: float

    @property
    def trusted(self) -> bool:
        """Whether the distance falls as the data grow and as the prior widens."""
        return bool(self.rates["data"] < 0 < self.rates["prior"])

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        said = [
            "Distance of the posterior from the normal of the MLE falls as "
            f"n^{self.rates['data']:.2f} (regular models: -0.5), that of MAP from MLE as "
            f"alpha^{self.rates['prior']:.2f} (1), that of the tempered posterior from its normal "
            f"as T^{self.rates['temperature']:.2f} (0.5)."
        ]
        if np.isfinite(self.agreement):
            said.append(
                f"Posterior and normal agree to {_AGREE:g} standard errors from about "
                f"{self.agreement:.2g} rows on."
            )
        return tuple(said)


def limits(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    mle: ModeFit | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Limits:
    """Refit along more data, a wider prior and a lower temperature.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the orders of the rows and of the draws.
    quick : bool
        4 orders and 4,096 draws for each refit instead of 16 and 16,384.
    mle : ModeFit, optional
        Maximum likelihood fit of the same model; made when not given.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Limits
        Refits without a maximum, or whose importance weights are not to be believed, are left out
        and counted.

    Raises
    ------
    FitError
        Where rows are not independent (random effects, factors), or the whole data have no regular
        maximum: there is then no normal to tend to.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> y = 3 + np.random.default_rng(0).normal(size=400)
    >>> found = limits(normal, {"y": y}, quick=True)
    >>> bool(abs(found.rates["data"] + 0.5) < 0.1)
    True
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    if density.coordinates("random effect").size:
        raise FitError(
            f"limits expects independent rows, of which parts can be taken; model "
            f"'{density.model.name}' has random effects"
        )
    rows = num_cases(density)
    tell = on_stage or (lambda _: None)
    tell("MLE")
    best = mle if mle is not None else fit_mle(density, seed=seed)
    require_regular(
        best, density, "limits expects a regular maximum of the likelihood to tend to; that"
    )
    rng = np.random.default_rng(seed)
    num_orders = 4 if quick else 16
    least = min(max(5 * best.num_parameters, 10), rows)
    sizes = np.unique(np.geomspace(least, rows, 5).round().astype(int))
    # how early each row comes in each order
    place = np.argsort(rng.random((num_orders, rows)), axis=1)
    nested = np.concatenate([place < n for n in sizes]).astype(float)
    every = np.ones((1, rows))
    weights = np.concatenate([nested, every])
    tell("refits")
    fits = _Refitter(density, best)
    whole = np.ones(len(weights))
    likelihood = fits.modes(weights, 0 * whole, 0 * whole)
    posterior = fits.modes(weights, whole, whole)
    flattened = fits.modes(np.repeat(every, len(_PRIORS), axis=0), _PRIORS, 0 * _PRIORS)
    tell("posteriors")
    x, t = _student(best.num_parameters, 4096 if quick else 16_384, seed)
    towards = [
        fits.distance(likelihood, posterior, k, weights[k], 1.0, x, t) for k in range(len(nested))
    ]
    cold = [fits.distance(posterior, posterior, -1, every[0], T, x, t) for T in _TEMPERATURES]
    rest = [_apart(likelihood, flattened, k) for k in range(len(_PRIORS))]
    table = pd.DataFrame(
        [
            *(_entry("data", n, towards[i * num_orders : (i + 1) * num_orders])
              for i, n in enumerate(sizes)),
            *(_entry("prior", a, [d]) for a, d in zip(_PRIORS, rest, strict=True)),
            *(_entry("temperature", T, [d]) for T, d in zip(_TEMPERATURES, cold, strict=True)),
        ]
    )  # fmt: skip
    # the same draws, weighted to be normal: what is within their noise has no slope
    noise = _FLOOR * np.mean([wasserstein(u, _normal_weights(x, t)) for u in x.T])
    floor = {"data": noise, "prior": 0.0, "temperature": noise}
    lines = {k: _line(part, floor[str(k)]) for k, part in table.groupby("limit", sort=False)}
    slope, height = lines["data"]
    # height + slope log n = log 0.05
    agree = float(np.exp((np.log(_AGREE) - height) / slope)) if slope < 0 else np.nan
    return Limits(
        name=subject(density),
        table=table,
        rates=pd.Series({limit: line[0] for limit, line in lines.items()}, name="rate"),
        agreement=agree,
    )


@dataclass(frozen=True, kw_only=True)
class _Modes:
    """B refits: mode, a root of its covariance, terms with their errors, and whether regular."""

    theta: np.ndarray
    root: np.ndarray
    terms: np.ndarray
    errors: np.ndarray
    regular: np.ndarray


class _Refitter:
    """The two compiled programs of a study: many modes; the draws of one posterior."""

    def __init__(self, density: Density, best: ModeFit) -> None:
        self._density = density
        self._start = jnp.asarray(best.z)
        objective = Objective(density=density, method="MLE")
        self._scale = jnp.asarray(rescale(objective, self._start, density.arrays)[0])
        self._rows = num_cases(density)
        self._modes = jax.jit(lambda *a: jax.lax.map(lambda one: self._mode(*one), a, batch_size=8))
        self._draws = jax.jit(self._evaluate)

    def _parts(self, z: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Log-likelihood by row, log prior, log Jacobian."""
        found = self._density.evaluate(z, arrays)
        each = (found.log_probs[n] for n in self._density.names("observed"))
        by_row = sum(
            (x.reshape(self._rows, -1).sum(axis=1) for x in each), start=jnp.zeros(self._rows)
        )
        log_prior = self._density.sum_by_role(found.log_probs).log_prior
        return by_row, log_prior, sum(found.log_jacobian.values(), start=jnp.zeros(()))

    def _mode(self, weights: jax.Array, prior: jax.Array, jacobian: jax.Array) -> dict[str, Any]:
        arrays, start, scale = self._density.arrays, self._start, self._scale

        def objective(z: jax.Array, arrays: Any) -> jax.Array:
            by_row, log_prior, log_jacobian = self._parts(z, arrays)
            return weights @ by_row + prior * log_prior + jacobian * log_jacobian

        def gradient(w: jax.Array) -> tuple[jax.Array, jax.Array]:
            g = jax.grad(lambda v: objective(reached + scale @ v, arrays))(w)
            return g, g

        reached = lbfgs(objective, start[None], scale[None], arrays, 1e-5)[0][0]
        hessian, g = self._density.jacobian(gradient, has_aux=True)(jnp.zeros_like(start))
        information = -0.5 * (hessian + hessian.T)
        move = jnp.linalg.solve(information, g)
        end = reached + scale @ move
        root = scale @ jnp.linalg.inv(jnp.linalg.cholesky(information)).T
        pull = self._density.jacobian(lambda z: term_vector(self._density, z, arrays))(end)
        share = jnp.sum(weights) / self._rows
        enough = jnp.linalg.eigvalsh(information)[0] > _VANISHED * share
        return {
            "theta": end,
            "root": root,
            "terms": term_vector(self._density, end, arrays),
            "errors": jnp.linalg.norm(pull @ root, axis=1),
            "regular": enough & (g @ move < _NEAR) & jnp.isfinite(root).all(),
        }

    def modes(self, weights: np.ndarray, prior: np.ndarray, jacobian: np.ndarray) -> _Modes:
        """Modes of weighted log-likelihood plus powers of prior and Jacobian."""
        batch = -len(weights) % 8
        padded = [np.concatenate([x, np.repeat(x[:1], batch, axis=0)]) for x in
                  (weights, prior, jacobian)]  # fmt: skip
        out = self._modes(*(jnp.asarray(x) for x in padded))
        return _Modes(**{k: np.asarray(v)[: len(weights)] for k, v in out.items()})

    def _evaluate(self, z: jax.Array, weights: jax.Array, arrays: Any) -> Any:
        def one(z: jax.Array) -> tuple[jax.Array, jax.Array]:
            by_row, log_prior, log_jacobian = self._parts(z, arrays)
            value = weights @ by_row + log_prior + log_jacobian
            return value, term_vector(self._density, z, arrays)

        return jax.lax.map(one, z, batch_size=256)

    def distance(
        self, normal: _Modes, posterior: _Modes, k: int, weights: np.ndarray, temperature: float,
        x: np.ndarray, log_t: np.ndarray,
    ) -> tuple[float, str]:  # fmt: skip
        """Mean distance over the terms, in standard errors, and why there is none ("" if so)."""
        if not (normal.regular[k] and posterior.regular[k]):
            return np.nan, "no regular maximum"
        from workbench import az

        spread = np.sqrt(temperature)
        z = posterior.theta[k] + spread * x @ posterior.root[k].T
        value, terms = (
            np.asarray(v)
            for v in self._draws(jnp.asarray(z), jnp.asarray(weights), self._density.arrays)
        )
        ratio = value / temperature - log_t
        ratio = np.where(np.isnan(ratio), -np.inf, ratio)
        if not az.pareto_k(ratio) < _PARETO:
            return np.nan, "importance weights not to be believed"
        weight = np.exp(ratio - ratio.max())
        scaled = (terms - normal.terms[k]) / (spread * normal.errors[k])
        return float(np.mean([wasserstein(u, weight) for u in scaled.T])), ""


def wasserstein(draws: np.ndarray, weights: np.ndarray) -> float:
    """Wasserstein distance (of order 1) of weighted draws from the standard normal.

    Examples
    --------
    A shifted normal is as far away as its shift:

    >>> p = (np.arange(1000) + 0.5) / 1000
    >>> round(wasserstein(stats.norm.ppf(p) + 0.25, np.ones(1000)), 12)
    0.25
    """
    draws, weights = draws[weights > 0], weights[weights > 0]
    order = np.argsort(draws)
    share = weights[order] / weights.sum()
    # rounding must not carry the largest past 1
    p = np.minimum(np.cumsum(share) - 0.5 * share, 1 - np.finfo(float).eps)
    return float(share @ np.abs(draws[order] - stats.norm.ppf(p)))


def _student(size: int, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Quasi-random draws of a Student t, shape (num, size), and their log density, shape (num,)."""
    u = qmc.Sobol(size + 1, seed=seed).random(num)
    u = np.clip(u, 1e-12, 1 - 1e-12)
    chi2 = stats.chi2.ppf(u[:, -1], _FREEDOM)
    x = stats.norm.ppf(u[:, :-1]) / np.sqrt(chi2 / _FREEDOM)[:, None]
    return x, stats.multivariate_t(np.zeros(size), np.eye(size), df=_FREEDOM).logpdf(x)


def _apart(likelihood: _Modes, mode: _Modes, k: int) -> tuple[float, str]:
    """Mean distance of a mode's terms from the MLE of all rows, in standard errors."""
    if not mode.regular[k]:
        return np.nan, "no regular maximum"
    return float(np.mean(np.abs(mode.terms[k] - likelihood.terms[-1]) / likelihood.errors[-1])), ""


def _entry(limit: str, at: float, made: list[tuple[float, str]]) -> dict[str, Any]:
    """One row of the table, from the distance of each order."""
    known = np.array([d for d, _ in made if np.isfinite(d)])
    lost = [reason for _, reason in made if reason]
    counts = (f"{lost.count(r)} of {len(made)}: {r}" for r in dict.fromkeys(lost))
    several = known.size > 1
    return {
        "limit": limit,
        "at": float(at),
        "distance": float(known.mean()) if known.size else np.nan,
        "std_error": float(known.std(ddof=1) / np.sqrt(known.size)) if several else np.nan,
        "refits": int(known.size),
        "reason": "; ".join(counts),
    }


def _normal_weights(x: np.ndarray, log_t: np.ndarray) -> np.ndarray:
    """Importance weights that make draws of the Student t standard normal."""
    ratio = -0.5 * np.sum(x**2, axis=1) - log_t
    return np.exp(ratio - ratio.max())


def _line(part: pd.DataFrame, floor: float) -> tuple[float, float]:
    """Slope and height of log distance over the log of what goes to its limit."""
    part = part[part["distance"] > floor]
    if len(part) < 2:
        return np.nan, np.nan
    slope, height = np.polyfit(np.log(part["at"]), np.log(part["distance"]), 1)
    return float(slope), float(height)
