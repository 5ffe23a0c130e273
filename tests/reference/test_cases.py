"""The copied cases are whole: rows as stated, an origin and a licence each."""

from __future__ import annotations

import pytest

from .cases import load_case, load_frame, names

CASES = [
    (g, n)
    for g in (
        "nist_linear",
        "nist_nonlinear",
        "glm",
        "mixed",
        "posteriordb",
        "classic_bugs",
        "marginal_likelihood",
    )  # fmt: skip
    for n in names(g)
]


@pytest.mark.parametrize(("group", "name"), CASES, ids=lambda value: value)
def test_case_is_whole(group, name):
    case, frame = load_case(group, name), load_frame(group, name)
    assert case["name"] == name
    assert case["origin"]
    assert case["licence"]
    assert len(frame) == case.get("n", len(frame)) > 0
    assert not frame.isna().to_numpy().any()
