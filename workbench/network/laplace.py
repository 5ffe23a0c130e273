r"""Laplace's approximation of a network: Gauss-Newton curvature, linearised, tuned by the evidence.

With weights in prior sds, :math:`\tilde w = w / s`, and a prior precision :math:`\alpha` that
multiplies :math:`1 / s^2` (one for all layers, or one each), the posterior is taken as normal
about its mode with precision

.. math:: H = C + \mathrm{diag}(\alpha), \qquad C = \sum_i \tilde J_i^\top \Lambda_i \tilde J_i,

J the derivative of the outputs in :math:`\tilde w` and Λ their Fisher information
(:mod:`workbench.network.reading`). The linearised network is Bayesian linear regression, so that
predictions have closed form, :math:`\eta_* \sim N(\hat\eta_*, J_* H^{-1} J_*^\top)`, and so has

.. math:: \log p(y \mid \alpha, \sigma) = \log p(y \mid \hat w, \sigma)
          - \tfrac12 \alpha \lVert \hat{\tilde w} \rVert^2 + \tfrac12 D \log \alpha
          - \tfrac12 \log \det H ,

exactly where the outputs are linear in the weights. Its maximum in α and in the noise solves
(MacKay 1992), with :math:`\gamma = \mathrm{tr}(H^{-1} C)` the number of well-determined weights,

.. math:: \alpha = \gamma / \lVert \hat{\tilde w} \rVert^2, \qquad
          \sigma^2 = \sum_i (y_i - \hat\mu_i)^2 / (N - \gamma) .

The mode is climbed by Levenberg-Marquardt steps with the same H. ``structure`` says what of C is
kept: all of it; a Kronecker product for each layer, :math:`\tfrac1N \sum_i a_i a_i^\top \otimes
\sum_i g_i^\top \Lambda_i g_i`, with a the layer's input and g the derivative in its
pre-activations (Martens and Grosse 2015); its diagonal; or the last layer's block alone, the
hidden weights held at the mode. Mode, α and σ are those of the full matrix, so that structures
differ in nothing else. Matrices are dense: these are small networks.

References
----------
MacKay (1992), doi:10.1162/neco.1992.4.3.448; Foresee and Hagan (1997),
doi:10.1109/ICNN.1997.614194; Martens and Grosse (2015), arXiv:1503.05671; Ritter, Botev and Barber
(2018), "A scalable Laplace approximation for neural networks", ICLR; Immer, Korzepa and Bauer
(2021), "Improving predictions of Bayesian neural nets via local linearization", AISTATS;
Daxberger et al. (2021), arXiv:2106.14806.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import numpy as np
import pandas as pd
from scipy import linalg

from workbench.errors import FitError, UsageError
from workbench.fit.provenance import Provenance, provenance, stopwatch
from workbench.model import Density, Model
from workbench.network.climb import Programs, climb
from workbench.network.prediction import NormalMixture, Predictive, mixture_of_outputs
from workbench.network.reading import Network, random_start, read_network

Structure = Literal["full", "kronecker", "diagonal", "last layer"]
Tuning = Literal["one", "layer"]
_ROUNDS = 60  # of setting the hyper-parameters
_LARGEST = 1e8  # prior precision, as a multiple of the model's


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkLaplace:
    """A network's posterior as a normal distribution (D' weights with a covariance).

    Attributes
    ----------
    network : Network
        The network.
    structure : str
        ``full``, ``kronecker``, ``diagonal`` or ``last layer``.
    z : numpy.ndarray
        The mode, unconstrained, shape (D,); the noise at its tuned or given value.
    where : numpy.ndarray
        Which weights have a covariance, positions in ``network.positions``, shape (D',).
    covariance : numpy.ndarray
        Of those weights, shape (D', D').
    log_evidence : float
        Log of the integral over those weights, nats.
    precision : numpy.ndarray
        Prior precision of each layer, as a multiple of the model's own, shape (L,).
    noise : float
        Sd of the noise in the unit of y; ``nan`` where there is none or it depends on the inputs.
    num_effective : float
        Number of well-determined weights, of ``len(where)``.
    history : pandas.DataFrame
        By round of tuning: ``log_evidence`` (full), ``precision`` (geometric mean), ``noise``,
        ``num_effective``, ``steps``.
    converged : bool
        Whether the gradient vanished at the mode and the evidence had settled.
    num_gradients : int
        Evaluations of the Jacobian.
    provenance : Provenance
        Versions, seed, time, settings.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import mlp_regression
    >>> data = wb.load_dataset("nile")
    >>> fit = fit_network_laplace(mlp_regression(hidden=()), data, structure="diagonal")
    >>> fit.covariance.shape, fit.predict(data).mean.shape
    ((2, 2), (100,))
    """

    network: Network
    structure: Structure
    z: np.ndarray
    where: np.ndarray
    covariance: np.ndarray
    log_evidence: float
    precision: np.ndarray
    noise: float
    num_effective: float
    history: pd.DataFrame
    converged: bool
    num_gradients: int
    provenance: Provenance

    def outputs(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean, shape (N, K), and covariance, (N, K, K), of the linearised outputs at some rows."""
        programs, rows = Programs.of(self.network), self.network.rows_of(data)
        outputs, jacobian = (np.asarray(x) for x in programs.jacobian(self.z, rows))
        part = jacobian[..., self.where]
        return outputs, np.einsum("nkd,de,nle->nkl", part, self.covariance, part, optimize=True)

    def predict(self, data: Any, *, key: jax.Array | None = None, num: int = 500) -> Predictive:
        """Predictive distribution of some rows.

        Parameters
        ----------
        data : Dataset or mapping
            Rows to predict, by the names of the model's arguments.
        key : jax.Array, optional
            Random key of the draws, where draws are needed; fixed by default.
        num : int
            Number of draws of the linearised outputs.

        Returns
        -------
        NormalMixture or ClassMixture
            In closed form for constant noise; else the mixture over draws.
        """
        mean, covariance = self.outputs(data)
        if np.isfinite(self.noise):
            sd = np.sqrt(self.noise**2 + covariance[:, 0, 0])
            return NormalMixture(loc=mean[None, :, 0], scale=sd[None])
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        key = jax.random.key(0) if key is None else key
        normal = np.asarray(jax.random.normal(key, (num, *mean.shape)))
        outputs = mean + np.einsum("nkl,snl->snk", root, normal)
        return mixture_of_outputs(self.network.family, outputs)


def fit_network_laplace(
    model: Model | Callable[..., Any] | Density | Network,
    data: Any = None,
    *,
    structure: Structure = "full",
    precision: Tuning | float = "one",
    noise: float | None = None,
    seed: int = 0,
    num_starts: int = 1,
    max_steps: int = 500,
    tolerance: float = 1e-4,
) -> NetworkLaplace:
    """Fit Laplace's approximation to a network's posterior.

    Parameters
    ----------
    model : Model, callable, Density or Network
        Its weights are the sites ``W1, b1, ...`` with Normal priors about 0; besides them it may
        have one positive parameter, the sd of Normal noise.
    data : Dataset or mapping, optional
        Values by argument name (for a model or a callable).
    structure : str
        ``full``, ``kronecker``, ``diagonal`` or ``last layer``.
    precision : str or float
        ``one`` or ``layer``: tuned by the evidence, one for all or one for each layer, as a
        multiple of the model's own prior precision; a number is taken as it is.
    noise : float, optional
        Sd of the noise in the unit of y; tuned by the evidence when not given.
    seed : int
        Seed of the starts.
    num_starts : int
        Random starts, of which the one of highest evidence is kept.
    max_steps : int
        Levenberg-Marquardt steps of each start at most.
    tolerance : float
        Nats still to be won at the mode, and of change in the evidence, at which both are taken
        as settled.

    Returns
    -------
    NetworkLaplace
        Mode, covariance and evidence.

    Raises
    ------
    ModelError
        When the model is no network, or its weights have another prior.
    FitError
        When it has other parameters, or every start failed.
    UsageError
        For an unknown structure or tuning, or a number that is not positive.

    Examples
    --------
    A network without hidden layers is linear regression, and its evidence exact:

    >>> import workbench as wb
    >>> from models.mlp_regression import mlp_regression
    >>> fit = fit_network_laplace(mlp_regression(hidden=()), wb.load_dataset("kidiq"))
    >>> fit.converged, round(fit.noise, 2)
    (True, 18.14)
    """
    _check(structure, precision, noise, num_starts)
    network = model if isinstance(model, Network) else read_network(model, data)
    position = _position_of_noise(network)
    if noise is not None and position is None:
        raise FitError(
            f"network '{network.density.model.name}' has no constant noise to be given: its "
            f"family is {network.family}"
        )
    with stopwatch() as seconds:
        settings = (position, precision, noise, max_steps, tolerance)
        ends = [
            _tune(network, np.random.default_rng([seed, k]), *settings) for k in range(num_starts)
        ]
        best = max(ends, key=lambda end: end["log_evidence"])
        if not np.isfinite(best["log_evidence"]):
            raise FitError(
                f"no start of network '{network.density.model.name}' came to a finite evidence: "
                "check the scale of the data against the prior"
            )
        made = _structured(network, best, structure)
        elapsed = seconds()
    return NetworkLaplace(
        network=network,
        structure=structure,
        z=best["z"],
        precision=best["alpha"],
        noise=best["noise"],
        history=best["history"],
        converged=best["converged"],
        num_gradients=sum(end["num_gradients"] for end in ends),
        provenance=provenance(
            network.density,
            seed=seed,
            seconds=elapsed,
            settings={"structure": structure, "precision": precision, "num_starts": num_starts},
        ),
        **made,
    )


def _check(structure: Any, precision: Any, noise: float | None, num_starts: int) -> None:
    if structure not in get_args(Structure):
        raise UsageError(
            f"structure expects one of {', '.join(get_args(Structure))}; got '{structure}'"
        )
    numeric = not isinstance(precision, str)
    if not numeric and precision not in get_args(Tuning):
        raise UsageError(
            f"precision expects a number or one of {', '.join(get_args(Tuning))}; got '{precision}'"
        )
    positive = {"precision": precision if numeric else 1, "noise": 1 if noise is None else noise}
    for name, value in {**positive, "num_starts": num_starts}.items():
        if not value > 0:
            raise UsageError(f"{name} expects a positive number; got {value}")


def _position_of_noise(network: Network) -> int | None:
    """Where the log sd of the noise lies in z; an error where there are other parameters."""
    rest = [x.name for x in network.density.latents if x.name not in network.weight_names]
    noise = network.noise
    if rest and noise is None:
        raise FitError(
            f"Laplace's approximation of network '{network.density.model.name}' expects weights "
            f"and at most one sd of Normal noise; got also {', '.join(rest)}"
        )
    return None if noise is None else noise.start


def _tune(
    network: Network,
    rng: np.random.Generator,
    position: int | None,
    precision: Tuning | float,
    noise: float | None,
    max_steps: int,
    tolerance: float,
) -> dict[str, Any]:
    """Climb to the mode and set the hyper-parameters, in turn, until the evidence has settled."""
    programs = Programs.of(network)
    z, y = random_start(network, rng), network.observations
    if position is not None and noise is not None:
        z[position] = np.log(noise)
    given = 1.0 if isinstance(precision, str) else float(precision)
    alpha = np.full(network.num_layers, given)
    tuned = isinstance(precision, str) or (position is not None and noise is None)
    history: list[dict[str, float]] = []
    used, before, converged, damping = 0, -np.inf, False, 1.0
    while used < max_steps:
        # far from settled hyper-parameters the mode need not be exact
        steps = 15 if tuned and len(history) < _ROUNDS // 2 else max_steps
        end = climb(
            programs,
            z,
            alpha,
            damping=damping,
            max_steps=min(steps, max_steps - used),
            tolerance=tolerance,
        )
        z, used, damping = end.z, used + end.num_steps, end.damping
        H = end.curvature + np.diag(alpha[network.layers])
        inverse = linalg.inv(H)
        # well-determined weights of each layer: n - alpha tr(H^-1)
        trace = np.bincount(network.layers, np.diag(inverse), minlength=network.num_layers)
        counts = np.bincount(network.layers, minlength=network.num_layers)
        gamma = counts - alpha * trace
        evidence = end.value + 0.5 * counts @ np.log(alpha) - 0.5 * np.linalg.slogdet(H)[1]
        history.append(
            {
                "log_evidence": evidence,
                "precision": float(np.exp(np.mean(np.log(alpha)))),
                "noise": np.nan if position is None else float(np.exp(z[position])),
                "num_effective": float(gamma.sum()),
                "steps": end.num_steps,
            }
        )
        settled = abs(evidence - before) < tolerance
        if not np.isfinite(evidence) or (end.converged and (settled or not tuned)):
            converged = bool(np.isfinite(evidence))
            break
        before = evidence
        square = np.bincount(
            network.layers,
            (z[network.positions] / programs.prior_sd) ** 2,
            minlength=network.num_layers,
        )
        if precision == "one":
            alpha = np.full_like(alpha, gamma.sum() / square.sum())
        elif precision == "layer":
            alpha = gamma / square
        # the evidence may want no weights at all
        alpha = np.clip(alpha, 1 / _LARGEST, _LARGEST)
        if position is not None and noise is None:
            residual = y - end.outputs[:, 0]
            z[position] = 0.5 * np.log(residual @ residual / max(len(y) - gamma.sum(), 1.0))
    return {
        "z": z,
        "alpha": alpha,
        "noise": np.nan if position is None else float(np.exp(z[position])),
        "log_evidence": history[-1]["log_evidence"],
        "history": pd.DataFrame(history),
        "converged": converged,
        "num_gradients": used,
    }


def _structured(network: Network, end: Mapping[str, Any], structure: Structure) -> dict[str, Any]:
    """Covariance, evidence and effective number of weights of a structure at the mode."""
    programs, z, alpha = Programs.of(network), end["z"], end["alpha"][network.layers]
    at = programs.expand(z, network.rows)
    where = np.arange(alpha.size)
    if structure == "full":
        C = at.curvature
    elif structure == "diagonal":
        C = np.diag(np.diag(at.curvature))
    elif structure == "kronecker":
        C = _kronecker(network, at.jacobian, at.information)
    else:
        where = np.flatnonzero(network.layers == network.num_layers - 1)
        C = at.curvature[np.ix_(where, where)]
    alpha = alpha[where]
    H = C + np.diag(alpha)
    inverse = linalg.inv(H)
    sd = programs.prior_sd[where]
    scaled = z[network.positions][where] / sd
    return {
        "where": where,
        "covariance": inverse * np.outer(sd, sd),
        "num_effective": float(np.sum(1 - alpha * np.diag(inverse))),
        "log_evidence": float(
            at.log_likelihood
            - 0.5 * np.sum(alpha * scaled**2)
            + 0.5 * np.sum(np.log(alpha))
            - 0.5 * np.linalg.slogdet(H)[1]
        ),
    }


def _kronecker(network: Network, jacobian: np.ndarray, information: np.ndarray) -> np.ndarray:
    r"""Block-diagonal curvature, a Kronecker product for each layer, weights before biases.

    The derivative in a layer's weights is :math:`a \otimes g` and in its biases g, so the layer's
    input a is read off the Jacobian; a row whose g is zero adds nothing either way.
    """
    programs = Programs.of(network)
    size, C, start = len(jacobian), np.zeros((network.layers.size,) * 2), 0
    for fan_in, width in zip(network.widths[:-1], network.widths[1:], strict=True):
        stop = start + (fan_in + 1) * width
        block = jacobian[..., start:stop]
        sd = programs.prior_sd[start:stop]
        sd_w, sd_b = sd[0], sd[-1]
        g = block[..., fan_in * width :] / sd_b  # (N, K, width)
        by_input = block[..., : fan_in * width].reshape(*block.shape[:2], fan_in, width) / sd_w
        power = np.einsum("nkh,nkh->n", g, g)
        a = np.einsum("nkfh,nkh->nf", by_input, g) / np.where(power > 0, power, 1.0)[:, None]
        inputs = np.concatenate([a * sd_w, np.full((size, 1), sd_b)], axis=1)
        A = inputs.T @ inputs / size
        B = np.einsum("nkh,nkl,nlj->hj", g, information, g, optimize=True)
        C[start:stop, start:stop] = np.kron(A, B)
        start = stop
    return C
