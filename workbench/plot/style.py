"""One look for every picture: a colour and a marker per method, labels with units, quiet axes.

The colours are Okabe and Ito's, which people with any common colour blindness can tell apart
(Wong 2011, doi:10.1038/nmeth.1618); a method has its colour and its marker in every picture.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.data import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METHOD_COLOURS = {
    "MLE": "#D55E00",
    "MAP": "#E69F00",
    "Laplace": "#009E73",
    "NUTS": "#0072B2",
    "Firth": "#56B4E9",
    "prior": "#CC79A7",
    "data": "#000000",
}
METHOD_MARKERS = {
    "MLE": "o",
    "MAP": "^",
    "Laplace": "s",
    "NUTS": "D",
    "Firth": "P",
    "prior": "v",
    "data": ".",
}
# chains are all of one method: shades of its colour, told apart by their lightness
CHAIN_COLOURS = ("#0072B2", "#7CC4EE", "#00283D", "#8A9AA5")
GREY = "#6B6B6B"
LIGHT = "#E4E4E4"


def new_axes(ax: Axes | None, width: float = 6.4, height: float = 4.0) -> Axes:
    """Give the axes to draw on: those given, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Axes given by the caller.
    width, height : float
        Size of a new figure in inches.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def new_grid(axes: Any, rows: int, columns: int, width: float, height: float) -> np.ndarray:
    """Give an array of axes: those given, or those of a new figure.

    Parameters
    ----------
    axes : array of matplotlib.axes.Axes or None
        Axes given by the caller.
    rows, columns : int
        Shape of a new grid.
    width, height : float
        Size of one panel in inches.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Of shape (rows, columns), or as given.
    """
    if axes is not None:
        return np.asarray(axes)
    import matplotlib.pyplot as plt

    size = (columns * width, rows * height)
    return plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)[1]


def tidy(ax: Axes, grid: str = "") -> None:
    """Take away the frame's upper and right side; a light grid along ``x``, ``y`` or ``both``."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=9, color=GREY)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(GREY)
    if grid:
        ax.grid(axis=grid, color=LIGHT, linewidth=0.8)  # pyright: ignore[reportArgumentType]
        ax.set_axisbelow(True)


def log_scale(ax: Axes, side: Literal["x", "y"], linear: float | None = None) -> None:
    """Make a scale logarithmic, its numbers written as text: matplotlib sets them as formulas.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes.
    side : {"x", "y"}
        Which scale.
    linear : float, optional
        Size below which the scale is linear, so that it holds zero and negative numbers.
    """
    from matplotlib.ticker import LogFormatter

    class Powers(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return power(x) if super().__call__(x, pos) else ""

    set_scale = ax.set_xscale if side == "x" else ax.set_yscale
    axis = ax.xaxis if side == "x" else ax.yaxis
    if linear is None:
        set_scale("log")
        axis.set_minor_formatter(Powers())  # of scales shorter than a power of ten
    else:
        set_scale("symlog", linthresh=linear)
    axis.set_major_formatter(Powers())


def make_room(ax: Axes) -> None:
    """Lay out the figure now, so that what is wrapped to the axes knows the width labels leave."""
    figure = ax.get_figure(root=True)
    if figure is not None and (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)


def name_axes(ax: Axes, x: str | None = None, y: str | None = None) -> None:
    """Label axes, in as many lines as their lengths need.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes.
    x, y : str, optional
        Labels.
    """
    figure = ax.get_figure(root=True)
    width, height = figure.get_size_inches() if figure is not None else (6.4, 4.8)
    place = ax.get_position()
    # a character of 10 points is about 0.082 inch wide
    if x is not None:
        ax.set_xlabel(textwrap.fill(x, max(int(place.width * width / 0.082), 12)), fontsize=10)
    if y is not None:
        ax.set_ylabel(textwrap.fill(y, max(int(place.height * height / 0.082), 12)), fontsize=10)


def legend_above(ax: Axes, columns: int = 6, handles: Sequence[Any] | None = None) -> None:
    """Put the legend above the axes, where it covers no data, in as many rows as it needs."""
    found = list(handles) if handles is not None else ax.get_legend_handles_labels()[0]
    if not found:
        return
    # a character of 9 points is about 0.075 inch wide, a handle with its gaps 0.48
    widths = [0.075 * len(str(h.get_label())) + 0.48 for h in found]
    figure = ax.get_figure(root=True)
    room = ax.get_position().width * figure.get_figwidth() if figure is not None else np.inf
    columns = min(columns, len(found))
    while columns > 1 and sum(max(widths[i::columns]) for i in range(columns)) > room:
        columns -= 1
    ax.legend(
        handles=found,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.005),
        ncols=columns,
        frameon=False,
        fontsize=9,
        borderaxespad=0.2,
        handlelength=1.6,
        columnspacing=1.3,
    )


def message(ax: Axes, sentence: str) -> Axes:
    """Say in a panel why there is nothing to draw.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    sentence : str
        The reason.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax.set_axis_off()
    ax.text(
        0.5, 0.5, textwrap.fill(sentence, 46), transform=ax.transAxes, color=GREY, fontsize=9,
        ha="center", va="center",
    )  # fmt: skip
    return ax


