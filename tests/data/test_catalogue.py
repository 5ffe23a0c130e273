"""The built-in data sets: each against its card, and against numbers known from elsewhere."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.optimize import linprog

from workbench.data import Card, list_datasets, load_dataset, load_frame
from workbench.errors import DataError

CARDS = {card.name: card for card in list_datasets()}


@pytest.mark.parametrize("name", CARDS)
def test_table_matches_its_card(name):
    card, frame = CARDS[name], load_frame(name)
    assert len(frame) == card.rows
    assert frame.columns.tolist() == list(card.columns)
    assert not frame.isna().any(axis=None)
    for column, entry in card.columns.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column)
        assert entry.description
        is_label = frame[column].dtype.kind not in "iuf"
        assert not is_label or entry.unit == "label"
    for text in (card.title, card.origin, card.licence, card.citation, card.question, card.notes):
        assert text
        assert text == text.strip()


@pytest.mark.parametrize("name", CARDS)
def test_data_set_is_finite_and_labelled(name):
    data = load_dataset(name)
    assert data.name == name
    assert data.card == CARDS[name]
    assert data.num_rows == data.num_observations == CARDS[name].rows
    arrays = {
        key: value
        for key, value in {**data.inputs, **data.observed}.items()
        if isinstance(value, np.ndarray)
    }
    for key, array in arrays.items():
        assert np.isfinite(array).all()
        assert array.shape == tuple(len(data.coords[dim]) for dim in data.dims[key])


@pytest.mark.parametrize("name", CARDS)
def test_card_survives_its_json_form(name):
    card = CARDS[name]
    assert Card.from_dict(name, card.to_dict()) == card


# N and mean of the response as other sources print them: scikit-learn's description of diabetes
# (152.13), Gelman and Hill (2007) for kidiq, Greene for spector (11 of 32), the UCI pages for the
# class counts, NIST for Longley's response, Cobb (1978) for the Nile
KNOWN = {
    "diabetes": (442, 152.1334841628959),
    "kidiq": (434, 86.79723502304148),
    "spector": (32, 11 / 32),
    "breast_cancer": (569, 212 / 569),
    "ionosphere": (351, 225 / 351),
    "iris": (150, 1.0),
    "longley": (16, 65317.0),
    "nile": (100, 919.35),
    "endometrial": (79, 30 / 79),
    "stackloss": (21, 368 / 21),
    "energy": (768, 22.307200520833334),
}


@pytest.mark.parametrize("name", KNOWN)
def test_size_and_mean_are_the_published_ones(name):
    size, mean = KNOWN[name]
    y = load_dataset(name).observed["y"]
    assert len(y) == size
    assert y.mean() == pytest.approx(mean, rel=1e-12)  # a mean rounds in the last digits only


def test_eight_schools_are_rubins():
    data = load_dataset("eight_schools")
    assert data.observed["y"].tolist() == [28, 8, -3, 7, -1, 1, 18, 12]
    assert data.inputs["sigma"].tolist() == [15, 10, 16, 11, 9, 11, 10, 18]
    assert data.coords["school"] == tuple("ABCDEFGH")
    assert data.dims == {"y": ("school",), "sigma": ("school",)}


def test_iris_means_are_fishers():
    # the four means of each species as printed by Fisher (1936), table 2
    means = load_frame("iris").groupby("species").mean()
    printed = {
        "setosa": [5.006, 3.428, 1.462, 0.246],
        "versicolor": [5.936, 2.770, 4.260, 1.326],
        "virginica": [6.588, 2.974, 5.552, 2.026],
    }
    for species, expected in printed.items():
        np.testing.assert_allclose(means.loc[species], expected, atol=5e-4)  # three printed digits


def test_longley_gives_the_certified_coefficients():
    # NIST certifies -3482258.63459582 for the intercept and 1829.15146461355 for the year; the
    # design's condition number near 5e9 costs a QR in float64 about ten of its sixteen digits
    data = load_dataset("longley")
    beta, *_ = np.linalg.lstsq(data.inputs["x"], data.observed["y"], rcond=1e-15)
    assert data.coords["coefficient"][6] == "year"
    assert beta[0] == pytest.approx(-3482258.63459582, rel=1e-6)
    assert beta[6] == pytest.approx(1829.15146461355, rel=1e-6)


def test_engel_slope_is_the_printed_one():
    # least squares as in the quantreg vignette: intercept 147.4754, slope 0.4852
    data = load_dataset("engel")
    beta, *_ = np.linalg.lstsq(data.inputs["x"], data.observed["y"])
    np.testing.assert_allclose(beta, [147.4754, 0.4852], atol=5e-5)


@pytest.mark.parametrize(
    ("name", "parameters", "curve", "residual"),
    [
        (
            "misra1a", (2.3894212918e2, 5.5015643181e-4),
            lambda x, b: b[0] * (1 - np.exp(-b[1] * x)), 1.2455138894e-1,
        ),
        (
            "danwood", (7.6886226176e-1, 3.8604055871),
            lambda x, b: b[0] * x ** b[1], 4.3173084083e-3,
        ),
        (
            "thurber",
            (1.2881396800e3, 1.4910792535e3, 5.8323836877e2, 7.5416644291e1, 9.6629502864e-1,
             3.9797285797e-1, 4.9727297349e-2),
            lambda x, b: (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3)
            / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3),
            5.6427082397e3,
        ),
    ],
)  # fmt: skip
def test_residuals_are_those_that_nist_certifies(name, parameters, curve, residual):
    # the certified parameters leave the certified sum of squares: eleven printed digits of each,
    # and the sum of squares is stationary in the parameters
    data = load_dataset(name)
    error = data.observed["y"] - curve(data.inputs["x"][:, 0], parameters)
    assert data.inputs["x"].shape[1] == 1
    assert np.sum(error**2) == pytest.approx(residual, rel=1e-8)


def test_dietox_has_its_pigs():
    data = load_dataset("dietox")
    assert data.inputs["num_groups"] == 72
    assert data.coords["level"][0] == "4601"
    assert np.bincount(data.inputs["group"]).max() == 12


def test_epil_is_thall_and_vails():
    # patients and visits as published, and the overdispersion for which the set is known
    frame = load_frame("epil")
    assert frame["patient"].nunique() == 59
    assert (frame.groupby("patient").size() == 4).all()
    assert frame.groupby("treatment")["patient"].nunique().to_dict() == {
        "placebo": 28,
        "progabide": 31,
    }
    assert frame["seizures"].var() > 10 * frame["seizures"].mean()


def separation(x: np.ndarray, y: np.ndarray) -> str:
    """How a plane through the design separates the rows: "complete", "quasi" or "none".

    With s_i = 2 y_i - 1 and |b_j| <= 1, the largest t such that s_i x_i'b >= t for all i is
    positive exactly under complete separation; the largest sum of s_i x_i'b >= 0 is positive
    exactly under complete or quasi-complete separation (Albert and Anderson 1984; Konis 2007).
    """
    signed = (2 * y - 1)[:, None] * x / np.abs(x).max(axis=0)
    rows, columns = signed.shape
    with_margin = np.column_stack([-signed, np.ones(rows)])
    box = [(-1, 1)] * columns
    margin = linprog([0] * columns + [-1], with_margin, np.zeros(rows), bounds=[*box, (None, 1)])
    total = linprog(-signed.sum(axis=0), -signed, np.zeros(rows), bounds=box)
    assert margin.status == total.status == 0
    # the solver's feasibility tolerance is 1e-7; the margins found are 3e-4 and more
    if -margin.fun > 1e-6:
        return "complete"
    return "quasi" if -total.fun > 1e-6 else "none"


@pytest.mark.parametrize(
    ("name", "kind"), [("breast_cancer", "complete"), ("endometrial", "quasi"), ("spector", "none")]
)
def test_separation_is_as_the_card_says(name, kind):
    data = load_dataset(name)
    assert separation(data.inputs["x"], data.observed["y"]) == kind


def test_endometrial_is_separated_by_new_vessels():
    frame = load_frame("endometrial")
    assert (frame.loc[frame["nv"] == 1, "hg"] == 1).all()
    assert frame.loc[frame["nv"] == 0, "hg"].nunique() == 2


def test_energy_surface_is_the_sum_its_card_names():
    frame = load_frame("energy")
    np.testing.assert_array_equal(
        frame["surface_area"], frame["wall_area"] + 2 * frame["roof_area"]
    )


def test_ionosphere_leaves_out_the_column_of_zeros():
    assert (load_frame("ionosphere")["im1"] == 0).all()
    assert "im1" not in load_dataset("ionosphere").coords["coefficient"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("diabetis", "asked for data set 'diabetis', which is not there; did you mean 'diabetes'"),
        ("quux", "which is not there; there are 'breast_cancer'"),
        ("../diabetes", "which is not there; did you mean 'diabetes'"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name, sentence):
    for load in (load_dataset, load_frame):
        with pytest.raises(DataError, match=sentence):
            load(name)


def test_axis_labels_carry_units():
    data = load_dataset("kidiq")
    assert data.axis_label("y") == "kid_score (point)"
    assert data.axis_label("mom_hs") == "mom_hs"
