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

exactly where the outputs are linear in the weights, with :math:`\gamma = \mathrm{tr}(H^{-1} C)`
the number of well-determined weights. α and the noise are where it is highest
(:mod:`workbench.network.tuning`).

The mode is climbed by Levenberg-Marquardt steps with the same H. ``structure`` says what of C is
kept: all of it; a Kronecker product for each layer, :math:`\tfrac1N \sum_i a_i a_i^\top \otimes
\sum_i g_i^\top \Lambda_i g_i`, with a the layer's input and g the derivative in its
pre-activations (Martens and Grosse 2015); its diagonal; or the last layer's block alone, the
hidden weights held at the mode. Mode, α and σ are those of the full matrix, so that structures
differ in nothing else. Matrices are dense: these are small networks.

References
----------
MacKay (1992), doi:10.1162/neco.1992.4.3.448; Martens and Grosse (2015), arXiv:1503.05671; Ritter,
Botev and Barber (2018), "A scalable Laplace approximation for neural networks", ICLR; Immer,
Korzepa and Bauer (2021), "Improving predictions of Bayesian neural nets via local linearization",
AISTATS;
Daxberger et al. (2021), arXiv:2106.14806.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import numpy as np
import pandas as pd

from workbench.errors import FitError, UsageError
from workbench.fit.provenance import Provenance, provenance, stopwatch
from workbench.fit.spectral import symmetric_eigen
from workbench.model import Density, Model
from workbench.network.climb import Programs
from workbench.network.prediction import NormalMixture, Predictive, mixture_of_outputs
from workbench.network.reading import Network, random_start, read_network
from workbench.network.tuning import Tuned, tune

Structure = Literal["full", "kronecker", "diagonal", "last layer"]
Tuning = Literal["one", "layer"]


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
        Prior precision of each layer, and of the noise head where the noise depends on the inputs,
        as a multiple of the model's own, shape (G,).
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
        outputs, jacobian = programs.jacobian(self.z, rows)
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
        if np.isfinite(self.noise):
            mean, covariance = self.outputs(data)
            sd = np.sqrt(self.noise**2 + covariance[:, 0, 0])
            return NormalMixture(loc=mean[None, :, 0], scale=sd[None])
        programs, rows = Programs.of(self.network), self.network.rows_of(data)
        mean, jacobian = programs.jacobian(self.z, rows)
        key = jax.random.key(0) if key is None else key
        normal = np.asarray(jax.random.normal(key, (num, self.where.size)))
        # one draw of the weights for all rows: each draw is a function
        values, vectors = symmetric_eigen(self.covariance)
        moves = normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        outputs = mean + np.einsum("sd,nkd->snk", moves, jacobian[..., self.where], optimize=True)
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
    max_steps: int = 1000,
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
        ``one`` or ``layer``: tuned by the evidence, one for all or one for each layer (the noise
        head has its own), as a multiple of the model's own prior precision; a number is taken as
        it is.
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
    >>> fit.converged, round(fit.noise, 1)
    (True, 18.1)
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
        ends = []
        for k in range(num_starts):
            z = random_start(network, np.random.default_rng([seed, k]))
            if position is not None and noise is not None:
                z[position] = np.log(noise)
            ends.append(
                tune(
                    Programs.of(network),
                    z,
                    by_layer=precision == "layer",
                    precision=None if isinstance(precision, str) else float(precision),
                    noise=position if noise is None else None,
                    max_steps=max_steps,
                    tolerance=tolerance,
                )
            )
        best = max(ends, key=lambda end: end.log_evidence)
        if not np.isfinite(best.log_evidence):
            raise FitError(
                f"no start of network '{network.density.model.name}' came to a finite evidence: "
                "check the scale of the data against the prior"
            )
        made = _structured(network, best, structure)
        elapsed = seconds()
    return NetworkLaplace(
        network=network,
        structure=structure,
        z=best.z,
        precision=best.alpha,
        noise=np.nan if position is None else float(np.exp(best.z[position])),
        history=best.history,
        converged=best.converged,
        num_gradients=sum(end.num_gradients for end in ends),
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


def _structured(network: Network, end: Tuned, structure: Structure) -> dict[str, Any]:
    """Covariance, evidence and effective number of weights of a structure at the mode."""
    programs, z, alpha = Programs.of(network), end.z, end.alpha[network.groups]
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
    # layers of very different precisions: scaled to a unit diagonal before it is inverted
    unit = 1 / np.sqrt(np.diag(H))
    inverse = np.linalg.inv(H * np.outer(unit, unit)) * np.outer(unit, unit)
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
