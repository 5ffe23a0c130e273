r"""NUTS in compiled chunks: NumPyro's own kernel, traced once, each chain in a thread.

The chain lives in coordinates x with :math:`z = m + L x`, an affine change of variables that
leaves the posterior as it is. Data, m and L are arguments of the two compiled programs (begin a
chain; advance it by any number of steps up to a chunk), so that one compilation serves every
chain, and the chain can be watched and stopped between chunks. XLA releases Python's lock while
it runs, so threads keep both cores busy; nothing is traced inside a thread, since NumPyro's
handler stack is global.

References
----------
Hoffman and Gelman (2014), "The No-U-Turn Sampler", JMLR 15:1593-1623;
Betancourt (2017), arXiv:1701.02434; Phan et al. (2019), arXiv:1912.11554 (iterative NUTS).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc

from workbench.model import Density

ChainMethod = Literal["parallel", "sequential", "vectorized"]
_CHUNK = 100  # steps advanced by one call
_POLL = 0.1  # seconds
_STATISTICS = (
    "lp", "energy", "n_steps", "tree_depth", "acceptance_rate", "diverging", "step_size",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where one chain stands.

    Attributes
    ----------
    chain, step, num_steps : int
        Chain number (from 0), steps done, steps in all (warm-up included).
    warmup : bool
        Whether the chain is still adapting.
    divergences : int
        Divergent transitions after the warm-up so far.
    step_size : float
        Current step size.
    """

    chain: int
    step: int
    num_steps: int
    warmup: bool
    divergences: int
    step_size: float


@dataclass(frozen=True, kw_only=True)
class Chains:
    """Raw draws of all chains.

    Attributes
    ----------
    z : numpy.ndarray
        Unconstrained draws, shape (C, S, D).
    statistics : dict of str to numpy.ndarray
        ``lp, energy, n_steps, tree_depth, acceptance_rate, diverging, step_size``, each (C, S).
    interrupted : bool
        Whether the run was stopped before its last draw; S is then what every chain had.
    """

    z: np.ndarray
    statistics: dict[str, np.ndarray]
    interrupted: bool


def log_density_z(density: Density, z: jax.Array, arrays: Any) -> jax.Array:
    """Log joint density of z, shape (D,): log joint plus log Jacobian, nats."""
    found = density.evaluate(z, arrays)
    terms = density.sum_by_role(found.log_probs)
    return terms.log_joint + sum(found.log_jacobian.values(), start=jnp.zeros(()))


def sample_chains(
    density: Density,
    *,
    key: jax.Array,
    starts: np.ndarray,
    centre: np.ndarray,
    scale: np.ndarray,
    num_warmup: int,
    num_samples: int,
    target_accept_prob: float,
    max_tree_depth: int,
    chain_method: ChainMethod,
    progress: Callable[[Progress], None] | None = None,
) -> Chains:
    """Run NUTS from given starts.

    Parameters
    ----------
    density : Density
        The model at its data.
    key : jax.Array
        Random key, split per chain.
    starts : numpy.ndarray
        First points in x, shape (C, D).
    centre, scale : numpy.ndarray
        m, shape (D,), and L, shape (D,) when diagonal or (D, D).
    num_warmup, num_samples : int
        Steps of adaptation and draws kept, for each chain.
    target_accept_prob : float
        Acceptance the step size is adapted to.
    max_tree_depth : int
        Bound on the doublings of a trajectory.
    chain_method : str
        ``parallel`` (threads), ``sequential`` or ``vectorized`` (one program, for GPUs).
    progress : callable, optional
        Called with a :class:`Progress` after each chunk of each chain.

    Returns
    -------
    Chains
        Draws in z. After an interrupt with draws in every chain, those draws.
    """
    num_chains = len(starts)
    begin, advance = _programs(density, num_warmup, target_accept_prob, max_tree_depth)
    fixed = (density.arrays, jnp.asarray(centre), jnp.asarray(scale))
    keys = jax.random.split(key, num_chains)
    if chain_method == "vectorized":
        begin = jax.vmap(begin, in_axes=(0, 0, None))
        advance = jax.vmap(advance, in_axes=(0, None, None))
        first = [(keys, jnp.asarray(starts))]
    else:
        first = [(keys[c], jnp.asarray(starts[c])) for c in range(num_chains)]
    begin_compiled = jax.jit(begin).lower(*first[0], fixed).compile()
    state = begin_compiled(*first[0], fixed)
    advance_compiled = jax.jit(advance).lower(state, fixed, jnp.asarray(1)).compile()
    stop = threading.Event()

    def run(chain: int) -> list[dict[str, np.ndarray]]:
        state = begin_compiled(*first[chain], fixed)
        kept: list[dict[str, np.ndarray]] = []
        total, done, divergences = num_warmup + num_samples, 0, 0
        while done < total and not stop.is_set():
            # a chunk never straddles the end of the warm-up
            left = (num_warmup if done < num_warmup else total) - done
            steps = min(_CHUNK, left)
            state, block = advance_compiled(state, fixed, jnp.asarray(steps))
            block = {k: np.asarray(v)[..., :steps, :] if k == "x" else np.asarray(v)[..., :steps]
                     for k, v in block.items()}  # fmt: skip
            warmup = done < num_warmup
            done += steps
            if not warmup:
                kept.append(block)
                divergences += int(block["diverging"].sum())
            if progress is not None:
                progress(
                    Progress(
                        chain=chain, step=done, num_steps=total, warmup=done <= num_warmup,
                        divergences=divergences, step_size=float(block["step_size"].flat[-1]),
                    )
                )  # fmt: skip
        return kept

    blocks, interrupted = _run_all(run, len(first), chain_method, stop)
    merged = [_merge(b) for b in blocks]
    if any(not m for m in merged):
        raise KeyboardInterrupt
    if chain_method == "vectorized":
        stacked = merged[0]
    else:
        length = min(m["lp"].shape[0] for m in merged)
        stacked = {k: np.stack([m[k][:length] for m in merged]) for k in merged[0]}
    x = stacked.pop("x")
    z = centre + (x * scale if scale.ndim == 1 else x @ scale.T)
    return Chains(z=z, statistics={k: stacked[k] for k in _STATISTICS}, interrupted=interrupted)


