"""What a formula makes of a table, against designs written out by hand."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from workbench.data import Dataset
from workbench.errors import DataError

X1 = np.array([1.0, 2.0, 4.0, 8.0, 5.0, 3.0])
X2 = np.array([0.5, -1.0, 2.0, 0.0, 1.0, -2.0])
G = np.array(["b", "a", "c", "a", "b", "c"])
ONE = np.ones(6)


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "height": [3.0, 1.0, 4.0, 1.5, 9.0, 2.6],
            "count": [3, 1, 4, 1, 5, 9],
            "x1": X1,
            "x2": X2,
            "g": G,
            "site": [7, 9, 7, 9, 8, 8],
            "flag": [True, False, True, True, False, False],
            "grade": ["low", "high", "low", "low", "high", "low"],
        }
    )


B, C = (G == "b") * 1.0, (G == "c") * 1.0
DESIGNS = {
    "x1": (("Intercept", "x1"), [ONE, X1]),
    "0 + x1": (("x1",), [X1]),
    "x1 * x2": (("Intercept", "x1", "x2", "x1:x2"), [ONE, X1, X2, X1 * X2]),
    "g": (("Intercept", "g[b]", "g[c]"), [ONE, B, C]),
    "0 + g": (("g[a]", "g[b]", "g[c]"), [ONE - B - C, B, C]),
    "C(site)": (
        ("Intercept", "C(site)[8]", "C(site)[9]"),
        [ONE, [0, 0, 0, 0, 1, 1], [0, 1, 0, 1, 0, 0]],
    ),
    "x1 + g:x2": (
        ("Intercept", "x1", "g[a]:x2", "g[b]:x2", "g[c]:x2"),
        [ONE, X1, (ONE - B - C) * X2, B * X2, C * X2],
    ),
    "np.log(x1)": (("Intercept", "np.log(x1)"), [ONE, np.log(X1)]),
    "I(x1**2)": (("Intercept", "I(x1 ** 2)"), [ONE, X1**2]),
    "{x1**2}": (("Intercept", "I(x1 ** 2)"), [ONE, X1**2]),
    "scale(x1)": (("Intercept", "scale(x1)"), [ONE, (X1 - X1.mean()) / X1.std()]),
    "center(x1)": (("Intercept", "center(x1)"), [ONE, X1 - X1.mean()]),
    "flag": (("Intercept", "flag"), [ONE, [1, 0, 1, 1, 0, 0]]),
    "I(g == 'a')": (("Intercept", "I(g == 'a')"), [ONE, ONE - B - C]),
    "C(g, Treatment('b'))": (
        ("Intercept", "C(g, Treatment('b'))[a]", "C(g, Treatment('b'))[c]"),
        [ONE, ONE - B - C, C],
    ),
    "1": (("Intercept",), [ONE]),
}


@pytest.mark.parametrize("right", DESIGNS)
def test_design_is_the_one_written_by_hand(frame, right):
    data = Dataset.from_frame(frame, formula=f"height ~ {right}")
    labels, columns = DESIGNS[right]
    expected = np.column_stack(columns)
    assert data.coords["coefficient"] == labels
    # the same operations in the same precision: equal up to the last digit of a mean or a log
    np.testing.assert_allclose(data.inputs["x"], expected, rtol=1e-15)
    np.testing.assert_array_equal(data.observed["y"], frame["height"])
    np.testing.assert_allclose(data.inputs["x_mean"], expected.mean(axis=0), rtol=1e-14)


def test_scale_of_a_constant_column_is_one(frame):
    data = Dataset.from_frame(frame, formula="height ~ x1")
    assert data.inputs["x_mean"].tolist() == [1.0, X1.mean()]
    assert data.inputs["x_scale"].tolist() == [1.0, X1.std()]
    assert data.inputs["y_mean"] == pytest.approx(frame["height"].mean(), rel=1e-15)
    assert data.inputs["y_scale"] == pytest.approx(frame["height"].std(ddof=0), rel=1e-15)


def test_one_factor_gives_plain_names(frame):
    data = Dataset.from_frame(frame, formula="height ~ x1 + (x2|g)")
    assert data.inputs["group"].tolist() == [1, 0, 2, 0, 1, 2]
    assert data.inputs["group"].dtype == np.int64
    assert data.inputs["num_groups"] == 3
    assert data.coords["level"] == ("a", "b", "c")
    assert data.coords["group_effect"] == ("Intercept", "x2")
    np.testing.assert_array_equal(data.inputs["z"], np.column_stack([ONE, X2]))
    assert data.dims["z"] == ("obs", "group_effect")


def test_group_effects_without_intercept(frame):
    data = Dataset.from_frame(frame, formula="height ~ x1 + (0 + x2|g)")
    assert data.coords["group_effect"] == ("x2",)
    np.testing.assert_array_equal(data.inputs["z"], X2[:, None])


def test_several_factors_are_told_apart_by_name(frame):
    data = Dataset.from_frame(frame, formula="height ~ x1 + (1|g) + (x2|site)")
    assert data.inputs["group_g"].tolist() == [1, 0, 2, 0, 1, 2]
    assert data.inputs["group_site"].tolist() == [0, 2, 0, 2, 1, 1]
    assert (data.inputs["num_g"], data.inputs["num_site"]) == (3, 3)
    assert data.coords["g"] == ("a", "b", "c")
    assert data.coords["site"] == ("7", "8", "9")
    assert data.inputs["z_g"].shape == (6, 1)
    assert data.inputs["z_site"].shape == (6, 2)
    assert "group" not in data.inputs


def test_no_dimension_is_called_group(frame):
    renamed = frame.rename(columns={"g": "group"})
    one = Dataset.from_frame(renamed, formula="height ~ (1|group)")
    two = Dataset.from_frame(renamed, formula="height ~ (1|group) + (1|site)")
    assert one.coords["level"] == ("a", "b", "c")
    assert two.coords["group_level"] == ("a", "b", "c")
    assert "group" not in {*one.coords, *two.coords}


def test_a_design_without_columns_is_empty(frame):
    data = Dataset.from_frame(frame, formula="height ~ 0 + (1|g)")
    assert data.inputs["x"].shape == (6, 0)
    assert data.coords["coefficient"] == ()
    assert data.new(frame).inputs["x"].shape == (6, 0)


def test_numbers_in_other_wrappings_are_numbers(frame):
    frame["wrapped"] = pd.Series(list(X1), dtype=object)
    frame["nullable"] = pd.Series([1, 2, 4, 8, 5, 3], dtype="Int64")
    frame["large"] = np.array([2**63, 1, 2, 3, 4, 5], dtype=np.uint64)
    data = Dataset.from_frame(frame, formula="height ~ 0 + wrapped + I(nullable * 2) + large")
    expected = np.column_stack([X1, 2 * X1, frame["large"].astype(float)])
    np.testing.assert_array_equal(data.inputs["x"], expected)


def test_counts_stay_whole_numbers(frame):
    y = Dataset.from_frame(frame, formula="count ~ x1").observed["y"]
    assert y.dtype == np.int64
    assert y.tolist() == [3, 1, 4, 1, 5, 9]


@pytest.mark.parametrize(
    ("left", "codes", "levels"),
    [
        ("grade", [1, 0, 1, 1, 0, 1], ("high", "low")),
        ("grade['high']", [0, 1, 0, 0, 1, 0], ("not high", "high")),
        ("flag", [1, 0, 1, 1, 0, 0], ("False", "True")),
        ("g", [1, 0, 2, 0, 1, 2], ("a", "b", "c")),
        ("C(site)", [0, 2, 0, 2, 1, 1], ("7", "8", "9")),
    ],
)
def test_categories_become_codes(frame, left, codes, levels):
    data = Dataset.from_frame(frame, formula=f"{left} ~ x1")
    assert data.observed["y"].tolist() == codes
    assert data.observed["y"].dtype == np.int64
    assert data.coords["response_level"] == levels
    assert data.inputs["num_classes"] == len(levels)
    assert (data.inputs["y_mean"], data.inputs["y_scale"]) == (0.0, 1.0)


def test_ordered_categories_keep_their_order(frame):
    frame["size"] = pd.Categorical(
        ["small", "large", "mid", "mid", "small", "large"], ["small", "mid", "large"], ordered=True
    )
    left = Dataset.from_frame(frame, formula="size ~ x1")
    right = Dataset.from_frame(frame, formula="height ~ size")
    assert left.coords["response_level"] == ("small", "mid", "large")
    assert right.coords["coefficient"] == ("Intercept", "size[mid]", "size[large]")


def test_a_transformed_response_is_named_as_written(frame):
    data = Dataset.from_frame(frame, formula="np.log(height) ~ x1", units={"height": "m"})
    np.testing.assert_array_equal(data.observed["y"], np.log(frame["height"]))
    assert data.axis_label("y") == "np.log(height)"
    plain = Dataset.from_frame(frame, formula="height ~ x1", units={"height": "m"})
    assert plain.axis_label("y") == "height (m)"
    assert plain.axis_label("x1") == "x1"


FORMULAS = [
    "height ~ x1 * x2", "height ~ scale(x1) + center(x2)", "height ~ g + C(site)",
    "height ~ poly(x1, 2)", "height ~ bs(x1, df=4)", "height ~ x1 + (x2|g)",
    "height ~ (1|g) + (x1|site)", "height ~ (1|g:site)", "grade ~ np.sqrt(x1)", "g ~ S(site)",
    "scale(height) ~ x1", "grade['low'] ~ I(g == 'a')",
]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS)
def test_new_rows_are_coded_as_the_fitted_ones(frame, formula):
    # truth: coding some of the fitted rows anew gives those rows of the fitted design, although
    # their own means, levels and ranges differ
    data = Dataset.from_frame(frame, formula=formula)
    rows = [4, 2, 2]
    new, taken = data.new(frame.iloc[rows]), data.take(rows)
    assert set(new.inputs) == set(taken.inputs)
    for name, value in taken.inputs.items():
        # the same transformation applied to fewer rows: at most a rounding apart
        np.testing.assert_allclose(new.inputs[name], value, rtol=1e-13, atol=1e-14, err_msg=name)
    np.testing.assert_array_equal(new.observed["y"], taken.observed["y"])
    assert new.coords == {**taken.coords, "obs": (4, 2, 2)}


def test_new_rows_need_no_response(frame):
    data = Dataset.from_frame(frame, formula="height ~ x1 + (1|g)")
    without = data.new(frame[["x1", "g"]])
    missing = data.new(frame.assign(height=np.nan))
    assert without.observed == {}
    assert missing.observed == {}
    np.testing.assert_array_equal(without.inputs["x"], data.inputs["x"])
    assert without.num_rows == 6
    assert without.take([1, 3]).inputs["x"].shape == (2, 2)


def test_new_rows_keep_the_statistics_of_the_fitted_ones(frame):
    data = Dataset.from_frame(frame, formula="height ~ x1")
    new = data.new(pd.DataFrame({"x1": [100.0]}))
    for name in ("x_mean", "x_scale", "y_mean", "y_scale"):
        np.testing.assert_array_equal(new.inputs[name], data.inputs[name])


def test_numerals_among_new_text_labels_are_labels():
    old = pd.DataFrame({"y": [1.0, 2.0, 3.0, 5.0], "g": ["1", "2", "3a", "2"]})
    data = Dataset.from_frame(old, formula="y ~ C(g)")
    new = data.new(pd.DataFrame({"g": [2, 1]}))  # a file of these rows alone holds whole numbers
    np.testing.assert_array_equal(new.inputs["x"], [[1, 1, 0], [1, 0, 0]])


def test_categories_may_be_numbers(frame):
    frame["plot"] = pd.Categorical(frame["site"])
    data = Dataset.from_frame(frame, formula="height ~ plot")
    assert data.coords["coefficient"] == ("Intercept", "plot[8]", "plot[9]")
    np.testing.assert_array_equal(
        data.new(pd.DataFrame({"plot": [9, 7]})).inputs["x"], [[1, 0, 1], [1, 0, 0]]
    )


def test_factors_that_would_share_a_name_are_refused(frame):
    frame["g_site"] = frame["g"]
    with pytest.raises(DataError, match="two factors of formula .* are both called 'g_site'"):
        Dataset.from_frame(frame, formula="height ~ (1|g:site) + (1|g_site)")


def test_a_copy_codes_as_the_original(frame):
    data = Dataset.from_frame(frame, formula="height ~ scale(x1) + g")
    copy = pickle.loads(pickle.dumps(data))
    assert copy.fingerprint == data.fingerprint
    assert copy.new(frame[:2]).fingerprint == data.new(frame[:2]).fingerprint


def test_identical_columns_are_let_through_when_asked_for(frame):
    frame["twin"] = frame["x1"]
    data = Dataset.from_frame(frame, formula="height ~ x1 + twin", allow_duplicates=True)
    np.testing.assert_array_equal(data.inputs["x"][:, 1], data.inputs["x"][:, 2])
    assert data.new(frame).inputs["x"].shape == (6, 3)


def test_a_formula_calls_nothing_of_the_caller(frame):
    np_log = np.log  # noqa: F841 - a name that must stay out of the formula's reach
    with pytest.raises(DataError, match="calls 'np_log', which formulas do not have"):
        Dataset.from_frame(frame, formula="height ~ np_log(x1)")


BAD_FORMULAS = {
    "": "has no response: expected one such as 'y ~ x'",
    "height": "has no response",
    "~ x1": "has no response",
    "height ~": "cannot be read",
    "height ~ x1 +": "cannot be read",
    "height ~ (1|g": r"cannot be read: Expect '\)'",
    "height ~ x1 x2": "did not expect 'x2'",
    "height ~ x1|g": r"did not expect '\|'",
    "height ~ x1 > 2": "did not expect '>'",
    "height ~ x1 ~ x2": "more than one '~'",
    "height ~ x1**2": r"write I\(x1\*\*2\)",
    "height ~ 5": "the number 5 stands where a column belongs",
    "height ~ `x1": "a backquote is not closed",
    "height + x1 ~ x2": r"has '\+' left of the '~'",
    "height ~ log(x1)": "did you mean 'np.log'",
    "height ~ np.mean(x1)": "those that act row by row",
    "height ~ offset(x1)": "calls 'offset', which formulas do not have",
    "height ~ np.load(x1)": "calls 'np.load', which formulas do not have",
    "height ~ Site": "uses column 'Site', which is not there; did you mean 'site'",
    "height ~ quux": "uses column 'quux', which is not there; there are 'height', 'count'",
    "height ~ np.log(g)": r"column 'g' has the text 'b' in row 2 where 'np.log\(g\)' needs numbers",
    "height ~ np.log(x2)": r"'np.log\(x2\)' is nan in row 3",
    "np.log(x2) ~ x1": r"response 'np.log\(x2\)' is nan in row 3",
    "height ~ bs(x1)": "cannot be evaluated: Must specify either 'df' or 'knots'",
    "grade['mid'] ~ x1": "asks for level 'mid', which is not there",
    "height ~ x1 + I(x1 + 0)": r"columns 'x1' and 'I\(x1 \+ 0\)' are identical",
    "height ~ I(x1 > 0)": r"column 'I\(x1 > 0\)' is constant \(1 in every row\)",
}


@pytest.mark.parametrize("formula", BAD_FORMULAS)
def test_a_bad_formula_gets_one_sentence(frame, capsys, formula):
    with pytest.raises(DataError, match=BAD_FORMULAS[formula]) as caught:
        Dataset.from_frame(frame, formula=formula)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""  # the library below prints when it fails


def test_no_formula(frame):
    with pytest.raises(DataError, match="needs a formula .* such as 'y ~ x'"):
        Dataset.from_frame(frame)
