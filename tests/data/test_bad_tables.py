"""A table that cannot be used gets one sentence that names column and row.

Rows are counted as in a file, where the header is row 1: position 0 is row 2.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.data import Dataset
from workbench.errors import DataError


def table(**columns) -> pd.DataFrame:
    plain = {"y": [1.0, 2.0, 4.0, 3.0], "x": [0.5, 1.5, 2.5, 4.5]}
    return pd.DataFrame({**plain, **columns})


BAD = {
    "missing once": (
        table(x=[1.0, 2.0, np.nan, 4.0]),
        "column 'x' has a missing value in row 4; fill in",
    ),
    "missing more than once": (
        table(x=[1.0, np.nan, np.nan, 4.0]),
        "column 'x' has 2 missing values, the first in row 3; fill in .*dropna",
    ),
    "missing response": (
        table(y=[np.nan, 1.0, 2.0, 3.0]),
        "column 'y' has a missing value in row 2",
    ),
    "missing text": (table(x=["a", None, "b", "a"]), "column 'x' has a missing value in row 3"),
    "infinite": (
        table(x=[1.0, 2.0, 3.0, -np.inf]),
        "column 'x' has the infinite value -inf in row 5",
    ),
    "infinite response": (
        table(y=[1.0, np.inf, 3.0, 2.0]),
        "column 'y' has the infinite value inf",
    ),
    "a number mistyped": (
        table(x=["1.5", "2,5", "3.5", "4.5"]),
        r"column 'x' has the text '2,5' in row 3 where numbers belong; .* C\(x\)",
    ),
    "numbers as text": (
        table(x=["1.5", "2.5", "3.5", "4.5"]),
        "column 'x' has the text '1.5' in row 2 where numbers belong",
    ),
    "numbers and text": (
        table(x=[1.5, 2.5, "three", 4.5]),
        "column 'x' has the text 'three' in row 4 where numbers belong",
    ),
    "objects": (table(x=[1.0, [], 2.0, 3.0]), "column 'x' holds a value of type list in row 3"),
    "dates": (
        table(x=pd.to_datetime(["2020-01-01"] * 4)),
        "column 'x' holds values of type datetime64.* turn them into numbers",
    ),
    "complex": (table(x=np.array([1j, 2, 3, 4])), "column 'x' holds complex numbers"),
    "constant": (table(x=3), r"column 'x' is constant \(3 in every row\).* out of formula 'y ~ x'"),
    "constant response": (table(y=3.0), r"response 'y' is constant \(3.0 in every row\)"),
    "one level": (table(y="yes"), "response 'y' has the one level 'yes' in every row"),
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_columns(case):
    frame, sentence = BAD[case]
    with pytest.raises(DataError, match=sentence) as caught:
        Dataset.from_frame(frame, formula="y ~ x")
    assert "\n" not in str(caught.value)


def test_a_factor_of_one_level():
    with pytest.raises(DataError, match="factor 'g' has the one level 'a'"):
        Dataset.from_frame(table(g="a"), formula="y ~ x + (1|g)")


def test_identical_columns():
    frame = table()
    frame["twin"] = frame["x"]
    with pytest.raises(DataError, match="columns 'x' and 'twin' are identical.*allow_duplicates"):
        Dataset.from_frame(frame, formula="y ~ x + twin")


def test_no_rows():
    with pytest.raises(DataError, match="the table has no rows"):
        Dataset.from_frame(table().iloc[:0], formula="y ~ x")


def test_two_columns_of_one_name():
    frame = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=["y", "x", "x"])
    with pytest.raises(DataError, match="two columns of the table are called 'x'"):
        Dataset.from_frame(frame, formula="y ~ x")


def test_not_a_table():
    with pytest.raises(DataError, match="expected a pandas DataFrame, got dict"):
        Dataset.from_frame({"y": [1.0]}, formula="y ~ 1")  # pyright: ignore[reportArgumentType]


def test_columns_outside_the_formula_may_be_anything():
    frame = table(note=[None, "a", "b", "c"], constant=1)
    assert Dataset.from_frame(frame, formula="y ~ x").num_rows == 4


def test_numerals_may_be_labels():
    frame = table(g=["1", "2", "1", "2"])
    assert Dataset.from_frame(frame, formula="y ~ C(g)").coords["coefficient"][1] == "C(g)[2]"
    assert Dataset.from_frame(frame, formula="y ~ (1|g)").coords["level"] == ("1", "2")


@pytest.fixture
def fitted() -> Dataset:
    return Dataset.from_frame(table(g=["a", "b", "a", "c"]), formula="y ~ x + g")


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (
            pd.DataFrame({"x": [1.0, 2.0], "g": ["a", "d"]}),
            "column 'g' has the level 'd' in row 3, .* they have 'a', 'b', 'c'",
        ),
        (pd.DataFrame({"X": [1.0], "g": ["a"]}), "need column 'x', which is not there; .* 'X'"),
        (pd.DataFrame({"x": [np.nan], "g": ["a"]}), "column 'x' has a missing value in row 2"),
        (pd.DataFrame({"x": [np.inf], "g": ["a"]}), "column 'x' has the infinite value"),
        (pd.DataFrame({"x": ["one"], "g": ["a"]}), "column 'x' has the text 'one' in row 2"),
        (pd.DataFrame({"x": [1.0], "g": [None]}), "column 'g' has a missing value in row 2"),
        (
            pd.DataFrame({"x": [1.0, 2.0], "g": ["a", "a"], "y": [1.0, np.nan]}),
            "column 'y' has a missing value in row 3",
        ),
        (pd.DataFrame({"x": [], "g": []}), "the table has no rows"),
    ],
    ids=[
        "level",
        "column",
        "missing",
        "infinite",
        "text",
        "no label",
        "half a response",
        "no rows",
    ],
)
def test_new_rows_that_cannot_be_coded(fitted, frame, sentence):
    with pytest.raises(DataError, match=sentence):
        fitted.new(frame)


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("y ~ x + (1|g)", "column 'g' has the level 'd' in row 2"),
        ("y ~ x + C(g)", r"column 'C\(g\)' has the level 'd' in row 2"),
        ("y ~ (1|g) + (1|h)", "column 'g' has the level 'd' in row 2"),
        ("g ~ x", "column 'g' has the level 'd' in row 2"),
    ],
)
def test_new_levels_are_refused_wherever_they_stand(formula, sentence):
    frame = table(g=["a", "b", "a", "c"], h=["u", "v", "u", "v"])
    data = Dataset.from_frame(frame, formula=formula)
    with pytest.raises(DataError, match=sentence):
        data.new(pd.DataFrame({"x": [1.0], "g": ["d"], "h": ["u"]}))


def test_new_rows_need_a_formula():
    data = Dataset.from_arrays(observed={"y": [1.0, 2.0]})
    with pytest.raises(DataError, match="data 'data' were not made from a formula"):
        data.new(table())
