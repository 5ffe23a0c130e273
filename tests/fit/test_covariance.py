"""Truths of the covariances: closed forms of least squares, statsmodels, Fisher information."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import statsmodels.api as sm
from scipy import integrate

import workbench as wb
from workbench.errors import FitError, UsageError
from workbench.fit.families import family_of
from workbench.model import distributions

ALGEBRA = 1e-8  # float64, at optima polished to rounding level
HC = ("HC0", "HC1", "HC2", "HC3")


def linear(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    with numpyro.plate("obs", x.shape[0]):
        numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def logistic(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    with numpyro.plate("obs", x.shape[0]):
        numpyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=y)


def poisson(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    with numpyro.plate("obs", x.shape[0]):
        numpyro.sample("y", dist.Poisson(jnp.exp(x @ beta)), obs=y)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.column_stack([np.ones(60), rng.normal(size=(60, 2))])


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    return np.repeat([f"g{k}" for k in range(12)], 5)


@pytest.fixture(scope="module")
def normal(x: np.ndarray) -> tuple[np.ndarray, wb.ModeFit]:
    noise = np.random.default_rng(4).normal(size=len(x)) * np.exp(x[:, 1])
    y = x @ [1.0, 2.0, -1.0] + noise
    return y, wb.fit_mle(linear, {"x": x, "y": y}, num_starts=1)


@pytest.fixture(scope="module", params=[logistic, poisson], ids=lambda f: f.__name__)
def glm(request: pytest.FixtureRequest, x: np.ndarray) -> tuple[Any, wb.ModeFit]:
    """Peer and own fit of a model with its canonical link, on data that break its variance."""
    rng = np.random.default_rng(5)
    if request.param is logistic:
        y = (rng.normal(size=len(x)) + x[:, 1] > 0).astype(int)
        peer = sm.GLM(y, x, family=sm.families.Binomial())
    else:
        y = rng.negative_binomial(2, 1 / (1 + np.exp(0.5 * x[:, 1])))
        peer = sm.GLM(y, x, family=sm.families.Poisson())
    return peer, wb.fit_mle(request.param, {"x": x, "y": y}, num_starts=1)


@pytest.mark.parametrize("cov_type", HC)
def test_sandwich_of_least_squares(
    x: np.ndarray, normal: tuple[np.ndarray, wb.ModeFit], cov_type: str
) -> None:
    y, fit = normal
    inverse = np.linalg.inv(x.T @ x)
    e = y - x @ inverse @ x.T @ y
    h = np.einsum("ij,jk,ik->i", x, inverse, x)
    n, k = x.shape
    # sigma is a parameter too, but K counts the coefficients, as in MacKinnon and White (1985)
    weight = {"HC0": 1, "HC1": n / (n - k), "HC2": 1 / (1 - h), "HC3": 1 / (1 - h) ** 2}[cov_type]
    truth = inverse @ (x.T * (weight * e**2)) @ x @ inverse
    block = fit.cov_params(cov_type).iloc[:3, :3].to_numpy()
    np.testing.assert_allclose(block, truth, rtol=ALGEBRA, atol=ALGEBRA * np.abs(truth).max())
    errors = fit.std_errors(cov_type)
    np.testing.assert_allclose(errors["std_error"].iloc[:3], np.sqrt(np.diag(truth)), rtol=ALGEBRA)
    assert (errors["reason"] == "").all()


def test_sandwich_of_a_scale(normal: tuple[np.ndarray, wb.ModeFit], x: np.ndarray) -> None:
    # score of log sigma is e^2 / sigma^2 - 1, its information 2 N: robust var of log sigma
    y, fit = normal
    e = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    kurtosis = np.mean((e**2 / np.mean(e**2) - 1) ** 2)
    truth = fit.params["sigma"] * np.sqrt(kurtosis / (4 * len(y)))
    error = fit.std_errors("HC0").loc["sigma", "std_error"]
    assert error == pytest.approx(truth, rel=ALGEBRA)


def test_expected_information_of_least_squares(
    x: np.ndarray, normal: tuple[np.ndarray, wb.ModeFit]
) -> None:
    _, fit = normal
    sigma = fit.params["sigma"]
    truth = np.zeros((4, 4))
    truth[:3, :3] = sigma**2 * np.linalg.inv(x.T @ x)
    truth[3, 3] = 1 / (2 * len(x))  # of log sigma
    got = fit.cov_params("expected").to_numpy()
    np.testing.assert_allclose(got, truth, rtol=ALGEBRA, atol=ALGEBRA * truth.max())


def test_expected_information_of_nonlinear_least_squares_is_gauss_newton() -> None:
    # misra1a: b1 (1 - exp(-b2 x)); NIST certifies standard errors from J^T J and RSS / (N - P)
    data = wb.load_dataset("misra1a")

    def misra(x: Any, y: Any = None) -> None:
        b1 = numpyro.sample("b1", dist.Normal(200, 100))
        b2 = numpyro.sample("b2", dist.Normal(0, 0.01))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1))
        numpyro.sample("y", dist.Normal(-b1 * jnp.expm1(-b2 * x), sigma), obs=y)

    x, y = np.ravel(data.inputs["x"]), data.observed["y"]
    fit = wb.fit_mle(misra, {"x": x, "y": y}, init=np.array([250.0, 5e-4, 0.0]), num_starts=1)
    n = len(y)
    errors = fit.std_errors("expected")["std_error"] * np.sqrt(n / (n - 2))
    np.testing.assert_allclose(errors[["b1", "b2"]], [2.7070075241e00, 7.2668688436e-06], rtol=1e-7)


@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "cluster"])
def test_sandwich_of_glms_is_statsmodels(
    glm: tuple[Any, wb.ModeFit], x: np.ndarray, groups: np.ndarray, cov_type: str
) -> None:
    peer, fit = glm
    codes = np.unique(groups, return_inverse=True)[1]
    options = {"cov_kwds": {"groups": codes}} if cov_type == "cluster" else {}
    truth = peer.fit(cov_type=cov_type, tol=1e-14, maxiter=200, **options).cov_params()
    if cov_type == "HC1":  # the peer's is HC0 for generalised linear models
        truth = truth * len(x) / (len(x) - 3)
    got = fit.cov_params(cov_type, groups=groups if cov_type == "cluster" else None)
    np.testing.assert_allclose(got, truth, rtol=1e-7, atol=1e-8 * np.abs(truth).max())


@pytest.mark.parametrize("cov_type", ["HC2", "HC3"])
def test_weighted_sandwich_of_glms(
    glm: tuple[Any, wb.ModeFit], x: np.ndarray, cov_type: str
) -> None:
    # the generalised hat matrix W^1/2 X (X' W X)^-1 X' W^1/2, by its formula
    peer, fit = glm
    found = peer.fit(tol=1e-14, maxiter=200)
    weight = np.asarray(peer.family.variance(found.mu))
    bread = np.linalg.inv((x.T * weight) @ x)
    h = weight * np.einsum("ij,jk,ik->i", x, bread, x)
    score = x * ((peer.endog - found.mu) / (1 - h) ** (0.5 if cov_type == "HC2" else 1.0))[:, None]
    truth = bread @ score.T @ score @ bread
    got = fit.cov_params(cov_type).to_numpy()
    np.testing.assert_allclose(got, truth, rtol=1e-7, atol=1e-8 * np.abs(truth).max())


def test_canonical_link_has_equal_informations(glm: tuple[Any, wb.ModeFit]) -> None:
    fit = glm[1]
    np.testing.assert_allclose(fit.cov_params("expected"), fit.cov_params(), rtol=ALGEBRA)


def test_cluster_of_single_rows_is_hc0(x: np.ndarray, normal: tuple[Any, wb.ModeFit]) -> None:
    fit, each = normal[1], np.arange(len(x))
    plain = fit.cov_params("cluster", groups=each, use_correction=False)
    np.testing.assert_allclose(plain, fit.cov_params("HC0"), rtol=1e-12)
    # with it, G = N: N / (N - 1) * (N - 1) / (N - K), which is HC1
    np.testing.assert_allclose(
        fit.cov_params("cluster", groups=each), fit.cov_params("HC1"), rtol=1e-12
    )


def test_interval_under_a_sandwich(normal: tuple[Any, wb.ModeFit]) -> None:
    fit = normal[1]
    error = fit.std_errors("HC3")["std_error"]["beta[1]"]
    interval = fit.conf_int(0.9, cov_type="HC3").loc["beta[1]"]
    half = 1.6448536269514722 * error  # the 0.95 quantile of a standard normal
    assert interval["lower"] == pytest.approx(fit.params["beta[1]"] - half, rel=1e-12)
    assert interval["upper"] == pytest.approx(fit.params["beta[1]"] + half, rel=1e-12)


# -- Fisher information of the families is the variance of the score -------------------------

CASES = {
    "normal": dist.Normal(0.3, 1.7),
    "log-normal": dist.LogNormal(0.2, 0.6),
    "student": dist.StudentT(5.0, 0.3, 1.7),
    "bernoulli logits": dist.Bernoulli(logits=0.4),
    "bernoulli probs": dist.Bernoulli(probs=0.3),
    "binomial logits": dist.Binomial(total_count=7, logits=0.4),
    "binomial probs": dist.Binomial(total_count=7, probs=0.3),
    "poisson": dist.Poisson(3.5),
    "exponential": dist.Exponential(2.0),
    "gamma": dist.Gamma(2.5, 0.7),
    "beta": dist.Beta(2.5, 3.5),
}


@pytest.mark.parametrize("name", CASES)
def test_fisher_information_is_the_variance_of_the_score(name: str) -> None:
    fn = CASES[name]
    facts = family_of(fn)
    assert facts is not None
    assert facts.fisher is not None
    at = facts.parameters(fn)
    information = np.asarray(facts.fisher(at))
    names = list(at)[: len(information)]
    kind = type(fn)

    def log_prob(values: dict[str, Any], y: Any) -> Any:
        return kind(**{**at, **values}).log_prob(y)

    score = jax.jit(jax.grad(log_prob))
    point = {k: at[k] for k in names}
    law = facts.distribution({k: np.asarray(v) for k, v in at.items()})

    def outer(y: float) -> np.ndarray:
        s = np.array([float(score(point, y)[k]) for k in names])
        return np.outer(s, s)

    if fn.is_discrete:
        truth = sum(law.pmf(y) * outer(y) for y in range(int(law.isf(1e-14)) + 2))
    else:  # over the probability scale, Gauss-Legendre in the tails' favour
        ends = law.ppf([1e-15, 1e-4, 0.5, 1 - 1e-4]).tolist() + [law.isf(1e-15)]
        truth = 0.0
        for a, b in zip(ends[:-1], ends[1:], strict=True):
            truth += integrate.fixed_quad(
                lambda ys: np.stack([law.pdf(y) * outer(y) for y in ys], axis=-1), a, b, n=80
            )[0]
    np.testing.assert_allclose(information, truth, rtol=1e-6, atol=1e-7)


# -- refusals and reasons --------------------------------------------------------------------


def test_unknown_types_and_stray_groups_are_refused(normal: tuple[Any, wb.ModeFit]) -> None:
    fit = normal[1]
    with pytest.raises(UsageError, match="cov_type expects one of observed, expected, HC0"):
        fit.cov_params("HC4")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="groups belong to cov_type='cluster'"):
        fit.cov_params("HC0", groups=[1, 2])
    with pytest.raises(UsageError, match="groups belong to cov_type='cluster'.*got none"):
        fit.cov_params("cluster")
    with pytest.raises(UsageError, match="one label for each of the 60 rows"):
        fit.cov_params("cluster", groups=[1, 2])
    with pytest.raises(UsageError, match="a label for each row; got 1 missing"):
        fit.cov_params("cluster", groups=[*range(59), None])


def test_one_cluster_gives_a_reason(normal: tuple[Any, wb.ModeFit]) -> None:
    errors = normal[1].std_errors("cluster", groups=np.zeros(60))
    assert errors["std_error"].isna().all()
    assert errors["reason"].str.contains("at least 2 different labels").all()


def test_a_row_of_leverage_one_gives_a_reason(x: np.ndarray) -> None:
    alone = np.column_stack([x[:, 0], np.eye(len(x))[:, 7]])
    y = x[:, 1] + np.random.default_rng(1).normal(size=len(x))
    fit = wb.fit_mle(linear, {"x": alone, "y": y}, num_starts=1)
    errors = fit.std_errors("HC3")
    assert errors["std_error"].isna().all()
    assert errors["reason"].str.contains("row 7 has leverage 1").all()
    assert np.isfinite(fit.std_errors("HC1")["std_error"]).all()


def test_not_identified_terms_stay_refused_under_every_covariance(x: np.ndarray) -> None:
    y = x @ [1.0, 2.0, -1.0] + np.random.default_rng(1).normal(size=len(x))
    twice = np.column_stack([x, x[:, 1]])
    fit = wb.fit_mle(linear, {"x": twice, "y": y}, num_starts=1)
    alone = wb.fit_mle(linear, {"x": x, "y": y}, num_starts=1)
    for cov_type in ("expected", "HC0", "HC3"):
        errors = fit.std_errors(cov_type)
        assert errors.loc[["beta[1]", "beta[3]"], "std_error"].isna().all()
        assert "not identified" in errors.loc["beta[1]", "reason"]
        truth = alone.std_errors(cov_type)["std_error"]
        for term in ("beta[0]", "beta[2]", "sigma"):
            assert errors.loc[term, "std_error"] == pytest.approx(truth[term], rel=1e-7)


def test_models_without_rows_are_refused() -> None:
    def effects(g: Any, y: Any = None) -> None:
        tau = numpyro.sample("tau", dist.HalfNormal(1))
        u = numpyro.sample("u", dist.Normal(0, tau).expand([3]))
        numpyro.sample("y", dist.Normal(u[g], 1), obs=y)

    model = wb.Model(name="effects", fn=effects, random_effects=("u",))
    data = {"g": np.repeat([0, 1, 2], 3), "y": np.arange(9.0)}
    fit = wb.fit_mle(model, data, num_starts=1, max_iterations=1)
    for cov_type in ("expected", "HC0"):
        with pytest.raises(FitError, match="declares random effects"):
            fit.cov_params(cov_type)

    def two(y: Any = None, v: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(mu, 1), obs=y)
        numpyro.sample("v", dist.Poisson(jnp.exp(mu)), obs=v)

    both = wb.fit_mle(two, {"y": np.arange(4.0), "v": np.arange(3)}, num_starts=1)
    assert np.isfinite(both.std_errors("HC0")["std_error"]).all()
    with pytest.raises(FitError, match="2 observed sites"):
        both.cov_params("HC2")
    with pytest.raises(FitError, match="defined for an MLE; got a MAP fit"):
        wb.fit_map(two, {"y": np.arange(4.0), "v": np.arange(3)}, num_starts=1).cov_params("HC0")


def test_unknown_fisher_information_is_refused() -> None:
    def counts(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Gamma(1, 1))
        phi = numpyro.sample("phi", dist.Gamma(1, 1))
        numpyro.sample("y", distributions.NegativeBinomial2(mu, phi), obs=y)

    fit = wb.fit_mle(counts, {"y": [0, 1, 9, 2, 14, 3]}, num_starts=1)
    with pytest.raises(FitError, match="not known in closed form for the family NegativeBinomial2"):
        fit.cov_params("expected")
    assert np.isfinite(fit.std_errors("HC0")["std_error"]).all()
