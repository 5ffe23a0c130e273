from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workbench.errors import WorkbenchError
from workbench.store.groups import from_groups, to_groups
from workbench.store.plain import from_text, to_text


def through_a_file(content, folder):
    tree = xr.DataTree.from_dict({"/": xr.Dataset(), **to_groups("content", content)})
    tree.to_netcdf(folder / "content.nc", engine="h5netcdf")
    with xr.open_datatree(folder / "content.nc", engine="h5netcdf") as back:
        return from_groups(back["content"].load())


# HDF5 ends text at a null character, and UTF-8 has no lone surrogates
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
plain = st.recursive(
    scalars | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(plain)
def test_plain_values_come_back_with_their_types(value):
    back = from_text(to_text(value))
    assert back == value
    assert repr(back) == repr(value)  # tells 1 from 1.0 and True, and a list from a tuple


@settings(max_examples=25)  # each writes and reads a file
@given(
    values=hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    key=texts,
)
def test_arrays_come_back_to_the_last_bit(values, key, tmp_path_factory):
    folder = tmp_path_factory.mktemp("arrays")
    back = through_a_file({key: values, "deep": {"er": (values, [values])}}, folder)
    for array in (back[key], back["deep"]["er"][0], back["deep"]["er"][1][0]):
        assert array.dtype == values.dtype
        np.testing.assert_array_equal(array, values)
        if values.dtype.kind == "f":  # -0.0 equals 0.0
            np.testing.assert_array_equal(np.signbit(array), np.signbit(values))


@settings(max_examples=25)  # each writes and reads a file
@given(
    numbers=st.lists(st.floats(), max_size=5),
    words=st.lists(texts, min_size=5, max_size=5),
    names=st.lists(texts, min_size=4, max_size=4, unique=True),
)
def test_tables_come_back_to_the_last_bit(numbers, words, names, tmp_path_factory):
    n = len(numbers)
    frame = pd.DataFrame(
        {
            names[0]: np.array(numbers, dtype=float),
            names[1]: words[:n],
            names[2]: pd.Categorical(["b", "a", "b", "a", "b"][:n], ["c", "b", "a"], ordered=True),
            names[3]: np.arange(n),
        }
    )
    back = through_a_file({"frame": frame}, tmp_path_factory.mktemp("frames"))["frame"]
    pd.testing.assert_frame_equal(back, frame, check_exact=True, check_index_type=False)


@pytest.mark.parametrize(
    "index", [["a", "b"], [10, 20], ["a", "a"], [1.5, 2.5]], ids=["text", "int", "twice", "float"]
)
def test_the_index_of_a_table_comes_back(index, tmp_path):
    frame = pd.DataFrame({"v": [1.0, np.nan]}, index=pd.Index(index, name="term"))
    back = through_a_file({"frame": frame}, tmp_path)["frame"]
    pd.testing.assert_frame_equal(back, frame)


def test_missing_words_come_back(tmp_path):
    frame = pd.DataFrame({"word": ["a", None], "mixed": [1, "b"]})
    back = through_a_file({"frame": frame}, tmp_path)["frame"]
    assert back["word"].tolist()[0] == "a"
    assert back["word"].isna().tolist() == [False, True]
    assert back["mixed"].tolist() == [1, "b"]


@pytest.mark.parametrize("key", ["scope/mu", "contents", "a b", "", ".", "µ", "1st", "deep"])
def test_any_key_can_name_an_array(key, tmp_path):
    back = through_a_file({key: np.arange(3), "n": {key: np.arange(4)}}, tmp_path)
    assert back[key].tolist() == [0, 1, 2]
    assert back["n"][key].tolist() == [0, 1, 2, 3]


def test_what_a_file_cannot_hold_is_named():
    with pytest.raises(WorkbenchError, match="'f' is of type function, which a file cannot hold"):
        to_groups("content", {"f": lambda: None})
    with pytest.raises(WorkbenchError, match="null character"):
        to_groups("content", {"word": np.array(["a\0b"])})
    with pytest.raises(WorkbenchError, match="column 'when' .* is of type"):
        to_groups("content", {"frame": pd.DataFrame({"when": [object()]})})
