"""The posterior by NUTS: where to start, in which coordinates, when to stop, what to make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from workbench.errors import FitError
from workbench.fit.batches import random_keys
from workbench.fit.checkpoint import Keeper, Saved, identity_of, read_own
from workbench.fit.compilation import keep_compiled_programs, spare_modules
from workbench.fit.coordinates import Coordinates, choose_coordinates, draw_starts_of_chains
from workbench.fit.draws import DrawsFit
from workbench.fit.guide import Guide, find_guide
from workbench.fit.hierarchy import Effects, change_of_effects
from workbench.fit.kernel import Target, adaptation_clock, chain_programs
from workbench.fit.memory import return_freed_memory
from workbench.fit.mode import ModeFit
from workbench.fit.prepared import prepare_data
from workbench.fit.provenance import provenance, stopwatch
from workbench.fit.quantities import Completion, Quantities, evaluate_draws
from workbench.fit.sampler import ChainMethod, Chains, Progress, Sampler
from workbench.fit.status import Status
from workbench.fit.stopping import Goal
from workbench.fit.tree import estimand_table, stacked
from workbench.model import Density, Model, read_density

_WARMUP, _WARMUP_WHITENED = 1000, 100  # by default
_ACCEPT, _ACCEPT_WHITENED, _ACCEPT_HIERARCHY = 0.8, 0.65, 0.95
_SAMPLES, _DOUBLINGS = 1000, 10
_DIVERGENT = 0.005  # share of the transitions
_FIRST_LOOK = 100  # whitened draws, after which divergences are counted


def fit_nuts(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    num_warmup: int | None = None,
    num_samples: int | None = None,
    num_chains: int = 4,
    chain_method: ChainMethod | None = None,
    target_accept_prob: float | None = None,
    max_tree_depth: int | None = None,
    until: Mapping[str, float] | None = None,
    max_samples: int = 20_000,
    laplace: ModeFit | None = None,
    effects: Effects = "auto",
    progress: Callable[[Progress], None] | None = None,
    checkpoint: Keeper | None = None,
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
    num_warmup : int, optional
        Steps of adaptation, as in NumPyro. By default 1000, or 100 for the step size alone where
        the coordinates are whitened.
    num_samples : int, optional
        Draws of each chain, 1000 by default; not together with ``until``.
    num_chains : int
        As in NumPyro.
    chain_method : str, optional
        ``parallel`` (threads, the default on a CPU), ``sequential`` or ``vectorized`` (one
        program, the default on a GPU).
    target_accept_prob : float, optional
        Acceptance the step size is adapted to: by default 0.8, or 0.65 of several whitened
        coordinates, or 0.95 where effects are sampled with a learnt amount of centring.
    max_tree_depth : int, optional
        As in NumPyro: by default 10, or fewer where the coordinates are whitened, whose orbits
        are short (:mod:`workbench.fit.coordinates`).
    until : mapping, optional
        Draw until every reported term has it: ``{"ess": 400, "rhat": 1.01}``, or one of the two.
    max_samples : int
        With ``until``, the most draws of a chain.
    laplace : ModeFit, optional
        A Laplace fit of the same density, which guides the coordinates; fitted when not given.
    effects : str
        What is done with effects of groups (:mod:`workbench.fit.hierarchy`): ``auto``;
        ``integrated`` out where they are normal given the rest, and drawn afterwards;
        ``recentred``, sampled with an amount of centring learnt from the data; ``as written``.
    progress : callable, optional
        Called with a :class:`~workbench.fit.sampler.Progress` after every chunk of steps.
    checkpoint : Checkpoint, optional
        Where to save the run as it goes, and to go on from (:class:`workbench.Checkpoint`).

    Returns
    -------
    DrawsFit
        Draws, predictive draws and diagnostics. After an interrupt, the draws so far.

    Raises
    ------
    FitError
        When a number of draws is not positive, no start has a finite density, the checkpoint is
        of another run, or the effects are none that can be treated as asked.

    Notes
    -----
    The chains run in coordinates :math:`z = m + L x`, which leave the posterior as it is; where a
    Laplace approximation is a safe guide, L is its Cholesky factor, and
    ``provenance.settings["coordinates"]`` says why (:mod:`workbench.fit.coordinates`). Whitened
    chains of whose first hundred draws more than 0.5% diverge begin anew with a diagonal L. A
    second call on the same model and shapes compiles nothing (:mod:`workbench.fit.kernel`).

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
    if until is not None and num_samples is not None:
        raise FitError(
            "num_samples is a fixed number of draws and until draws as many as it takes: expected "
            "one of the two; max_samples= bounds the second"
        )
    goal = None if until is None else Goal.read(until)
    for name, value in (
        ("num_warmup", num_warmup), ("num_samples", num_samples), ("num_chains", num_chains),
        ("max_samples", max_samples),
    ):  # fmt: skip
        if value is not None and value < 1:
            raise FitError(f"{name} expects at least 1; got {value}")
    if density.size == 0:
        raise FitError(f"model '{density.model.name}' has no latent site to sample")
    keep_compiled_programs()
    spare_modules()
    method = chain_method or ("parallel" if jax.default_backend() == "cpu" else "vectorized")
    keys = _keys(seed, num_chains)
    asked = {
        "effects": effects,
        "num_warmup": num_warmup,
        "num_chains": num_chains,
        "chain_method": method,
        "target_accept_prob": target_accept_prob,
        "max_tree_depth": max_tree_depth,
    }
    # data are gone through for their fingerprint, so only where it is asked for
    identity = {} if checkpoint is None else identity_of(density, {"seed": seed, **asked})

    def begin(coordinates: Coordinates) -> tuple[_Plan, Sampler]:
        accept = target_accept_prob or (None if whiten else _ACCEPT_HIERARCHY)
        plan = _Plan.of(coordinates, num_warmup, accept, max_tree_depth)
        return_freed_memory(target.arrays)  # the mode's
        programs = chain_programs(
            target,
            plan.max_tree_depth,
            coordinates.whitened,
            num_chains if method == "vectorized" else 0,
            None if prepared is None else prepared.arrows,
        )
        return plan, Sampler(
            programs,
            keys=keys.chains,
            starts=draw_starts_of_chains(target, coordinates, keys.starts, num_chains),
            target=Target(
                arrays=target.arrays,
                centre=coordinates.centre,
                scale=coordinates.scale,
                accept=np.asarray(plan.accept),
                prepared=None if prepared is None else prepared.made,
            ),
            clock=adaptation_clock(plan.num_warmup, mass_matrix=not plan.alone),
            chain_method=method,
            progress=progress,
        )

    with stopwatch() as seconds:
        saved = None if checkpoint is None else read_own(checkpoint, identity)
        change = change_of_effects(density, effects, seed=seed)
        target = density if change is None else change.target
        whiten = change is None or change.whiten
        return_freed_memory(target.arrays)
        if saved is None:
            given = laplace if change is None else None
            guide = find_guide(target, seed=seed) if given is None else Guide.of(given)
            coordinates = choose_coordinates(target, guide, whiten=whiten)
        else:
            coordinates = Coordinates.from_arrays(saved.arrays)
        prepared = prepare_data(target, coordinates.centre)
        plan, sampler = begin(coordinates)
        if saved is not None:
            sampler.restore(saved.arrays)

        def save(*, now: bool = False) -> None:
            if checkpoint is not None:
                checkpoint.offer(
                    lambda: Saved(
                        identity=identity, arrays={**coordinates.arrays(), **sampler.state()}
                    ),
                    now=now,
                )

        num = num_samples or _SAMPLES
        if coordinates.whitened:
            most = num if goal is None else max_samples
            first = sampler.advance(min(_FIRST_LOOK, most), most=most, after_chunk=save)
            diverging = first.statistics["diverging"]
            if not first.interrupted and diverging.mean() > _DIVERGENT:
                coordinates = coordinates.scaled(
                    f"{diverging.sum()} of the first {diverging.size} transitions diverged in "
                    f"whitened coordinates; {coordinates.verdict.removeprefix('whitened: ')}"
                )
                plan, sampler = begin(coordinates)
        chains, quantities = _draw(
            lambda z: z if change is None else change.expand(z, keys.effects),
            density, sampler, num, goal, max_samples, save,
        )  # fmt: skip
        save(now=True)
        elapsed = seconds()
    table, draws = estimand_table(density, quantities.estimands)
    status, detail = judge(chains, table, goal)
    statistics = prepared is not None and bool(prepared.arrows)
    settings = {
        **asked,
        "num_warmup": plan.num_warmup,
        "num_samples": chains.z.shape[1],
        "target_accept_prob": plan.accept,
        "max_tree_depth": max_tree_depth or _DOUBLINGS,
        "most_doublings": plan.max_tree_depth,
        "adapted": "step size" if plan.alone else "step size and mass matrix",
        "coordinates": coordinates.verdict,
        "hierarchy": "as written" if change is None else change.verdict,
        "likelihood": "by sufficient statistics of the rows" if statistics else "by row",
        "laplace_pareto_k": coordinates.pareto_k,
        "until": None if until is None else dict(until),
        "interrupted": chains.interrupted,
    }
    return DrawsFit(
        samples=quantities.values,
        sample_stats=chains.statistics,
        estimands=table,
        estimand_draws=draws,
        status=status,
        detail=detail,
        provenance=provenance(density, seed=seed, seconds=elapsed, settings=settings),
        density=density,
        complete=Completion(
            density=density,
            z=chains.z,
            quantities=quantities,
            statistics=chains.statistics,
            keys=keys.predictive,
        ),
    )


class _Keys(NamedTuple):
    """Random keys: of the starts, of each chain, of what is integrated out, of predictive draws."""

    starts: jax.Array
    chains: jax.Array
    effects: jax.Array
    predictive: tuple[jax.Array, jax.Array]


def _keys(seed: int, num_chains: int) -> _Keys:
    """The stages' keys of a seed."""
    root = jax.random.key(seed)
    rest, chains = (
        jax.random.wrap_key_data(jnp.asarray(random_keys(root, num, stream)))
        for stream, num in enumerate((4, num_chains))
    )
    return _Keys(
        starts=rest[0],
        chains=chains,
        effects=rest[1],
        predictive=(rest[2], rest[3]),
    )


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """How the chains run: what was asked for, or the default for their coordinates."""

    num_warmup: int
    accept: float
    max_tree_depth: int
    alone: bool  # the step size is adapted without a mass matrix

    @classmethod
    def of(
        cls,
        coordinates: Coordinates,
        num_warmup: int | None,
        accept: float | None,
        max_tree_depth: int | None,
    ) -> _Plan:
        whitened = coordinates.whitened
        alone = whitened and num_warmup is None
        several = coordinates.centre.size > 1
        return cls(
            num_warmup=num_warmup or (_WARMUP_WHITENED if alone else _WARMUP),
            accept=accept or (_ACCEPT_WHITENED if whitened and several else _ACCEPT),
            max_tree_depth=max_tree_depth or (coordinates.doublings if whitened else _DOUBLINGS),
            alone=alone,
        )


