"""Chains, effective draws, energy, Pareto k, the optimiser's path, and the figures of panels."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from workbench import plot
from workbench.comparison.scores import leave_one_out
from workbench.errors import UsageError
from workbench.plot.figures import most_different

from .helpers import colour, lines, outside, overlapping


def test_trace_draws_every_chain_as_it_is(line):
    ax = plot.trace(line, "sigma")
    for c, chain in enumerate(line.fits["NUTS"].term("sigma")):
        np.testing.assert_array_equal(lines(ax, f"chain {c + 1}")[0].get_ydata(), chain)


def test_trace_shows_the_worst_term_by_default(line):
    worst = line.fits["NUTS"].estimands["r_hat"].idxmax()
    assert plot.trace(line).get_ylabel().startswith(worst)


def test_trace_marks_divergences(line):
    fit = line.fits["NUTS"]
    diverging = np.zeros(fit.estimand_draws.shape[:2], dtype=bool)
    diverging[0, [3, 7]] = True
    statistics = {**fit.sample_stats, "diverging": diverging}
    ax = plot.trace(replace(fit, sample_stats=statistics), "sigma")
    (marks,) = lines(ax, "divergent (2)")
    np.testing.assert_array_equal(marks.get_xdata(), [4, 8])


def test_rank_histograms_count_each_chains_draws(line):
    ax = plot.rank(line, "sigma")
    draws = line.fits["NUTS"].term("sigma")
    chains = [p for p in ax.patches if str(p.get_label()).startswith("chain")]
    assert len(chains) == len(draws)
    for patch in chains:
        assert patch.get_data().values.sum() == draws.shape[1]
    r_hat = line.fits["NUTS"].estimands.loc["sigma", "r_hat"]
    assert f"{r_hat:.3f}" in ax.get_xlabel()


def test_rank_tells_a_chain_that_sits_elsewhere(line):
    fit = line.fits["NUTS"]
    moved = fit.estimand_draws.copy()
    moved[0] += 1e6
    ax = plot.rank(replace(fit, estimand_draws=moved), "sigma")
    counts = next(p for p in ax.patches if p.get_label() == "chain 1").get_data().values
    # all of its draws rank in the upper half
    assert counts[: len(counts) // 2].sum() == 0


def test_ess_shows_the_estimates_table(line):
    ax = plot.ess(line)
    table = line.fits["NUTS"].estimands
    np.testing.assert_array_equal(lines(ax, "bulk")[0].get_xdata(), table["ess_bulk"])
    np.testing.assert_array_equal(lines(ax, "tail")[0].get_xdata(), table["ess_tail"])
    assert lines(ax, "needed (200)")[0].get_xdata()[0] == 200  # 100 for each of two chains


def test_ess_keeps_the_worst_of_many(line):
    table = line.fits["NUTS"].estimands
    least = table[["ess_bulk", "ess_tail"]].min(axis=1).idxmin()
    ax = plot.ess(line, limit=1)
    assert [t.get_text() for t in ax.get_yticklabels()] == [least]
    assert "the 1 of 3 terms" in ax.get_xlabel()


def test_energy_names_the_lowest_fraction(line):
    energy = line.fits["NUTS"].sample_stats["energy"]
    # Betancourt (2016), equation 3.2: mean squared change over variance, chain by chain
    bfmi = np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)
    ax = plot.energy(line)
    named = float(ax.get_xlabel().replace("\n", " ").split("BFMI ")[1].split()[0])
    # printed to two digits; the divisor of the mean is S or S - 1: 1% at S = 100
    assert named == pytest.approx(bfmi.min(), abs=0.005 + 0.011 * bfmi.min())


def test_pareto_k_marks_the_rows_above_the_threshold(schools):
    result = leave_one_out(schools.fits["NUTS"])
    k = np.asarray(result.pareto_k)
    ax = plot.pareto_k(schools)
    bad = k > result.good_k
    np.testing.assert_allclose(lines(ax, "good")[0].get_ydata(), k[~bad])
    named = {t.get_text() for t in ax.texts}
    assert named == {"ABCDEFGH"[i] for i in np.flatnonzero(bad)}


def test_path_tells_newton_steps_from_lbfgs(line):
    fit = line.fits["MLE"]
    ax = plot.path(fit)
    name = "gradient (nats per standard error)"
    (first,), (last,) = lines(ax, f"_{name}, L-BFGS"), lines(ax, f"_{name}, Newton")
    assert len(last.get_xdata()) == fit.history.num_newton
    assert len(first.get_xdata()) + len(last.get_xdata()) == len(fit.history.gradient_norm)
    drawn = np.concatenate([first.get_ydata(), last.get_ydata()])
    positive = fit.history.gradient_norm > 0
    np.testing.assert_allclose(drawn[positive], fit.history.gradient_norm[positive])
    assert colour(lines(ax, "gap to the maximum (nats)")[0]) == plot.METHOD_COLOURS["MLE"]


def test_waterfall_has_one_point_per_start_on_its_optimums_step(line):
    fit = line.fits["MLE"]
    table = fit.optima()
    ax = plot.waterfall(line)
    for number, row in table.iterrows():
        (step,) = lines(ax, f"optimum {number}")
        assert len(step.get_xdata()) == row["num_starts"]
        np.testing.assert_array_equal(step.get_ydata(), row["below_best"])
    assert colour(lines(ax, "optimum 0")[0]) == plot.METHOD_COLOURS["MLE"]
    # a linear regression has one maximum, with all the mass
    assert [t.get_text() for t in ax.texts] == ["100.0% of the mass"]
    assert not overlapping(ax)
    assert not outside(ax)


def test_path_of_a_comparison_takes_the_method_named(line):
    assert "Laplace" in plot.path(line, method="Laplace").get_xlabel()
    with pytest.raises(UsageError, match="no mode fit 'NUTS', only"):
        plot.path(line, method="NUTS")


def test_draws_are_asked_for_by_name():
    with pytest.raises(UsageError, match="needs a Comparison or a DrawsFit; got dict"):
        plot.trace({})  # pyright: ignore[reportArgumentType]


def test_most_different_term_is_the_one_with_the_largest_change(choice):
    table = choice.ledger[choice.ledger["quantity"] == "location"]
    distance = table.groupby("term")["change_in_units"].sum().abs()
    assert most_different(choice)[0] == distance.idxmax()


@pytest.mark.parametrize("name", ["line", "schools", "categories"])
@pytest.mark.parametrize(
    ("function", "panels"), [(plot.overview, 4), (plot.diagnostics, 6)], ids=["overview", "diag"]
)
def test_figures_of_panels_are_legible(name, function, panels, request):
    grid = function(request.getfixturevalue(name))
    assert grid.size == panels
    for ax in grid.ravel():
        assert not overlapping(ax)
        assert not outside(ax)


def test_panel_that_cannot_be_drawn_says_why(line):
    grid = plot.overview(replace(line, predictions={}))
    text = grid.ravel()[3].texts[0].get_text().replace("\n", " ")
    assert "has no predictions at the fitted data" in text


def test_wrong_number_of_axes_is_refused(line):
    with pytest.raises(UsageError, match="overview expects 4 axes; got 2"):
        plot.overview(line, axes=plt.subplots(1, 2)[1])


def test_no_picture_touches_the_global_style(line):
    before = dict(plt.rcParams)
    plot.overview(line)
    assert dict(plt.rcParams) == before
