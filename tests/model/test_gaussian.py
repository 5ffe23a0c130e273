"""Sites that are normal given the rest: found by degree, integrated exactly, at linear cost."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from workbench.model import Model, read_density
from workbench.model.affine import forms
from workbench.model.arrow import Arrow, find_arrow
from workbench.model.gaussian import gaussian_sites
from workbench.model.replay import affine_arguments, moved_by

N, P, S, H = dist.Normal, numpyro.sample, numpyro.deterministic, dist.HalfNormal
Y = {"y": np.array([0.3, -1.0, 2.0, 0.1])}


def centred(y=None):
    mu, tau = P("mu", N(0, 5)), P("tau", H(2))
    P("y", N(P("a", N(mu, tau).expand([4]).to_event(1)), 1), obs=y)


def non_centred(y=None):
    mu, tau = P("mu", N(0, 5)), P("tau", H(2))
    P("y", N(mu + tau * P("a", N(0, 1).expand([4])), 1), obs=y)


def product(y=None):
    # normal in each factor given the other, not in both: the larger one is kept
    P("y", N(P("a", N(0, 1).expand([4])) * P("b", N(0, 1)), P("s", H(1))), obs=y)


def covariance(y=None):
    K = P("tau", H(2)) * jnp.eye(4) + 1.0
    P("y", N(P("f", dist.MultivariateNormal(0, K)), 1).mask(y > -0.5), obs=y)


def factor(y=None):
    # a cubic is no normal density
    a = P("a", N(0, 1))
    numpyro.factor("cubic", -(a**3))
    P("y", N(P("b", N(a, 1)), P("s", H(1))), obs=y)


def heavy(y=None):
    P("y", dist.StudentT(4, P("a", N(0, P("tau", H(2))).expand([4])), 1), obs=y)


def counts(y=None):
    P("y", dist.Poisson(jnp.exp(P("a", N(P("mu", N(0, 1)), 1).expand([4])))), obs=jnp.abs(y))


def all_normal(y=None):
    P("y", N(P("mu", N(0, 1)), 1), obs=y)


@pytest.mark.parametrize(
    ("fn", "sites"),
    [
        (centred, ("mu", "a")),
        (non_centred, ("mu", "a")),
        (product, ("a",)),
        (covariance, ("f",)),
        (factor, ("b",)),
        (heavy, ()),
        (counts, ("mu",)),
        (all_normal, ()),  # nothing would be left
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_the_sites_that_are_normal_given_the_rest(fn, sites):
    assert gaussian_sites(read_density(fn, Y)) == sites


def test_declared_effects_come_first():
    model = Model(name="m", fn=product, random_effects=("b",))
    assert gaussian_sites(read_density(model, Y)) == ("b",)


@pytest.mark.parametrize(
    ("program", "form"),
    [
        (lambda z: z**2 + z, "QUADRATIC"),
        (lambda z: z * jnp.sum(z), "QUADRATIC"),
        (lambda z: jnp.where(jnp.isfinite(z), z, 0.0), "OTHER"),
        (lambda z: z**2 * z, "OTHER"),
        (lambda z: 1.0 / z, "OTHER"),
        (lambda z: jax.scipy.linalg.solve_triangular(jnp.eye(2), z) ** 2, "QUADRATIC"),
        (lambda z: jax.scipy.linalg.solve_triangular(jnp.eye(2) + z, jnp.ones(2)), "OTHER"),
        (lambda z: jnp.where(z > 0, z, 2 * z), "OTHER"),
        (lambda z: jnp.abs(z), "OTHER"),
        (lambda z: jnp.where(z == z, z**2, -jnp.inf), "QUADRATIC"),  # true of finite values
    ],
)
def test_degrees(program, form):
    assert forms(program, jnp.ones(2)).name == form


def random_arrow(rng):
    """A positive definite arrow matrix: blocks of 2, 2 and 1, and three effects of the border."""
    blocks, border = np.array([[0, 1], [5, 3], [4, 8]]), np.array([2, 6, 7])
    inside = np.zeros((8, 8), dtype=bool)
    for block in blocks:
        at = block[block < 8]
        inside[np.ix_(at, at)] = True
    inside[border] = inside[:, border] = True
    root = rng.normal(size=(8, 8))
    dense = np.where(inside, root @ root.T, 0.0) + 20 * np.eye(8)
    return Arrow(blocks=blocks, border=border, size=8), dense


def test_arrow_algebra_is_that_of_the_dense_matrix():
    rng = np.random.default_rng(3)
    arrow, dense = random_arrow(rng)
    matrix = arrow.matrix(lambda v: jnp.asarray(dense) @ v)
    factor, v = arrow.factor(matrix), jnp.asarray(rng.normal(size=8))
    assert np.allclose(arrow.solve(factor, v), np.linalg.solve(dense, v), rtol=0, atol=1e-14)
    assert float(arrow.half_log_det(factor)) == pytest.approx(
        0.5 * np.linalg.slogdet(dense)[1], rel=1e-13
    )
    assert float(arrow.form(matrix, v)) == pytest.approx(float(v @ dense @ v), rel=1e-13)
    # L^-T has L^-T L^-1 = H^-1: draws made with it have the covariance H^-1
    rows = [arrow.backward(factor, *arrow.split(e)) for e in jnp.eye(8)]
    assert np.allclose(np.array(rows).T @ np.array(rows), np.linalg.inv(dense), rtol=0, atol=1e-15)


def test_crossed_effects_stand_in_the_border():
    rng = np.random.default_rng(0)
    g, h = rng.integers(0, 30, 200), rng.integers(0, 4, 200)

    def terms(u):
        return -((u[0] + u[1:31][g] + u[31:][h]) ** 2)

    arrow = find_arrow(terms, jnp.asarray(rng.normal(size=35)), [(), (30,), (4,)])
    assert arrow.blocks.tolist() == [[i] for i in range(1, 31)]
    assert arrow.border.tolist() == [0, 31, 32, 33, 34]


def test_a_mean_is_traced_back_to_the_quantities_it_is_affine_in():
    x, g = jnp.ones((6, 2)), jnp.array([0, 0, 1, 1, 2, 2])

    def mean(b, a, s, x):
        return x @ (2.0 * b) + (jnp.exp(s) * a)[g] - 1.0

    closed = jax.make_jaxpr(mean)(jnp.ones(2), jnp.ones(3), 0.5, x)
    moved = moved_by(closed, closed.jaxpr.invars[:3])
    found = affine_arguments(closed, closed.jaxpr.outvars[0], moved)
    # b itself, and the product of two moving quantities, of which there are three
    assert [v.aval.shape for v in found] == [(2,), (3,)]