def _draw(
    complete: Callable[[np.ndarray], np.ndarray],
    density: Density,
    sampler: Sampler,
    num_samples: int,
    goal: Goal | None,
    max_samples: int,
    after_chunk: Callable[[], None],
) -> tuple[Chains, Quantities]:
    """Draw a fixed number, or in rounds until a goal or the most draws allowed are reached."""
    num, most = num_samples, num_samples
    if goal is not None:
        num, most = min(goal.first(sampler.num_chains), max_samples), max_samples
    while True:
        chains = sampler.advance(num, most=most, after_chunk=after_chunk)
        chains = replace(chains, z=complete(chains.z))
        quantities = evaluate_draws(density, chains.z)
        if goal is None or chains.interrupted or num == most:
            return chains, quantities
        wanted = goal.next(stacked(quantities.estimands))
        if wanted is None:
            return chains, quantities
        num = min(wanted, most)


def judge(chains: Chains, table: Any, goal: Goal | None = None) -> tuple[Status, str]:
    """Read the sampler's status off its statistics and the terms' diagnostics.

    Parameters
    ----------
    chains : Chains
        All draws.
    table : pandas.DataFrame
        Diagnostics by term.
    goal : Goal, optional
        What was asked for, where that is more than the least.

    Returns
    -------
    status : Status
        The first thing that is wrong.
    detail : str
        What it is about.

    Notes
    -----
    Thresholds of Vehtari et al. (2021), doi:10.1214/20-BA1221: R-hat 1.01, and 100 effective
    draws per chain in bulk and tail.
    """
    total = chains.statistics["diverging"].size
    divergent = int(chains.statistics["diverging"].sum())
    if not np.isfinite(chains.z).all():
        return Status.IMPROPER, "the chains left the finite numbers"
    least = 100 * chains.z.shape[0]
    need, most, said = least, 1.01, f"{least} (100 per chain)"
    if goal is not None:
        most = min(goal.rhat, most)
        if goal.ess > least:
            need, said = goal.ess, f"the {goal.ess:g} asked for"
    worst = table["r_hat"].max()
    if worst > most:
        term = table["r_hat"].idxmax()
        return Status.POOR_MIXING, f"poor mixing: R-hat {worst:.3f} of {term} is above {most:g}"
    if divergent > _DIVERGENT * total:
        return Status.DIVERGENT, f"{divergent} of {total} transitions diverged"
    ess = table[["ess_bulk", "ess_tail"]].min(axis=1)
    if not ess.min() >= need:
        return Status.TOO_FEW_DRAWS, (
            f"too few draws: effective sample size {ess.min():.0f} of {ess.idxmin()} is below "
            f"{said}"
        )
    return Status.CONVERGED, ""
