"""Truths of the tests: closed forms, statsmodels, and what has no chi-squared law."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import statsmodels.api as sm
from scipy import stats

import workbench as wb
from workbench.errors import FitError, UsageError
from workbench.fit.linear_hypothesis import read_hypothesis

ALGEBRA = 1e-8  # float64, at optima polished to rounding level
KINDS = ("wald", "likelihood ratio", "score")
TERMS = ["beta[Intercept]", "beta[x1]", "beta[x2]", "beta[x1:x2]", "gamma[x2]", "u[0]", "sigma"]


# -- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "weights", "values"),
    [
        ("x1 = 0", [{"beta[x1]": 1}], [0]),
        ("beta[x1]=beta[x2]", [{"beta[x1]": 1, "beta[x2]": -1}], [0]),
        ("x1 = 0, sigma = 2.5e-1", [{"beta[x1]": 1}, {"sigma": 1}], [0, 0.25]),
        ("x1 = Intercept = 3", [{"beta[x1]": 1, "beta[Intercept]": -1}, {"beta[Intercept]": 1}],
         [0, 3]),
        ("2 * x1 - sigma / 4 + 1 = -x1:x2",
         [{"beta[x1]": 2, "sigma": -0.25, "beta[x1:x2]": 1}], [-1]),
        ("-x1 + - 2*3 * gamma[x2] = 1", [{"beta[x1]": -1, "gamma[x2]": -6}], [1]),
    ],
)  # fmt: skip
def test_equations_are_read(text: str, weights: list[dict[str, float]], values: Any) -> None:
    read = read_hypothesis(text, TERMS)
    truth = np.array([[row.get(t, 0.0) for t in TERMS] for row in weights])
    np.testing.assert_array_equal(read.weights, truth)
    np.testing.assert_array_equal(read.values, values)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x1", "expects an equation such as 'a = 0'"),
        ("", "expects a term or a number; got its end"),
        ("sigmo = 1", "got 'sigmo'; did you mean 'sigma'"),
        ("x2 = 0", "got 'x2'; did you mean"),  # of two sites: not unique
        ("x1 = x1", "none follows from the others"),
        ("x1 = sigma, sigma = x1", "2 of rank 1"),
        ("x1 * sigma = 1", "not linear"),
        ("1 / x1 = 1", "not linear"),
        ("x1 / 0 = 1", "divides by zero"),
        ("x1 = 1 sigma", "expects '=', ',', '[+]' or '-'; got 'sigma'"),
        ("0 = 1", "none follows from the others"),
    ],
)
def test_unreadable_equations_are_told(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        read_hypothesis(text, TERMS)


# -- closed forms ----------------------------------------------------------------------------


def known_noise(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    numpyro.sample("y", dist.Normal(x @ beta, 2.0), obs=y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hypothesis", ["beta[1] = beta[2]", "beta[1] = 0.5, beta[2] = 0"])
def test_normal_with_known_noise_has_one_statistic(kind: str, hypothesis: str) -> None:
    # the log-likelihood is a parabola: Wald, likelihood ratio and score are all
    # (R b - r)' [R (X'X)^-1 R']^-1 (R b - r) / sigma^2 (Engle 1984)
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    y = x @ [1.0, 0.4, -0.3] + 2 * rng.normal(size=30)
    fit = wb.fit_mle(known_noise, {"x": x, "y": y}, num_starts=1)
    one = hypothesis == "beta[1] = beta[2]"
    r = np.array([[0.0, 1, -1]]) if one else np.array([[0.0, 1, 0], [0, 0, 1]])
    value = np.zeros(1) if one else np.array([0.5, 0.0])
    inverse = np.linalg.inv(x.T @ x)
    d = r @ inverse @ x.T @ y - value
    truth = d @ np.linalg.solve(r @ inverse @ r.T, d) / 4
    made = fit.test(hypothesis, kind=kind)  # pyright: ignore[reportArgumentType]
    assert made.statistic == pytest.approx(truth, rel=ALGEBRA)
    assert made.df == len(r)
    assert made.p_value == pytest.approx(stats.chi2.sf(truth, len(r)), rel=1e-7)
    assert made.reason == ""


def linear(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


@pytest.fixture(scope="module")
def linear_data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    x = np.column_stack([np.ones(40), rng.normal(size=(40, 2)) * [1.0, 100.0]])
    return {"x": x, "y": x @ [1.0, 0.4, 0.003] + rng.normal(size=40)}


@pytest.fixture(scope="module")
def linear_fit(linear_data: dict[str, np.ndarray]) -> wb.ModeFit:
    return wb.fit_mle(linear, linear_data, num_starts=1)


def test_normal_with_unknown_noise(
    linear_data: dict[str, np.ndarray], linear_fit: wb.ModeFit
) -> None:
    # with Q the relative rise of the residual sum of squares over its value under the hypothesis
    # (1 - RSS1 / RSS0): W = N Q / (1 - Q), LR = -N log(1 - Q), S = N Q (Engle 1984)
    x, y = linear_data["x"], linear_data["y"]
    rss = [np.sum((y - m @ np.linalg.lstsq(m, y, rcond=None)[0]) ** 2) for m in (x, x[:, :1])]
    q, n = 1 - rss[0] / rss[1], len(y)
    truth = {"wald": n * q / (1 - q), "likelihood ratio": -n * np.log1p(-q), "score": n * q}
    for kind in KINDS:
        made = linear_fit.test("beta[1] = 0, beta[2] = 0", kind=kind)
        assert made.statistic == pytest.approx(truth[kind], rel=1e-7)


def test_hypothesis_that_bends_the_coordinates(
    linear_data: dict[str, np.ndarray], linear_fit: wb.ModeFit
) -> None:
    # sigma lives on a log scale: sigma = beta[1] is a curved surface there. The restricted maximum
    # over a fine grid of sigma, the coefficients profiled out by least squares
    x, y = linear_data["x"], linear_data["y"]

    def profile(s: float) -> float:
        rest = y - s * x[:, 1]
        m = x[:, [0, 2]]
        rss = np.sum((rest - m @ np.linalg.lstsq(m, rest, rcond=None)[0]) ** 2)
        return len(y) * np.log(s) + rss / (2 * s**2)

    grid = np.linspace(0.3, 3.0, 20001)  # spacing 1e-4: the minimum is right to 1e-8 curvature
    best = min(profile(s) for s in grid)
    found = -0.5 * len(y) * np.log(2 * np.pi) - best
    made = linear_fit.test("sigma = beta[1]", kind="likelihood ratio")
    assert made.statistic == pytest.approx(2 * (linear_fit.llf - found), abs=1e-5)
    # sigma at a number: all coefficients stay least squares
    n, s2 = len(y), linear_fit.params["sigma"] ** 2
    made = linear_fit.test("sigma = 2", kind="likelihood ratio")
    assert made.statistic == pytest.approx(n * (s2 / 4 - 1 - np.log(s2 / 4)), rel=1e-7)


def test_everything_fixed_leaves_nothing_to_maximise(
    linear_data: dict[str, np.ndarray], linear_fit: wb.ModeFit
) -> None:
    made = linear_fit.test(
        "beta[0] = 1, beta[1] = 0.4, beta[2] = 0.003, sigma = 1", kind="likelihood ratio"
    )
    y, mean = linear_data["y"], linear_data["x"] @ [1.0, 0.4, 0.003]
    truth = 2 * (linear_fit.llf - stats.norm(mean, 1).logpdf(y).sum())
    assert made.statistic == pytest.approx(truth, rel=ALGEBRA)
    assert made.df == 4


def coin(y: Any = None) -> None:
    p = numpyro.sample("p", dist.Beta(1, 1))
    numpyro.sample("y", dist.Bernoulli(p), obs=y)


@pytest.fixture(scope="module")
def coin_fit() -> wb.ModeFit:
    return wb.fit_mle(coin, {"y": np.repeat([1, 0], [7, 18])}, num_starts=1)


def test_binomial_proportion(coin_fit: wb.ModeFit) -> None:
    n, k, p0 = 25, 7, 0.5
    p = k / n
    truth = {
        "wald": (p - p0) ** 2 / (p * (1 - p) / n),
        "likelihood ratio": 2 * (k * np.log(p / p0) + (n - k) * np.log((1 - p) / (1 - p0))),
        "score": (p - p0) ** 2 / (p0 * (1 - p0) / n),
    }
    for kind in KINDS:
        made = coin_fit.test("p = 0.5", kind=kind)
        assert made.statistic == pytest.approx(truth[kind], rel=ALGEBRA)
    # in logit p the score is k - n p: the observed information does not hold the data either
    observed = coin_fit.test("p = 0.5", kind="score", cov_type="observed")
    assert observed.statistic == pytest.approx(truth["score"], rel=ALGEBRA)


def poisson(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    numpyro.sample("y", dist.Poisson(jnp.exp(x @ beta)), obs=y)


def test_poisson_regression_is_statsmodels() -> None:
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(80), rng.normal(size=(80, 2))])
    y = rng.negative_binomial(2, 1 / (1 + np.exp(0.2 * x[:, 1])))
    fit = wb.fit_mle(poisson, {"x": x, "y": y}, num_starts=1)
    model = sm.GLM(y, x, family=sm.families.Poisson())
    options = {"tol": 1e-14, "maxiter": 200}
    peer, robust = model.fit(**options), model.fit(cov_type="HC0", **options)
    contrast = np.array([[0.0, 1, -1]])
    for result, cov_type in ((peer, "observed"), (robust, "HC0")):
        truth = float(result.wald_test(contrast, use_f=False, scalar=True).statistic)
        made = fit.test("beta[1] = beta[2]", cov_type=cov_type)  # pyright: ignore[reportArgumentType]
        assert made.statistic == pytest.approx(truth, rel=1e-7)
    # under beta[1] = beta[2] the design has their sum for a column
    small = sm.GLM(y, np.column_stack([x[:, 0], x[:, 1] + x[:, 2]]), family=sm.families.Poisson())
    restricted = small.fit(**options)
    truth = restricted.score_test(exog_extra=x[:, [1]])
    made = fit.test("beta[1] = beta[2]", kind="score")
    assert made.statistic == pytest.approx(float(np.squeeze(truth[0])), rel=1e-7)
    assert made.p_value == pytest.approx(float(np.squeeze(truth[1])), rel=1e-6)
    made = fit.test("beta[1] = beta[2]", kind="likelihood ratio")
    assert made.statistic == pytest.approx(2 * (peer.llf - restricted.llf), rel=1e-7)


# -- what has no chi-squared law -------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_hypothesis_at_the_edge_has_a_reason(linear_fit: wb.ModeFit, kind: str) -> None:
    made = linear_fit.test("sigma = 0", kind=kind)  # pyright: ignore[reportArgumentType]
    assert np.isnan(made.p_value)
    assert "chi-bar-square" in made.reason


def test_terms_not_identified_have_a_reason(linear_data: dict[str, np.ndarray]) -> None:
    x = np.column_stack([linear_data["x"], linear_data["x"][:, 1]])
    fit = wb.fit_mle(linear, {"x": x, "y": linear_data["y"]}, num_starts=1)
    made = fit.test("beta[1] = 0")
    assert np.isnan(made.statistic)
    assert "beta[1]: not identified" in made.reason
    assert np.isfinite(fit.test("beta[2] = 0").statistic)


def test_arguments_that_do_not_go_together(linear_fit: wb.ModeFit, coin_fit: wb.ModeFit) -> None:
    with pytest.raises(UsageError, match="kind expects one of wald, likelihood ratio, score"):
        linear_fit.test("beta[1] = 0", kind="lagrange")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="takes no cov_type"):
        linear_fit.test("beta[1] = 0", kind="likelihood ratio", cov_type="HC0")
    with pytest.raises(UsageError, match="expects cov_type 'expected' or 'observed'"):
        linear_fit.test("beta[1] = 0", kind="score", cov_type="HC0")
    with pytest.raises(UsageError, match="groups belong to a Wald test"):
        linear_fit.test("beta[1] = 0", kind="score", groups=np.ones(40))
    with pytest.raises(FitError, match="tests are defined for an MLE; got a MAP fit"):
        wb.fit_map(coin, {"y": [1, 0, 0]}, num_starts=1).test("p = 0.5")


# -- nested fits -----------------------------------------------------------------------------


def test_nested_fits(linear_data: dict[str, np.ndarray], linear_fit: wb.ModeFit) -> None:
    small = wb.fit_mle(linear, {**linear_data, "x": linear_data["x"][:, :1]}, num_starts=1)
    made = wb.likelihood_ratio_test(small, linear_fit)
    within = linear_fit.test("beta[1] = 0, beta[2] = 0", kind="likelihood ratio")
    assert made.statistic == pytest.approx(within.statistic, rel=1e-7)
    assert (made.df, made.reason) == (2, "")
    assert made.p_value == pytest.approx(within.p_value, rel=1e-6)
    with pytest.raises(FitError, match="fewer parameters in the smaller model; got 4 and 2"):
        wb.likelihood_ratio_test(linear_fit, small)


def test_fits_that_cannot_be_compared(
    linear_data: dict[str, np.ndarray], linear_fit: wb.ModeFit
) -> None:
    x = linear_data["x"][:, :1]
    other = wb.fit_mle(linear, {"x": x, "y": linear_data["y"] + 1}, num_starts=1)
    with pytest.raises(FitError, match="two fits to the same observations"):
        wb.likelihood_ratio_test(other, linear_fit)
    map_ = wb.fit_map(linear, {"x": x, "y": linear_data["y"]}, num_starts=1)
    with pytest.raises(FitError, match="two MLEs; got a MAP for the small fit"):
        wb.likelihood_ratio_test(map_, linear_fit)


def test_worse_larger_model_is_not_nested(linear_data: dict[str, np.ndarray]) -> None:
    # noise of scale 50 is no case of the small model, whose scale is free
    def wide(x: Any, y: Any = None) -> None:
        beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
        numpyro.sample("y", dist.Normal(x @ beta, 50.0), obs=y)

    small = wb.fit_mle(linear, {**linear_data, "x": linear_data["x"][:, :1]}, num_starts=1)
    made = wb.likelihood_ratio_test(small, wb.fit_mle(wide, linear_data, num_starts=1))
    assert np.isnan(made.p_value)
    assert made.statistic < 0
    assert "not nested" in made.reason


@pytest.mark.slow
def test_spread_of_random_effects_is_on_the_boundary() -> None:
    def flat(g: Any, y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 10))
        numpyro.sample("y", dist.Normal(mu + 0.0 * g, 1.0), obs=y)

    def effects(g: Any, y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 10))
        tau = numpyro.sample("tau", dist.HalfNormal(1))
        u = numpyro.sample("u", dist.Normal(0, 1).expand([4]))
        numpyro.sample("y", dist.Normal(mu + tau * u[g], 1.0), obs=y)

    g = np.repeat(np.arange(4), 3)
    data = {"g": g, "y": np.array([-2.0, 0.0, 1.0, 4.0])[g] + np.tile([-0.5, 0.0, 0.5], 4)}
    model = wb.Model(name="effects", fn=effects, random_effects=("u",))
    large = wb.fit_mle(model, data, num_starts=1, max_iterations=20)
    made = wb.likelihood_ratio_test(wb.fit_mle(flat, data, num_starts=1), large)
    assert np.isfinite(made.statistic)
    assert np.isnan(made.p_value)
    assert "'tau', a spread of random effects, on the boundary" in made.reason
    assert "chi-bar-square" in made.reason
    # within the large model: all but the expected information
    made = large.test("mu = 0", kind="score")
    assert "declares random effects" in made.reason
    observed = large.test("mu = 0", kind="score", cov_type="observed")
    ratio = large.test("mu = 0", kind="likelihood ratio")
    # balanced normal groups: total variance v = tau^2 + 1/3 of a group's mean is free, so
    # LR = G log(v0 / v1) with v0 the mean square of the group means, v1 their variance
    means = data["y"].reshape(4, 3).mean(axis=1)
    truth = 4 * np.log(np.mean(means**2) / np.var(means))
    assert ratio.statistic == pytest.approx(truth, rel=1e-7)
    assert observed.statistic > 0
    with pytest.raises(FitError, match="one that moves with random effect 'u'"):
        large.test("u[0] = 0")


def test_a_combination_that_is_determined_is_tested_though_its_terms_are_not(
    linear_data: dict[str, np.ndarray],
) -> None:
    # x1 given twice: b1 + b2 is the slope of x1 in the fit with one of them
    x, y = linear_data["x"], linear_data["y"]
    once, twice = (wb.fit_mle(linear, {"x": x[:, k], "y": y}) for k in ([0, 1], [0, 1, 1]))
    for kind in ("wald", "likelihood ratio"):
        made = twice.test("beta[1] + beta[2] = 0", kind=kind)
        assert made.statistic == pytest.approx(once.test("beta[1] = 0", kind=kind).statistic)
    assert "not identified" in twice.test("beta[1] = 0").reason
    assert "not identified" in twice.test("beta[1] - beta[2] = 0").reason