def _run_all(
    run: Callable[[int], list[Any]], num: int, chain_method: str, stop: threading.Event
) -> tuple[list[list[Any]], bool]:
    """Run every chain; on an interrupt let each finish its chunk and keep what it has."""
    workers = num if chain_method == "parallel" else 1
    futures: list[Future[list[Any]]] = []
    interrupted = False
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            futures += [pool.submit(run, c) for c in range(num)]
            # waking now and then: the system may hand an interrupt to another thread than this one
            while wait(futures, timeout=_POLL).not_done:
                pass
        except KeyboardInterrupt:
            stop.set()
            interrupted = True
        if len(futures) < num:
            raise KeyboardInterrupt  # before every chain had begun
        return [f.result() for f in futures], interrupted


def _merge(blocks: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Put the chunks of a chain together along the draws."""
    if not blocks:
        return {}
    return {
        k: np.concatenate([b[k] for b in blocks], axis=-2 if k == "x" else -1) for k in blocks[0]
    }


def _programs(
    density: Density, num_warmup: int, target_accept_prob: float, max_tree_depth: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two functions that are compiled: begin a chain, advance it by up to a chunk."""

    def potential_of(fixed: tuple[Any, jax.Array, jax.Array]) -> Callable[[jax.Array], jax.Array]:
        arrays, centre, scale = fixed

        def potential(x: jax.Array) -> jax.Array:
            z = centre + (scale * x if scale.ndim == 1 else scale @ x)
            return -log_density_z(density, z, arrays)

        return potential

    init_kernel, sample_kernel = hmc(potential_fn_gen=potential_of, algo="NUTS")

    def begin(key: jax.Array, x: jax.Array, fixed: Any) -> Any:
        return init_kernel(
            x,
            num_warmup,
            step_size=1.0,
            dense_mass=False,
            target_accept_prob=target_accept_prob,
            trajectory_length=None,
            max_tree_depth=max_tree_depth,
            model_args=(fixed,),
            rng_key=key,
        )

    def advance(state: Any, fixed: Any, steps: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        def body(i: jax.Array, carry: Any) -> Any:
            state, block = carry
            state = sample_kernel(state, (fixed,), {})
            now: Mapping[str, jax.Array] = {
                "x": state.z,
                "lp": -state.potential_energy,
                "energy": state.energy,
                "n_steps": state.num_steps,
                "tree_depth": jnp.ceil(jnp.log2(state.num_steps + 1.0)).astype(int),
                "acceptance_rate": state.accept_prob,
                "diverging": state.diverging,
                "step_size": state.adapt_state.step_size,
            }
            return state, {k: block[k].at[i].set(v) for k, v in now.items()}

        size = state.z.shape[-1]
        blank = {
            "x": jnp.zeros((_CHUNK, size)),
            **{k: jnp.zeros(_CHUNK) for k in ("lp", "energy", "acceptance_rate", "step_size")},
            **{k: jnp.zeros(_CHUNK, dtype=int) for k in ("n_steps", "tree_depth")},
            "diverging": jnp.zeros(_CHUNK, dtype=bool),
        }
        return jax.lax.fori_loop(0, steps, body, (state, blank))

    return begin, advance
