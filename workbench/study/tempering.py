r"""Sequential Monte Carlo from the prior to the posterior by a temperature on the likelihood.

Particles from the prior pass through :math:`p_t(z) \propto L(z)^{\beta_t} \pi(z)`,
:math:`0 = \beta_0 < \dots < \beta_T = 1`. Each step weights them by
:math:`w = L^{\beta_t - \beta_{t-1}}`, resamples, and moves them by Hamiltonian Monte Carlo;

.. math:: \log \int L \pi = \sum_t \log E_{t-1}[w], \qquad
          \frac{d}{d\beta} \log Z_\beta = E_\beta[\log L],

the second the identity behind thermodynamic integration. The next temperature leaves half of the
effective sample size. Islands of particles share temperatures and steps but are resampled and
weighted apart: the spread of their evidences, each unbiased on the natural scale, is the error.

References
----------
Del Moral, Doucet and Jasra (2006), doi:10.1111/j.1467-9868.2006.00553.x;
Zhou, Johansen and Aston (2016), doi:10.1080/10618600.2015.1060885;
Gelman and Meng (1998), doi:10.1214/ss/1028905934.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from workbench.fit.compilation import compiled
from workbench.model import Density
from workbench.model.latents import prior_z

_SHARE = 0.5  # of the effective sample size that a temperature step leaves
_MAX_TEMPERATURES = 500
_LEAPFROGS = 6
_MOVES = 6  # trajectories at each temperature
_ACCEPTANCE = 0.8


@dataclass(frozen=True, kw_only=True)
class Tempering:
    """A run of sequential Monte Carlo (T temperatures, R islands of M particles).

    Attributes
    ----------
    temperatures : numpy.ndarray
        From 0 to 1, shape (T,).
    mean_log_likelihood : numpy.ndarray
        At each temperature, nats, shape (T,).
    log_evidence : numpy.ndarray
        Of each island, nats, shape (R,).
    acceptance : numpy.ndarray
        Share of the trajectories accepted at each temperature after the first, shape (T - 1,).
    z : numpy.ndarray
        Particles of the posterior, shape (R, M, D).
    """

    temperatures: np.ndarray
    mean_log_likelihood: np.ndarray
    log_evidence: np.ndarray
    acceptance: np.ndarray
    z: np.ndarray

    @property
    def value(self) -> float:
        """Log of the mean of the islands' evidences, nats."""
        return float(logsumexp(self.log_evidence) - np.log(self.log_evidence.size))

    @property
    def std_error(self) -> float:
        """Standard error of :attr:`value` from the spread between islands, nats."""
        relative = np.exp(self.log_evidence - self.value)
        return float(np.std(relative, ddof=1) / np.sqrt(relative.size))


def temper(density: Density, key: jax.Array, *, num_islands: int, num_particles: int) -> Tempering:
    """Run sequential Monte Carlo from the prior to the posterior.

    Parameters
    ----------
    density : Density
        A model whose prior can be drawn from.
    key : jax.Array
        Random key.
    num_islands, num_particles : int
        R, and M of each.

    Returns
    -------
    Tempering
        From two compiled programs, whatever the number of temperatures.

    Examples
    --------
    One observation of variance 1, prior variance 1: the evidence is that of N(0, 2).

    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> run = temper(read_density(normal, {"y": 1.0}), jax.random.key(0), num_islands=8,
    ...              num_particles=200)
    >>> bool(abs(run.value - (-0.25 - 0.5 * np.log(4 * np.pi))) < 5 * run.std_error < 0.2)
    True
    """
    draw, move = _programs(density)
    arrays = density.arrays
    keys = jax.random.split(key, num_islands * num_particles + 1)
    rng = np.random.default_rng(np.asarray(jax.random.bits(keys[-1], (4,))))
    z, log_lik = (np.asarray(x) for x in draw(keys[:-1], arrays))
    z = z.reshape(num_islands, num_particles, -1)
    log_lik = _defined(log_lik.reshape(num_islands, num_particles))
    temperatures, levels, acceptances = [0.0], [_mean(log_lik)], []
    evidence, step = np.zeros(num_islands), 0.5
    while temperatures[-1] < 1 and len(temperatures) < _MAX_TEMPERATURES:
        beta = _next_temperature(log_lik, temperatures[-1])
        weight = (beta - temperatures[-1]) * log_lik
        evidence += logsumexp(weight, axis=1) - np.log(num_particles)
        z = np.stack([x[_resample(w, rng)] for x, w in zip(z, weight, strict=True)])
        flat = z.reshape(-1, z.shape[-1])
        out = move(
            jax.random.key(int(rng.integers(2**31))),
            jnp.asarray(z),
            beta,
            _root(flat),
            step,
            arrays,
        )
        z, log_lik, accepted, step = (np.asarray(x) for x in out)
        log_lik = _defined(log_lik)
        temperatures.append(beta)
        levels.append(_mean(log_lik))
        acceptances.append(float(accepted))
    return Tempering(
        temperatures=np.array(temperatures),
        mean_log_likelihood=np.array(levels),
        log_evidence=evidence,
        acceptance=np.array(acceptances),
        z=z,
    )


