"""workbench.az gives the same answers whichever version of ArviZ is installed."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax import random

import workbench.az as az

# the field's words that the rest of the workbench takes from ArviZ
NAMES = [
    "bfmi", "compare", "ess", "eti", "extract", "from_dict", "from_numpyro", "hdi", "loo",
    "loo_pit", "mcse", "plot_forest", "plot_rank", "plot_trace", "psense_summary", "rhat",
    "summary", "weight_predictions",
]  # fmt: skip


@pytest.fixture
def draws(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Independent draws: a scalar and a vector, 4 chains of 500."""
    return {"mu": rng.normal(1.0, 2.0, (4, 500)), "beta": rng.normal(size=(4, 500, 2))}


@pytest.fixture
def tree(draws, rng):
    """A DataTree with labels and a pointwise log-likelihood of 20 observations."""
    y = rng.normal(1.0, 1.0, 20)
    mu = rng.normal(y.mean(), 1 / np.sqrt(20), (4, 500))
    return az.from_dict(
        {
            "posterior": {**draws, "mu": mu},
            "log_likelihood": {"y": -0.5 * (y - mu[..., None]) ** 2 - 0.5 * np.log(2 * np.pi)},
            "observed_data": {"y": y},
        },
        coords={"covariate": ["age", "bmi"]},
        dims={"beta": ["covariate"]},
    )


@pytest.mark.parametrize("name", NAMES)
def test_name_is_there_and_says_what_it_does(name):
    assert getattr(az, name).__doc__


