"""The forest shows the table's numbers."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from workbench import plot
from workbench.errors import UsageError

from .conftest import many_terms, renamed
from .helpers import colour, lines, outside, overlapping, segments


def in_errors(comparison, term, value):
    """A value as its distance from the MLE in standard errors."""
    mle = comparison.rows(term).loc["MLE"]
    return (value - mle["estimate"]) / mle["std_error"]


def test_markers_stand_at_the_estimates_in_the_mles_standard_errors(line):
    ax = plot.forest(line)
    for method in ("MLE", "MAP", "Laplace", "NUTS"):
        (drawn,) = lines(ax, method)
        truth = [in_errors(line, t, line.rows(t).loc[method, "estimate"]) for t in line.terms]
        np.testing.assert_allclose(drawn.get_xdata(), truth, rtol=0, atol=1e-12)
        assert colour(drawn) == plot.METHOD_COLOURS[method]
        assert drawn.get_marker() == plot.METHOD_MARKERS[method]


def test_whiskers_end_where_the_intervals_do(line):
    ax = plot.forest(line)
    drawn = np.sort(segments(ax)[:, :, 0], axis=None)
    table = line.table
    truth = [in_errors(line, r.term, v) for r in table.itertuples() for v in (r.lower, r.upper)]
    np.testing.assert_allclose(drawn, np.sort(truth), rtol=0, atol=1e-12)


def test_natural_scale_shows_the_tables_own_numbers(choice):
    ax = plot.forest(choice, "beta[gpa]", scale="natural", methods=["MLE", "NUTS"])
    rows = choice.rows("beta[gpa]")
    for method in ("MLE", "NUTS"):
        assert lines(ax, method)[0].get_xdata()[0] == rows.loc[method, "estimate"]
    assert not lines(ax, "MAP")
    assert len(segments(ax)) == 2


def test_labels_have_units_and_the_level(line):
    ax = plot.forest(line)
    assert "beta[year] (per year)" in [t.get_text() for t in ax.get_yticklabels()]
    assert "standard errors" in ax.get_xlabel()
    assert "95% intervals" in ax.get_xlabel().replace("\n", " ")


def test_estimate_without_error_is_an_open_marker_without_whiskers(schools):
    assert np.isnan(schools.rows("tau").loc["MLE", "std_error"])
    ax = plot.forest(schools, ["tau"], methods=["MLE", "NUTS"])
    (marker,) = lines(ax, "_MLE without error")
    assert marker.get_markerfacecolor() == "white"
    rows = schools.rows("tau")
    truth = (rows.loc["MLE", "estimate"] - rows.loc["NUTS", "estimate"]) / rows.loc[
        "NUTS", "std_error"
    ]
    assert marker.get_xdata()[0] == pytest.approx(truth, abs=1e-12)
    assert len(segments(ax)) == 1
    assert "no standard error" in [t.get_text() for t in ax.get_legend().get_texts()]
    assert "posterior sds" in ax.get_xlabel()


def test_estimate_far_outside_is_an_arrow_at_the_edge(schools):
    far = schools.table.copy()
    mle = (far["term"] == "tau") & (far["method"] == "MLE")
    far.loc[mle, "estimate"] = 1e6
    ax = plot.forest(replace(schools, table=far), ["tau"], methods=["MLE", "NUTS"])
    (arrow,) = lines(ax, "_MLE outside")
    assert arrow.get_marker() == ">"
    assert arrow.get_xdata()[0] == ax.get_xlim()[1]
    # the posterior's interval keeps its room: some 4 sds, not a million
    assert np.diff(ax.get_xlim())[0] < 20


def test_many_terms_are_cut_with_a_note(line):
    many = many_terms(line, "sigma", 50)
    ax = plot.forest(many)
    assert len(ax.get_yticks()) == 30
    assert "the first 30 of 50 terms; 20 are left out" in ax.get_xlabel().replace("\n", " ")
    assert not overlapping(ax)
    assert not outside(ax)


def test_long_names_are_shortened_but_stay_apart(line):
    first, second = "beta[" + "x" * 60 + "_one]", "beta[" + "x" * 60 + "_two]"
    both = renamed(line, {"beta[Intercept]": first, "beta[year]": second})
    ax = plot.forest(both)
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert len(set(names)) == len(names)
    assert max(len(n) for n in names) <= 34
    assert not outside(ax)


def test_it_draws_on_the_axes_given_and_on_no_other(line):
    figure, (left, right) = plt.subplots(1, 2)
    assert plot.forest(line, ax=right) is right
    assert not left.has_data()
    assert figure.axes == [left, right]


def test_unknown_term_is_refused_with_the_nearest(line):
    with pytest.raises(UsageError, match=r"term 'sigmq' is not .* the nearest is 'sigma'"):
        plot.forest(line, "sigmq")


def test_unknown_method_and_scale_are_refused(line):
    with pytest.raises(UsageError, match="no fit by 'REML'"):
        plot.forest(line, methods=["REML"])
    with pytest.raises(UsageError, match="'standardised' or 'natural'; got 'log'"):
        plot.forest(line, scale="log")  # pyright: ignore[reportArgumentType]


def test_interval_as_wide_as_anything_sets_no_scale(line):
    flat = line.table.copy()
    mle = (flat["term"] == "sigma") & (flat["method"] == "MLE")
    flat.loc[mle, ["estimate", "std_error", "lower", "upper"]] = [1e12, 1e11, 8e11, 1.2e12]
    ax = plot.forest(replace(line, table=flat))
    # the regular terms run from -2 to 2; the flat one is centred on its posterior, and marked
    assert np.diff(ax.get_xlim())[0] < 10
    assert [t.get_text().endswith("†") for t in ax.get_yticklabels()] == [False, False, True]
    assert "no usable MLE standard error" in ax.get_xlabel()
    assert lines(ax, "_MLE outside")[0].get_marker() == ">"
