"""Pictures of networks hold the numbers of their tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from workbench.network import NormalMixture
from workbench.plot import METHOD_COLOURS, network_bands, reliability

X = np.linspace(0, 1, 4)


def test_bands_are_the_quantiles_of_each_method():
    made = {
        "NUTS": NormalMixture(loc=np.stack([X, X + 1]), scale=np.ones((2, 4))),
        "ensemble": NormalMixture(loc=X[None], scale=np.full((1, 4), 0.5)),
    }
    ax = network_bands(made, X, observed=(X, X), level=0.9)
    data, *lines = ax.lines
    np.testing.assert_array_equal(data.get_ydata(), X)
    assert len(lines) == 6
    assert lines[0].get_color() == METHOD_COLOURS["NUTS"] != lines[3].get_color()
    np.testing.assert_allclose(lines[0].get_ydata(), X + 0.5)
    edge = 0.5 * stats.norm.ppf(0.95)
    np.testing.assert_allclose(lines[4].get_ydata(), X - edge, atol=1e-12)
    np.testing.assert_allclose(lines[5].get_ydata(), X + edge, atol=1e-12)


def test_reliability_shows_every_bin():
    table = pd.DataFrame({"confidence": [0.6, 0.9], "accuracy": [0.5, 0.95], "num_rows": [10, 30]})
    ax = reliability({"MAP": table, "NUTS": table})
    diagonal, *lines = ax.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(lines[0].get_xydata(), table[["confidence", "accuracy"]])
    areas = ax.collections[0].get_sizes()
    assert areas[1] > areas[0]
