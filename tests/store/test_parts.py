"""Parts of a study: kept whole, reused for the same study alone."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.store import StudyParts

WHAT = {"study": "limits", "seed": 1, "quick": True}


def test_a_part_is_made_once_and_comes_back_bit_for_bit(tmp_path):
    place, x = tmp_path / "parts.npz", np.random.default_rng(0).normal(size=(3, 2))
    # names of parts and of arrays may hold anything but the last bar
    StudyParts(place, WHAT)("first | half", lambda: {"x": x, "why": np.array(["", "no"])})
    again = StudyParts(place, dict(reversed(WHAT.items())))
    assert again.names == ["first | half"]
    part = again("first | half", lambda: pytest.fail("was made before"))
    np.testing.assert_array_equal(part["x"], x)
    assert part["why"].tolist() == ["", "no"]


def test_another_study_starts_anew(tmp_path):
    place = tmp_path / "parts.npz"
    StudyParts(place, WHAT)("one", lambda: {"x": np.zeros(1)})
    other = StudyParts(place, {**WHAT, "seed": 2})
    assert other.names == []
    assert other("one", lambda: {"x": np.ones(1)})["x"].tolist() == [1.0]
    assert StudyParts(place, WHAT).names == []


def test_a_failing_part_leaves_the_others(tmp_path):
    place = tmp_path / "parts.npz"
    parts = StudyParts(place, WHAT)
    parts("one", lambda: {"x": np.zeros(1)})
    with pytest.raises(ZeroDivisionError, match="division"):
        parts("two", lambda: {"x": 1 / 0})
    assert StudyParts(place, WHAT).names == ["one"]
    assert [p.name for p in tmp_path.iterdir()] == ["parts.npz"]


def test_a_damaged_file_is_named(tmp_path):
    place = tmp_path / "parts.npz"
    place.write_bytes(b"PK nothing")
    with pytest.raises(WorkbenchError, match="parts.npz' does not hold the parts of a study"):
        StudyParts(place, WHAT)
