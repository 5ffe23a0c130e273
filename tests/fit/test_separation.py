"""Truths of separation: tables whose separating combination is known, and Firth's way out."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from models.eight_schools import MODEL as EIGHT_SCHOOLS
from models.linear import MODEL as LINEAR
from models.logistic import MODEL as LOGISTIC
from workbench.errors import FitError, ModelError
from workbench.fit import Status
from workbench.fit.predictors import linear_predictors
from workbench.fit.separation import Separation, find_separation
from workbench.model import Model, read_density

ROUNDING = 1e-9  # of the linear program, relative to the largest weight


def coefficients(x: Any, *shape: int) -> jax.Array:
    size = (x.shape[1], *shape)
    return numpyro.sample("b", dist.Normal(0, 10).expand(size).to_event(len(size)))


def logit(x: Any, y: Any = None) -> None:
    numpyro.sample("y", dist.Bernoulli(logits=x @ coefficients(x)), obs=y)


def probit(x: Any, y: Any = None) -> None:
    p = jax.scipy.special.ndtr(x @ coefficients(x))
    numpyro.sample("y", dist.Bernoulli(probs=p), obs=y)


def trials(x: Any, n: Any, y: Any = None) -> None:
    numpyro.sample("y", dist.Binomial(n, logits=x @ coefficients(x)), obs=y)


def poisson(x: Any, y: Any = None) -> None:
    numpyro.sample("y", dist.Poisson(jnp.exp(x @ coefficients(x))), obs=y)


def dispersed(x: Any, y: Any = None) -> None:
    k = numpyro.sample("k", dist.Exponential(1.0))
    numpyro.sample("y", dist.NegativeBinomial2(jnp.exp(x @ coefficients(x)), k), obs=y)


def category(x: Any, y: Any = None) -> None:
    eta = x @ coefficients(x, 2)
    logits = jnp.concatenate([jnp.zeros((len(x), 1)), eta], axis=1)
    numpyro.sample("y", dist.Categorical(logits=logits), obs=y)


def masked(x: Any, seen: Any, y: Any = None) -> None:
    outcome = dist.Bernoulli(logits=x @ coefficients(x)).mask(seen)
    numpyro.sample("y", outcome, obs=y)


def group_effects(x: Any, g: Any, y: Any = None) -> None:
    tau = numpyro.sample("tau", dist.HalfNormal(1.0))
    u = numpyro.sample("u", dist.Normal(0, 1).expand([4]).to_event(1))
    numpyro.sample("y", dist.Bernoulli(logits=x @ coefficients(x) + tau * u[g]), obs=y)


EFFECTS = Model(name="effects", fn=group_effects, random_effects=("u",))

# three groups of four: an intercept and the indicators of the last two groups
GROUPS = np.column_stack([np.ones(12), *(np.repeat(np.eye(3)[k], 4) for k in (1, 2))])
MIXED = [0, 1, 0, 1]


def separation(model: Any, **data: Any) -> Separation | None:
    predictors = linear_predictors(read_density(model, {k: np.asarray(v) for k, v in data.items()}))
    assert predictors is not None
    return find_separation(predictors)


# A group whose outcomes are all alike separates along its own indicator, and nothing else does:
# name, model, outcomes of the groups, further data, direction, observations predicted
QUASI: list[tuple[str, Any, list[int], dict[str, Any], list[float], int]] = [
    ("successes", logit, [*MIXED, *MIXED, 1, 1, 1, 1], {}, [0, 0, 1], 4),
    ("failures", logit, [*MIXED, 0, 0, 0, 0, *MIXED], {}, [0, -1, 0], 4),
    ("probit", probit, [*MIXED, *MIXED, 1, 1, 1, 1], {}, [0, 0, 1], 4),
    ("trials", trials, [1, 2, 1, 2, 5, 5, 5, 5, 0, 1, 5, 2], {"n": np.full(12, 5)}, [0, 1, 0], 4),
    # half of the last group's rows have no trials: they are no observations
    ("no-trials", trials, [1, 2, 1, 2, 3, 4, 3, 2, 5, 5, 0, 0],
     {"n": [5] * 10 + [0] * 2}, [0, 0, 1], 2),
    ("zeros", poisson, [0, 2, 3, 1, 4, 0, 1, 1, 0, 0, 0, 0], {}, [0, 0, -1], 4),
    ("dispersed-zeros", dispersed, [0, 2, 3, 1, 0, 0, 0, 0, 4, 0, 1, 1], {}, [0, -1, 0], 4),
    ("masked", masked, [*MIXED, *MIXED, 1, 1, 1, 0], {"seen": [True] * 11 + [False]},
     [0, 0, 1], 3),
    # the separation is in the coefficients whatever the effects of the groups are
    ("random-effects", EFFECTS, [*MIXED, *MIXED, 1, 1, 1, 1], {"g": np.arange(12) % 4},
     [0, 0, 0, 1], 4),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "y", "more", "direction", "predicted"), [q[1:] for q in QUASI],
    ids=[q[0] for q in QUASI],
)  # fmt: skip
def test_a_cell_of_one_outcome_separates_along_its_indicator(
    model: Any, y: list[int], more: dict[str, Any], direction: list[float], predicted: int
) -> None:
    found = separation(model, x=GROUPS, y=y, **more)
    assert found is not None
    assert not found.complete
    assert found.num_predicted == predicted
    truth = np.array(direction, dtype=float)
    if len(found.direction) > len(truth):  # the dispersion's coordinate does not move
        truth = np.insert(truth, list(found.direction).index(0.0), 0.0)
    scaled = found.direction / np.abs(found.direction).max()
    np.testing.assert_allclose(np.abs(scaled), np.abs(truth), atol=ROUNDING)
    assert scaled @ truth > 0
    # nothing but that combination runs off
    assert found.span.shape[1] == 1
    aligned = found.span[:, 0] / np.abs(found.span).max()
    np.testing.assert_allclose(np.abs(aligned), np.abs(truth), atol=ROUNDING)


def test_two_cells_of_one_outcome_run_off_in_two_directions() -> None:
    found = separation(logit, x=GROUPS, y=[*MIXED, 0, 0, 0, 0, 1, 1, 1, 1])
    assert found is not None
    assert (found.complete, found.num_predicted) == (False, 8)
    # both indicators, and not the intercept
    np.testing.assert_allclose(found.span[0], 0.0, atol=ROUNDING)
    assert np.linalg.matrix_rank(found.span) == 2


def test_a_category_seen_in_one_group_only_separates() -> None:
    # the last group is all 2 and nobody else is: its indicator raises the logit of 2 (over 0 and
    # over 1), and the intercept of 2 may fall with it
    found = separation(category, x=GROUPS, y=[0, 1, 0, 1, 0, 1, 1, 0, 2, 2, 2, 2])
    assert found is not None
    assert found.complete is False
    weights = found.direction.reshape(3, 2)
    assert weights[2, 1] > weights[2, 0]
    assert separation(category, x=GROUPS, y=[0, 1, 2, 1, 0, 1, 2, 0, 2, 1, 0, 2]) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_plane_separates_completely_and_its_mirror_does_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(30), rng.normal(size=(30, 3)) * [1.0, 1e4, 1e-3]])
    y = (x @ [0.2, 1.0, -1e-4, 500.0] > 0).astype(int)
    found = separation(logit, x=x, y=y)
    assert found is not None
    assert found.complete
    # the named combination does what it says
    assert ((x @ found.direction > 0) == (y == 1)).all()
    assert found.span.shape == (4, 4)
    # every row with both outcomes: any direction that wins one loses the other
    assert separation(logit, x=np.concatenate([x, x]), y=np.concatenate([y, 1 - y])) is None


def test_a_model_without_linear_predictor_is_left_to_the_probe() -> None:
    def network(x: Any, y: Any = None) -> None:
        w = numpyro.sample("w", dist.Normal(0, 1).expand([2]).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=w[0] * jnp.tanh(w[1] * x)), obs=y)

    data = {"x": np.arange(4.0), "y": np.array([0, 0, 1, 1])}
    assert linear_predictors(read_density(network, data)) is None
    assert linear_predictors(read_density(LINEAR, wb.load_dataset("kidiq"))) is None


# -- what the fit says -----------------------------------------------------------------------


def test_complete_separation_is_named_in_the_units_of_its_columns() -> None:
    # incomes of 20,000 to 60,000, cut at 33,000: between the neighbours 30,909 and 34,545
    income = np.linspace(20000, 60000, 12)
    x = np.column_stack([np.ones(12), income])
    fit = wb.fit_mle(logit, {"x": x, "y": (income > 33000).astype(int)})
    assert fit.status is Status.SEPARATED
    assert "completely, b[1] - 3.3e+04 b[0] predicts all 12 outcomes" in fit.detail
    assert fit.bse.isna().all()


def test_poisson_cell_of_zeros_is_separated_and_the_rest_is_determined() -> None:
    x = np.column_stack([np.ones(12), np.repeat([0.0, 1.0], 6)])
    fit = wb.fit_mle(poisson, {"x": x, "y": np.array([1, 2, 0, 3, 1, 2, 0, 0, 0, 0, 0, 0])})
    assert fit.status is Status.SEPARATED
    assert "-b[1] predicts 6 of 12 outcomes" in fit.detail
    # the first group alone: log of its mean 9/6, with standard error 1/sqrt(9)
    assert fit.params["b[0]"] == pytest.approx(np.log(1.5), rel=1e-8)
    assert fit.bse["b[0]"] == pytest.approx(1 / 3, rel=1e-8)
    assert np.isnan(fit.bse["b[1]"])


def test_a_probability_that_has_reached_its_limit_is_refused_a_standard_error() -> None:
    # far out, exp(-x b) and its derivative in b are exactly 0 in float64: the delta method alone
    # would quote an error of 0
    model = Model(
        name="limit",
        fn=logit,
        observed=("y",),
        estimands=lambda values, inputs: {"p": jax.nn.sigmoid(1e6 * values["b"])},
    )
    fit = wb.fit_mle(model, {"x": [[-1.0], [-0.5], [0.5], [1.0]], "y": [0, 0, 1, 1]})
    assert fit.status is Status.SEPARATED
    assert fit.params["p[0]"] == 1.0
    assert np.isnan(fit.bse["p[0]"])


def test_a_component_on_one_point_is_unbounded() -> None:
    # the likelihood of a normal mixture has no maximum: a component on one observation, its
    # scale running to zero (Kiefer and Wolfowitz 1956)
    def mixture(y: Any = None) -> None:
        m = numpyro.sample("m", dist.Normal(0, 10).expand([2]).to_event(1))
        s = numpyro.sample("s", dist.HalfNormal(10).expand([2]).to_event(1))
        w = numpyro.sample("w", dist.Beta(1, 1))
        which = dist.Categorical(probs=jnp.stack([w, 1 - w]))
        numpyro.sample("y", dist.MixtureSameFamily(which, dist.Normal(m, s)), obs=y)

    fit = wb.fit_mle(mixture, {"y": np.random.default_rng(0).normal(size=20)})
    assert fit.status is Status.UNBOUNDED
    assert "s[" in fit.detail
    assert fit.bse[["s[0]", "s[1]"]].isna().any()


def test_one_scale_of_several_that_runs_to_zero_is_named() -> None:
    # the last group has one observation: its mean and scale fit it exactly
    def groups(g: Any, y: Any = None) -> None:
        m = numpyro.sample("m", dist.Normal(0, 1))
        s = numpyro.sample("s", dist.HalfNormal(1).expand([3]).to_event(1))
        numpyro.sample("y", dist.Normal(m, s[g]), obs=y)

    g, y = np.array([0, 0, 0, 0, 1, 1, 1, 2]), np.array([1.0, 2, 3, 4, 2, 3, 5, 1.7])
    fit = wb.fit_mle(groups, {"g": g, "y": y})
    assert fit.status is Status.UNBOUNDED
    assert "s[2] is at their rounding level" in fit.detail
    assert fit.params["m"] == pytest.approx(1.7, rel=1e-8)
    assert np.isnan(fit.bse["s[2]"])


@pytest.mark.parametrize(
    ("model", "more", "value"), [(poisson, {}, 1.5), (trials, {"n": np.full(12, 5)}, 2.5)],
    ids=["poisson", "binomial"],
)  # fmt: skip
def test_counts_that_are_not_integers_are_refused(
    model: Any, more: dict[str, Any], value: float
) -> None:
    y = np.append(np.ones(11), value)
    sentence = rf"'y' expects values in the support of .* got {value} \(row 11, counted from 0\)"
    with pytest.raises(ModelError, match=sentence):
        wb.fit_mle(model, {"x": GROUPS, "y": y, **more})


# -- Firth's penalised likelihood ------------------------------------------------------------


def firth_by_modified_score(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root of Firth's modified score, X'(y - p + h (1/2 - p)), and its standard errors."""
    b, information = np.zeros(x.shape[1]), np.eye(x.shape[1])
    for _ in range(200):
        p = 1 / (1 + np.exp(-x @ b))
        w = p * (1 - p)
        information = x.T @ (x * w[:, None])
        h = w * np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x)
        b = b + np.linalg.solve(information, x.T @ (y - p + h * (0.5 - p)))
    return b, np.sqrt(np.diag(np.linalg.inv(information)))


