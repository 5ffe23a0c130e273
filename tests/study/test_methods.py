"""Methods of fitting a network side by side: the table is the contest's, and rules speak."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import workbench as wb
from models.mlp_classifier import mlp_classifier
from models.mlp_regression import mlp_regression
from workbench.errors import ModelError
from workbench.network import Answer, by_laplace, by_mode, read_network
from workbench.network.prediction import mixture_of_outputs
from workbench.study import methods

NILE = wb.load_dataset("nile").take(range(0, 100, 2))


def line(slope):
    """A network at given weights: no unit is needed to say what a contest does with it."""

    def way(model):
        def method(train, seed):
            network = read_network(model, train)
            z = np.zeros(network.density.size)
            z[network.positions], z[network.noise.start] = [slope, 0.0], np.log(150.0)

            def predict(data):
                draws, rows = network.draws_of_z(z[None]), network.rows_of(data)
                return mixture_of_outputs("Normal", network.outputs_of_draws(draws, rows))

            return Answer(predict=predict, num_gradients=1.0, network=network, modes=z[None])

        return method

    return way


@pytest.fixture
def cheap(monkeypatch):
    """Two methods that fit nothing."""

    def ways(model, *, quick):
        return {"flat": line(0.0)(model), "MAP": line(-0.5)(model)}

    # the module has the name of its function
    monkeypatch.setattr(sys.modules[methods.__module__], "ways_to_fit", ways)


def test_regression_is_asked_inside_a_gap(cheap):
    made = methods(mlp_regression(hidden=()), NILE, quick=True)
    assert made.table.index.tolist() == ["flat", "MAP"]
    by_split = made.contest.by_split.pivot(index="split", columns="method", values="log_score")
    apart = by_split["MAP"] - by_split["flat"]
    assert made.table.loc["MAP", "apart"] == pytest.approx(apart.mean(), rel=1e-12)
    assert made.table.loc["MAP", "paired_se"] == pytest.approx(
        apart.std(ddof=1) / np.sqrt(2), rel=1e-12
    )
    curve = made.curve
    low, high = curve.gap
    years = curve.observed[0]
    # a third of the rows lie in the gap, and the curve goes beyond the data
    assert np.mean((low <= years) & (years <= high)) == pytest.approx(1 / 3, abs=0.03)
    assert curve.x[0] < years.min() < low < high < years.max() < curve.x[-1]
    assert curve.label == "year"
    assert made.table["gap_coverage_95"].between(0, 1).all()
    assert made.surface.num_rows == 40
    assert made.trusted  # no chains, and so none that disagree
    assert any("left out, intervals of 95 % there cover" in s for s in made.sentences)


@pytest.mark.slow
def test_classifier_has_a_plane_and_reliability(monkeypatch):
    def ways(model, *, quick):
        return {
            "MAP": by_mode(model, penalised=True, num_starts=2),
            "Laplace": by_laplace(model, precision="layer"),
        }

    monkeypatch.setattr(sys.modules[methods.__module__], "ways_to_fit", ways)
    data = wb.load_dataset("iris").take(range(0, 150, 3))
    made = methods(mlp_classifier(hidden=(2,)), data, quick=True)
    assert made.curve is None
    assert set(made.plane.labels) <= {"petal_length (cm)", "petal_width (cm)", "sepal_width (cm)"}
    for p in made.plane.probabilities.values():
        np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-12)
    assert made.plane.classes == ("setosa", "versicolor", "virginica")
    assert made.reliability["MAP"]["num_rows"].sum() == 10


def test_what_is_no_network_is_refused_before_a_fit():
    from models.linear import MODEL

    with pytest.raises(ModelError, match="model 'linear' is no network: expected sites W1, b1"):
        methods(MODEL, wb.load_dataset("kidiq"))


@pytest.mark.slow
def test_five_methods_of_a_small_network():
    made = methods(mlp_regression(hidden=(3,)), wb.load_dataset("nile"), quick=True)
    assert made.table.index.tolist() == ["MAP", "MLE", "ensemble", "Laplace", "NUTS"]
    assert made.table["log_score"].between(-8, -6).all()
    assert made.table.loc["NUTS", "gap_width_95"] > made.table.loc["MLE", "gap_width_95"]
