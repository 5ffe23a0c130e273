r"""Bayes' theorem, term by term: at a point, along an axis, and batch by batch.

In unconstrained coordinates z, at any point,

.. math:: \log p(z \mid y) = \log p(y \mid z) + \log p(\theta(z))
          + \log |\det \partial\theta / \partial z| - \log p(y) .

Along one coordinate :math:`z_j` the study gives three densities, each of which integrates to 1: the
prior (the others at the posterior mode, which matters only where priors hold other parameters), the
profile likelihood, normalised, and the marginal posterior, in which the others are integrated out
by Laplace's method (Tierney and Kadane 1986). The density of the constrained value is that of
:math:`z_j` over :math:`|d\theta_j / dz_j|`.

With random effects z are the parameters alone, and the likelihood is the marginal one.

Batch by batch, the posterior of the rows (or whole groups) so far is the prior of the next ones.
Each posterior is replaced by the normal density at its mode, so that the order of the rows does not
matter and the end is the posterior of all rows exactly where it is normal; elsewhere the difference
is the price of that replacement.

References
----------
Tierney and Kadane (1986), doi:10.1080/01621459.1986.10478240; Opper (1998), "A Bayesian approach
to on-line learning", doi:10.1017/CBO9780511569920.017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.special import logsumexp

from workbench.errors import UsageError
from workbench.fit import ModeFit, fit_laplace
from workbench.model import Density, Model, read_density
from workbench.model.marginal import Marginal
from workbench.study.cubature import cubature
from workbench.study.evidence import evidence
from workbench.study.instrument import require_regular, subject
from workbench.study.units import Units, units_of

_REACH = 6.0  # posterior sds of the axis to each side
_BATCHES = 4
_NEWTON = 30
_PRICE = 1.0  # posterior sds, above which batches are not to be believed


@dataclass(frozen=True, kw_only=True, eq=False)
class Bayes:
    """Bayes' theorem on one model.

    Attributes
    ----------
    name : str
        Model and data.
    coordinate : str
        Label of the coordinate of the axis.
    table : pandas.DataFrame
        Index ``point`` (posterior mode, and one posterior sd to both sides along the coordinate);
        ``log_likelihood``, ``log_prior``, ``log_jacobian``, ``log_evidence`` and
        ``log_posterior`` (nats, of z), and ``log_normal``, that of Laplace's normal density.
    axis : pandas.DataFrame
        Columns ``z``, ``value`` (the coordinate's value as constrained by its own transform),
        ``jacobian`` (dvalue / dz), and the densities of z ``prior``, ``likelihood``,
        ``posterior``.
    updates : pandas.DataFrame
        Columns ``order``, ``batch``, ``rows`` (or groups) and ``distance`` of the mean from that
        of all rows at once (mean over coordinates, posterior sds); empty where the data have no
        independent parts.

    Examples
    --------
    >>> axis = pd.DataFrame({"z": [0.0, 1.0], "value": [1.0, 2.7], "jacobian": [1.0, 2.7],
    ...                      "prior": [0.4, 0.2], "likelihood": [0.6, 0.4],
    ...                      "posterior": [0.7, 0.3]})
    >>> parts = {"log_likelihood": [-3.0], "log_prior": [-1.0], "log_jacobian": [0.0],
    ...          "log_evidence": [-4.5], "log_posterior": [0.5]}
    >>> found = Bayes(name="m-d", coordinate="log(a)", table=pd.DataFrame(parts, index=["mode"]),
    ...               axis=axis, updates=pd.DataFrame())
    >>> found.sentences[0]
    'At the mode: log-likelihood -3 + log prior -1 + log Jacobian 0 - log evidence -4.5 = log
    posterior 0.5.'
    """

    name: str
    coordinate: str
    table: pd.DataFrame
    axis: pd.DataFrame
    updates: pd.DataFrame

    @property
    def trusted(self) -> bool:
        """Whether the evidence is known, and batches end near the posterior of all at once."""
        return bool(self.table["log_posterior"].notna().all()) and self._price <= _PRICE

    @property
    def _price(self) -> float:
        """Largest distance at the end of the batches, posterior sds; 0 without batches."""
        if not len(self.updates):
            return 0.0
        return float(self.updates.groupby("order", sort=False)["distance"].last().max())

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        row = self.table.loc["mode"]
        said = [
            f"At the mode: log-likelihood {row['log_likelihood']:.6g} + log prior "
            f"{row['log_prior']:.6g} + log Jacobian {row['log_jacobian']:.4g} - log evidence "
            f"{row['log_evidence']:.6g} = log posterior {row['log_posterior']:.6g}."
        ]
        if len(self.updates):
            last = self.updates.groupby("order", sort=False)["distance"].last()
            said.append(
                f"Updated in {_BATCHES} batches, in two orders, the posterior ends "
                f"{last.iloc[0]:.2g} and {last.iloc[1]:.2g} posterior sds from that of all rows at "
                "once: the price of a normal density between batches."
            )
            if not self._price <= _PRICE:
                said.append(
                    f"More than {_PRICE:g}: the posterior of some batches is far from normal, and "
                    "what comes out of updating them depends on their order."
                )
        return tuple(said)


def bayes(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    quick: bool = False,
    coordinate: str | None = None,
    laplace: ModeFit | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Bayes:
    """Take Bayes' theorem apart at a point, along an axis and batch by batch.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Of the fit and of the order of the rows.
    quick : bool
        31 points of the axis instead of 121.
    coordinate : str, optional
        Label of an unconstrained coordinate, such as ``log(sigma)``; the last parameter's by
        default.
    laplace : ModeFit, optional
        Laplace fit of the same model; made when not given.
    on_stage : callable, optional
        Called with the name of what begins.

    Returns
    -------
    Bayes
        The evidence is by quadrature where there are one or two parameters, else Laplace's.

    Raises
    ------
    FitError
        When the posterior has no regular mode.
    UsageError
        When the coordinate is unknown.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1).expand([1]), obs=y)
    >>> row = bayes(normal, {"y": [1.0]}, quick=True).table.loc["mode"]
    >>> bool(abs(row["log_posterior"] + 0.5 * np.log(np.pi)) < 1e-9)  # N(1/2, 1/2) at its mode
    True
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    tell = on_stage or (lambda _: None)
    tell("Laplace")
    mode = laplace if laplace is not None else fit_laplace(density, seed=seed)
    require_regular(mode, density, "bayes expects a regular posterior mode; that")
    units = units_of(density)
    free = units.objective.free
    labels = [density.z_labels[i] for i in free]
    if coordinate is not None and coordinate not in labels:
        raise UsageError(f"coordinate expects one of {', '.join(labels)}; got '{coordinate}'")
    at = len(labels) - 1 if coordinate is None else labels.index(coordinate)
    theta, covariance = mode.z[free], mode.covariance[np.ix_(free, free)]
    known = evidence(density, laplace=mode, estimators=("Laplace", "quadrature"))
    tell("axis")
    sd = float(np.sqrt(covariance[at, at]))
    points = {"mode": 0.0, "mode - sd": -sd, "mode + sd": sd}
    parts = jax.jit(lambda theta, arrays: _parts(units, theta, arrays))
    normal = -0.5 * (free.size * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1])
    precision = np.linalg.inv(covariance)
    rows = []
    for point, step in points.items():
        move = step * np.eye(free.size)[at]
        fit, prior, jacobian = (float(x) for x in parts(theta + move, density.arrays))
        rows.append({
            "point": point, "log_likelihood": fit, "log_prior": prior, "log_jacobian": jacobian,
            "log_evidence": known.log_evidence,
            "log_posterior": fit + prior + jacobian - known.log_evidence,
            "log_normal": normal - 0.5 * move @ precision @ move,
        })  # fmt: skip
    axis = _axis(units, theta, covariance, at, 31 if quick else 121)
    tell("batches")
    return Bayes(
        name=subject(density),
        coordinate=labels[at],
        table=pd.DataFrame(rows).set_index("point"),
        axis=axis,
        updates=_updates(units, theta, covariance, seed),
    )


