"""Fitted values and predictive checks against the predictions they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workbench import plot
from workbench.errors import UsageError

from .helpers import colour, lines, outside, overlapping


def test_curve_goes_through_the_predictive_means_in_order(line):
    ax = plot.curve(line)
    year = line.data.inputs["x"][:, 1]
    order = np.argsort(year)
    for method in ("MLE", "NUTS"):
        (drawn,) = lines(ax, method)
        np.testing.assert_array_equal(drawn.get_xdata(), year[order])
        np.testing.assert_allclose(drawn.get_ydata(), line.predictions[method].mean[order])
        assert colour(drawn) == plot.METHOD_COLOURS[method]
    (upper,) = lines(ax, "_MLE upper")
    np.testing.assert_allclose(upper.get_ydata(), line.predictions["MLE"].upper[order])
    assert ax.get_xlabel() == "year"
    assert "flow (10⁸ m³)" in ax.get_ylabel()


def test_fitted_is_a_curve_for_one_covariate_and_calibration_for_more(line, choice):
    assert plot.fitted(line).get_xlabel() == "year"
    assert plot.fitted(choice).get_xlabel().startswith("predicted probability")


def test_curve_of_several_covariates_is_refused(choice):
    with pytest.raises(UsageError, match=r"not exactly one .* calibration\(comparison\)"):
        plot.curve(choice)


def test_calibration_puts_observed_over_predicted(line):
    ax = plot.calibration(line)
    p = line.predictions["NUTS"]
    (drawn,) = lines(ax, f"NUTS ({100 * p.coverage:.0f}% inside)")
    np.testing.assert_allclose(drawn.get_xdata(), p.mean)
    np.testing.assert_allclose(drawn.get_ydata(), p.observed)


def test_reliability_shares_average_to_the_observed_share(choice):
    ax = plot.calibration(choice)
    (drawn,) = lines(ax, "MLE")
    # spector: 32 rows in three bins of 11, 11 and 10; 11 of 32 grades are 1
    shares = drawn.get_ydata()
    assert np.dot(shares, [11, 11, 10]) == pytest.approx(11)
    assert "grade = 1" in ax.get_ylabel()


def test_reliability_of_categories_is_each_against_the_rest(categories):
    ax = plot.calibration(categories)
    assert "against the rest" in ax.get_ylabel().replace("\n", " ")
    # 30 rows of 3 classes pooled: the mean share is 1/3
    assert np.mean(lines(ax, "NUTS")[0].get_ydata()) == pytest.approx(1 / 3)


def test_predictive_check_of_categories_names_them_and_shows_shares(categories):
    ax = plot.predictive_check(categories)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["setosa", "versicolor", "virginica"]
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, [1 / 3] * 3)
    assert not overlapping(ax)


def test_rootogram_counts_the_rows(counts):
    ax = plot.predictive_check(counts)
    y = np.asarray(counts.predictions["NUTS"].observed)
    heights = np.array([bar.get_height() for bar in ax.patches])
    np.testing.assert_array_equal(heights, np.bincount(y, minlength=len(heights)))
    (drawn,) = lines(ax, "NUTS")
    draws = counts.predictions["NUTS"].draws
    at = [np.mean(np.sum(draws == k, axis=1)) for k in range(len(heights))]
    np.testing.assert_allclose(drawn.get_ydata(), at)
    assert not overlapping(ax)


def test_predictive_check_of_numbers_has_the_data_and_both_answers(line):
    ax = plot.predictive_check(line)
    x, f = lines(ax, "data")[0].get_data()
    # the grid spans all of the data, but not all of the kernels' tails
    assert 0.95 < np.trapezoid(f, x) < 1.01
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["NUTS", "MLE", "data"]


@pytest.mark.parametrize("name", ["line", "choice", "schools", "counts", "categories"])
@pytest.mark.parametrize("function", [plot.fitted, plot.predictive_check], ids=lambda f: f.__name__)
def test_no_label_overlaps_or_leaves_the_figure(name, function, request):
    ax = function(request.getfixturevalue(name))
    assert not overlapping(ax)
    assert not outside(ax)


def test_comparison_without_predictions_is_refused(line):
    with pytest.raises(UsageError, match="has no predictions at the fitted data"):
        plot.fitted(replace(line, predictions={}))
