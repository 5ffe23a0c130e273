"""Reading a picture back: lines by label, whiskers, overlaps."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.text import Text


def lines(ax: Axes, label: str) -> list:
    """The lines drawn under a label."""
    return [line for line in ax.get_lines() if line.get_label() == label]


def colour(artist) -> str:
    """Colour of a line as upper-case hexadecimal."""
    return to_hex(artist.get_color()).upper()


def segments(ax: Axes) -> np.ndarray:
    """Ends of all drawn segments, shape (K, 2, 2)."""
    found = [np.asarray(c.get_segments()) for c in ax.collections if "get_segments" in dir(c)]
    return np.concatenate([f for f in found if f.size]) if found else np.empty((0, 2, 2))


def tick_labels(axis: Axis) -> list[Text]:
    """Labels of the ticks inside the view; an axis also keeps some outside, and draws none."""
    low, high = sorted(axis.get_view_interval())
    ticks = axis.get_major_ticks(len(axis.get_majorticklocs()))
    inside = [t.label1 for t in ticks if low <= t.get_loc() <= high]
    return [label for label in inside if label.get_text() and label.get_visible()]


def overlapping(ax: Axes) -> list[tuple[str, str]]:
    """Pairs of visible tick labels whose boxes overlap when the figure is drawn."""
    figure = ax.figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    pairs = []
    for axis in (ax.xaxis, ax.yaxis):
        boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in tick_labels(axis)]
        pairs += [(a, b) for (a, p), (b, q) in combinations(boxes, 2) if p.overlaps(q)]
    return pairs


def outside(ax: Axes) -> list[str]:
    """Labels of an axes that reach beyond its figure when it is drawn."""
    figure = ax.figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    edge = figure.bbox
    texts = [ax.xaxis.label, ax.yaxis.label, *tick_labels(ax.xaxis), *tick_labels(ax.yaxis)]
    legend = ax.get_legend()
    texts += legend.get_texts() if legend is not None else []
    found = []
    for text in texts:
        if not text.get_text() or not text.get_visible():
            continue
        box = text.get_window_extent(renderer)
        # half a pixel of rounding
        inside = box.x0 >= edge.x0 - 0.5 and box.x1 <= edge.x1 + 0.5
        if not (inside and box.y0 >= edge.y0 - 0.5 and box.y1 <= edge.y1 + 0.5):
            found.append(text.get_text())
    return found
