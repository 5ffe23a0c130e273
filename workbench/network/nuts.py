r"""NUTS for networks with Normal noise, their last layer integrated out.

The chains run over the hidden weights and log σ (:mod:`workbench.network.collapse`), and the last
layer is drawn afterwards. What makes such a chain dear is its shape: every unit is at times idle,
where its weights roam over their prior, and at times at work, where the same weights are held a
twentieth as wide. Hence

* *one metric for all weights*, their prior sds. By symmetry all units have the same marginal
  spread, so that a metric that is learnt says nothing new, takes hundreds of steps, and upsets the
  step size whenever it changes;
* *log σ five times as fast*. Its curvature is 2N whatever the weights; the weights meet curvatures
  of hundreds, in units of their prior, and set the step. In units in which log σ has a curvature
  of 25 in place of 1 it is never the slowest, at no cost in the step;
* *trajectories of two prior sds at most*. An orbit of an idle unit is longer, and the function does
  not need it: the last layer, drawn exactly given the others, holds three quarters of the
  function's variance. The bound on the doublings follows from the step size that the first quarter
  of the warm-up finds.

Gradients an effective draw (least bulk or tail ESS of location and log sd at the data) with a
diagonal metric learnt, or with the above, for bounds on the trees of 31, 63 and 127 steps; two to
four chains of 300 to 2,400 draws, acceptance 0.7 or 0.8, so that a fifth is within the noise:

==================  =======================  =====================
rows, widths        learnt                   this sampler
==================  =======================  =====================
200, 1-16-1         324, ..., 163            46, ..., 137
200, 1-4-1          142, ..., 201            45, ..., 90
100, 1-4-1 (nile)   40, ..., 53              39, ..., 35
200, 1-8-8-1        757, ..., 386            55, 105, 260
455, 13-20-1        ..., ..., 6167           8980, 2474, 1717
==================  =======================  =====================

What was tried besides, on 1-16-1: over all weights NumPyro's own sampler takes 991; whitened by
Laplace's approximation 1265; the last layer out and a dense metric learnt 261 to 335. A metric of
sds of draws over sds of gradients, or of the latter alone, from a first run: 49 and 50. Acceptance
0.5 is worse by a third, 15 steps are better there (21) and worse on 1-4-1 (49). The learnt metric
stalls on log σ: its ESS was 192 of 2000 draws with 31 steps where the location's was 1375.

Against the plain path over all weights (means and squares of the function at 25 rows, 4 x 5,000 and
4 x 20,000 draws on nile and 4 x 5,000 on 1-16-1) the largest of 52 z-scores were 1.2 to 3.6;
between two seeds of one sampler they were 0.7 to 3.2.

``python -m tests.benchmarks network_sampling`` measures it beside NumPyro's own ``MCMC``: a draw
takes 31 steps in place of 646, each three times as dear, and for each second of CPU time the least
ESS was 6.0 and 6.6 times as large in alternating runs beside other work (11 and 12 times with trees
of 15 steps), and 3.4 times in a process that still had to compile.

Where the noise is small beside the function (``energy``: a thirtieth) each hill is steep, the step
a three hundredth of a prior sd, and chains stay on the hill that they come to: R-hat of the
function at the data 1.4 to 2.1 with any metric and bound, from random starts and from modes.

References
----------
Neal (1996), doi:10.1007/978-1-4612-0745-0 (chapter 3: HMC for networks); Hoffman and Gelman
(2014), "The No-U-Turn Sampler", JMLR 15:1593-1623.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workbench.errors import UsageError
from workbench.fit.kernel import Target, adaptation_clock, chain_programs
from workbench.fit.provenance import Provenance, provenance, stopwatch
from workbench.fit.sampler import Chains, Progress, Sampler
from workbench.model import Density, Model
from workbench.network.collapse import Collapsed
from workbench.network.mixing import Mixing, mixing_of_draws
from workbench.network.prediction import Predictive, mixture_of_outputs
from workbench.network.reading import Network, random_start, read_network

_PREDICTIVE = 1000  # draws that predictions are averaged over, at most
_NOISE_SPEED = 5.0  # units of log sigma, in its sd given the weights
_REACH = 2.0  # prior sds that a trajectory covers, at most
_FIRST_DEPTH = 5  # doublings at most, before there is a step size


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkDraws:
    """Draws of all weights of a network (C chains, S draws).

    Attributes
    ----------
    network : Network
        The network.
    draws : dict of str to numpy.ndarray
        Every latent site, shape (C, S, shape of the site).
    log_density : numpy.ndarray
        Log density of the hidden weights and σ, the last layer integrated out, shape (C, S).
    statistics : dict of str to numpy.ndarray
        Sampler statistics, shape (C, S): ``n_steps, tree_depth, diverging, step_size, ...``.
    provenance : Provenance
        Versions, seed, time, settings.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import mlp_regression
    >>> data = wb.load_dataset("nile").take(range(0, 100, 5))
    >>> fit = fit_network_nuts(mlp_regression(hidden=(2,)), data,
    ...     num_warmup=50, num_samples=20, num_chains=2)
    >>> fit.draws["W2"].shape
    (2, 20, 2, 1)
    """

    network: Network
    draws: dict[str, np.ndarray]
    log_density: np.ndarray
    statistics: dict[str, np.ndarray]
    provenance: Provenance

    @cached_property
    def mixing(self) -> Mixing:
        """R-hat and ESS of weights, aligned weights and the function, and its modes."""
        return mixing_of_draws(self.network, self.draws, self.log_density)

    def predict(self, data: Any) -> Predictive:
        """Posterior predictive distribution of some rows.

        Parameters
        ----------
        data : Dataset or mapping
            Rows to predict, by the names of the model's arguments.

        Returns
        -------
        NormalMixture
            Over at most 1000 draws, evenly spaced.
        """
        number = self.log_density.size
        chosen = np.unique(np.linspace(0, number - 1, _PREDICTIVE).astype(int))
        flat = {k: v.reshape(number, *v.shape[2:])[chosen] for k, v in self.draws.items()}
        outputs = self.network.outputs_of_draws(flat, self.network.rows_of(data))
        return mixture_of_outputs(self.network.family, outputs)


def fit_network_nuts(
    model: Model | Callable[..., Any] | Density | Network,
    data: Any = None,
    *,
    seed: int = 0,
    num_warmup: int = 500,
    num_samples: int = 1000,
    num_chains: int = 4,
    target_accept_prob: float = 0.8,
    max_tree_depth: int = 10,
    progress: Callable[[Progress], None] | None = None,
) -> NetworkDraws:
    """Draw from a network's posterior, its last layer integrated out.

    Parameters
    ----------
    model : Model, callable, Density or Network
        A network with hidden layers, Normal priors about 0 and constant Normal noise.
    data : Dataset or mapping, optional
        Values by argument name (for a model or a callable).
    seed : int
        One seed, split per stage and chain.
    num_warmup, num_samples, num_chains, target_accept_prob
        As in :func:`workbench.fit_nuts`.
    max_tree_depth : int
        Bound on the doublings of a trajectory; fewer where two prior sds are reached by fewer
        (``provenance.settings["most_doublings"]``).
    progress : callable, optional
        As in :func:`workbench.fit_nuts`.

    Returns
    -------
    NetworkDraws
        The posterior of :func:`workbench.fit_nuts`, in fewer gradients.

    Raises
    ------
    FitError
        When the model is not of that kind.
    UsageError
        When a number is not positive.

    Examples
    --------
    See :class:`NetworkDraws`.

    >>> import workbench as wb
    >>> from models.mlp_classifier import MODEL
    >>> try:
    ...     fit_network_nuts(MODEL, wb.load_dataset("iris"))
    ... except wb.WorkbenchError as error:
    ...     print(error)
    network 'mlp_classifier' expects hidden layers and constant Normal noise for its last layer
    to be integrated out; got family Categorical and 1 hidden layers: use fit_nuts
    """
    for name, value in (
        ("num_warmup", num_warmup),
        ("num_samples", num_samples),
        ("num_chains", num_chains),
        ("max_tree_depth", max_tree_depth),
    ):
        if value < 1:
            raise UsageError(f"{name} expects a positive number; got {value}")
    network = model if isinstance(model, Network) else read_network(model, data)
    collapsed = Collapsed.of(network)
    density = collapsed.density
    rng = np.random.default_rng(seed)
    keys = jax.random.split(jax.random.key(seed), 3)
    scale = np.full(density.size, _NOISE_SPEED / np.sqrt(2 * len(network.observations)))
    scale[collapsed.hidden] = network.prior_sd()[: len(collapsed.hidden)]

    def chains_of(
        z: np.ndarray, warmup: int, draws: int, depth: int, key: jax.Array, before: int = 0
    ) -> Chains:
        def shifted(now: Progress) -> None:
            if progress is not None:
                steps = num_warmup + num_samples
                progress(replace(now, step=before + now.step, num_steps=steps))

        sampler = Sampler(
            chain_programs(density, depth, dense=False, num_vectorized=0),
            keys=jax.random.split(key, num_chains),
            starts=z / scale,
            target=Target(
                arrays=density.arrays,
                centre=jnp.zeros(density.size),
                scale=jnp.asarray(scale),
                accept=jnp.asarray(target_accept_prob, dtype=float),
            ),
            clock=adaptation_clock(warmup, mass_matrix=False),
            chain_method="parallel",
            progress=shifted,
        )
        return sampler.advance(draws)

    with stopwatch() as seconds:
        z = np.stack([random_start(network, rng)[collapsed.kept] for _ in range(num_chains)])
        depth = min(max_tree_depth, _FIRST_DEPTH)
        first = num_warmup // 4
        if first:
            pilot = chains_of(z, first, 1, depth, keys[2])
            if pilot.interrupted:  # before the first draw
                raise KeyboardInterrupt
            z = pilot.z[:, -1]
            depth = tree_depth(float(np.median(pilot.statistics["step_size"])), max_tree_depth)
        chains = chains_of(z, num_warmup - first, num_samples, depth, keys[0], before=first)
        flat = collapsed.expand(chains.z.reshape(-1, density.size), keys[1])
        elapsed = seconds()
    shape = chains.z.shape[:2]
    return NetworkDraws(
        network=network,
        draws={k: v.reshape(*shape, *v.shape[1:]) for k, v in flat.items()},
        log_density=chains.statistics["lp"],
        statistics=chains.statistics,
        provenance=provenance(
            network.density,
            seed=seed,
            seconds=elapsed,
            settings={
                "num_warmup": num_warmup,
                "num_samples": shape[1],
                "num_chains": num_chains,
                "target_accept_prob": target_accept_prob,
                "max_tree_depth": max_tree_depth,
                "most_doublings": depth,
                "interrupted": chains.interrupted,
            },
        ),
    )


def tree_depth(step_size: float, most: int) -> int:
    """Doublings of a trajectory that comes two prior sds far at most.

    Parameters
    ----------
    step_size : float
        Of a leapfrog step, in prior sds.
    most : int
        Bound on what is given; the least is five, since trees that turn stop by themselves.

    Returns
    -------
    int
        The largest d of which 2^d steps are no further.

    Examples
    --------
    >>> tree_depth(0.05, 10), tree_depth(0.02, 10), tree_depth(1e-6, 10)
    (5, 6, 10)
    """
    within = np.floor(np.log2(_REACH / step_size))
    return int(min(most, max(_FIRST_DEPTH, within)))