@pytest.fixture(scope="module")
def endometrial_firth() -> wb.ModeFit:
    return wb.fit_firth(LOGISTIC, wb.load_dataset("endometrial"))


def test_firth_is_the_root_of_the_modified_score(endometrial_firth: wb.ModeFit) -> None:
    data = wb.load_dataset("endometrial")
    estimate, error = firth_by_modified_score(
        np.asarray(data.inputs["x"], dtype=float), np.asarray(data.observed["y"], dtype=float)
    )
    np.testing.assert_allclose(endometrial_firth.params, estimate, rtol=1e-8)
    np.testing.assert_allclose(endometrial_firth.bse, error, rtol=1e-8)


def test_firth_is_what_logistf_reports(endometrial_firth: wb.ModeFit) -> None:
    # Heinze and Schemper (2002); logistf stops at a change of 1e-5, and is printed to 1e-8
    logistf = [3.77455951, 2.92927330, -0.03475175, -2.60416387]
    np.testing.assert_allclose(endometrial_firth.params, logistf, atol=1e-6)
    assert endometrial_firth.method == "Firth"
    assert endometrial_firth.status is Status.CONVERGED
    assert np.isnan(endometrial_firth.aic)  # not an MLE
    assert endometrial_firth.llf < endometrial_firth.log_objective  # det I > 1 here


