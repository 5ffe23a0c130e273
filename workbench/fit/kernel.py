r"""NumPyro's NUTS kernel as two compiled programs: begin a chain, and advance it.

The chain lives in coordinates x with :math:`z = m + L x`, an affine change of variables that
leaves the posterior as it is. Data, m, L, the target acceptance and the schedule of the warm-up
are arguments of the programs, so that one compilation serves every chain, data set, seed and
number of steps.

NumPyro builds the schedule of the warm-up (start, doubling windows, end) as Python constants of
the kernel. All that its update reads of the schedule at a step is whether the step lies in a
window in which the mass matrix is learnt, whether it ends that window, and whether it is the
last. So the kernel is made with the shortest schedule that has one window of each kind, and every
step is told which step of *that* schedule it stands for: :func:`adaptation_clock`.

After the warm-up a draw of a single coordinate is the last of four transitions. On a line a
trajectory cannot leave its level of energy but by the next momentum, so that the levels, and with
them the tails, are explored slowly (Betancourt 2017, section 4.2), while a transition costs
microseconds: of 4,000 draws of one skewed coordinate the tail ESS was 1,100 after one transition
each, 3,100 after four.

References
----------
Hoffman and Gelman (2014), "The No-U-Turn Sampler", JMLR 15:1593-1623;
Betancourt (2017), arXiv:1701.02434; Phan et al. (2019), arXiv:1912.11554 (iterative NUTS).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.hmc_util import build_adaptation_schedule

from workbench.fit.compilation import WHOLE_LOOPS, compiled, lean_options
from workbench.fit.memory import are_large, return_freed_memory
from workbench.fit.prepared import blank_preparation, log_joint_program
from workbench.model import Density
from workbench.model.arrow import Arrow

CHUNK = 250  # the most steps advanced by one call
_OF_ONE_COORDINATE = 4  # transitions for each draw
STATISTICS = (
    "lp", "energy", "n_steps", "tree_depth", "acceptance_rate", "diverging", "step_size",
)  # fmt: skip
_SHORT = 150  # steps of the schedule the kernel is made with
_START, _MIDDLE, _END = (tuple(window) for window in build_adaptation_schedule(_SHORT))
AFTER_WARMUP = (_SHORT, 3)
_TOGETHER: Mapping[str, Callable[..., jax.Array]] = {  # of the transitions of one draw
    "n_steps": jnp.add, "tree_depth": jnp.maximum, "acceptance_rate": jnp.add,
    "diverging": jnp.logical_or,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ChainPrograms:
    """The compiled programs of one model and shape of data.

    Attributes
    ----------
    begin : callable
        (key, x, fixed) to the state of a chain.
    advance : callable
        (state, clock, steps, fixed) to the state and a block of draws, by name, of which the
        first ``steps`` hold.
    """

    begin: Callable[..., Any]
    advance: Callable[..., tuple[Any, dict[str, jax.Array]]]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a chain is sampled from and how; the arguments that stay the same for all steps.

    Attributes
    ----------
    arrays : dict
        Data in the form of ``density.arrays``.
    centre, scale : array
        m, shape (D,), and L, shape (D,) when diagonal or (D, D).
    accept : array
        Acceptance the step size is adapted to.
    prepared : dict, optional
        What stands for data (:mod:`workbench.fit.prepared`).
    """

    arrays: Mapping[str, Any]
    centre: Any
    scale: Any
    accept: Any
    prepared: Any = None


jax.tree_util.register_dataclass(Target)


def adaptation_clock(num_warmup: int, *, mass_matrix: bool = True) -> np.ndarray:
    """Step and window of the kernel's own schedule that each warm-up step stands for.

    Parameters
    ----------
    num_warmup : int
        Number of warm-up steps.
    mass_matrix : bool
        Whether the mass matrix is learnt besides the step size.

    Returns
    -------
    numpy.ndarray
        Shape (num_warmup, 2).

    Examples
    --------
    The last step settles the step size; none learns a mass matrix here.

    >>> adaptation_clock(3, mass_matrix=False).tolist()
    [[0, 0], [0, 0], [149, 2]]
    """
    clock = np.zeros((num_warmup, 2), dtype=int)
    if mass_matrix:
        windows = build_adaptation_schedule(num_warmup)
        for start, end in windows[1:-1]:
            clock[start : end + 1] = (_MIDDLE[0], 1)
            clock[end, 0] = _MIDDLE[1]
        if len(windows) > 1:
            clock[windows[-1].start :] = (_END[0], 2)
    clock[-1] = (_END[1], 2)
    return clock


