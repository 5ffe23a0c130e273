"""The picture of a calibration shows its ranks and their bands."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from workbench import plot
from workbench.errors import UsageError
from workbench.plot.example import small_calibration


def test_line_is_the_distribution_function_less_the_diagonal():
    found = small_calibration()
    ax = plot.rank_ecdf(found, ax=Figure().subplots())
    line = next(x for x in ax.lines if x.get_label() == "slope")
    share = np.asarray(line.get_xdata(), dtype=float)
    ranks = found.ranks["slope"].to_numpy()
    expected = [(ranks < 20 * s - 1e-9).mean() - s for s in share]
    np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), expected, atol=1e-12)
    assert ax.get_legend_handles_labels()[1] == ["95% of uniform ranks", "slope"]


def test_unknown_term_is_refused():
    with pytest.raises(UsageError, match="term 'slop' is not in"):
        plot.rank_ecdf(small_calibration(), "slop", ax=Figure().subplots())