def test_summary_is_unrounded_and_its_columns_do_not_depend_on_the_version(tree):
    table = az.summary(tree, ci_prob=0.9)
    assert list(table.columns) == [
        "mean", "sd", "lower", "upper", "ess_bulk", "ess_tail", "r_hat", "mcse_mean", "mcse_sd",
    ]  # fmt: skip
    assert sorted(table.index) == ["beta[age]", "beta[bmi]", "mu"]
    age = tree.posterior["beta"].sel(covariate="age").to_numpy()
    # the same numbers by numpy; only the order of summation differs
    np.testing.assert_allclose(table.loc["beta[age]", "mean"], age.mean(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(table.loc["beta[age]", "sd"], age.std(ddof=1), rtol=1e-14)


def test_summary_gives_the_equal_tailed_interval(tree):
    table = az.summary(tree, var_names=["mu"], ci_prob=0.9)
    mu = tree.posterior["mu"].to_numpy().ravel()
    # definitions of a sample quantile differ by less than one gap between neighbours,
    # and in the tails at 5 % of 2000 draws no gap is as wide as 5 % of an sd
    np.testing.assert_allclose(
        table.loc["mu", ["lower", "upper"]].to_numpy(float),
        np.quantile(mu, [0.05, 0.95]),
        atol=0.05 * mu.std(),
        rtol=0,
    )


def test_error_of_an_sd_of_normal_draws(rng):
    # of n independent normal draws the sd has the standard error s / sqrt(2 n); the effective
    # size of 40,000 independent draws is itself known to about 2 %, so the error to about 1 %
    x = rng.normal(0.0, 3.0, (4, 10_000))
    assert az.mcse(x, method="sd") == pytest.approx(3 / np.sqrt(2 * 40_000), rel=0.03)


def test_error_of_an_sd_is_not_fooled_by_antithetic_chains(rng):
    # x and -x in turn: the mean is known exactly, but of (x - mean)^2 only every other value is
    # new. Hence the sd's error is s / sqrt(n), larger by sqrt(2) than that of independent draws
    half = rng.normal(size=(4, 5000))
    x = np.stack([half, -half], axis=-1).reshape(4, 10_000)
    # the effective size of (x - mean)^2 is estimated from autocorrelations: 5 % of its root
    assert az.mcse(x, method="sd") == pytest.approx(1 / np.sqrt(40_000), rel=0.05)


def test_error_of_an_sd_is_the_same_from_array_dataset_and_tree(tree):
    beta = tree.posterior["beta"].to_numpy()
    from_array = az.mcse(beta, method="sd")
    from_tree = az.mcse(tree, method="sd")["beta"].to_numpy()
    from_dataset = az.mcse(tree.posterior.to_dataset(), method="sd")["beta"].to_numpy()
    from_summary = az.summary(tree).loc[["beta[age]", "beta[bmi]"], "mcse_sd"].to_numpy()
    for other in (from_tree, from_dataset, from_summary):
        np.testing.assert_array_equal(other, from_array)


def test_error_of_a_mean_is_sd_over_root_of_effective_size(draws):
    x = draws["mu"]
    expected = x.std(ddof=1) / np.sqrt(az.ess(x, method="mean"))
    # the same formula in the same arithmetic
    assert az.mcse(x) == pytest.approx(expected, rel=1e-12)


def test_error_of_draws_that_never_move_is_nan():
    assert np.isnan(az.mcse(np.ones((4, 100)), method="sd"))


def test_loo_is_close_to_the_exact_leave_one_out_density(tree):
    score = az.loo(tree)
    # y_i given the others is Normal(mean of the others, 1 + 1/(n-1)) under a flat prior
    y = tree.observed_data["y"].to_numpy()
    others, variance = (y.sum() - y) / 19, 1 + 1 / 19
    exact = -0.5 * np.log(2 * np.pi * variance) - 0.5 * (y - others) ** 2 / variance
    # one importance-sampled density has an error of about sd(log weights) / sqrt(2000), and the
    # sd of a log weight is (y_i - mean) * sd(mu) < 2.5 / sqrt(20): four times that
    np.testing.assert_allclose(score.elpd_i.to_numpy(), exact, rtol=0, atol=4 * 0.56 / 44.7)
    assert score.elpd == pytest.approx(score.elpd_i.to_numpy().sum(), rel=1e-12)


def test_loo_standard_error_divides_by_one_less(tree):
    score = az.loo(tree)
    expected = np.sqrt(20 * np.var(score.elpd_i.to_numpy(), ddof=1))
    assert score.se == pytest.approx(expected, rel=1e-12)  # the same formula


def test_loo_tells_of_an_outlier_in_its_answer_only(rng):
    # an observation 8 posterior sds away has weights with infinite variance: k > 0.7
    mu = rng.normal(0, 1, (4, 500))
    y = np.array([0.0, 0.5, 8.0])
    groups = {"posterior": {"mu": mu}, "log_likelihood": {"y": -0.5 * (y - mu[..., None]) ** 2}}
    score = az.loo(az.from_dict(groups))
    assert score.warning
    assert score.pareto_k.to_numpy().argmax() == 2
    assert score.pareto_k.to_numpy().max() > score.good_k


def test_compare_takes_model_minus_best_from_the_pointwise_scores(tree):
    worse = tree.copy(deep=True)
    penalty = per_observation(tree, np.linspace(0.0, 0.2, 20))
    worse["log_likelihood"] = worse["log_likelihood"].to_dataset() - penalty
    table = az.compare({"worse": worse, "better": tree})
    assert list(table.index) == ["better", "worse"]
    difference = az.loo(worse).elpd_i.to_numpy() - az.loo(tree).elpd_i.to_numpy()
    assert table.loc["better", ["elpd_diff", "dse"]].to_list() == [0.0, 0.0]
    # the same formula in the same arithmetic
    assert table.loc["worse", "elpd_diff"] == pytest.approx(difference.sum(), rel=1e-12)
    # a constant factor of a likelihood cancels from the weights: the sum is minus the penalties'
    assert table.loc["worse", "elpd_diff"] == pytest.approx(-20 * 0.1, rel=1e-6)
    assert table.loc["worse", "dse"] == pytest.approx(
        np.sqrt(20 * difference.var(ddof=1)), rel=1e-12
    )
    assert table["weight"].sum() == pytest.approx(1.0, abs=1e-6)  # stacking's constraint


def per_observation(tree, values):
    """The values as a Dataset with the log-likelihood's observation dimension."""
    return tree.log_likelihood.to_dataset().isel(chain=0, draw=0, drop=True) * 0 + values


def test_from_numpyro_stores_the_log_likelihood():
    def model(y=None):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        with numpyro.plate("obs", 3):
            numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)

    y = jnp.array([0.0, 1.0, 2.0])
    kernel = numpyro.infer.NUTS(model)
    mcmc = numpyro.infer.MCMC(kernel, num_warmup=20, num_samples=20, progress_bar=False)
    mcmc.run(random.key(0), y)
    tree = az.from_numpyro(mcmc)
    assert {"posterior", "sample_stats", "log_likelihood", "observed_data"} <= set(tree.children)
    mu = tree.posterior["mu"].to_numpy()[..., None]
    expected = -0.5 * (np.asarray(y) - mu) ** 2 - 0.5 * np.log(2 * np.pi)
    # the same density in another order of operations
    np.testing.assert_allclose(tree.log_likelihood["y"].to_numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("k", [0.3, 0.7, 1.2])
def test_pareto_k_of_pareto_weights(k, rng):
    # exp(k E) with E exponential is Pareto with shape k; the fit to the largest 3 sqrt(S) = 600
    # has a standard error of about (1 + k) / sqrt(600): four times that
    log_weights = k * rng.exponential(size=40_000)
    assert az.pareto_k(log_weights) == pytest.approx(k, abs=4 * (1 + k) / np.sqrt(600))


def test_pareto_k_of_bounded_weights_is_small(rng):
    assert az.pareto_k(-rng.exponential(size=4000)) < 0.5
    assert az.pareto_k(np.zeros(4000)) == 0


@pytest.mark.parametrize(
    "log_weights",
    [
        np.r_[0.0, np.full(999, -2000.0)],
        np.r_[0.0, np.full(999, -np.inf)],
        np.full(1000, -np.inf),
        np.r_[np.nan, np.zeros(999)],
        np.r_[np.inf, np.zeros(999)],
    ],
    ids=["one counts", "one is possible", "none is possible", "nan", "infinite"],
)
def test_pareto_k_of_hopeless_weights_is_infinite(log_weights):
    assert az.pareto_k(log_weights) == np.inf


def test_pareto_k_of_few_weights_is_unknown():
    assert np.isnan(az.pareto_k(np.arange(24.0)))


def test_draws_that_never_move_are_told_by_numbers_only():
    still = np.repeat([[1.0], [2.0], [3.0], [4.0]], 100, axis=1)
    # within the chains the variance is 0 up to rounding
    assert az.rhat(still) > 1e6
    assert np.isnan(az.rhat(np.ones((4, 100))))
    assert np.isnan(az.bfmi(np.ones((4, 100)))).all()
    table = az.summary(az.from_dict({"posterior": {"x": np.ones((4, 100))}}))
    assert table.loc["x", ["mean", "sd"]].to_list() == [1.0, 0.0]
    assert np.isnan(table.loc["x", "r_hat"])


def test_loo_of_an_impossible_observation_has_infinite_k():
    mu = np.zeros((4, 500))
    mu[0, 0] = 60.0  # without the third observation all weight is on one draw
    y = np.array([0.1, -0.2, 0.0])
    log_likelihood = -0.5 * (y - mu[..., None]) ** 2
    groups = {"posterior": {"mu": mu}, "log_likelihood": {"y": log_likelihood}}
    score = az.loo(az.from_dict(groups), reff=1.0)
    assert np.isposinf(score.pareto_k.to_numpy()).all()
    assert score.warning


def test_loo_of_an_observation_that_no_parameter_moves(rng):
    # its weights are all equal, which is the best there is, and its density is what it is
    mu = rng.normal(0, 0.2, (4, 500))
    log_likelihood = np.stack([-0.5 * (0.3 - mu) ** 2, np.full_like(mu, -1.25)], axis=-1)
    groups = {"posterior": {"mu": mu}, "log_likelihood": {"y": log_likelihood}}
    score = az.loo(az.from_dict(groups), reff=1.0)
    # to the ramp of 1e-10 that tells the weights apart
    assert score.elpd_i.to_numpy()[1] == pytest.approx(-1.25, abs=1e-10)
    assert not score.warning
