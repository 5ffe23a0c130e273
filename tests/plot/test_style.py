"""Colours that everybody can tell apart, numbers and labels for people."""

from __future__ import annotations

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from workbench.plot import METHOD_COLOURS, METHOD_MARKERS
from workbench.plot.style import log_scale, number, short_labels, shorten

# Machado, Oliveira and Fernandes (2009), doi:10.1109/TVCG.2009.113, severity 1.0
BLINDNESS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def linear(colour):
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("kind", list(BLINDNESS))
@pytest.mark.parametrize("pair", list(combinations(METHOD_COLOURS, 2)), ids="-".join)
def test_colours_differ_for_the_colour_blind(pair, kind):
    seen = [np.array(BLINDNESS[kind]) @ linear(METHOD_COLOURS[m]) for m in pair]
    # a difference of 0.1 of the channel's range is plain to see; equal colours give 0
    assert np.linalg.norm(seen[0] - seen[1]) > 0.1


def test_every_method_has_its_own_marker():
    assert set(METHOD_MARKERS) == set(METHOD_COLOURS)
    assert len(set(METHOD_MARKERS.values())) == len(METHOD_MARKERS)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (2.0, "2"), (1234.5, "1230"), (-0.5, "−0.5"), (0.99999, "1"), (9.996, "10"),
     (1e-7, "1.00e-7".replace("-", "−")), (2.5e12, "2.50e12"), (-np.inf, "−inf")],
)  # fmt: skip
def test_numbers_have_three_significant_digits(value, text):
    assert number(value) == text


def test_shortened_labels_keep_head_and_tail():
    assert shorten("beta[abcdefghij]", 9) == "beta…hij]"
    assert shorten("sigma", 5) == "sigma"
    assert all(len(s) <= 12 for s in short_labels(["beta[" + "y" * 40, "tau[" + "z" * 40], 12))


@pytest.mark.parametrize("threshold", [None, 1.0])
def test_numbers_of_a_logarithmic_scale_are_text(threshold: float | None) -> None:
    figure, ax = plt.subplots()
    ax.plot([1, 2], [1e-9 if threshold is None else -1e5, 1e5])
    log_scale(ax, "y", threshold)
    figure.canvas.draw()
    labels = [x.get_text() for x in ax.get_yticklabels()]
    assert {"1", "100", "10⁴"} <= set(labels)
    assert ("10⁻⁸" if threshold is None else "−10⁵") in labels
    assert not any("$" in x for x in labels)
    plt.close(figure)
