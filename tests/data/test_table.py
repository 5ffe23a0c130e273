"""Reading files: what counts as a number, and one sentence for each file that is no table."""

from __future__ import annotations

import sys

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from workbench.data import Dataset, read_table
from workbench.errors import DataError


@pytest.fixture
def write(tmp_path):
    def file(content: str | bytes, name: str = "data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return file


def test_columns_get_the_type_of_their_cells(write):
    frame = read_table(
        write(
            "whole,real,text,flag,gap\n"
            "1,1.5,oak,true,7\n"
            " 2 ,-2e3, elm ,FALSE,\n"
            '3,4,"a, b",True,NA\n'
        )
    )
    assert frame["whole"].tolist() == [1, 2, 3]
    assert frame["whole"].dtype == np.int64
    assert frame["real"].tolist() == [1.5, -2000.0, 4.0]
    assert frame["text"].tolist() == ["oak", "elm", "a, b"]
    assert frame["flag"].tolist() == [True, False, True]
    assert frame["flag"].dtype == bool
    np.testing.assert_array_equal(frame["gap"], [7.0, np.nan, np.nan])


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("a,b\n1,x\n2,y\n", "data.csv"),
        ("a;b\n1;x\n2;y\n", "data.csv"),
        ("a\tb\n1\tx\n2\ty\n", "data.tsv"),
        ("a\tb\n1\tx\n2\ty\n", "data.txt"),
        ("a,b\r\n1,x\r\n2,y\r\n", "DATA.CSV"),
        ("\ufeffa,b\n1,x\n2,y", "data.csv"),
        ("a,b\n1,x\n2,y\n\n\n", "data.csv"),
        ('"a","b"\n1,"x"\n2,"y"\n', "data.csv"),
    ],
    ids=["comma", "semicolon", "tab", "tab in txt", "windows", "mark", "blank lines", "quotes"],
)
def test_dialects_read_alike(write, content, name):
    frame = read_table(write(content, name))
    assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_columns_are_chosen_in_the_order_asked_for(write):
    path = write("a,b,c\n1,2,3\n")
    assert read_table(path, columns=["c", "a"]).columns.tolist() == ["c", "a"]
    with pytest.raises(DataError, match="asked for column 'B', which is not there; .* 'b'"):
        read_table(path, columns=["B"])


def test_an_empty_line_in_one_column_is_an_empty_cell(write):
    np.testing.assert_array_equal(read_table(write("a\n1\n\n3\n"))["a"], [1.0, np.nan, 3.0])


def test_parquet_reads_as_written(tmp_path):
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    frame.to_parquet(tmp_path / "data.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "data.parquet"), frame)


def test_parquet_without_its_reader(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    with pytest.raises(DataError, match="reading one needs pyarrow, which is not installed"):
        read_table(write(b"PAR1", "data.parquet"))


def test_parquet_without_rows(tmp_path):
    pd.DataFrame({"a": pd.Series([], dtype=float)}).to_parquet(tmp_path / "data.pq")
    with pytest.raises(DataError, match="has no rows of data"):
        read_table(tmp_path / "data.pq")


BAD = {
    "empty": ("", "data.csv", "is empty; expected the names of the columns in row 1"),
    "blank": ("\n \n", "data.csv", "is empty"),
    "header only": ("a,b\n", "data.csv", "has column names in row 1 but no rows of data"),
    "short row": ("a,b\n1,2\n3\n", "data.csv", "has 1 cell in row 3; expected 2 as in row 1"),
    "long row": ("a,b\n1,2,3\n", "data.csv", "has 3 cells in row 2; expected 2 as in row 1"),
    "empty row": ("a,b\n1,2\n\n3,4\n", "data.csv", "has 0 cells in row 3; expected 2"),
    "same name": ("a,b,a\n1,2,3\n", "data.csv", "columns 1 and 3 of .* are both called 'a'"),
    "no name": (",a\n1,2\n", "data.csv", "column 1 of .* has no name in row 1"),
    "no header": ("1,2\n3,4\n", "data.csv", "row 1 of .* holds numbers; expected the names"),
    "open quote": ('a,b\n1,"2\n', "data.csv", "cannot be read as a table: unexpected end of data"),
    "not utf-8": (
        "a,b\n1,é\n".encode("latin-1"), "data.csv",
        "is not UTF-8 text: byte 0xe9 in row 2; save it as UTF-8",
    ),
    "other kind": ("a,b\n1,2\n", "data.xlsx", "ends in '.xlsx'; expected a CSV, TSV or Parquet"),
    "no kind": ("a,b\n1,2\n", "data", "ends in ''; expected a CSV"),
    "not parquet": (b"no", "data.parquet", "cannot be read as Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_no_table_gets_one_sentence(write, case):
    content, name, sentence = BAD[case]
    with pytest.raises(DataError, match=sentence) as caught:
        read_table(write(content, name))
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="there is no file '.*absent.csv'"):
        read_table(tmp_path / "absent.csv")


def test_a_folder(tmp_path):
    with pytest.raises(DataError, match="is a folder; expected a file"):
        read_table(tmp_path)


def test_the_row_named_is_the_row_of_the_file(write):
    path = write("y,x\n1,0.5\n2,1.5\n3,\n5,2.5\n")  # the gap is in line 4
    with pytest.raises(DataError, match="column 'x' has a missing value in row 4"):
        Dataset.from_frame(read_table(path), formula="y ~ x")


@given(
    numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    names=st.sampled_from([("a", "b"), ("x.1", "y z")]),
)
def test_numbers_survive_a_file(tmp_path_factory, numbers, names):
    # repr gives the shortest text that reads back as the same number
    first, second = names
    lines = [f"{first},{second}", *(f"{number!r},oak" for number in numbers)]
    path = tmp_path_factory.mktemp("table") / "data.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    frame = read_table(path)
    np.testing.assert_array_equal(frame[first].to_numpy(dtype=float), numbers)
    assert frame[second].tolist() == ["oak"] * len(numbers)
