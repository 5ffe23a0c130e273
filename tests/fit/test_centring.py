"""Amounts of centring: learnt from the data, applied in the sampler's coordinates alone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer.reparam import LocScaleReparam

import workbench as wb
from workbench.fit.centring import centre_effects
from workbench.fit.hierarchy import change_of_effects
from workbench.fit.status import Status
from workbench.model import read_density

EXPOSURE = np.repeat([0.1, 1.0, 100.0], 4)
COUNTS = {
    "exposure": EXPOSURE,
    "y": np.random.default_rng(2).poisson(
        EXPOSURE * np.exp(0.5 + 0.6 * np.tile([-1.5, -0.5, 0.5, 1.5], 3))
    ),
}
SCHOOLS = {
    "sd": np.array([15.0, 10, 16, 11, 9, 11, 10, 18]),
    "y": np.array([28.0, 8, -3, 7, -1, 1, 18, 12]),
}


def counts(exposure, y=None):
    mu, tau = numpyro.sample("mu", dist.Normal(0, 2)), numpyro.sample("tau", dist.HalfNormal(1))
    with numpyro.plate("unit", exposure.shape[0]):
        a = numpyro.sample("a", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Poisson(exposure * jnp.exp(a)), obs=y)


def counts_non_centred(exposure, y=None):
    mu, tau = numpyro.sample("mu", dist.Normal(0, 2)), numpyro.sample("tau", dist.HalfNormal(1))
    with numpyro.plate("unit", exposure.shape[0]):
        a = numpyro.deterministic("a", mu + tau * numpyro.sample("e", dist.Normal(0, 1)))
        numpyro.sample("y", dist.Poisson(exposure * jnp.exp(a)), obs=y)


def schools(sd, y=None):
    mu, tau = numpyro.sample("mu", dist.Normal(0, 5)), numpyro.sample("tau", dist.HalfCauchy(5))
    theta = numpyro.sample("theta", dist.Normal(mu, tau).expand([8]).to_event(1))
    numpyro.sample("y", dist.Normal(theta, sd), obs=y)


def schools_non_centred(sd, y=None):
    mu, tau = numpyro.sample("mu", dist.Normal(0, 5)), numpyro.sample("tau", dist.HalfCauchy(5))
    e = numpyro.sample("e", dist.Normal(0, 1).expand([8]).to_event(1))
    theta = numpyro.deterministic("theta", mu + tau * e)
    numpyro.sample("y", dist.Normal(theta, sd), obs=y)


@pytest.fixture(scope="module")
def centred():
    return centre_effects(read_density(counts, COUNTS))


def test_density_is_that_of_numpyros_reparameterisation(centred):
    amounts = centred.amounts["a"]
    reparam = {"a": LocScaleReparam(centered=amounts)}
    other = read_density(handlers.reparam(counts, config=reparam), COUNTS)
    w = 0.4 * np.random.default_rng(1).normal(size=centred.target.size)
    ours = {x.name: w[x.start : x.stop] for x in centred.density.latents}
    theirs = [ours[x.name.removesuffix("_decentered")] for x in other.latents]
    assert float(centred.target.log_density(jnp.asarray(w), centred.target.arrays)) == (
        pytest.approx(float(other.log_density(jnp.concatenate(theirs), other.arrays)), rel=1e-12)
    )


def test_draws_come_back_as_those_of_the_model_as_written(centred):
    w = 0.4 * np.random.default_rng(3).normal(size=(2, 5, centred.target.size))
    z = centred.expand(w, jax.random.key(0))
    at = {x.name: slice(x.start, x.stop) for x in centred.density.latents}
    mu, tau, c = w[..., at["mu"]], np.exp(w[..., at["tau"]]), centred.amounts["a"]
    a = mu + tau ** (1 - c) * (w[..., at["a"]] - c * mu)
    assert np.allclose(z[..., at["a"]], a, rtol=1e-13)
    assert np.array_equal(z[..., at["tau"]], w[..., at["tau"]])


def test_amounts_follow_the_information_of_each_group(centred):
    # c = I / (I + 1 / tau^2) rises with the exposure, from near 0 to near 1
    low, middle, high = centred.amounts["a"].reshape(3, 4)
    assert low.mean() < middle.mean() < high.mean()
    assert low.max() < 0.5
    assert high.min() > 0.9


def test_amounts_are_not_learnt_where_the_starts_part(monkeypatch):
    # another seed would end elsewhere, and learn other amounts
    def parted(density, *, seed):
        fit = wb.fit_laplace(density, seed=seed)
        apart = fit.log_objective - 10.0 * np.arange(len(fit.starts.z))
        return replace(fit, starts=replace(fit.starts, log_objective=apart))

    monkeypatch.setattr("workbench.fit.centring.fit_laplace", parted)
    assert centre_effects(read_density(counts, COUNTS)) is None


def test_what_has_no_centred_effects_is_left_as_written():
    assert centre_effects(read_density(schools_non_centred, SCHOOLS)) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fn", "plain", "data", "name"),
    [(schools, schools_non_centred, SCHOOLS, "theta"), (counts, counts_non_centred, COUNTS, "a")],
    ids=["eight schools", "Poisson"],
)
def test_centred_writing_samples_as_the_non_centred_one(fn, plain, data, name):
    from workbench import az

    ours = wb.fit_nuts(fn, data, effects="recentred", num_samples=2000)
    theirs = wb.fit_nuts(
        plain, data, effects="as written", num_samples=2000, target_accept_prob=0.95, seed=1
    )
    assert ours.status is Status.CONVERGED
    assert ours.provenance.settings["hierarchy"].startswith("sampled partly centred, 1 as written")
    z = []
    for site in ("mu", "tau", name):
        pairs = [f.samples[site].reshape(4, 2000, -1) for f in (ours, theirs)]
        for one, other in zip(*(np.moveaxis(x, -1, 0) for x in pairs), strict=True):
            error = np.hypot(*(float(az.mcse(x, method="mean")) for x in (one, other)))
            z.append((one.mean() - other.mean()) / error)
    assert np.abs(z).max() < 4


@pytest.mark.slow
def test_a_centred_poisson_hierarchy_is_recentred_by_itself():
    change = change_of_effects(read_density(counts, COUNTS), "auto")
    assert change is not None
    assert change.verdict.startswith("sampled partly centred")