def _parts(units: Units, theta: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log-likelihood, log prior and log Jacobian at the parameters' unconstrained values."""
    return (units.log_likelihood(theta, arrays).sum(), *units.log_prior(theta, arrays))


def _axis(
    units: Units, theta: np.ndarray, covariance: np.ndarray, at: int, num: int
) -> pd.DataFrame:
    """Prior, profile likelihood and marginal posterior along one coordinate."""
    rest, density = np.delete(np.arange(theta.size), at), units.density
    centre, arrays = jnp.asarray(theta), density.arrays
    place_of = int(units.objective.free[at])
    sd = float(np.sqrt(covariance[at, at]))
    given = np.linalg.inv(np.linalg.inv(covariance)[np.ix_(rest, rest)])
    root = jnp.asarray(np.linalg.cholesky(given)) if rest.size else jnp.zeros((0, 0))

    def place(t: jax.Array, u: jax.Array) -> jax.Array:
        return centre.at[at].set(t[0]).at[rest].add(root @ u)

    def joint(t: jax.Array, u: jax.Array, arrays: Any) -> jax.Array:
        return sum(_parts(units, place(t, u), arrays), start=jnp.zeros(()))

    def likelihood(t: jax.Array, u: jax.Array, arrays: Any) -> jax.Array:
        return units.log_likelihood(place(t, u), arrays).sum()

    def prior(t: jax.Array, arrays: Any) -> jax.Array:
        log_prior, jacobian = units.log_prior(place(t, jnp.zeros(rest.size)), arrays)
        return log_prior + jacobian

    def value(t: jax.Array, arrays: Any) -> jax.Array:
        x = density.latents_at(place_of)
        z = units.objective.place(
            place(t, jnp.zeros(rest.size)), jnp.zeros(units.objective.effects.size)
        )
        flat = jnp.ravel(density.evaluate(z, arrays).values[x.name])
        return flat[place_of - x.start] if flat.size == x.stop - x.start else t[0]

    if rest.size:
        blocks = np.arange(rest.size)[None]
        whole = Marginal(log_joint=joint, num_effects=rest.size, blocks=blocks)
        profile = Marginal(log_joint=likelihood, num_effects=rest.size, blocks=blocks)
        posterior = whole.log_marginal

        def best(t: jax.Array, arrays: Any) -> jax.Array:
            return likelihood(t, profile.mode(t, arrays), arrays)
    else:
        posterior, best = (
            lambda t, arrays: joint(t, jnp.zeros(0), arrays),
            lambda t, arrays: likelihood(t, jnp.zeros(0), arrays),
        )

    def program(t: jax.Array, arrays: Any) -> dict[str, jax.Array]:
        return {
            "z": t[0],
            "value": value(t, arrays),
            "jacobian": jnp.abs(jax.grad(lambda s: value(s, arrays))(t)[0]),
            "prior": prior(t, arrays),
            "likelihood": best(t, arrays),
            "posterior": posterior(t, arrays),
        }

    line = jnp.asarray(theta[at] + sd * np.linspace(-_REACH, _REACH, num))[:, None]
    out = jax.jit(lambda line, arrays: jax.lax.map(lambda t: program(t, arrays), line))(
        line, arrays
    )
    made = pd.DataFrame({k: np.asarray(v) for k, v in out.items()})
    width = np.log(line[1, 0] - line[0, 0])
    for name in ("likelihood", "posterior"):
        made[name] = np.exp(made[name] - logsumexp(made[name].dropna()) - float(width))
    each = jax.jit(jax.vmap(prior, in_axes=(0, None)))
    total = cubature(
        lambda points: np.asarray(each(jnp.asarray(points), arrays)),
        np.asarray([theta[at]]),
        np.array([[sd]]),
    )
    made["prior"] = np.exp(made["prior"] - total.value)
    return made


def _updates(units: Units, theta: np.ndarray, covariance: np.ndarray, seed: int) -> pd.DataFrame:
    """Posterior after each batch, normal densities in between, in two orders of the parts."""
    if units.reason:
        return pd.DataFrame(columns=["order", "batch", "rows", "distance"])
    density, rows = units.density, units.num
    scale = jnp.asarray(np.linalg.cholesky(covariance))
    zero = jnp.zeros(theta.size)

    def by_part(w: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array]:
        at = jnp.asarray(theta) + scale @ w
        return units.log_likelihood(at, arrays), sum(
            units.log_prior(at, arrays), start=jnp.zeros(())
        )

    def update(weights: jax.Array, before: Any, arrays: Any) -> tuple[jax.Array, jax.Array]:
        mean, precision, first = before

        def objective(w: jax.Array) -> jax.Array:
            fit, prior = by_part(w, arrays)
            normal = -0.5 * (w - mean) @ precision @ (w - mean)
            return weights @ fit + jnp.where(first, prior, normal)

        def curvature(w: jax.Array) -> jax.Array:
            return -density.jacobian(jax.grad(objective))(w)

        def newton(_: int, w: jax.Array) -> jax.Array:
            own, axes = jnp.linalg.eigh(curvature(w))
            move = axes @ ((axes.T @ jax.grad(objective)(w)) / jnp.maximum(jnp.abs(own), 1e-8))
            steps = 2.0 ** -jnp.arange(8)
            trials = w + steps[:, None] * move
            value = jax.vmap(objective)(jnp.concatenate([trials, w[None]]))
            best = jnp.argmax(jnp.where(jnp.isfinite(value), value, -jnp.inf))
            return jnp.concatenate([trials, w[None]])[best]

        end = jax.lax.fori_loop(0, _NEWTON, newton, zero)
        return end, curvature(end)

    program = jax.jit(update)
    rng = np.random.default_rng(seed)
    made = []
    for order in ("as given", "shuffled"):
        line = np.arange(rows) if order == "as given" else rng.permutation(rows)
        mean, precision = zero, jnp.eye(theta.size)
        done = 0
        for batch, part in enumerate(np.array_split(line, min(_BATCHES, rows)), start=1):
            weights = jnp.zeros(rows).at[part].set(1.0)
            mean, precision = program(weights, (mean, precision, batch == 1), density.arrays)
            done += part.size
            # in the coordinates w the posterior of all rows has mean 0 and variance 1
            distance = float(np.mean(np.abs(np.asarray(mean))))
            made.append({"order": order, "batch": batch, "rows": done, "distance": distance})
    return pd.DataFrame(made)
