"""Pictures of networks hold the numbers of their tables."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from tests.plot.example_networks import MADE, SURFACE, X, fitted_methods, plane_of
from tests.plot.helpers import colour, lines, outside, overlapping
from workbench.plot import (
    METHOD_COLOURS,
    decision_boundary,
    hessian_spectrum,
    loss_line,
    loss_plane,
    methods,
    network_bands,
    network_pictures,
    prior_functions,
    reliability,
)
from workbench.plot.image import finished
from workbench.plot.networks import style_of
from workbench.study.methods import ways_to_fit


def test_bands_are_the_quantiles_of_each_method():
    grid = network_bands(MADE, X, observed=(X, X), gap=(0.3, 0.7), level=0.9)
    first, second = grid.ravel()
    fitted, left_out, mean = first.lines
    np.testing.assert_array_equal(fitted.get_xdata(), X[[0, 3]])
    np.testing.assert_array_equal(left_out.get_xdata(), X[[1, 2]])
    np.testing.assert_allclose(mean.get_ydata(), X + 0.5)
    assert colour(mean) == METHOD_COLOURS["NUTS"] != colour(second.lines[-1])
    edge = 0.5 * stats.norm.ppf(0.95)
    band = second.collections[0].get_paths()[0].vertices
    at_zero = band[band[:, 0] == 0.0, 1]
    np.testing.assert_allclose([at_zero.min(), at_zero.max()], [-edge, edge], atol=1e-12)
    assert first.get_ylim() == second.get_ylim()


def test_every_method_has_a_look_of_its_own():
    from models.mlp_regression import MODEL

    looks = [style_of(name) for name in ways_to_fit(MODEL, quick=False)]
    assert len({(look.colour, look.marker, look.dash) for look in looks}) == len(looks)
    assert all(style_of(m).colour == METHOD_COLOURS[m] for m in ("MLE", "MAP", "Laplace", "NUTS"))


def test_reliability_shows_every_bin():
    table = pd.DataFrame({"confidence": [0.6, 0.9], "accuracy": [0.5, 0.95], "num_rows": [10, 30]})
    ax = reliability({"MAP": table, "NUTS": table})
    diagonal, *curves = ax.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(curves[0].get_xydata(), table[["confidence", "accuracy"]])
    areas = ax.collections[0].get_sizes()
    assert areas[1] > areas[0]


def test_functions_of_the_prior_and_their_bands():
    functions = np.arange(101.0)[:, None] * np.ones(4)
    ax = prior_functions(functions, X, observed=(X, X), num=7, label="age (year)", response="y (m)")
    assert len(ax.lines) == 8
    wide, narrow = (c.get_paths()[0].vertices[:, 1] for c in ax.collections)
    ends = [wide.min(), wide.max(), narrow.min(), narrow.max()]
    np.testing.assert_allclose(ends, [5.0, 95.0, 25.0, 75.0], rtol=1e-14)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("age (year)", "y (m)")


def test_border_lies_where_two_classes_are_as_likely():
    ax = decision_boundary(plane_of(2))[0, 0]
    paths = [p.vertices for c in ax.collections for p in c.get_paths() if len(p.vertices) == 20]
    assert paths
    np.testing.assert_allclose(paths[0][:, 0], 1.5, atol=1e-9)
    drawn = [len(line.get_xdata()) for line in ax.lines]
    assert drawn == [1, 2]


def test_spectrum_tells_signs_apart_and_shows_the_prior():
    ax = hessian_spectrum(SURFACE)
    (positive,), (negative,), (prior,) = (lines(ax, k) for k in ("Hessian", "negative", "prior"))
    np.testing.assert_allclose(positive.get_ydata(), [40.0, 2.0, 0.1])
    np.testing.assert_allclose(negative.get_ydata(), [0.2])
    assert list(prior.get_ydata()) == [1.0, 1.0]


def test_line_and_contours_are_the_tables():
    ax = loss_line(SURFACE)
    np.testing.assert_array_equal(lines(ax, "as found")[0].get_ydata(), [0.0, 2.0, 0.1])
    left = loss_plane(SURFACE)[0, 0]
    (contour,) = [c for c in left.collections if hasattr(c, "levels")]
    np.testing.assert_allclose(contour.levels, [0.5, 2.0, 4.5, 12.5])
    ring = contour.get_paths()[0].vertices
    # half a nat of ten rows: a**2 + b**2 / 2 = 0.05, between nodes a quarter apart
    radius = ring[:, 0] ** 2 + 0.5 * ring[:, 1] ** 2
    np.testing.assert_allclose(radius, 0.05, atol=0.25**2)


def test_whiskers_are_two_paired_standard_errors():
    left, _ = methods(fitted_methods()).ravel()
    reach = left.collections[1].get_segments()[0][:, 0]
    np.testing.assert_allclose(reach, [0.1, 0.3])


def test_every_picture_has_a_caption_and_nothing_overlaps():
    drawings = network_pictures(fitted_methods())
    assert [d.name for d in drawings] == [
        "methods", "bands", "prior", "boundary", "reliability", "surface", "line", "spectrum",
    ]  # fmt: skip
    for drawing in drawings:
        drawn = drawing.draw()
        for ax in np.ravel(drawn):
            assert not overlapping(ax), drawing.name
            assert not outside(ax), drawing.name
        content = finished(drawn, "png", drawing.caption)
        # a PNG keeps its description as text
        assert drawing.caption.encode() in content
    assert not plt.get_fignums()
