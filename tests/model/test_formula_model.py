"""Formulas as models: what they say of densities, priors and data."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import workbench as wb
from workbench.errors import DataError, ModelError, UsageError
from workbench.fit.objective import Objective
from workbench.model.formula_model import rebuild


def table(rows: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"x": rng.normal(2.0, 3.0, rows), "w": rng.integers(1, 4, rows)})
    frame["g"] = np.resize(list("abcd"), rows)
    frame["h"] = np.repeat(list("pqr"), rows // 3)
    frame["y"] = rng.normal(1 + 0.5 * frame["x"], 1.0)
    frame["n"] = rng.integers(3, 9, rows)
    frame["k"] = rng.binomial(frame["n"], 0.4)
    frame["c"] = rng.poisson(3.0, rows)
    frame["t"] = rng.gamma(3.0, 1.0, rows)
    frame["p"] = rng.beta(2.0, 3.0, rows)
    frame["level"] = np.resize(["low", "mid", "high"], rows)
    return frame


def density(formula: str, frame: pd.DataFrame | None = None, **options):
    made = wb.formula_model(formula, table() if frame is None else frame, **options)
    return wb.read_density(made.model, made.data)


def log_likelihood(read, z) -> float:
    return float(read.log_terms(jnp.asarray(z)).log_likelihood)


# -- densities -----------------------------------------------------------------------------------


def test_a_weight_is_a_repeated_row():
    frame = table()
    repeated = frame.loc[np.repeat(frame.index, frame["w"])]
    z = np.array([0.2, 0.1])
    weighted = density("c ~ x", frame, family="poisson", weights="w")
    plain = density("c ~ x", repeated, family="poisson")
    assert log_likelihood(weighted, z) == pytest.approx(log_likelihood(plain, z), rel=1e-13)


def test_an_offset_is_a_column_with_coefficient_one():
    z = np.array([0.2, -0.1])
    shifted = density("c ~ x", family="poisson", offset="np.log(n)")
    column = density("c ~ x + I(np.log(n))", family="poisson")
    assert log_likelihood(shifted, z) == pytest.approx(log_likelihood(column, [*z, 1.0]), rel=1e-13)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_counts_of_trials_are_sums_of_trials(link):
    frame, z = table(), np.array([-0.4, 0.05])
    ones = frame.loc[np.repeat(frame.index, frame["n"])].assign(
        s=np.concatenate([np.arange(n) < k for n, k in zip(frame["n"], frame["k"], strict=True)])
    )
    counts = density("k ~ x", frame, family=f"binomial({link})", trials="n")
    single = density("s ~ x", ones.astype({"s": int}), family=f"binomial({link})")
    # the same but for the number of orders in which the successes may come
    orders = np.sum(stats.binom.logpmf(frame["k"], frame["n"], 0.5) + frame["n"] * np.log(2.0))
    assert log_likelihood(counts, z) == pytest.approx(log_likelihood(single, z) + orders, rel=1e-12)


GROUPS = {
    "(1|g)": [("g", "sd", ["Intercept"], None)],
    "(x|g)": [("g", "sd", ["Intercept", "x"], "cor")],
    "(0 + x|g)": [("g", "sd", ["x"], None)],
    "(1|g) + (0 + x|g)": [("g", "sd", ["Intercept", "x"], None)],
    "(1|g) + (1|h)": [("g", "sd_g", ["Intercept"], None), ("h", "sd_h", ["Intercept"], None)],
    "(1|h/g)": [("h", "sd_h", ["Intercept"], None), ("gh", "sd_h_g", ["Intercept"], None)],
}


@pytest.mark.parametrize("groups", GROUPS)
def test_group_effects_give_the_marginal_normal(groups):
    frame = table()
    frame["gh"] = frame["g"] + frame["h"]
    read = density(f"y ~ x + {groups}", frame)
    objective = Objective(density=read, method="MLE")
    theta = np.random.default_rng(1).normal(0, 0.4, objective.free.size)
    values = {k: np.asarray(v) for k, v in read.constrain(objective.place(theta, 0.0)).items()}
    mean = values["beta"][0] + values["beta"][1] * frame["x"]
    covariance = values["sigma"] ** 2 * np.eye(len(frame))
    for column, name, effects, correlation in GROUPS[groups]:
        z = np.stack([frame["x"] if e == "x" else np.ones(len(frame)) for e in effects], axis=1)
        tau = values[name]
        r = values[correlation] if correlation else 0.0
        between = np.outer(tau, tau) * (np.eye(len(tau)) + r * (1 - np.eye(len(tau))))
        same = np.equal.outer(frame[column].to_numpy(), frame[column].to_numpy())
        covariance += same * (z @ between @ z.T)
    theirs = stats.multivariate_normal.logpdf(frame["y"], mean, covariance)
    assert float(objective(jnp.asarray(theta))) == pytest.approx(theirs, rel=1e-10)
    effects = wb.formula_model(f"y ~ x + {groups}", frame).model.random_effects
    assert set(effects) == set(read.names("random effect"))


def test_three_correlated_effects():
    frame = table().assign(x2=np.arange(24) % 5)
    read = density("y ~ x + x2 + (x + x2|g)", frame)
    values = read.constrain(jnp.linspace(-0.5, 0.5, read.size))
    chol = np.asarray(values["chol"])
    np.testing.assert_allclose(values["cor"], (chol @ chol.T)[np.tril_indices(3, -1)], rtol=1e-14)
    assert read.estimand_labels({"cor": (3,)})["cor"] == [
        "cor[Intercept, x]", "cor[Intercept, x2]", "cor[x, x2]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("t ~ x", "gamma(inverse)"), ("t ~ x", "gamma(identity)"), ("c ~ x", "poisson(identity)"),
        ("t ~ x", "inverse_gaussian(inverse)"), ("c ~ x", "negative_binomial(identity)"),
        ("I(k > 2) ~ x", "binomial(log)"), ("t ~ x", "gaussian(inverse)"),
        ("t ~ 0 + g", "gamma(inverse)"),
    ],
)  # fmt: skip
def test_where_not_every_predictor_is_possible_the_centre_is(formula, family):
    read = density(formula, family=family)
    z = jnp.zeros(read.size)
    assert np.isfinite(float(read.log_terms(z).log_joint))
    # every row has the mean response there, and the prior is that of beta all the same
    beta = np.asarray(read.constrain(z)["beta"])
    scale = [
        float(t.split(", ")[1][:-1]) for t in read.model.recipe["priors"].values() if "Nor" in t
    ]
    prior = stats.norm.logpdf(beta, 0, scale)
    np.testing.assert_allclose(read.evaluate(z).log_probs["beta"], prior, rtol=1e-12)


@pytest.mark.parametrize(
    "family", ["ordinal(logit)", "ordinal(probit)", "categorical", "student", "beta"]
)
def test_other_families_are_read(family):
    name = {"student": "y", "beta": "p"}.get(family, "level")
    read = density(f"{name} ~ x", family=family)
    assert np.isfinite(log_likelihood(read, np.full(read.size, 0.1)))
    labels = {
        "categorical": [f"beta[{k}, {c}]" for k in ("low", "mid") for c in ("Intercept", "x")],
        "student": ["beta[Intercept]", "beta[x]", "log(sigma)"],
        "beta": ["beta[Intercept]", "beta[x]", "log(phi)"],
    }.get(family, ["beta[x]"])
    assert list(read.z_labels)[: len(labels)] == labels


# -- priors --------------------------------------------------------------------------------------


def test_default_priors_are_in_the_units_of_the_data():
    frame = table()
    frame["x"] = (frame["x"] - frame["x"].mean()) / frame["x"].std(ddof=0) * 4.0
    frame["y"] = (frame["y"] - frame["y"].mean()) / frame["y"].std(ddof=0) * 2.0
    found = wb.formula_model("y ~ x + (x|g)", frame).priors.set_index("term")["prior"]
    # 2.5 sd(y), 2.5 sd(y) / sd(x), 1 / sd(y), and sd(x) / sd(y)
    assert found.to_dict() == {
        "Intercept": "Normal(0, 5)", "x": "Normal(0, 1.25)", "sigma": "Exponential(0.5)",
        "sd[Intercept]": "Exponential(0.5)", "sd[x]": "Exponential(2)", "cor": "LKJ(2)",
    }  # fmt: skip


def test_given_priors_are_used_and_kept():
    priors = {"x": "StudentT(3, 0, 1)", "sd": "HalfNormal(2)", "cor": "LKJ(1)"}
    made = wb.formula_model("y ~ x + (x|g)", table(), priors=priors)
    found = made.priors.set_index("term")
    assert found.loc["sd[x]", "prior"] == "HalfNormal(2)"
    assert (found["source"] == "given").tolist() == [False, True, False, True, True, True]
    read = wb.read_density(made.model, made.data)
    terms = read.evaluate(jnp.full(read.size, 0.3)).log_probs
    assert float(terms["beta"][1]) == pytest.approx(stats.t.logpdf(0.3, 3), rel=1e-12)
    tau = np.exp(0.3)
    np.testing.assert_allclose(terms["sd"], stats.halfnorm.logpdf([tau, tau], scale=2), rtol=1e-12)
    again = rebuild(made.model.recipe["family"], made.data, made.model.recipe["priors"])
    assert again.recipe == made.model.recipe
    assert again.fn.__doc__ == made.model.fn.__doc__


@pytest.mark.parametrize(
    ("priors", "said"),
    [
        ({"xx": "Normal(0, 1)"}, r"a prior is given for 'xx', which is not there; did you mean"),
        ({"x": "Norml(0, 1)"}, r"prior of 'x' names 'Norml', .* did you mean 'Normal'\?"),
        ({"x": "Normal(0, -1)"}, r"prior of 'x' cannot be 'Normal\(0, -1\)'"),
        ({"x": "Normal(0, 1, 2, 3, 4)"}, r"prior of 'x' cannot be .*too many positional"),
        ({"x": "Normal(0, open('f'))"}, r"expects one distribution with numbers, such as Normal"),
        ({"x": "__import__('os')"}, r"expects one distribution with numbers, such as Normal"),
        ({"x": "Normal(0, 1"}, r"expects one distribution with numbers, such as Normal"),
        ({"x": "Poisson(1)"}, r"expects a continuous distribution of one number"),
        ({"x": "HalfNormal(1)"}, r"prior of 'x' expects a distribution over all numbers"),
        ({"sigma": "Normal(0, 1)"}, r"'sigma' expects a distribution over the positive numbers"),
        ({"x": "LKJ(2)"}, r"prior of 'x' expects a distribution, such as Normal\(0, 1\)"),
    ],
)
def test_unusable_priors(priors, said):
    with pytest.raises(UsageError, match=said):
        wb.formula_model("y ~ x", table(), priors=priors)


# -- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "options", "said"),
    [
        ("k ~ x", {"family": "binomial"}, r"'k' of family 'binomial' expects 0 or 1.* in row"),
        ("n ~ x", {"family": "binomial", "trials": "I(k + 1)"}, r"successes of . trials in row"),
        ("k ~ x", {"family": "binomial", "trials": "y"}, r"trials 'y' expects whole numbers"),
        ("y ~ x", {"family": "poisson"}, r"expects counts 0, 1, 2, ...; got .* in row"),
        ("I(0 - c) ~ x", {"family": "negative_binomial"}, r"expects counts 0, 1, 2, ...; got -"),
        ("c ~ x", {"family": "gamma"}, r"expects positive numbers; got 0 in row"),
        ("t ~ x", {"family": "beta"}, r"expects numbers between 0 and 1, both excluded; got"),
        ("c ~ x", {"family": "ordinal"}, r"got numbers, of which C\(c\) makes categories"),
        ("level ~ x", {"family": "binomial"}, r"got the categories high, low, mid"),
        ("c ~ x", {"family": "poisson", "weights": "I(w - 1)"}, r"weights .* expects positive"),
        ("I(0 - t) ~ x", {"family": "gaussian(log)"}, r"'gaussian\(log\)' has no mean -"),
        ("c ~ x", {"family": "poisson", "offset": "zz"}, r"uses column 'zz', which is not there"),
        ("c ~ x", {"family": "poisson", "offset": "g"}, r"offset 'g' holds 'a'; expected numbers"),
    ],
)  # fmt: skip
def test_data_that_do_not_suit_the_family(formula, options, said):
    with pytest.raises(DataError, match=said):
        wb.formula_model(formula, table().assign(c=table()["c"] * (np.arange(24) > 0)), **options)


def test_what_families_do_not_have():
    with pytest.raises(UsageError, match="trials are for family 'binomial'; got family 'poisson'"):
        wb.formula_model("c ~ x", table(), family="poisson", trials="n")
    with pytest.raises(ModelError, match="family 'categorical' has no group effects"):
        wb.formula_model("level ~ x + (1|g)", table(), family="categorical")
    with pytest.raises(ModelError, match="factor 'g' has 2 brackets for 3 effects"):
        wb.formula_model("y ~ x + (x|g) + (0 + c|g)", table())


def test_new_rows_bring_their_trials_and_keep_the_cuts():
    made = wb.formula_model("k ~ x", table(), family="binomial", trials="n")
    rows = made.data.new(table().drop(columns="k").head(3))
    assert rows.inputs["trials"].tolist() == table()["n"].head(3).tolist()
    assert made.data.take([2, 0]).inputs["trials"].tolist() == table()["n"].iloc[[2, 0]].tolist()
    with pytest.raises(DataError, match="the new rows need column 'n'"):
        made.data.new(table()[["x"]])
    ordinal = wb.formula_model("level ~ x", table(), family="ordinal").data
    assert ordinal.new(table()[["x"]]).coords["coefficient"] == ("x",)
    assert ordinal.coords["cut"] == ("high|low", "low|mid")
