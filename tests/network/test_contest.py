"""Scores and contests: formulas, pairing, and calibration that is mended where it can be."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from models.mlp_classifier import mlp_classifier
from tests.benchmarks.networks import read_case
from workbench.errors import UsageError
from workbench.network import (
    Answer,
    ClassMixture,
    NormalMixture,
    by_laplace,
    fit_temperature,
    hold_contest,
    reliability,
    scaled_by_temperature,
    scores,
)


def test_scores_of_normal_rows(rng):
    y = rng.normal(size=4000)
    made = scores(NormalMixture(loc=np.zeros((1, 4000)), scale=np.ones((1, 4000))), y)
    assert made["rmse"] == pytest.approx(np.sqrt(np.mean(y**2)))
    # the right distribution covers as it says, to five standard errors of a share
    for level, width in ((50, 2 * 0.6744897501960817), (95, 2 * 1.959963984540054)):
        p = level / 100
        assert abs(made[f"coverage_{level}"] - p) < 5 * np.sqrt(p * (1 - p) / 4000)
        assert made[f"width_{level}"] == pytest.approx(width, rel=1e-12)
    # expected CRPS of a standard normal about itself is 1 / sqrt(pi); sd of one row below 0.5
    assert abs(made["crps"] - 1 / np.sqrt(np.pi)) < 5 * 0.5 / np.sqrt(4000)


def test_temperature_undoes_overconfidence(rng):
    """Logits drawn true, then doubled: the temperature that mends them is two."""
    logits = rng.normal(size=(20_000, 3))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = np.array([rng.choice(3, p=p) for p in true])
    power = np.exp(2 * logits)
    made = ClassMixture(draws=(power / power.sum(1, keepdims=True))[None])
    T = fit_temperature(made, y)
    # error of a temperature from 20,000 rows: about one in a hundred
    assert pytest.approx(2.0, abs=0.1) == T
    mended = scaled_by_temperature(made, T)
    before, after = scores(made, y), scores(mended, y)
    assert after["ece"] < 0.02 < 0.1 < before["ece"]
    assert after["log_score"] > before["log_score"]
    assert after["accuracy"] == before["accuracy"]
    table = reliability(mended.prob, y)
    assert table["num_rows"].sum() == len(y)
    assert table["confidence"].between(table["lower"], table["upper"]).all()


def constant(offset):
    """A method that predicts the mean plus an offset."""

    def method(train, seed):
        y = train.observed["y"]

        def predict(data):
            shape = (1, data.num_rows)
            return NormalMixture(loc=np.full(shape, y.mean() + offset), scale=np.full(shape, 20.0))

        return Answer(predict=predict, num_gradients=float(seed), note="" if seed else "first")

    return method


def test_contest_pairs_methods_by_split():
    data = wb.load_dataset("kidiq")
    splits = [data.split(0.8, seed=s) for s in range(3)]
    made = hold_contest({"mean": constant(0.0), "off": constant(9.0)}, splits, seed=0)
    by_split = made.by_split.pivot(index="split", columns="method", values="log_score")
    apart = by_split["off"] - by_split["mean"]
    row = made.table.loc[("off", "log_score")]
    assert row["difference"] == pytest.approx(apart.mean(), rel=1e-12)
    assert row["paired_se"] == pytest.approx(apart.std(ddof=1) / np.sqrt(3), rel=1e-12)
    assert (made.table.loc["mean", "difference"] == 0).all()
    assert made.table.loc[("off", "num_gradients"), "mean"] == 1.0  # seeds 0, 1, 2
    assert made.by_split["note"].tolist() == ["first", "first", "", "", "", ""]


def test_contest_needs_a_method_and_a_split():
    with pytest.raises(UsageError, match="at least one method and one split; got none"):
        hold_contest({}, [])


def test_a_reference_case_of_classes_is_read_as_classes(tmp_path):
    """Labels that are numbers are told apart, not measured; a column that never changes is left."""
    rows = "\n".join(f"{k},7,{k % 3}" for k in range(12))
    (tmp_path / "data.csv").write_text(f"x0,x1,y\n{rows}\n")
    (tmp_path / "splits.json").write_text('[{"valid": [3], "test": [0, 1, 2]}]')
    (tmp_path / "case.json").write_text('{"name": "thirds", "n_classes": 3}')
    [(train, test)], case = read_case(tmp_path)
    assert case["name"] == "thirds"
    assert (train.num_rows, test.num_rows) == (9, 3)
    assert train.inputs["num_classes"] == 3
    assert train.inputs["x"].shape[1] - 1 == 1  # an intercept stands first
    np.testing.assert_array_equal(test.observed["y"], [0, 1, 2])


def test_laplace_keeps_the_models_own_prior_for_classes():
    """The evidence of classes that are nearly separated has no maximum worth finding."""
    model, data = mlp_classifier(hidden=(2,)), wb.load_dataset("iris")
    own = by_laplace(model, precision=1.0)(data, 0)
    np.testing.assert_array_equal(by_laplace(model)(data, 0).modes, own.modes)
    tuned = by_laplace(model, precision="layer", max_steps=40)(data, 0)
    assert not np.allclose(tuned.modes, own.modes, rtol=0.1)
