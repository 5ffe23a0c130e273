"""Standard splits: every row is tested as the source says, and nothing is learnt from test rows."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.data import load_frame, load_splits
from workbench.errors import DataError


@pytest.mark.parametrize(("name", "num", "size"), [("energy", 20, 77), ("ionosphere", 10, 52)])
def test_splits_part_the_rows(name, num, size):
    splits = load_splits(name)
    rows = len(load_frame(name))
    assert len(splits) == num
    for train, test in splits:
        assert (train.num_rows, test.num_rows) == (rows - size, size)


def test_means_and_sds_are_those_of_the_training_rows():
    train, test = load_splits("energy")[0]
    x = train.inputs["x"]
    np.testing.assert_allclose(train.inputs["x_mean"], x.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(test.inputs["x_mean"], train.inputs["x_mean"])
    assert test.inputs["y_scale"] == train.inputs["y_scale"] == train.observed["y"].std()
    frame = load_frame("energy")
    both = np.concatenate([train.observed["y"], test.observed["y"]])
    np.testing.assert_array_equal(np.sort(both), np.sort(frame["heating_load"]))


def test_a_set_without_splits_is_refused_in_a_sentence():
    with pytest.raises(DataError, match="'nile' has no standard splits; expected one of energy"):
        load_splits("nile")
