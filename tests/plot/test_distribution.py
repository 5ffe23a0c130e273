"""Densities: curves that integrate to one, lines at the estimates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from workbench import plot
from workbench.errors import UsageError
from workbench.fit.intervals import wald_interval
from workbench.plot.distribution import prior_draws, smooth, wald_density

from .helpers import colour, lines


@pytest.mark.parametrize(
    ("estimate", "bounds"),
    [(0.3, (-np.inf, np.inf)), (2.0, (0.0, np.inf)), (0.3, (0.0, 1.0)), (-2.0, (-np.inf, 0.0))],
    ids=["identity", "log", "logit", "reflected log"],
)
def test_wald_density_has_its_interval_as_quantiles(estimate, bounds):
    low, high = wald_interval(*(np.array([v]) for v in (estimate, 0.2, *bounds)), level=0.9)
    x = np.linspace(low[0], high[0], 20001)
    inside = np.trapezoid(wald_density(x, estimate, 0.2, *bounds), x)
    # truth: the level; the trapezoidal rule errs by h^2 f'' / 12, some 1e-8 here
    assert inside == pytest.approx(0.9, abs=1e-6)


def test_smooth_density_of_normal_draws_is_the_normal(rng):
    grid = np.linspace(-3, 3, 301)
    f = smooth(rng.normal(size=40_000), grid, -np.inf, np.inf)
    # kernel estimate of 40,000 draws: sd about 0.006 at the mode, bias below that; 4 sd
    np.testing.assert_allclose(f, stats.norm.pdf(grid), atol=0.025)


def test_smooth_density_is_not_halved_at_a_bound(rng):
    grid = np.linspace(0, 3, 301)
    f = smooth(rng.exponential(size=40_000), grid, 0.0, np.inf)
    # truth 1 at zero; without reflection a kernel estimate gives 1/2
    assert f[0] == pytest.approx(1.0, abs=0.12)


def test_smooth_density_counts_draws_far_outside(rng):
    draws = np.concatenate([rng.normal(size=20_000), np.full(20_000, 1e6)])
    grid = np.linspace(-5, 5, 400)
    # truth: half of the draws are on the grid
    assert np.trapezoid(smooth(draws, grid, -np.inf, np.inf), grid) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("term", ["beta[year]", "sigma"])
def test_curves_integrate_to_one_and_lines_stand_at_the_estimates(line, term):
    ax = plot.density(line, term)
    rows = line.rows(term)
    for method in ("MLE", "Laplace", "NUTS"):
        curve = lines(ax, method)[0]
        x, f = curve.get_data()
        # the picture spans at least the 99% intervals
        assert 0.98 < np.trapezoid(f, x) < 1.01
        assert colour(curve) == plot.METHOD_COLOURS[method]
        (vertical,) = lines(ax, f"_{method}")
        assert vertical.get_xdata()[0] == rows.loc[method, "estimate"]
    assert lines(ax, "prior")
    assert ax.get_xlabel() == {"beta[year]": "beta[year] (per year)", "sigma": "sigma"}[term]


def test_prior_draws_of_an_element_are_those_of_its_label(line):
    fit = line.fits["NUTS"]
    tree = fit.datatree["prior"]["beta"].to_numpy()
    np.testing.assert_array_equal(prior_draws(fit, "beta[year]"), tree[..., 1].ravel())
    assert prior_draws(fit, "no such term") is None


def test_mle_without_error_is_a_line_and_no_curve(schools):
    ax = plot.density(schools, "tau")
    (only,) = lines(ax, "MLE")
    np.testing.assert_array_equal(np.unique(only.get_xdata()).size, 1)
    assert ax.get_xlim()[0] == 0  # the support's end


def test_estimate_far_outside_is_named_at_the_edge(line):
    far = line.table.copy()
    far.loc[(far["term"] == "sigma") & (far["method"] == "MAP"), "estimate"] = 1e9
    ax = plot.density(replace(line, table=far), "sigma")
    (text,) = [t for t in ax.texts if t.get_text()]
    assert text.get_text() == "MAP 1e9 →".replace("1e9", "1.00e9")


def test_densities_have_a_panel_per_term_and_one_legend(line):
    grid = plot.densities(line)
    assert grid.shape == (1, 3)
    assert [ax.get_legend() is not None for ax in grid.ravel()] == [True, False, False]
    names = [t.get_text() for t in grid.ravel()[0].get_legend().get_texts()]
    assert set(names) == {"NUTS", "MLE", "Laplace", "MAP", "prior"}


def test_too_few_axes_and_arrays_for_a_term_are_refused(line):
    with pytest.raises(UsageError, match="expects 3 axes, one per term; got 2"):
        plot.densities(line, axes=plot.densities(line, ["beta"]))
    with pytest.raises(UsageError, match="term 'beta' has 2 elements"):
        plot.density(line, "beta")


def test_density_without_draws_is_refused(line):
    only = replace(line, fits={"MLE": line.fits["MLE"]}, refused={"NUTS": "it was not asked for."})
    with pytest.raises(UsageError, match="no posterior draws: it was not asked for"):
        plot.density(only, "sigma")
