"""A picture as bytes, for pages: drawn without a window, the same every time."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def image(
    draw: Callable[[Axes], Any],
    *,
    width: float = 6.4,
    height: float = 4.0,
    kind: Literal["svg", "png"] = "svg",
) -> bytes:
    """Draw on the axes of a new figure and give its image.

    Parameters
    ----------
    draw : callable
        Draws on the axes it is given.
    width, height : float
        Size of the figure in inches.
    kind : {"svg", "png"}
        Format; a PNG has 160 pixels per inch.

    Returns
    -------
    bytes
        The file. Equal drawings give equal bytes.

    Examples
    --------
    >>> image(lambda ax: ax.plot([0, 1]))[:5]
    b'<?xml'
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure.subplots())
    place = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "workbench"}):
        undated = {"Date": None} if kind == "svg" else {}
        figure.savefig(place, format=kind, dpi=160, transparent=True, metadata=undated)
    return place.getvalue()
