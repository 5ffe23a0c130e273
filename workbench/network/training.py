r"""Training a network by stochastic gradients: minibatches, schedules, early stopping, ensembles.

The loss per row is

.. math:: -\tfrac1N \big(\log p(y \mid z) + \log p(w)\big),

with the log prior where the penalty is ``prior`` (weight decay: a Normal(0, s) prior adds
:math:`w^2 / (2 s^2 N)`, so that a decay of λ per row is a prior sd of :math:`1 / \sqrt{\lambda N}`)
and without where it is ``none``. A minibatch's mean stands for that of all rows: an unbiased
gradient, whose noise falls with the learning rate. Members of an ensemble are trained side by side
in one vectorised program, each from its own start and with its own order of the rows.

Some rows may be set aside: the loss there is watched after every epoch, the weights of the best
epoch are kept, and training ends when no member has improved for ``patience`` epochs.

References
----------
Robbins and Monro (1951), doi:10.1214/aoms/1177729586; Polyak (1964),
doi:10.1016/0041-5553(64)90137-5 (momentum); Kingma and Ba (2015), arXiv:1412.6980 (Adam);
Loshchilov and Hutter (2017), arXiv:1608.03983 (cosine schedule); Prechelt (1998),
doi:10.1007/3-540-49430-8_3 (early stopping); Lakshminarayanan, Pritzel and Blundell (2017),
arXiv:1612.01474 (deep ensembles).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

from workbench.errors import UsageError
from workbench.fit.provenance import Provenance, provenance, stopwatch
from workbench.model import Density, Model
from workbench.network.prediction import Predictive, mixture_of_outputs
from workbench.network.reading import Network, random_start, read_network

Optimiser = Literal["adam", "momentum", "sgd"]
Schedule = Literal["cosine", "constant"]
Penalty = Literal["prior", "none"]
_MOMENTUM = 0.9


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedNetwork:
    """Networks trained by stochastic gradients (M members, E epochs).

    Attributes
    ----------
    network : Network
        The network at all of its data, rows set aside included.
    z : numpy.ndarray
        Each member's point, unconstrained, shape (M, D): of its best epoch where rows were set
        aside, else its last.
    history : pandas.DataFrame
        One row per epoch and member: ``epoch, member, loss`` (mean over the epoch's batches,
        penalty included), ``validation`` (minus the mean log-likelihood of the rows set aside;
        ``nan`` without them).
    best_epoch : numpy.ndarray
        Epoch that each member's point is of, shape (M,).
    set_aside : numpy.ndarray
        Positions of the rows set aside.
    num_gradients : float
        Gradients of one row, over the number of rows: passes over the data, of all members.
    provenance : Provenance
        Versions, seed, time, settings.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import MODEL
    >>> made = train_network(MODEL, wb.load_dataset("nile"), num_epochs=2, num_members=3)
    >>> made.z.shape, made.predict(made.network.rows).loc.shape
    ((3, 14), (3, 100))
    """

    network: Network
    z: np.ndarray
    history: pd.DataFrame
    best_epoch: np.ndarray
    set_aside: np.ndarray
    num_gradients: float
    provenance: Provenance

    def predict(self, data: Any) -> Predictive:
        """Predictive distribution of some rows: the members' mixture, with equal weights.

        Parameters
        ----------
        data : Dataset or mapping
            Rows to predict, by the names of the model's arguments.

        Returns
        -------
        NormalMixture or ClassMixture
            One draw for each member.
        """
        draws, rows = self.network.draws_of_z(self.z), self.network.rows_of(data)
        return mixture_of_outputs(self.network.family, self.network.outputs_of_draws(draws, rows))


def train_network(
    model: Model | Callable[..., Any] | Density | Network,
    data: Any = None,
    *,
    optimiser: Optimiser = "adam",
    learning_rate: float = 0.01,
    schedule: Schedule = "cosine",
    batch_size: int = 32,
    num_epochs: int = 200,
    penalty: Penalty = "prior",
    validation: float = 0.0,
    patience: int = 20,
    num_members: int = 1,
    seed: int = 0,
) -> TrainedNetwork:
    """Train a network, or an ensemble of them, by stochastic gradients.

    Parameters
    ----------
    model : Model, callable, Density or Network
        Its weights are the sites ``W1, b1, W2, b2, ...``.
    data : Dataset or mapping, optional
        Values by argument name (for a model or a callable).
    optimiser : str
        ``adam``, ``momentum`` (0.9) or ``sgd``.
    learning_rate : float
        The first step size.
    schedule : str
        ``cosine`` (down to zero at the last epoch) or ``constant``.
    batch_size : int
        Rows of a batch; the rows left over of an epoch wait for the next one's order.
    num_epochs : int
        Passes over the data at most.
    penalty : str
        ``prior`` (the model's own) or ``none`` (likelihood alone).
    validation : float
        Share of the rows set aside for early stopping; 0 trains on all of them to the end.
    patience : int
        Epochs without improvement after which training ends, where rows are set aside.
    num_members : int
        Networks trained side by side: an ensemble.
    seed : int
        Seed of starts, orders and rows set aside.

    Returns
    -------
    TrainedNetwork
        Points, path and predictions.

    Raises
    ------
    ModelError
        When the model is no network.
    UsageError
        For an unknown choice, or a number out of its range.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import MODEL
    >>> data = wb.load_dataset("nile")
    >>> made = train_network(MODEL, data, num_epochs=3, validation=0.2, optimiser="momentum")
    >>> len(made.set_aside), int(made.history["epoch"].max())
    (20, 3)
    """
    _check(locals())
    network = model if isinstance(model, Network) else read_network(model, data)
    rng = np.random.default_rng(seed)
    number = len(network.observations)
    order = rng.permutation(number)
    held = np.sort(order[: round(validation * number)])
    kept = np.sort(order[held.size :])
    batch_size = min(batch_size, len(kept))
    num_batches = len(kept) // batch_size
    with stopwatch() as seconds:
        epoch, solver = _programs(
            network, optimiser, learning_rate, schedule, num_epochs * num_batches, penalty
        )
        z = jnp.asarray(np.stack([random_start(network, rng) for _ in range(num_members)]))
        state = jax.vmap(solver.init)(z)
        rows = {k: v[held] for k, v in network.rows.items()}
        watch = jax.jit(jax.vmap(lambda z: -jnp.mean(network.log_likelihood(z, rows))))
        best, best_loss = np.asarray(z), np.full(num_members, np.inf)
        best_epoch, history = np.zeros(num_members, dtype=int), []
        for number_of_epoch in range(1, num_epochs + 1):
            shuffled = np.stack([rng.permutation(kept) for _ in range(num_members)])
            batches = shuffled[:, : num_batches * batch_size].reshape(
                num_members, num_batches, batch_size
            )
            z, state, losses = epoch(z, state, jnp.asarray(batches))
            # without rows set aside the last epoch is the one to keep
            seen = np.asarray(watch(z)) if held.size else np.full(num_members, np.nan)
            better = seen < best_loss if held.size else np.full(num_members, True)
            best = np.where(better[:, None], np.asarray(z), best)
            best_loss = np.where(better, seen, best_loss)
            best_epoch = np.where(better, number_of_epoch, best_epoch)
            history.append(
                pd.DataFrame(
                    {
                        "epoch": number_of_epoch,
                        "member": range(num_members),
                        "loss": np.asarray(losses),
                        "validation": seen,
                    }
                )
            )
            if number_of_epoch - best_epoch.max() >= patience:
                break
        elapsed = seconds()
    return TrainedNetwork(
        network=network,
        z=best,
        history=pd.concat(history, ignore_index=True),
        best_epoch=best_epoch,
        set_aside=held,
        num_gradients=len(history) * num_members * num_batches * batch_size / number,
        provenance=provenance(
            network.density,
            seed=seed,
            seconds=elapsed,
            settings={
                "optimiser": optimiser,
                "learning_rate": learning_rate,
                "schedule": schedule,
                "batch_size": batch_size,
                "penalty": penalty,
                "num_members": num_members,
            },
        ),
    )


def _check(given: Mapping[str, Any]) -> None:
    choices = {"optimiser": Optimiser, "schedule": Schedule, "penalty": Penalty}
    for name, kind in choices.items():
        if given[name] not in get_args(kind):
            raise UsageError(
                f"{name} expects one of {', '.join(get_args(kind))}; got '{given[name]}'"
            )
    for name in ("learning_rate", "batch_size", "num_epochs", "patience", "num_members"):
        if not given[name] > 0:
            raise UsageError(f"{name} expects a positive number; got {given[name]}")
    if not 0 <= given["validation"] < 1:
        raise UsageError(f"validation expects a share of the rows; got {given['validation']}")


def _programs(
    network: Network,
    optimiser: Optimiser,
    learning_rate: float,
    schedule: Schedule,
    num_steps: int,
    penalty: Penalty,
) -> tuple[Callable[..., Any], optax.GradientTransformation]:
    """One epoch of all members, compiled, and the solver whose state it carries."""
    rate = (
        optax.cosine_decay_schedule(learning_rate, num_steps)
        if schedule == "cosine"
        else learning_rate
    )
    solver = {
        "adam": lambda: optax.adam(rate),
        "momentum": lambda: optax.sgd(rate, momentum=_MOMENTUM),
        "sgd": lambda: optax.sgd(rate),
    }[optimiser]()
    data = {k: jnp.asarray(v) for k, v in network.rows.items()}
    number = len(network.observations)

    def loss(z: jax.Array, batch: jax.Array) -> jax.Array:
        rows = {k: v[batch] for k, v in data.items()}
        value = -jnp.mean(network.log_likelihood(z, rows))
        if penalty == "prior":
            value -= network.density.log_terms(z).log_prior / number
        return value

    def step(carry: tuple[jax.Array, Any], batch: jax.Array) -> Any:
        z, state = carry
        value, gradient = jax.value_and_grad(loss)(z, batch)
        move, state = solver.update(gradient, state, z)
        return (z + move, state), value

    def epoch(z: jax.Array, state: Any, batches: jax.Array) -> tuple[jax.Array, Any, jax.Array]:
        (z, state), values = jax.lax.scan(step, (z, state), batches)
        return z, state, jnp.mean(values)

    return jax.jit(jax.vmap(epoch)), solver
