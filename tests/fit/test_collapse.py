"""Normal sites integrated out: the same posterior, in fewer dimensions."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats

import workbench as wb
from models import eight_schools, linear, logistic, varying_intercepts
from workbench.errors import FitError
from workbench.fit.collapse import collapse_normal
from workbench.fit.hierarchy import change_of_effects
from workbench.fit.kernel import chain_programs
from workbench.fit.objective import Objective
from workbench.fit.prepared import prepare_data
from workbench.model import as_model, read_density


def formula(text, **given):
    """A regression of 60 simulated rows, far from 0."""
    rng = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame({"x": rng.normal(size=n), "w": rng.uniform(0.5, 2, n)})
    frame["g"], frame["h"] = (rng.integers(0, k, n).astype(str) for k in (6, 4))
    frame["y"] = 1000 + frame.x + rng.normal(size=n)
    made = wb.formula_model(text, frame, family="gaussian", **given)
    return read_density(made.model, made.data)


def centred_schools(sd, y=None):
    mu, tau = numpyro.sample("mu", dist.Normal(0, 5)), numpyro.sample("tau", dist.HalfCauchy(5))
    theta = numpyro.sample("theta", dist.Normal(mu, tau).expand([8]).to_event(1))
    numpyro.sample("y", dist.Normal(theta, sd), obs=y)


SCHOOLS = {
    "sd": np.array([15.0, 10, 16, 11, 9, 11, 10, 18]),
    "y": np.array([28.0, 8, -3, 7, -1, 1, 18, 12]),
}
CASES = {
    "eight schools": lambda: read_density(eight_schools.MODEL, wb.load_dataset("eight_schools")),
    "eight schools, centred": lambda: read_density(centred_schools, SCHOOLS),
    "varying intercepts": lambda: read_density(varying_intercepts.MODEL, wb.load_dataset("dietox")),
    "intercept and slope": lambda: formula("y ~ x + (x|g)"),
    "crossed, weighted": lambda: formula("y ~ x + (1|g) + (1|h)", weights="w"),
}


@pytest.mark.parametrize("name", ["eight schools", "intercept and slope", "crossed, weighted"])
def test_nothing_keeps_a_trajectory_from_being_one_compiled_function(name):
    target = collapse_normal(CASES[name]()).target
    assert prepare_data(target, np.zeros(target.size)) is None
    advance = chain_programs(target, 10, False, 0).advance.as_text()
    assert not re.findall(r" (?:custom-call|scatter|sort)\(|kind=kCustom", advance)


@pytest.mark.parametrize("name", CASES)
def test_marginal_density_is_that_of_laplaces_method_which_is_exact_here(name):
    density = CASES[name]()
    collapsed = collapse_normal(density)
    effects = replace(as_model(density.model), random_effects=collapsed.sites)
    laplace = Objective(density=read_density(effects, density.data), method="Laplace")
    marginal = collapsed.target
    program = jax.jit(lambda z, arrays: marginal.log_density(z, arrays))
    for seed in (1, 2):
        z = jnp.asarray(0.5 * np.random.default_rng(seed).normal(size=marginal.size))
        exact = float(laplace(z))
        assert float(program(z, marginal.arrays)) == pytest.approx(exact, rel=1e-10, abs=1e-8)


def test_draws_given_the_rest_have_the_moments_of_the_normal_equations():
    density = CASES["eight schools"]()
    collapsed = collapse_normal(density)
    log_tau, S = 1.2, 4000
    z = np.full((1, S, 1), log_tau)
    full = collapsed.expand(z, jax.random.key(1))[0]
    draws = full[:, [x.start for x in density.latents if x.name == "mu"]][:, 0]
    # of mu given tau: precision 1/25 + sum 1/(sd^2 + tau^2), Gelman et al. (2013), 5.4
    w = 1 / (SCHOOLS["sd"] ** 2 + np.exp(2 * log_tau))
    precision = 1 / 25 + w.sum()
    mean = (w * SCHOOLS["y"]).sum() / precision
    assert abs(draws.mean() - mean) < 4 / np.sqrt(precision * S)
    assert abs(draws.var() * precision - 1) < 4 * np.sqrt(2 / S)
    at_tau = [x.start for x in density.latents if x.name == "tau"]
    assert np.array_equal(full[:, at_tau], z[0])
    # a draw depends on its chain and number alone
    assert np.array_equal(collapsed.expand(z[:, :10], jax.random.key(1))[0], full[:10])


def test_a_collapsed_fit_has_all_parameters_and_says_so():
    data = wb.load_dataset("eight_schools")
    fit = wb.fit_nuts(eight_schools.MODEL, data, num_warmup=200, num_samples=100)
    assert {n: v.shape[2:] for n, v in fit.samples.items()} == {
        "mu": (), "tau": (), "eta": (8,), "theta": (8,),
    }  # fmt: skip
    assert fit.provenance.settings["hierarchy"].startswith("integrated out: mu, eta, normal")
    assert fit.datatree["log_likelihood"]["y"].shape == (4, 100, 8)
    assert {"posterior_predictive", "prior", "log_prior"} <= set(fit.datatree.children)


@pytest.mark.parametrize(
    ("model", "data"),
    [(linear.MODEL, "kidiq"), (logistic.MODEL, "spector")],
    ids=["linear", "logistic"],
)
def test_what_has_no_groups_is_left_to_the_sampler(model, data):
    assert collapse_normal(read_density(model, wb.load_dataset(data))) is None


@pytest.mark.parametrize("log_tau", [-20.0, 0.0, 10.0, 20.0])
def test_marginal_density_of_the_schools_is_exact_for_any_spread(log_tau):
    data = wb.load_dataset("eight_schools")
    target = collapse_normal(CASES["eight schools"]()).target
    noise, y = np.asarray(data.inputs["sigma"]), np.asarray(data.observed["y"])
    covariance = np.diag(noise**2 + np.exp(2 * log_tau)) + 25.0  # mu has variance 25
    truth = stats.multivariate_normal(np.zeros(8), covariance).logpdf(y)
    truth += stats.halfcauchy(scale=5).logpdf(np.exp(log_tau)) + log_tau
    found = float(target.log_terms(jnp.array([log_tau])).log_likelihood)
    assert found == pytest.approx(truth, rel=1e-10)


def test_no_spread_seems_likely_by_cancellation():
    target = collapse_normal(CASES["eight schools"]()).target
    far = [float(target.log_terms(jnp.array([x])).log_likelihood) for x in (50.0, 100.0, 300.0)]
    assert max(far) < -456.0  # the truth at 50; rounding only lowers it


def test_what_is_done_with_effects_is_a_choice():
    schools = CASES["eight schools"]()
    choices = read_density(logistic.MODEL, wb.load_dataset("spector"))
    assert change_of_effects(schools, "as written") is None
    asked = change_of_effects(read_density(linear.MODEL, wb.load_dataset("kidiq")), "integrated")
    assert asked is not None
    assert asked.verdict.startswith("integrated out: beta, normal given the rest")
    with pytest.raises(FitError, match="'logistic' has no sites that are normal given the others"):
        change_of_effects(choices, "integrated")
    with pytest.raises(FitError, match="'logistic' has no effects whose amount of centring"):
        change_of_effects(choices, "recentred")
    with pytest.raises(FitError, match="effects expects 'auto', .*; got 'centred'"):
        change_of_effects(schools, "centred")


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("name", ["eight schools", "varying intercepts", "intercept and slope"])
def test_the_posterior_is_that_of_the_plain_sampler(name):
    density = CASES[name]()
    long = {"num_samples": 10_000, "num_warmup": 2000, "target_accept_prob": 0.95}
    plain = wb.fit_nuts(density, effects="as written", seed=1, **long)
    collapsed = wb.fit_nuts(density, seed=2, num_samples=10_000)
    for moment in (1, 2):
        z = []
        for k in range(plain.estimand_draws.shape[-1]):
            mean, error = zip(*(_moment(f, k, moment) for f in (plain, collapsed)), strict=True)
            z.append((mean[0] - mean[1]) / np.hypot(*error))
        # of Q z-scores the largest is below this in 999 of 1000 runs
        assert np.abs(z).max() < 3.3 + 0.5 * np.log10(len(z))


def _moment(fit, k, power):
    """Mean of a power of one term's draws, and its Monte Carlo standard error."""
    from workbench import az

    x = fit.estimand_draws[..., k] ** power
    return x.mean(), float(az.mcse(x, method="mean"))
