"""Chains advanced in chunks by threads: watched, stopped, saved and gone on with.

The programs (:mod:`workbench.fit.kernel`) advance a chain by a chunk of steps, as many as take a
quarter of a second, so that between chunks a chain can be watched, stopped by an interrupt, or
saved. XLA releases Python's lock while it runs, so one thread for each core keeps all of them busy;
a thread takes the chain that has come least far. Nothing is traced inside a thread, since NumPyro's
handler stack is global. A chain's draws do not depend on where its chunks end: one that goes on
from a saved state makes the very draws it would have made.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from workbench.fit.kernel import AFTER_WARMUP, CHUNK, STATISTICS, ChainPrograms, Target
from workbench.fit.provenance import stopwatch

ChainMethod = Literal["parallel", "sequential", "vectorized"]
_POLL = 0.1  # seconds
_FIRST, _SECONDS = 100, 0.25  # steps of a first chunk, and what the others should take


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


@dataclass(frozen=True)
class _Point:
    """Where a runner stands: state, steps done, blocks of draws kept, divergences in them."""

    state: Any
    done: int = 0
    blocks: tuple[dict[str, np.ndarray], ...] = ()
    divergences: int = 0


class Sampler:
    """The chains of one fit, which can be advanced to any number of draws, again and again.

    Parameters
    ----------
    programs : ChainPrograms
        Compiled programs.
    keys : jax.Array
        A random key for each chain, shape (C,).
    starts : numpy.ndarray
        First points in x, shape (C, D).
    target : Target
        Data, coordinates and target acceptance.
    clock : numpy.ndarray
        The warm-up, see :func:`workbench.fit.kernel.adaptation_clock`.
    chain_method : str
        ``parallel`` (threads), ``sequential`` or ``vectorized`` (one program).
    progress : callable, optional
        Called with a :class:`Progress` after each chunk of each chain.
    """

    def __init__(
        self,
        programs: ChainPrograms,
        *,
        keys: jax.Array,
        starts: np.ndarray,
        target: Target,
        clock: np.ndarray,
        chain_method: ChainMethod,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._programs, self._target, self._clock = programs, target, clock
        self._method: ChainMethod = chain_method
        self._progress, self.num_chains = progress, len(starts)
        together = chain_method == "vectorized"
        first = [(keys, starts)] if together else list(zip(keys, starts, strict=True))
        self._points = [_Point(programs.begin(key, x, target)) for key, x in first]
        self._steps = [_FIRST] * len(self._points)  # of the next chunk of each runner
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._busy: set[int] = set()  # runners that a thread advances

    def advance(
        self,
        num_samples: int,
        *,
        most: int | None = None,
        after_chunk: Callable[[], None] | None = None,
    ) -> Chains:
        """Advance every chain to a number of draws, and give the draws so far.

        Parameters
        ----------
        num_samples : int
            Draws of each chain to end with (those made before count).
        most : int, optional
            The most that will be asked for, for the progress; ``num_samples`` by default.
        after_chunk : callable, optional
            Called after each chunk of each chain, in its thread; may ask for :meth:`state`.

        Returns
        -------
        Chains
            After an interrupt, the draws that every chain has.

        Raises
        ------
        KeyboardInterrupt
            When interrupted before every chain had a draw.
        """
        steps = len(self._clock) + num_samples
        shown = len(self._clock) + (most or num_samples)

        def work() -> None:
            while (runner := self._take(steps)) is not None:
                self._advance_by_chunk(runner, steps, shown)
                self._busy.discard(runner)
                if after_chunk is not None:
                    after_chunk()

        interrupted = self._run_all(work)
        merged = [_merge(point.blocks) for point in self._points]
        if any(not m for m in merged):
            raise KeyboardInterrupt
        if self._method == "vectorized":
            stacked = {k: v[:, :num_samples] for k, v in merged[0].items()}
        else:
            length = min(num_samples, *(len(m["lp"]) for m in merged))
            stacked = {k: np.stack([m[k][:length] for m in merged]) for k in merged[0]}
        statistics = {k: stacked[k] for k in STATISTICS}
        return Chains(z=stacked["z"], statistics=statistics, interrupted=interrupted)

    def _advance_by_chunk(self, runner: int, steps_in_all: int, shown: int) -> None:
        """Advance one runner: a chain, or all of them in one program."""
        point, num_warmup = self._points[runner], len(self._clock)
        # a chunk never straddles the end of the warm-up
        warmup = point.done < num_warmup
        steps = min(self._steps[runner], (num_warmup if warmup else steps_in_all) - point.done)
        clock = np.tile(AFTER_WARMUP, (CHUNK, 1))
        if warmup:
            clock[:steps] = self._clock[point.done : point.done + steps]
        with stopwatch() as seconds:
            state, made = self._programs.advance(
                point.state, clock, np.asarray(steps), self._target
            )
            block = {k: _first_steps(k, np.asarray(v), steps) for k, v in made.items()}
            pace = steps / seconds()
        self._steps[runner] = int(np.clip(_SECONDS * pace, 1, CHUNK))
        kept, diverged = point.blocks, point.divergences
        if not warmup:
            kept, diverged = (*kept, block), diverged + int(block["diverging"].sum())
        self._points[runner] = point = _Point(state, point.done + steps, kept, diverged)
        if self._progress is not None:
            self._progress(
                Progress(
                    chain=runner,
                    step=point.done,
                    num_steps=shown,
                    warmup=point.done <= num_warmup,
                    divergences=diverged,
                    step_size=float(block["step_size"].flat[-1]),
                )
            )

    def _take(self, steps: int) -> int | None:
        """The runner that has come least far of those that are free; none when all are done."""
        with self._lock:
            free = [r for r in range(len(self._points)) if r not in self._busy]
            left = [r for r in free if self._points[r].done < steps]
            if not left or self._stop.is_set():
                return None
            chosen = min(left, key=lambda r: self._points[r].done)
            self._busy.add(chosen)
            return chosen

    def _run_all(self, work: Callable[[], None]) -> bool:
        """Work in threads, one a core, and say whether there was an interrupt, now or before."""
        parallel = self._method == "parallel"
        workers = min(len(self._points), os.cpu_count() or 1) if parallel else 1
        futures: list[Future[None]] = []
        with ThreadPoolExecutor(max_workers=workers) as pool:
            try:
                futures += [pool.submit(work) for _ in range(workers)]
                # waking now and then: the system may hand an interrupt to another thread
                while wait(futures, timeout=_POLL).not_done:
                    pass
            except KeyboardInterrupt:
                self._stop.set()
            for future in futures:
                future.result()
        return self._stop.is_set()

    # -- saved and gone on with --------------------------------------------------------------
    def state(self) -> dict[str, np.ndarray]:
        """Everything the chains need to go on, as plain arrays by name."""
        saved: dict[str, np.ndarray] = {}
        for runner, point in enumerate(self._points):
            saved[f"{runner}/done"] = np.asarray(point.done)
            for i, leaf in enumerate(jax.tree_util.tree_leaves(point.state)):
                key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
                saved[f"{runner}/state/{i}"] = np.asarray(
                    jax.random.key_data(leaf) if key else leaf
                )
            saved |= {f"{runner}/draws/{k}": v for k, v in _merge(point.blocks).items()}
        return saved

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Go on from what :meth:`state` gave."""
        for runner, point in enumerate(self._points):
            leaves, form = jax.tree_util.tree_flatten(point.state)
            found = [jnp.asarray(saved[f"{runner}/state/{i}"]) for i in range(len(leaves))]
            state = [
                jax.random.wrap_key_data(new) if _is_key(old) else new
                for old, new in zip(leaves, found, strict=True)
            ]
            start = f"{runner}/draws/"
            draws = {k.removeprefix(start): v for k, v in saved.items() if k.startswith(start)}
            self._points[runner] = _Point(
                jax.tree_util.tree_unflatten(form, state),
                int(saved[f"{runner}/done"]),
                (draws,) if draws else (),
                int(draws["diverging"].sum()) if draws else 0,
            )


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _first_steps(name: str, array: np.ndarray, steps: int) -> np.ndarray:
    """A copy of what holds draws of a block that has room for more; z's coordinates are last."""
    return (array[..., :steps, :] if name == "z" else array[..., :steps]).copy()


def _merge(blocks: tuple[dict[str, np.ndarray], ...]) -> dict[str, np.ndarray]:
    """Put the chunks of a chain together along the draws."""
    if not blocks:
        return {}
    return {
        k: np.concatenate([b[k] for b in blocks], axis=-2 if k == "z" else -1) for k in blocks[0]
    }
