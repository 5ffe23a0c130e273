"""The posterior by NUTS: where to start, in which coordinates, and what to make of the draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from workbench.errors import FitError, ModelError
from workbench.fit.draws import DrawsFit
from workbench.fit.importance import importance_pareto_k
from workbench.fit.mode import ModeFit
from workbench.fit.modes import fit_laplace
from workbench.fit.prediction import simulate
from workbench.fit.provenance import provenance, stopwatch
from workbench.fit.sampler import ChainMethod, Chains, Progress, log_density_z, sample_chains
from workbench.fit.status import Status
from workbench.fit.tree import build_tree, estimand_table
from workbench.model import Density, Model, read_density
from workbench.model.simulation import without_observations

_GATE = 0.7  # Pareto k below which a normal approximation is a safe guide
_BATCH = 250  # draws evaluated at once


def fit_nuts(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    num_warmup: int = 1000,
    num_samples: int = 1000,
    num_chains: int = 4,
    chain_method: ChainMethod | None = None,
    target_accept_prob: float = 0.8,
    max_tree_depth: int = 10,
    laplace: ModeFit | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> DrawsFit:
    """Draw from the posterior by NumPyro's NUTS.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        One seed, split per stage and chain.
    num_warmup, num_samples, num_chains : int
        As in NumPyro.
    chain_method : str, optional
        ``parallel`` (threads, the default on a CPU), ``sequential`` or ``vectorized`` (one
        program, the default on a GPU).
    target_accept_prob, max_tree_depth : float, int
        As in NumPyro.
    laplace : ModeFit, optional
        A Laplace fit of the same density, which guides the coordinates; fitted when not given.
    progress : callable, optional
        Called with a :class:`~workbench.fit.sampler.Progress` after every chunk of steps.

    Returns
    -------
    DrawsFit
        Draws, predictive draws and diagnostics. After an interrupt, the draws so far.

    Raises
    ------
    FitError
        When a number of draws is not positive, or no start has a finite density.

    Notes
    -----
    The chains run in coordinates :math:`z = m + L x`. Where importance weights of the Laplace
    approximation have a Pareto k below 0.7 (Vehtari et al. 2024, JMLR 25(72)), L is its Cholesky
    factor; elsewhere its diagonal. Both leave the posterior as it is.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> fit = fit_nuts(normal, {"y": [1.0, 2.0, 3.0]}, num_warmup=200, num_samples=200)
    >>> fit.samples["mu"].shape
    (4, 200)
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    for name, value in (
        ("num_warmup", num_warmup), ("num_samples", num_samples), ("num_chains", num_chains)
    ):  # fmt: skip
        if value < 1:
            raise FitError(f"{name} expects at least 1; got {value}")
    if density.size == 0:
        raise FitError(f"model '{density.model.name}' has no latent site to sample")
    method = chain_method or ("parallel" if jax.default_backend() == "cpu" else "vectorized")
    keys = jax.random.split(jax.random.key(seed), 5)
    with stopwatch() as seconds:
        guide = laplace if laplace is not None else fit_laplace(density, seed=seed)
        coordinates = choose_coordinates(density, guide, keys[0])
        starts = _starts(density, coordinates, keys[1], num_chains)
        chains = sample_chains(
            density,
            key=keys[2],
            starts=starts,
            centre=coordinates.centre,
            scale=coordinates.scale,
            num_warmup=num_warmup,
            num_samples=num_samples,
            target_accept_prob=target_accept_prob,
            max_tree_depth=max_tree_depth,
            chain_method=method,
            progress=progress,
        )
        parts = _evaluate_draws(density, chains.z)
        predictive, prior, absent = _predictive(density, parts["latent"], keys[3], keys[4])
        elapsed = seconds()
    table, draws = estimand_table(density, parts["estimands"])
    status, detail = judge(chains, table, max_tree_depth)
    settings = {
        "num_warmup": num_warmup,
        "num_samples": chains.z.shape[1],
        "num_chains": num_chains,
        "chain_method": method,
        "target_accept_prob": target_accept_prob,
        "max_tree_depth": max_tree_depth,
        "coordinates": coordinates.verdict,
        "laplace_pareto_k": coordinates.pareto_k,
        "interrupted": chains.interrupted,
    }
    return DrawsFit(
        datatree=build_tree(density, chains.statistics, parts, predictive, prior),
        estimands=table,
        estimand_draws=draws,
        absent=absent,
        status=status,
        detail=detail,
        provenance=provenance(density, seed=seed, seconds=elapsed, settings=settings),
        density=density,
    )


