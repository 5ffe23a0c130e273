r"""The methods of a contest, one function each: from one model text to an answer.

Plug-in maximum likelihood and posterior mode (L-BFGS on all rows), stochastic training, deep
ensembles, Laplace's approximation in its four structures, and NUTS, of the posterior or of a
tempered one.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from workbench.data import Dataset
from workbench.fit import fit_map, fit_mle, fit_nuts
from workbench.model import Model
from workbench.network.contest import Answer, Method
from workbench.network.laplace import Structure, Tuning, fit_network_laplace
from workbench.network.mixing import Mixing, network_mixing
from workbench.network.nuts import fit_network_nuts
from workbench.network.prediction import Predictive, equal_mixture, mixture_of_outputs
from workbench.network.reading import Network, read_network
from workbench.network.tempering import Part, tempered
from workbench.network.training import train_network

_APART = 1000  # between the seeds of members, so that splits share none


def by_mode(model: Model, *, penalised: bool, num_starts: int = 4) -> Method:
    """Maximum likelihood, or the posterior mode, as a plug-in prediction.

    Notes
    -----
    Most starts of a network's likelihood break off where units saturate, far below its height, so
    that maximum likelihood sets out from the posterior mode too.

    Examples
    --------
    >>> from models.mlp_regression import MODEL
    >>> methods = {"MLE": by_mode(MODEL, penalised=False), "MAP": by_mode(MODEL, penalised=True)}
    """

    def method(train: Dataset, seed: int) -> Answer:
        settings: dict[str, Any] = {"seed": seed, "num_starts": num_starts}
        fit = fit_map(model, train, **settings)
        iterations = fit.starts.iterations.sum()
        if not penalised:
            fit = fit_mle(model, train, init=fit.z, **settings)
            iterations += fit.starts.iterations.sum()
        density = fit.require_density()
        draws = {x.name: np.asarray(fit.values[x.name])[None] for x in density.latents}
        network = read_network(density)
        return Answer(
            predict=lambda data: _predict(network, draws, data),
            # a line search evaluates now and then more than once an iteration
            num_gradients=float(iterations),
            note=fit.detail,
            network=network,
            modes=_ended(fit.starts.z, fit.starts.log_objective),
        )

    return method


def by_training(model: Model, **settings: Any) -> Method:
    """Stochastic training; with ``num_members`` a deep ensemble.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import MODEL
    >>> data = wb.load_dataset("nile").take(range(0, 100, 5))
    >>> answer = by_training(MODEL, num_members=2, num_epochs=1, batch_size=10)(data, 0)
    >>> answer.num_gradients  # two members, one pass each
    2.0
    """

    def method(train: Dataset, seed: int) -> Answer:
        fit = train_network(model, train, seed=seed, **settings)
        return Answer(
            predict=fit.predict, num_gradients=fit.num_gradients, network=fit.network, modes=fit.z
        )

    return method


def by_laplace(
    model: Model,
    structure: Structure = "full",
    *,
    num_members: int = 1,
    precision: Tuning | float | None = None,
    **settings: Any,
) -> Method:
    """Laplace's approximation, linearised.

    The prior precision of each layer is tuned by the evidence where the noise is Normal, and for
    classes it is the model's own, if ``precision`` does not say otherwise. Where a network nearly
    separates the classes the evidence has no maximum that means anything: on ``vehicle`` it rises
    by 72 nats in 1000 steps while the last layer's precision falls to 3e-4 of the model's, and the
    test log-likelihood falls from -0.47 to -0.67 a row.

    With ``num_members`` the equal mixture of that many, each about the mode that its own start
    came to: the posterior of a network has many hills, of which one approximation sees one
    (Eschenhagen et al. 2021, "Mixtures of Laplace approximations", arXiv:2111.03577).

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import mlp_regression
    >>> data = wb.load_dataset("kidiq")
    >>> by_laplace(mlp_regression(hidden=()))(data, 0).note
    ''
    """

    def method(train: Dataset, seed: int) -> Answer:
        network = read_network(model, train)
        tuning = "layer" if network.family == "Normal" else 1.0
        given = {"precision": tuning if precision is None else precision, **settings}
        fits = [
            fit_network_laplace(network, structure=structure, seed=seed + _APART * k, **given)
            for k in range(num_members)
        ]
        fits.sort(key=lambda fit: -fit.log_evidence)
        unsettled = sum(not fit.converged for fit in fits)
        note = "the evidence had not settled after the last step" if unsettled else ""
        if unsettled and num_members > 1:
            note += f" (in {unsettled} of {num_members} members)"
        return Answer(
            predict=lambda data: equal_mixture([fit.predict(data) for fit in fits]),
            num_gradients=float(sum(fit.num_gradients for fit in fits)),
            note=note,
            network=network,
            modes=np.stack([fit.z for fit in fits]),
        )

    return method


def by_nuts(
    model: Model, *, temperature: float = 1.0, part: Part = "likelihood", **settings: Any
) -> Method:
    """NUTS over all weights, of the posterior or of one tempered in its likelihood or joint.

    Examples
    --------
    >>> from models.mlp_regression import MODEL
    >>> methods = {"NUTS": by_nuts(MODEL), "cold NUTS": by_nuts(MODEL, temperature=0.5)}
    """

    def method(train: Dataset, seed: int) -> Answer:
        sampled = model if temperature == 1.0 else tempered(model, temperature, part=part)
        fit = fit_nuts(sampled, train, seed=seed, **settings)
        network = read_network(model, train)
        draws = fit.draws(jax.random.key(seed), min(1000, fit.sample_stats["lp"].size))
        return Answer(
            predict=lambda data: _predict(network, draws, data),
            # the warm-up's steps are not kept: counted as if like the draws'
            num_gradients=float(fit.sample_stats["n_steps"].sum())
            * (1 + fit.provenance.settings["num_warmup"] / fit.sample_stats["lp"].shape[1]),
            note=fit.detail,
            network=network,
            mixing=network_mixing(fit),
        )

    return method


def by_network_nuts(model: Model, **settings: Any) -> Method:
    """NUTS with the last layer integrated out, for constant Normal noise.

    Examples
    --------
    >>> from models.mlp_regression import MODEL
    >>> methods = {"NUTS": by_network_nuts(MODEL, num_chains=2)}
    """

    def method(train: Dataset, seed: int) -> Answer:
        fit = fit_network_nuts(model, train, seed=seed, **settings)
        steps, kept = fit.statistics["n_steps"], fit.provenance.settings
        return Answer(
            predict=fit.predict,
            # the warm-up's steps are not kept: counted as if like the draws'
            num_gradients=float(steps.sum()) * (1 + kept["num_warmup"] / steps.shape[1]),
            note=_apart(fit.mixing),
            network=fit.network,
            mixing=fit.mixing,
        )

    return method


def _apart(mixing: Mixing) -> str:
    """What to say of chains that do not mix with each other."""
    if mixing.num_modes == 1:
        return ""
    worst = float(mixing.table["r_hat"].filter(like="function").max())
    return (
        f"the chains sit in {mixing.num_modes} different functions (R-hat {worst:.2f}): what they "
        "predict is an ensemble's, not the posterior's"
    )


def _ended(z: np.ndarray, log_objective: np.ndarray) -> np.ndarray:
    """Ends of the starts, the best first; those without a finite objective are left out."""
    order = np.argsort(-np.where(np.isfinite(log_objective), log_objective, -np.inf))
    return z[order[: np.isfinite(log_objective).sum()]]


def _predict(network: Network, draws: dict[str, np.ndarray], data: Any) -> Predictive:
    outputs = network.outputs_of_draws(draws, network.rows_of(data))
    return mixture_of_outputs(network.family, outputs)