@compiled
def chain_programs(
    density: Density,
    max_tree_depth: int,
    dense: bool,
    num_vectorized: int,
    arrows: tuple[Arrow, ...] | None = None,
) -> ChainPrograms:
    """Compile the programs of a density, once for all data of its shape.

    Parameters
    ----------
    density : Density
        The model at its data.
    max_tree_depth : int
        Bound on the doublings of a trajectory.
    dense : bool
        Whether L is a matrix.
    num_vectorized : int
        Number of chains advanced by one call; 0 for one chain without a leading axis.
    arrows : tuple of Arrow, optional
        Where data are prepared, how the statistics of normal rows are laid out.
    """

    def place(x: jax.Array, fixed: Target) -> jax.Array:
        return fixed.centre + (fixed.scale @ x if dense else fixed.scale * x)

    def potential_of(fixed: Target) -> Callable[[jax.Array], jax.Array]:
        def potential(x: jax.Array) -> jax.Array:
            z = place(x, fixed)
            if arrows is None:
                return -density.log_density(z, fixed.arrays)
            by_site = density.unflatten(z)
            return -log_joint_program(density, arrows)(by_site, fixed.arrays, fixed.prepared)

        return potential

    def kernel(key: jax.Array, x: jax.Array, fixed: Target) -> tuple[Any, Callable[..., Any]]:
        init, sample = hmc(potential_fn_gen=potential_of, algo="NUTS")
        state = init(
            x,
            _SHORT,
            step_size=1.0,
            dense_mass=False,
            target_accept_prob=fixed.accept,
            trajectory_length=None,
            max_tree_depth=max_tree_depth,
            model_args=(fixed,),
            rng_key=key,
        )
        return state, sample

    def begin(key: jax.Array, x: jax.Array, fixed: Target) -> Any:
        return kernel(key, x, fixed)[0]

    def advance(state: Any, clock: jax.Array, steps: jax.Array, fixed: Target) -> Any:
        # setting the kernel up anew binds this trace's target; its state is not used
        _, sample = kernel(state.rng_key, state.z, fixed)

        def transition(i: jax.Array, state: Any) -> tuple[Any, dict[str, jax.Array]]:
            adapting = state.adapt_state._replace(window_idx=clock[i, 1])
            state = sample(state._replace(i=clock[i, 0], adapt_state=adapting), (fixed,), {})
            return state, {
                "n_steps": state.num_steps,
                "tree_depth": jnp.ceil(jnp.log2(state.num_steps + 1.0)).astype(int),
                "acceptance_rate": state.accept_prob,
                "diverging": state.diverging,
            }

        def repeated(i: jax.Array, num: Any, state: Any) -> tuple[Any, dict[str, jax.Array]]:
            """Several transitions as one: steps and acceptance in all, the greatest depth."""

            def again(_: jax.Array, carry: Any) -> Any:
                state, so_far = carry
                state, made = transition(i, state)
                return state, {k: combine(so_far[k], made[k]) for k, combine in _TOGETHER.items()}

            none = {
                "n_steps": jnp.zeros_like(state.num_steps),
                "tree_depth": jnp.zeros((), dtype=int),
                "acceptance_rate": jnp.zeros_like(state.accept_prob),
                "diverging": jnp.asarray(False),
            }
            state, made = jax.lax.fori_loop(0, num, again, (state, none))
            return state, {**made, "acceptance_rate": made["acceptance_rate"] / num}

        def body(i: jax.Array, carry: Any) -> Any:
            state, block = carry
            if density.size > 1:
                state, made = transition(i, state)
            else:
                num = jnp.where(clock[i, 1] == AFTER_WARMUP[1], _OF_ONE_COORDINATE, 1)
                state, made = repeated(i, num, state)
            now: Mapping[str, jax.Array] = {
                **made,
                "z": place(state.z, fixed),
                "lp": -state.potential_energy,
                "energy": state.energy,
                "step_size": state.adapt_state.step_size,
            }
            return state, {k: block[k].at[i].set(v) for k, v in now.items()}

        blank = {
            "z": jnp.zeros((CHUNK, density.size)),
            **{k: jnp.zeros(CHUNK) for k in ("lp", "energy", "acceptance_rate", "step_size")},
            **{k: jnp.zeros(CHUNK, dtype=int) for k in ("n_steps", "tree_depth")},
            "diverging": jnp.zeros(CHUNK, dtype=bool),
        }
        return jax.lax.fori_loop(0, steps, body, (state, blank))

    size = density.size
    number = partial(jax.ShapeDtypeStruct, dtype=jnp.result_type(float))
    chains = (num_vectorized,) if num_vectorized else ()
    if num_vectorized:
        begin = jax.vmap(begin, in_axes=(0, 0, None))
        advance = jax.vmap(advance, in_axes=(0, None, None, None))
    key: Any = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), chains))
    first = (key, number((*chains, size)))
    fixed = Target(
        arrays=density.arrays,
        centre=number((size,)),
        scale=number((size, size) if dense else (size,)),
        accept=number(()),
        prepared=None if arrows is None else blank_preparation(density, arrows),
    )
    state = jax.eval_shape(begin, *first, fixed)
    steps, clock = (jax.ShapeDtypeStruct(s, jnp.result_type(int)) for s in ((), (CHUNK, 2)))
    made = jax.jit(begin).lower(*first, fixed).compile()
    return_freed_memory(density.arrays)  # the compiler's
    found = ChainPrograms(
        begin=made,
        advance=jax.jit(advance)
        .lower(state, clock, steps, fixed)
        .compile(lean_options() if are_large(density.arrays) else WHOLE_LOOPS),
    )
    return_freed_memory(density.arrays)
    return found
