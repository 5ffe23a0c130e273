"""Arrays with labels: what is checked, what is kept, and what a fingerprint tells."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from workbench.data import Dataset
from workbench.errors import DataError


def schools(**changes) -> Dataset:
    plain = {
        "inputs": {"sigma": [15.0, 10.0, 16.0], "scale": 2, "kind": "coaching"},
        "observed": {"y": [28.0, 8.0, -3.0]},
        "coords": {"school": ["A", "B", "C"]},
        "dims": {"y": ("school",), "sigma": ("school",)},
    }
    return Dataset.from_arrays("schools", **{**plain, **changes})


def test_arrays_are_of_one_type_and_cannot_be_changed():
    data = Dataset.from_arrays(
        inputs={
            "counts": np.array([1, 2], dtype=np.int8),
            "single": np.array([1, 2], dtype=np.float32),
            "series": pd.Series([1.0, 2.0]),
            "mask": [True, False],
        },
        observed={"y": [1, 2]},
    )
    types = {name: array.dtype for name, array in {**data.inputs, **data.observed}.items()}
    assert types == {
        "counts": np.int64, "single": np.float64, "series": np.float64, "mask": bool, "y": np.int64,
    }  # fmt: skip
    with pytest.raises(ValueError, match="read-only"):
        data.observed["y"][0] = 5
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        data.name = "other"  # pyright: ignore[reportAttributeAccessIssue]


def test_the_arrays_given_stay_as_they_were():
    y = np.array([1.0, 2.0])
    data = Dataset.from_arrays(observed={"y": y})
    y[0] = 9.0
    assert data.observed["y"].tolist() == [1.0, 2.0]


def test_plain_values_stay_plain():
    data = schools(inputs={"n": 3, "kind": "a", "size": np.int64(4), "at": np.array(0.5)}, dims={})
    assert data.inputs == {"n": 3, "kind": "a", "size": 4, "at": 0.5}
    assert type(data.inputs["size"]) is int
    assert type(data.inputs["at"]) is float


def test_axes_without_a_name_get_one():
    data = Dataset.from_arrays(
        inputs={"x": np.ones((3, 2)), "knots": np.ones(5)}, observed={"y": np.ones(3)}
    )
    assert data.dims == {"y": ("obs",), "x": ("obs", "x_dim_1"), "knots": ("knots_dim_0",)}
    assert data.coords["obs"] == range(3)
    assert data.coords["knots_dim_0"] == range(5)


def test_labels_that_count_the_rows_are_those_that_rows_have_by_default():
    counted, default = (
        Dataset.from_arrays(inputs={}, observed={"y": np.ones(10_001)}, coords=coords)
        for coords in ({"obs": tuple(range(10_001))}, {})
    )
    assert counted.fingerprint == default.fingerprint
    assert replace(default, name="other").coords["obs"] == range(10_001)


def test_axes_take_the_name_of_the_observed_rows():
    data = schools(dims={"y": ("school",)})
    assert data.dims["sigma"] == ("school",)


def test_missing_observed_values_do_not_count():
    data = schools(observed={"y": [28.0, np.nan, -3.0]})
    assert data.num_observations == 2
    assert data.num_rows == 3
    assert schools().num_observations == 3


WRONG = {
    "labels": (
        {"coords": {"school": ["A", "B"]}},
        "'y' has length 3 along 'school'; expected 2 as in its labels",
    ),
    "shared dimension": (
        {"inputs": {"sigma": [1.0, 2.0]}, "coords": {}},
        "'sigma' has length 2 along 'school'; expected 3 as in 'y'",
    ),
    "number of axes": (
        {"dims": {"y": ("school", "test")}},
        r"'y' has shape \(3,\); expected 2 axes from its dims \('school', 'test'\)",
    ),
    "dims of nothing": ({"dims": {"z": ("school",)}}, "dims name 'z', which is not an array"),
    "both": ({"inputs": {"y": [1.0, 2.0, 3.0]}, "dims": {}}, "'y' is both an input and observed"),
    "dimension as array": ({"dims": {"y": ("sigma",)}}, "'sigma' is both an array and a dimension"),
    "group": ({"dims": {"y": ("group",)}}, "'y' has a dimension called 'group'"),
    "draw": ({"dims": {"y": ("draw",)}}, "'y' has a dimension called 'draw'"),
    "infinite": ({"observed": {"y": [1.0, np.inf, 2.0]}}, "observed 'y' has an infinite value"),
    "text": ({"observed": {"y": ["a", "b", "c"]}}, "observed 'y' holds text; expected numbers"),
    "ragged": ({"inputs": {"x": [[1.0], [1.0, 2.0]]}, "dims": {}}, "'x' has rows of different"),
    "function": ({"inputs": {"f": print}, "dims": {}}, "'f' is of type builtin_function_or_method"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_do_not_fit(case):
    changes, sentence = WRONG[case]
    with pytest.raises(DataError, match=sentence):
        schools(**changes)


CHANGED = {
    "a value": {"observed": {"y": [28.0, 8.0, -3.5]}},
    "a missing value": {"observed": {"y": [28.0, 8.0, np.nan]}},
    "a type": {"observed": {"y": [28, 8, -3]}},
    "an input": {"inputs": {"sigma": [15.0, 10.0, 16.5], "scale": 2, "kind": "coaching"}},
    "a plain value": {"inputs": {"sigma": [15.0, 10.0, 16.0], "scale": 3, "kind": "coaching"}},
    "the type of a plain value": {
        "inputs": {"sigma": [15.0, 10.0, 16.0], "scale": 2.0, "kind": "coaching"}
    },
    "a label": {"coords": {"school": ["A", "B", "D"]}},
    "the order of labels": {"coords": {"school": ["B", "A", "C"]}},
    "the name of an array": {"observed": {"score": [28.0, 8.0, -3.0]}, "dims": {}},
}


@pytest.mark.parametrize("case", CHANGED)
def test_fingerprint_changes_with_contents_and_labels(case):
    assert schools(**CHANGED[case]).fingerprint != schools().fingerprint


def test_fingerprint_does_not_change_otherwise():
    same = schools(
        inputs={"kind": "coaching", "scale": 2, "sigma": np.array([15.0, 10.0, 16.0])},
        coords={"school": np.array(["A", "B", "C"])},
    )
    assert same.fingerprint == schools().fingerprint
    assert replace(schools(), name="other").fingerprint == schools().fingerprint


def test_fingerprint_is_the_same_on_every_machine():
    # computed once; were it to change, stored fits would not know their data
    data = Dataset.from_arrays(inputs={"n": 2}, observed={"y": [1.0, 2.5]})
    assert data.fingerprint == "d475edf2054afcb393864a1a5382ac2ea01d6aa47f2f46e486175b33d0bf6193"


def test_fingerprint_reads_frames_and_nested_values():
    def data(value):
        return Dataset.from_arrays(inputs={"extra": value}, observed={"y": [1.0, 2.0]})

    contents = [
        {"a": (1, 2)}, {"a": (2, 1)}, {"a": (1, (2,))}, pd.DataFrame({"a": [1, 2]}),
        pd.DataFrame({"a": [1, 3]}), ("a", "b"), ("ab",), b"ab", None,
    ]  # fmt: skip
    assert len({data(value).fingerprint for value in contents}) == len(contents)
    assert data({"a": 1, "b": 2}).fingerprint == data({"b": 2, "a": 1}).fingerprint


def test_a_value_without_contents_has_no_fingerprint():
    data = Dataset.from_arrays(inputs={"options": {"link": len}}, observed={"y": [1.0]})
    with pytest.raises(DataError, match="of type builtin_function_or_method has no fingerprint"):
        _ = data.fingerprint


def test_take_cuts_every_axis_of_rows():
    data = Dataset.from_arrays(
        inputs={"distance": np.arange(9.0).reshape(3, 3), "knots": np.ones(2)},
        observed={"y": [1.0, 2.0, 3.0]},
        coords={"city": ["A", "B", "C"]},
        dims={"y": ("city",), "distance": ("city", "city")},
    )
    taken = data.take([2, 0])
    assert taken.inputs["distance"].tolist() == [[8.0, 6.0], [2.0, 0.0]]
    assert taken.inputs["knots"].shape == (2,)
    assert taken.coords["city"] == ("C", "A")
    assert taken.num_observations == 2


@pytest.mark.parametrize("rows", [[1, 2], slice(1, None), [False, True, True], [-2, -1]])
def test_take_knows_positions_slices_and_masks(rows):
    assert schools().take(rows).coords["school"] == ("B", "C")


@pytest.mark.parametrize("rows", [[3], [True, False], [0.5]])
def test_take_refuses_rows_that_are_not_there(rows):
    with pytest.raises(DataError, match="rows of data 'schools' are 0 to 2; got"):
        schools().take(rows)


@given(size=st.integers(2, 40), fraction=st.floats(0.05, 0.95), seed=st.integers(0, 2**32 - 1))
def test_split_partitions_the_rows(size, fraction, seed):
    data = Dataset.from_arrays(
        inputs={"x": np.arange(2.0 * size).reshape(size, 2)}, observed={"y": np.arange(size)}
    )
    count = round(fraction * size)
    if not 0 < count < size:
        with pytest.raises(DataError, match="leaves a part empty"):
            data.split(fraction, seed=seed)
        return
    train, test = data.split(fraction, seed=seed)
    assert train.num_rows == count
    both = np.concatenate([train.observed["y"], test.observed["y"]])
    np.testing.assert_array_equal(np.sort(both), np.arange(size))
    for part in (train, test):  # rows stay whole, in order, with their labels
        np.testing.assert_array_equal(part.inputs["x"][:, 0], 2.0 * part.observed["y"])
        assert part.coords["obs"] == tuple(sorted(part.observed["y"].tolist()))


@given(rows=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_take_of_take_is_one_take(rows):
    data = Dataset.from_arrays(observed={"y": np.arange(6.0) ** 2})
    order = [5, 3, 1, 0, 2, 4]
    twice = data.take(order).take(rows)
    assert twice.fingerprint == data.take([order[row] for row in rows]).fingerprint


def test_split_is_the_same_for_the_same_seed():
    data = Dataset.from_arrays(observed={"y": np.arange(50.0)})
    assert data.split(seed=1)[0].fingerprint == data.split(seed=1)[0].fingerprint
    assert data.split(seed=1)[0].fingerprint != data.split(seed=2)[0].fingerprint


def test_html_shows_names_and_escapes_them():
    frame = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0.0, 1.0, 2.0]})
    data = Dataset.from_frame(frame, formula="y ~ I(x < 1)", name="<b>bold</b>")
    page = data._repr_html_()
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<code>y ~ I(x &lt; 1)</code>" in page
    assert "<td>x</td><td>input</td><td>obs, coefficient</td><td>(3, 2)</td>" in page
    assert repr(schools()).startswith("Dataset('schools', y (3,), sigma (3,), scale 2")


def test_rows_are_labelled_by_the_index_of_the_table():
    frame = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0.0, 1.0, 3.0]}, index=["u", "v", "w"])
    data = Dataset.from_frame(frame, formula="y ~ x")
    assert data.coords["obs"] == ("u", "v", "w")
    assert data.take([2]).coords["obs"] == ("w",)


def test_a_table_with_two_levels_of_index_is_numbered():
    index = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    frame = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "x": [0.0, 1.0, 3.0, 4.0]}, index=index)
    assert Dataset.from_frame(frame, formula="y ~ x").coords["obs"] == (0, 1, 2, 3)


def test_dates_label_rows_as_text():
    frame = pd.DataFrame(
        {"y": [1.0, 2.0], "x": [0.0, 1.0]}, index=pd.to_datetime(["2020-01-01", "2020-02-01"])
    )
    labels = Dataset.from_frame(frame, formula="y ~ x").coords["obs"]
    assert labels == ("2020-01-01 00:00:00", "2020-02-01 00:00:00")


def test_whole_numbers_beyond_int64_are_refused():
    with pytest.raises(DataError, match="'y' holds 9223372036854775808, beyond the range of int64"):
        Dataset.from_arrays(observed={"y": np.array([1, 2**63], dtype=np.uint64)})


def test_a_single_observed_number_has_no_rows():
    data = Dataset.from_arrays(observed={"y": 3.0})
    assert data.num_observations == 1
    with pytest.raises(DataError, match="data 'data' have no observed array with rows"):
        data.take([0])
