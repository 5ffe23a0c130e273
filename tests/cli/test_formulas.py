"""A formula in place of a model."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from tests.cli.conftest import FAST
from workbench.cli import main


@pytest.fixture
def counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": np.arange(20) / 10, "n": rng.integers(4, 9, 20)})
    frame["k"] = rng.binomial(frame["n"], 0.5)
    frame["k2"] = frame["n"] + 1
    frame.to_csv("counts.csv", index=False)
    return tmp_path


def shell(*words):
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--family", "poison"], 2, "did you mean 'poisson'?"),
        (["--family", "poisson(logit)"], 2, "has links log, identity; got 'logit'"),
        (["--family", "poisson", "--prior", "x"], 2, "--prior expects TERM=DISTRIBUTION"),
        (["--family", "poisson", "--prior", "x=Norml(0,1)"], 2, "did you mean 'Normal'?"),
        (["--family", "poisson", "--prior", "z=Normal(0,1)"], 2, "a prior is given for 'z'"),
        (["--family", "poisson", "--trials", "n"], 2, "trials are for family 'binomial'"),
        (["--family", "poisson", "--formula", "k ~ 1"], 2, "is a formula; got --formula"),
        (["--family", "binomial"], 1, "expects 0 or 1, or counts with trials; got"),
        (["--family", "beta"], 1, "expects numbers between 0 and 1, both excluded; got"),
        (["--family", "poisson", "--offset", "zz"], 1, "uses column 'zz', which is not there"),
    ],
)
def test_one_sentence_and_a_code(counts, words, code, said):
    result = shell("fit", "k ~ x", "--data", "counts.csv", *words)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_more_successes_than_trials(counts):
    result = shell("fit", "k2 ~ x", "--data", "counts.csv", "--family", "binomial", "--trials", "n")
    assert result.exit_code == 1
    assert "successes of" in result.stderr


def test_options_of_formulas_are_for_formulas(counts):
    result = shell("fit", "linear", "--data", "diabetes", "--family", "poisson")
    assert result.exit_code == 2
    assert "--family is for a formula in place of a model" in result.stderr
    assert shell("fit", "k ~ x").exit_code == 2  # no table


def test_a_fit_and_its_priors(counts):
    words = ["fit", "k ~ x", "--data", "counts.csv", "--family", "binomial", "--trials", "n"]
    result = shell(*words, "--prior", "x=Normal(0, 1)", "--json")
    assert result.exit_code == 0
    assert "binomial(logit), with priors" in result.stderr
    assert "Normal(0, 1)  (given)" in result.stderr
    content = json.loads(result.stdout)
    assert content["model"] == "binomial"
    assert [row["term"] for row in content["table"]] == ["beta[Intercept]", "beta[x]"]


@pytest.mark.slow
def test_a_comparison_predicts_new_rows_without_the_command_that_made_it(counts):
    words = ["compare", "k ~ x", "--data", "counts.csv", "--family", "binomial(probit)"]
    result = shell(*words, "--trials", "n", "--quiet", *FAST)
    assert result.exit_code in (0, 3)
    assert result.stderr == ""
    assert shell("show", "binomial-probit").stdout == result.stdout
    shutil.move("counts.csv", "new.csv")
    predicted = shell("predict", "binomial-probit", "--data", "new.csv", "--quiet")
    assert predicted.exit_code == 0, predicted.stderr
    rows = predicted.stdout.splitlines()
    assert rows[0].split(",")[:3] == ["row", "observed", "mle_mean"]
    assert len(rows) == 21


def test_firth_and_reml_are_methods_of_fit(counts):
    # one success in 20: Firth adds half a success and half a failure to the odds
    pd.DataFrame({"k": np.eye(20, dtype=int)[0]}).to_csv("one.csv", index=False)
    words = ("fit", "k ~ 1", "--data", "one.csv", "--family", "binomial", "--json")
    content = json.loads(shell(*words, "--method", "firth").stdout)
    assert content["method"] == "Firth"
    assert content["table"][0]["estimate"] == pytest.approx(np.log(1.5 / 19.5), abs=1e-8)
    # REML is for normal models, and says so
    result = shell(*words, "--method", "reml")
    assert result.exit_code == 1
    assert "expects a density that is normal in its random and fixed effects" in result.stderr
