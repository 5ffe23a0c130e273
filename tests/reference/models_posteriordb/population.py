"""Hares and lynxes: Lotka and Volterra's equations, observed with log-normal errors.

u' = (theta_1 - theta_2 v) u,  v' = (-theta_3 + theta_4 u) v,  (u, v)(0) = z_init;
y_k(t) ~ LogNormal(log z_k(t), sigma_k), at t = 0 too.

The equations are integrated by the classical fourth-order Runge-Kutta rule, twenty steps a year.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from ..cases import load_frame
from ..posterior import posterior

_STEPS = 20  # a year: the solution is then good to 1e-6 (tested)


def slope(z, theta):
    """The right-hand side of the equations."""
    u, v = z
    return jnp.stack([(theta[0] - theta[1] * v) * u, (-theta[2] + theta[3] * u) * v])


def solve(initial, theta, years):
    """The populations at the end of each year, shape (years, 2)."""
    h = 1 / _STEPS

    def step(_, z):
        a = slope(z, theta)
        b = slope(z + h / 2 * a, theta)
        c = slope(z + h / 2 * b, theta)
        d = slope(z + h * c, theta)
        return z + h / 6 * (a + 2 * b + 2 * c + d)

    def year(z, _):
        z = jax.lax.fori_loop(0, _STEPS, step, z)
        return z, z

    return jax.lax.scan(year, initial, None, length=years)[1]


def lotka_volterra(y):
    """Pelts of both, y of shape (years + 1, 2), the first row at time 0."""
    rates = dist.TruncatedNormal(
        jnp.array([1.0, 0.05, 1.0, 0.05]), jnp.array([0.5, 0.05, 0.5, 0.05]), low=0.0
    )
    theta = numpyro.sample("theta", rates.to_event(1))
    sigma = numpyro.sample("sigma", dist.LogNormal(-1, 1).expand([2]).to_event(1))
    z_init = numpyro.sample("z_init", dist.LogNormal(jnp.log(10.0), 1).expand([2]).to_event(1))
    z = jnp.concatenate([z_init[None], solve(z_init, theta, len(y) - 1)])
    numpyro.sample("y", dist.LogNormal(jnp.log(z), sigma), obs=y)


def data():
    """Hudson's Bay Company's pelts of 1900 to 1920, in thousands."""
    frame = load_frame("posteriordb", "hudson_lynx_hare-lotka_volterra")
    assert np.array_equal(frame["ts"], np.arange(len(frame)))
    return {"y": frame[["y_1", "y_2"]].to_numpy()}


CASES = {"hudson_lynx_hare-lotka_volterra": posterior(lotka_volterra, data)}
