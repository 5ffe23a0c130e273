"""A picture as bytes, for pages: drawn without a window, the same every time."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.plot.style import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def drawn(draw: Callable[[Axes], Any], *, width: float = 6.4, height: float = 4.0) -> Figure:
    """Draw on the axes of a new figure.

    Parameters
    ----------
    draw : callable
        Draws on the axes it is given.
    width, height : float
        Size of the figure in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Without a window.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure.subplots())
    return figure


def image(figure: Figure, *, kind: Literal["svg", "png"] = "svg") -> bytes:
    """Image of a figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What :func:`drawn` gave.
    kind : {"svg", "png"}
        Format; a PNG has 160 pixels per inch.

    Returns
    -------
    bytes
        The file. Equal drawings give equal bytes.

    Examples
    --------
    >>> image(drawn(lambda ax: ax.plot([0, 1])))[:5]
    b'<?xml'
    """
    return _bytes(figure, kind, transparent=True)


def finished(drawn: Any, kind: str, caption: str = "") -> bytes:
    """Image of the figure that a picture was drawn on, which is then closed.

    Parameters
    ----------
    drawn : matplotlib.axes.Axes or array of them
        What a function of this room returned.
    kind : {"svg", "png"}
        Format.
    caption : str, optional
        How to read it: written under the picture, and into the file's description.

    Returns
    -------
    bytes
        The file, on white.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> finished(plt.subplots()[1], "png")[1:4]
    b'PNG'
    """
    import matplotlib.pyplot as plt

    figure = np.ravel(drawn)[0].get_figure(root=True)
    if caption:
        # a character of 9 points is about 0.066 inch wide
        width = int(figure.get_figwidth() / 0.066)
        figure.supxlabel(textwrap.fill(caption, width), x=0.01, ha="left", fontsize=9, color=GREY)
    content = _bytes(figure, kind, transparent=False, caption=caption)
    plt.close(figure)
    return content


def _bytes(figure: Figure, kind: str, *, transparent: bool, caption: str = "") -> bytes:
    import matplotlib as mpl

    place = io.BytesIO()
    # savefig draws a figure that has a layout twice, first to lay it out
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    with mpl.rc_context({"svg.hashsalt": "workbench"}):
        about = {"Date": None} if kind == "svg" else {}
        about |= {"Description": caption} if caption else {}
        figure.savefig(place, format=kind, dpi=160, transparent=transparent, metadata=about)
    return place.getvalue()