@dataclass(frozen=True, kw_only=True)
class Coordinates:
    """Coordinates of the chains: z = centre + scale x.

    Attributes
    ----------
    centre, scale : numpy.ndarray
        Shapes (D,), and (D,) (diagonal) or (D, D).
    pareto_k : float
        Of the importance weights of the Laplace approximation; ``nan`` where it has none.
    verdict : str
        ``whitened``, ``scaled`` or ``plain``, and why.
    """

    centre: np.ndarray
    scale: np.ndarray
    pareto_k: float
    verdict: str


def choose_coordinates(density: Density, laplace: ModeFit, key: jax.Array) -> Coordinates:
    """Whiten by the Laplace approximation where its importance weights say it is a safe guide."""
    size = density.size
    variance = np.diag(laplace.covariance)
    if laplace.null_directions or not np.isfinite(laplace.covariance).all():
        return Coordinates(
            centre=np.zeros(size),
            scale=np.ones(size),
            pareto_k=np.nan,
            verdict=f"plain: the Laplace fit is {laplace.detail or laplace.status.value}",
        )
    sd = np.sqrt(np.where(variance > 0, variance, 1.0))
    pareto_k = importance_pareto_k(density, laplace, key)
    if np.isposinf(pareto_k):
        return Coordinates(
            centre=np.zeros(size),
            scale=np.ones(size),
            pareto_k=pareto_k,
            verdict="plain: the Laplace approximation has importance weights that are not finite",
        )
    if pareto_k < _GATE:
        root = np.linalg.cholesky(laplace.covariance / np.outer(sd, sd))
        return Coordinates(
            centre=laplace.z,
            scale=sd[:, None] * root,
            pareto_k=pareto_k,
            verdict=f"whitened: Pareto k of the Laplace approximation is {pareto_k:.2f}",
        )
    return Coordinates(
        centre=laplace.z,
        scale=sd,
        pareto_k=pareto_k,
        verdict=f"scaled: Pareto k of the Laplace approximation is {pareto_k:.2f}",
    )


def _starts(
    density: Density, coordinates: Coordinates, key: jax.Array, num_chains: int
) -> np.ndarray:
    """Overdispersed starts in x, uniform on (-2, 2), halved towards the centre until finite."""
    centre, scale = coordinates.centre, coordinates.scale
    x = np.asarray(jax.random.uniform(key, (num_chains, density.size), minval=-2, maxval=2))
    value = jax.jit(jax.vmap(lambda z, a: log_density_z(density, z, a), in_axes=(0, None)))
    for _ in range(20):
        z = centre + (x * scale if scale.ndim == 1 else x @ scale.T)
        bad = ~np.isfinite(np.asarray(value(jnp.asarray(z), density.arrays)))
        if not bad.any():
            return x
        x = np.where(bad[:, None], 0.5 * x, x)
    raise FitError(
        f"model '{density.model.name}' has no finite log density near the centre of its "
        "unconstrained space: expected at least one point to start from; check data against "
        "supports and the scale of the priors"
    )


