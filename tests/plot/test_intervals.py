"""The picture of a row of intervals draws the table's ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench import plot
from workbench.errors import UsageError
from workbench.study import Intervals

from .helpers import outside, overlapping, segments


def made(rows: list[tuple[str, str, float, float, str]]) -> Intervals:
    columns = ["term", "kind", "lower", "upper", "type"]
    table = pd.DataFrame(rows, columns=columns).assign(level=0.9, reason="")
    return Intervals(table=table, findings=(), level=0.9, profiles={}, bootstrap=None)


ROWS = [
    ("a", "Wald", -1.0, 3.0, "confidence"),
    ("a", "profile", -0.5, np.inf, "confidence"),
    ("a", "bootstrap BCa", np.nan, np.nan, "confidence"),
    ("a", "equal-tailed", -2.0, 2.0, "credible"),
    ("b", "Wald", 10.0, 11.0, "confidence"),
]


def test_whiskers_are_the_ends_of_the_table():
    grid = plot.intervals(made(ROWS))
    ax = grid.ravel()[0]
    assert grid.size == 2
    drawn = {round(s[0, 1]): s[:, 0] for s in segments(ax)}
    assert sorted(drawn) == [0, 1, 3]  # the third has no interval, but keeps its line
    np.testing.assert_allclose(drawn[0], [-1.0, 3.0])
    np.testing.assert_allclose(drawn[3], [-2.0, 2.0])
    np.testing.assert_allclose(drawn[1], [-0.5, ax.get_xlim()[1]])  # open: to the edge
    arrows = [line for line in ax.get_lines() if line.get_marker() == ">"]
    assert [line.get_ydata()[0] for line in arrows] == [1]
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == ["Wald", "profile", "bootstrap BCa", "equal-tailed"]
    assert not overlapping(ax)
    assert not outside(ax)


def test_too_few_axes_are_refused():
    axes = plot.intervals(made(ROWS), "b")
    with pytest.raises(UsageError, match="intervals expects 2 axes, one per term; got 1"):
        plot.intervals(made(ROWS), axes=axes)
    with pytest.raises(UsageError, match="term 'c' is not in the comparison"):
        plot.intervals(made(ROWS), "c")