def note(ax: Axes, text: str) -> None:
    """Add a remark to the label under the axes, on a line of its own."""
    ax.set_xlabel(ax.get_xlabel() + "\n" + textwrap.fill(text, 84), fontsize=9)


def left_out(ax: Axes, shown: int, number_of_terms: int) -> None:
    """Say how many terms a picture leaves out, where it leaves any."""
    if number_of_terms > shown:
        rest = number_of_terms - shown
        note(ax, f"the first {shown} of {number_of_terms} terms; {rest} are left out")


def stripes(ax: Axes, rows: int) -> None:
    """Shade every other row, so that the eye keeps to its term."""
    for i in range(1, rows, 2):
        ax.axhspan(i - 0.5, i + 0.5, color=LIGHT, alpha=0.35, linewidth=0, zorder=0)


def power(value: float) -> str:
    """Write a number of a logarithmic scale: in powers of ten beyond the thousands.

    Examples
    --------
    >>> [power(x) for x in (0.0, 0.001, 300.0, 1e-9, -2e5)]
    ['0', '0.001', '300', '10⁻⁹', '−2×10⁵']
    """
    size = abs(value)
    if size == 0 or 0.999e-3 < size < 9.99e3:
        return number(value)
    exponent = int(np.floor(np.log10(size) + 1e-9))
    ten = "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    times = number(size / 10.0**exponent)
    return ("−" if value < 0 else "") + (ten if times == "1" else f"{times}×{ten}")


def number(value: float, digits: int = 3) -> str:
    """Format a number for people: as many significant digits as asked for, a true minus sign.

    Parameters
    ----------
    value : float
        The number.
    digits : int
        Significant digits.

    Returns
    -------
    str

    Examples
    --------
    >>> number(1234.5), number(-0.012345), number(2.0), number(float("nan"))
    ('1230', '−0.0123', '2', 'nan')
    """
    if not np.isfinite(value):
        return str(value).replace("-", "−")
    size = abs(value)
    if value != 0 and not 1e-4 <= size < 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    rounded = float(f"{value:.{digits - 1}e}")
    text = f"{rounded:.{max(digits - 1 - int(np.floor(np.log10(size))), 0)}f}" if value else "0"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def shorten(label: str, width: int = 30) -> str:
    """Cut the middle out of a long label; its head and tail tell it from its neighbours.

    Parameters
    ----------
    label : str
        The label.
    width : int
        Largest number of characters.

    Returns
    -------
    str

    Examples
    --------
    >>> shorten("beta[worst_fractal_dimension]", 20)
    'beta[worst_…mension]'
    """
    if len(label) <= width:
        return label
    head = (width - 1 + 1) // 2 + (width - 1) % 2
    return label[:head] + "…" + label[len(label) - (width - 1 - head) :]


def short_labels(labels: Sequence[str], width: int = 30) -> list[str]:
    """Shorten labels, but leave those whole that would look alike.

    Examples
    --------
    >>> short_labels(["abcdefgh", "abcXefgh", "k"], 5)
    ['abcdefgh', 'abcXefgh', 'k']
    """
    short = [shorten(label, width) for label in labels]
    return [s if short.count(s) == 1 else whole for s, whole in zip(short, labels, strict=True)]


def term_label(data: Dataset, term: str) -> str:
    """Label a term with its unit where the data tell one.

    Parameters
    ----------
    data : Dataset
        Holds the units of its columns.
    term : str
        A term of a table, such as ``beta[bmi]``.

    Returns
    -------
    str
        A coefficient of a column with a unit is per that unit.

    Examples
    --------
    >>> from workbench.data import load_dataset
    >>> term_label(load_dataset("diabetes"), "beta[bmi]")
    'beta[bmi] (per kg/m²)'
    >>> term_label(load_dataset("diabetes"), "sigma")
    'sigma'
    """
    column = term.partition("[")[2].removesuffix("]")
    if column not in data.coords.get("coefficient", ()):
        return term
    unit = data.units.get(column, "")
    return term if unit in {"", "1", "label"} else f"{term} (per {unit})"


def outcome_label(data: Dataset, name: str) -> str:
    """Label of an observed site's axis, with its unit.

    Examples
    --------
    >>> from workbench.data import load_dataset
    >>> outcome_label(load_dataset("nile"), "y")
    'flow (10⁸ m³)'
    """
    return data.axis_label(name)