def _evaluate_draws(density: Density, z: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Sites, estimands, log-likelihood and log prior of every draw, in batches."""

    def one(z: jax.Array, arrays: Any) -> dict[str, Any]:
        found = density.evaluate(z, arrays)
        prior = (*density.names("parameter", "random effect", "prior"),)
        return {
            "latent": {x.name: found.values[x.name] for x in density.latents},
            "values": found.values,
            "estimands": density.estimands(found.values, arrays),
            "log_likelihood": {n: found.log_probs[n] for n in density.names("observed")},
            "log_prior": {n: jnp.sum(found.log_probs[n]) for n in prior if n in found.log_probs},
        }

    program = jax.jit(jax.vmap(one, in_axes=(0, None)))
    chains, draws, size = z.shape
    rows = z.reshape(-1, size)
    padding = -len(rows) % _BATCH
    padded = np.concatenate([rows, rows[:1].repeat(padding, axis=0)])
    blocks = [
        jax.tree_util.tree_map(np.asarray, program(jnp.asarray(b), density.arrays))
        for b in padded.reshape(-1, _BATCH, size)
    ]

    def join(*parts: np.ndarray) -> np.ndarray:
        whole = np.concatenate(parts)[: len(rows)]
        return whole.reshape(chains, draws, *whole.shape[1:])

    return jax.tree_util.tree_map(join, *blocks)


def _predictive(
    density: Density, latent: Mapping[str, np.ndarray], key: jax.Array, prior_key: jax.Array
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, str]]:
    """Posterior predictive and prior draws, and the reason for what cannot be drawn."""
    absent: dict[str, str] = {}
    predictive: dict[str, np.ndarray] = {}
    shape = next(iter(latent.values())).shape[:2]
    try:
        flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in latent.items()}
        drawn = simulate(density, flat, key).draws
        predictive = {k: v.reshape(*shape, *v.shape[1:]) for k, v in drawn.items()}
    except ModelError as err:
        absent["posterior_predictive"] = str(err)
    improper = [x.name for x in density.latents if x.improper]
    prior: dict[str, np.ndarray] = {}
    if improper:
        absent["prior"] = f"site '{improper[0]}' has a flat prior, which cannot be drawn from"
        return predictive, prior, absent
    try:
        prior = _prior_draws(density, prior_key, 1000)
    except (NotImplementedError, ModelError) as err:
        absent["prior"] = f"the prior cannot be drawn from: {str(err) or 'improper'}"
    return predictive, prior, absent


def _prior_draws(density: Density, key: jax.Array, num: int) -> dict[str, np.ndarray]:
    """Draws of every site from the prior, the observed ones included, shape (num, ...)."""
    names = density.names("parameter", "random effect", "deterministic", "observed")

    def one(key: jax.Array) -> dict[str, jax.Array]:
        fn = handlers.seed(without_observations(density), key)
        trace = handlers.trace(fn).get_trace()
        return {n: trace[n]["value"] for n in names if n in trace}

    try:
        out = jax.jit(jax.vmap(one))(jax.random.split(key, num))
    except (AttributeError, TypeError) as err:
        raise ModelError(str(err).splitlines()[0]) from err
    return {k: np.asarray(v) for k, v in out.items()}


def judge(chains: Chains, table: Any, max_tree_depth: int) -> tuple[Status, str]:
    """Read the sampler's status off its statistics and the terms' diagnostics.

    Notes
    -----
    Thresholds of Vehtari et al. (2021), doi:10.1214/20-BA1221: R-hat 1.01, and 100 effective
    draws per chain in bulk and tail.
    """
    total = chains.statistics["diverging"].size
    divergent = int(chains.statistics["diverging"].sum())
    if not np.isfinite(chains.z).all():
        return Status.IMPROPER, "the chains left the finite numbers"
    worst = table["r_hat"].max()
    if worst > 1.01:
        term = table["r_hat"].idxmax()
        return Status.POOR_MIXING, f"poor mixing: R-hat {worst:.3f} of {term} is above 1.01"
    if divergent > 0.005 * total:
        return Status.DIVERGENT, f"{divergent} of {total} transitions diverged"
    need = 100 * chains.z.shape[0]
    ess = table[["ess_bulk", "ess_tail"]].min(axis=1)
    if not ess.min() >= need:
        return Status.TOO_FEW_DRAWS, (
            f"too few draws: effective sample size {ess.min():.0f} of {ess.idxmin()} is below "
            f"{need} (100 per chain)"
        )
    return Status.CONVERGED, ""