def test_firth_adds_half_an_event_to_a_poisson_mean() -> None:
    # saturated log means: sum y - mu N + 1/2 = 0, also for the cell without an event
    x = np.repeat(np.eye(2), 4, axis=0)
    fit = wb.fit_firth(poisson, {"x": x, "y": np.array([1, 2, 0, 3, 0, 0, 0, 0])})
    truth = np.log(np.array([6.5, 0.5]) / 4)
    np.testing.assert_allclose(fit.params, truth, rtol=1e-8)
    np.testing.assert_allclose(fit.bse, [6.5**-0.5, 0.5**-0.5], rtol=1e-8)


def coin(y: Any = None) -> None:
    p = numpyro.sample("p", dist.Beta(1, 1))
    numpyro.sample("y", dist.Bernoulli(p), obs=y)


REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("family", LINEAR, {}, r"observed site 'y' of model 'linear' is Normal"),
    ("effects", EIGHT_SCHOOLS, {}, r"without random effects; model 'eight_schools' declares"),
    ("link", probit, {"x": GROUPS, "y": MIXED * 3}, r"'y' of model 'probit' has the probit link"),
    ("probability", coin, {"y": MIXED}, r"linear in every parameter; model 'coin' has none"),
    ("rank", logit, {"x": np.ones((4, 2)), "y": MIXED}, r"'logit' has rank 1 for 2 parameters"),
]


@pytest.mark.parametrize(
    ("model", "data", "sentence"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_firth_refuses_what_it_is_not_defined_for(model: Any, data: Any, sentence: str) -> None:
    known = {"linear": "kidiq", "eight_schools": "eight_schools"}
    data = data or wb.load_dataset(known[model.name])
    with pytest.raises(FitError, match=sentence):
        wb.fit_firth(model, data)
