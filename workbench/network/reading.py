r"""A network found inside a model: its layers, its rows, and the outputs that its likelihood sees.

The sites ``W1, b1, W2, b2, ...`` (:mod:`workbench.model.network`) are the layers. The observed
site's distribution at row i depends on the weights through outputs :math:`\eta_i \in R^K`,

============  =====================================  ==========================================
family        outputs :math:`\eta`                   Fisher information :math:`\Lambda(\eta)`
============  =====================================  ==========================================
Normal        :math:`(\mu, \log\sigma)`              :math:`\mathrm{diag}(\sigma^{-2}, 2)`
Bernoulli     log-odds                               :math:`p(1 - p)`
Categorical   logits :math:`f_0, \dots, f_{K-1}`     :math:`\mathrm{diag}(p) - p p^\top`
============  =====================================  ==========================================

which are what methods are compared by, and what the generalised Gauss-Newton matrix
:math:`\sum_i J_i^\top \Lambda(\eta_i) J_i` is made of (Schraudolph 2002,
doi:10.1162/08997660260028683).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from workbench.errors import ModelError
from workbench.fit.compilation import compiled
from workbench.model import Density, Model, as_model, read_density
from workbench.model.binding import as_dataset
from workbench.model.density import Latent
from workbench.model.evaluation import family
from workbench.model.sites import bare

_FAMILIES = ("Normal", "Bernoulli", "Categorical")
_BATCH = 250  # draws evaluated at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """The network inside a density (N rows, K outputs, D unconstrained coordinates).

    Made by :func:`read_network`.

    Attributes
    ----------
    density : Density
        The model at its data.
    observed : str
        Name of the observed site.
    family : str
        ``Normal``, ``Bernoulli`` or ``Categorical``.
    widths : tuple of int
        Numbers of covariates, of units of each hidden layer, and of outputs of the last layer.
    rows : dict of str to numpy.ndarray
        The arguments of the model that have one entry per row, the observations included.
    """

    density: Density
    observed: str
    family: str
    widths: tuple[int, ...]
    rows: dict[str, np.ndarray]

    @property
    def num_layers(self) -> int:
        """Number of layers L, the last (linear) one included."""
        return len(self.widths) - 1

    @property
    def weight_names(self) -> tuple[str, ...]:
        """Names of the sites of the weights, layer by layer."""
        return tuple(f"{kind}{layer + 1}" for layer in range(self.num_layers) for kind in "Wb")

    @cached_property
    def positions(self) -> np.ndarray:
        """Where the weights lie in z, in the order of ``weight_names``."""
        spans = {x.name: np.arange(x.start, x.stop) for x in self.density.latents}
        return np.concatenate([spans[name] for name in self.weight_names])

    @cached_property
    def layers(self) -> np.ndarray:
        """Layer (from 0) of each weight, in the order of ``positions``."""
        sizes = [(fan_in + 1) * width for fan_in, width in self._fans]
        return np.repeat(np.arange(self.num_layers), sizes)

    @property
    def noise_head(self) -> np.ndarray:
        """Places, in ``positions``, of the last layer's weights to an input-dependent log sd."""
        if self.family != "Normal" or self.widths[-1] != 2:
            return np.zeros(0, dtype=int)
        stop = self.layers.size - 2  # the biases stand last
        return np.arange(stop - 2 * self.widths[-2], stop)[1::2]

    @cached_property
    def groups(self) -> np.ndarray:
        """Which prior precision each weight has: its layer's, or the noise head's own, the last."""
        found = self.layers.copy()
        found[self.noise_head] = self.num_layers
        return found

    @property
    def num_groups(self) -> int:
        """Number of prior precisions G."""
        return self.num_layers + bool(self.noise_head.size)

    @property
    def _fans(self) -> list[tuple[int, int]]:
        return list(zip(self.widths[:-1], self.widths[1:], strict=True))

    @cached_property
    def observations(self) -> np.ndarray:
        """The observed values, shape (N,)."""
        name = next(k for k in self.density.observed_arguments if k in self.rows)
        return self.rows[name]

    def rows_of(self, data: Any) -> dict[str, np.ndarray]:
        """The row-wise inputs of a Dataset, or of a mapping from arguments to values."""
        inputs = as_dataset(data).inputs
        needed = [k for k in self.rows if k not in self.density.observed_arguments]
        return {k: np.asarray(inputs[k]) for k in needed}

    def without_observations(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Rows whose observations are unknown, so that any number of them can be evaluated."""
        return {**rows, **dict.fromkeys(self.density.observed_arguments)}

    @cached_property
    def twin(self) -> Network:
        """The network without values for which programs are compiled."""
        return _twin(self.density.twin, self.observed, self.family, self.widths)

    def log_likelihood(
        self, z: jax.Array, rows: Mapping[str, Any], arrays: Mapping[str, Any] | None = None
    ) -> jax.Array:
        """Log density of each row's observation at z, shape (N,).

        ``arrays`` are the data in the form of ``density.arrays``; the density's own by default.
        """
        site = self._trace(self.density.constrain(z, arrays), rows, arrays)[self.observed]
        return site["fn"].log_prob(site["value"])

    def outputs(
        self,
        values: Mapping[str, Any],
        rows: Mapping[str, Any],
        arrays: Mapping[str, Any] | None = None,
    ) -> jax.Array:
        """Outputs of some rows at constrained values of the latent sites, shape (N, K)."""
        fn = bare(self._trace(values, self.without_observations(rows), arrays)[self.observed]["fn"])
        if self.family == "Normal":
            shape = jnp.broadcast_shapes(jnp.shape(fn.loc), jnp.shape(fn.scale))
            return jnp.stack(
                [jnp.broadcast_to(fn.loc, shape), jnp.log(jnp.broadcast_to(fn.scale, shape))], -1
            )
        return fn.logits[..., None] if self.family == "Bernoulli" else fn.logits

    def _trace(
        self, values: Mapping[str, Any], rows: Mapping[str, Any], arrays: Mapping[str, Any] | None
    ) -> Any:
        fn = handlers.substitute(
            handlers.seed(self.density.model.fn, 0),
            data={x.name: values[x.name] for x in self.density.latents},
        )
        return handlers.trace(fn).get_trace(**{**self.density.arguments.join(arrays), **rows})

    def outputs_of_draws(
        self, draws: Mapping[str, np.ndarray], rows: Mapping[str, Any]
    ) -> np.ndarray:
        """Outputs of some rows for draws of the latent sites of shape (S, ...), as (S, N, K)."""
        given = {x.name: jnp.asarray(draws[x.name]) for x in self.density.latents}
        return np.asarray(_outputs_of_draws(self)(given, dict(rows), self.density.arrays))

    def draws_of_z(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Constrained latent sites at points z, shape (S, D)."""
        found = _constrained(self)(jnp.asarray(z), self.density.arrays)
        return {x.name: np.asarray(found[x.name]) for x in self.density.latents}

    def weights(self, z: Any) -> dict[str, Any]:
        """Weights by site at points z, shape (..., D)."""
        where = {x.name: x for x in self.density.latents}
        return {
            name: z[..., where[name].start : where[name].stop].reshape(
                *z.shape[:-1], *where[name].shape
            )
            for name in self.weight_names
        }

    @property
    def noise(self) -> Latent | None:
        """The latent site that is the sd of constant Normal noise, if the model has one."""
        rest = [x for x in self.density.latents if x.name not in self.weight_names]
        sole = len(rest) == 1 and rest[0].stop - rest[0].start == 1 and rest[0].scale == "log"
        return rest[0] if self.family == "Normal" and sole else None

    def prior_sd(self) -> np.ndarray:
        """Prior sd of each weight, in the order of ``positions``.

        Raises
        ------
        ModelError
            When a weight's prior is not Normal about 0 with a known sd.
        """
        found = self.density.evaluate(jnp.zeros(self.density.size)).distributions
        parts = []
        for name in self.weight_names:
            site, fn = self.density.site(name), found[name]
            base = bare(fn)
            known = family(fn) == "Normal" and not set(site.depends_on) - {name}
            if not known or np.any(np.asarray(base.loc) != 0):
                raise ModelError(
                    f"the weights '{name}' of model '{self.density.model.name}' expect a prior "
                    f"Normal(0, s) with a known s; got {family(fn)}"
                    + ("" if known else f" that depends on {', '.join(site.depends_on)}")
                )
            parts.append(np.broadcast_to(np.asarray(base.scale), site.shape).ravel())
        return np.concatenate(parts)


@lru_cache(maxsize=32)
def _twin(density: Density, observed: str, family: str, widths: tuple[int, ...]) -> Network:
    return Network(density=density, observed=observed, family=family, widths=widths, rows={})


@compiled
def _outputs_of_draws(network: Network) -> Callable[..., jax.Array]:
    """Program of the outputs of some rows for draws of the latent sites."""

    def program(given: Any, rows: Any, arrays: Any) -> jax.Array:
        return jax.lax.map(
            lambda values: network.outputs(values, rows, arrays), given, batch_size=_BATCH
        )

    return jax.jit(program)


@compiled
def _constrained(network: Network) -> Callable[..., dict[str, jax.Array]]:
    """Program of the latent sites at points z."""
    return jax.jit(jax.vmap(network.density.constrain, in_axes=(0, None)))


def read_network(model: Model | Callable[..., Any] | Density, data: Any = None) -> Network:
    """Find the network in a model.

    Parameters
    ----------
    model : Model, callable or Density
        Its weights are the sites ``W1, b1, W2, b2, ...``.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).

    Returns
    -------
    Network
        Layers, rows and outputs.

    Raises
    ------
    ModelError
        When there are no such sites, their shapes do not chain, or the observations are not one
        Normal, Bernoulli or Categorical site and an argument of the model.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import MODEL
    >>> read_network(MODEL, wb.load_dataset("nile")).widths
    (1, 4, 1)
    """
    if isinstance(model, Density):
        density = model
    else:
        # estimands may be called by values of the data, which would tie programs to these data
        density = read_density(replace(as_model(model), estimands=None), data)
    name = density.model.name
    sites = {s.name: s for s in density.sites}
    widths: list[int] = []
    while (W := sites.get(f"W{len(widths) or 1}")) is not None:
        b = sites.get(f"b{len(widths) or 1}")
        fits = len(W.shape) == 2 and (not widths or W.shape[0] == widths[-1])
        if not fits or b is None or b.shape != W.shape[1:]:
            raise ModelError(
                f"layer {len(widths) or 1} of model '{name}' expects '{W.name}' of shape "
                f"(fan-in, width) and '{'b' + W.name[1:]}' of shape (width,); got {W.shape} and "
                f"{None if b is None else b.shape}"
            )
        widths += [*([] if widths else [W.shape[0]]), W.shape[1]]
    if not widths:
        raise ModelError(f"model '{name}' is no network: expected sites W1, b1, W2, b2 and so on")
    observed, families = density.names("observed"), density.observed_families
    if len(observed) != 1 or families[0] not in _FAMILIES or density.names("factor"):
        raise ModelError(
            f"network '{name}' expects one observed site, {', '.join(_FAMILIES[:-1])} or "
            f"{_FAMILIES[-1]}; got {', '.join(families) or 'none'}"
        )
    if not density.observed_arguments:
        raise ModelError(
            f"network '{name}' expects its observations as an argument, so that other rows can be "
            "predicted; got a model that holds them itself"
        )
    kwargs = density.arguments.join()
    number = len(np.asarray(kwargs[density.observed_arguments[0]]))
    rows = {
        k: np.asarray(v)
        for k, v in kwargs.items()
        if k in density.observed_arguments or _by_row(density, k, v, number)
    }
    if any(len(v) != number for v in rows.values()):
        raise ModelError(f"the rows of network '{name}' are of several lengths; expected one")
    return Network(
        density=density,
        observed=observed[0],
        family=families[0],
        widths=tuple(widths),
        rows=rows,
    )


def _by_row(density: Density, name: str, value: Any, number: int) -> bool:
    """Whether an argument has one entry per row: by its dimension, or by its length if unnamed."""
    first = density.data.dims.get(name, ("",))[0]
    return first == "obs" or (first == f"{name}_dim_0" and len(value) == number)


def random_start(network: Network, rng: np.random.Generator) -> np.ndarray:
    """Draw weights to start from, of the size of standardised data whatever the prior.

    Parameters
    ----------
    network : Network
        The network.
    rng : numpy.random.Generator
        Random numbers.

    Returns
    -------
    numpy.ndarray
        Unconstrained point, shape (D,): weights Normal with variance one over fan-in plus one
        (the bias is an input); the sd of constant Normal noise at half that of the observations,
        and an input-dependent one the same for all inputs; other coordinates at zero.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.mlp_regression import MODEL
    >>> random_start(read_network(MODEL, wb.load_dataset("nile")), np.random.default_rng(0)).shape
    (14,)
    """
    z = np.zeros(network.density.size)
    fan_in = np.array(network.widths)[network.layers]
    z[network.positions] = rng.normal(size=fan_in.size) / np.sqrt(fan_in + 1.0)
    z[network.positions[network.noise_head]] = 0.0
    noise = network.noise
    if noise is not None:
        z[noise.start] = np.log(0.5 * np.std(network.observations) or 1.0)
    return z


def output_information(kind: str, outputs: jax.Array) -> jax.Array:
    """Fisher information of one row in its outputs.

    Parameters
    ----------
    kind : str
        ``Normal``, ``Bernoulli`` or ``Categorical``.
    outputs : jax.Array
        Shape (K,).

    Returns
    -------
    jax.Array
        Shape (K, K).

    Examples
    --------
    >>> output_information("Bernoulli", jnp.zeros(1)).tolist()
    [[0.25]]
    """
    if kind == "Normal":
        return jnp.diag(jnp.stack([jnp.exp(-2 * outputs[1]), jnp.asarray(2.0)]))
    if kind == "Bernoulli":
        p = jax.nn.sigmoid(outputs)
        return jnp.diag(p * (1 - p))
    p = jax.nn.softmax(outputs)
    return jnp.diag(p) - jnp.outer(p, p)