def _defined(log_likelihood: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(log_likelihood), -np.inf, log_likelihood)


def _mean(log_likelihood: np.ndarray) -> float:
    return float(np.mean(log_likelihood[np.isfinite(log_likelihood)]))


def _next_temperature(log_lik: np.ndarray, beta: float) -> float:
    """The temperature that leaves the wanted share of the effective sample size, by bisection."""
    flat = log_lik.ravel()
    flat = flat[np.isfinite(flat)] - flat.max()

    def share(step: float) -> float:
        return float(np.exp(2 * logsumexp(step * flat) - logsumexp(2 * step * flat)) / flat.size)

    if share(1 - beta) >= _SHARE:
        return 1.0
    low, high = np.log(1e-30), np.log(1 - beta)
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if share(np.exp(middle)) >= _SHARE else (low, middle)
    return float(beta + np.exp(low))


def _resample(log_weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling: positions of the particles kept."""
    weight = np.exp(log_weight - logsumexp(log_weight))
    at = (rng.uniform() + np.arange(weight.size)) / weight.size
    return np.minimum(np.searchsorted(np.cumsum(weight), at), weight.size - 1)


def _root(z: np.ndarray) -> np.ndarray:
    """Cholesky factor of the particles' covariance, shrunk a little to its diagonal."""
    sd = np.maximum(z.std(axis=0), 1e-12)
    correlation = np.cov(((z - z.mean(axis=0)) / sd).T).reshape(sd.size, sd.size)
    shrunk = 0.98 * correlation + 0.02 * np.eye(sd.size)
    return sd[:, None] * np.linalg.cholesky(shrunk)


@compiled
def _programs(density: Density) -> tuple[Any, Any]:
    """Two compiled programs: draw from the prior; move particles at a temperature."""

    def log_parts(z: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array]:
        found = density.evaluate(z, arrays)
        terms = density.sum_by_role(found.log_probs)
        jacobian = sum(found.log_jacobian.values(), start=jnp.zeros(()))
        return terms.log_likelihood, terms.log_random_effects + terms.log_prior + jacobian

    def draw(keys: jax.Array, arrays: Any) -> tuple[jax.Array, jax.Array]:
        z = jax.vmap(lambda key: prior_z(density, key, arrays))(keys)
        return z, jax.vmap(lambda z: log_parts(z, arrays)[0])(z)

    def trajectory(
        key: jax.Array, z: jax.Array, beta: jax.Array, root: jax.Array, step: jax.Array, arrays: Any
    ) -> tuple[jax.Array, jax.Array]:
        """One Hamiltonian trajectory in coordinates x with z + root x: end and acceptance."""

        def log_density(x: jax.Array) -> jax.Array:
            log_lik, base = log_parts(z + root @ x, arrays)
            return beta * log_lik + base

        slope = jax.value_and_grad(log_density)
        momentum_key, jitter_key, accept_key = jax.random.split(key, 3)
        momentum = jax.random.normal(momentum_key, z.shape)
        # lengths over a decade: no one step suits both ends of a funnel
        h = step * 10 ** jax.random.uniform(jitter_key, minval=-1.0, maxval=0.2)
        x = jnp.zeros_like(z)
        start, g = slope(x)

        def leap(_: int, state: Any) -> Any:
            x, p, g, _value = state
            p = p + 0.5 * h * g
            x = x + h * p
            value, g = slope(x)
            return x, p + 0.5 * h * g, g, value

        x, p, _, end = jax.lax.fori_loop(0, _LEAPFROGS, leap, (x, momentum, g, start))
        gain = end - start - 0.5 * (p @ p - momentum @ momentum)
        chance = jnp.exp(jnp.minimum(jnp.where(jnp.isnan(gain), -jnp.inf, gain), 0.0))
        taken = jax.random.uniform(accept_key) < chance
        return jnp.where(taken, z + root @ x, z), chance

    def move(
        key: jax.Array, z: jax.Array, beta: Any, root: jax.Array, step: Any, arrays: Any
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        def once(state: Any, key: jax.Array) -> Any:
            z, step = state
            keys = jax.random.split(key, z.shape[:2])

            def island(both: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
                return jax.vmap(lambda k, z: trajectory(k, z, beta, root, step, arrays))(*both)

            z, chance = jax.lax.map(island, (keys, z))
            mean = jnp.mean(chance)
            return (z, step * jnp.exp(mean - _ACCEPTANCE)), mean

        state, accepted = jax.lax.scan(once, (z, step), jax.random.split(key, _MOVES))
        z, step = state
        log_lik = jax.lax.map(jax.vmap(lambda z: log_parts(z, arrays)[0]), z)
        return z, log_lik, jnp.mean(accepted), step

    return jax.jit(draw), jax.jit(move)
