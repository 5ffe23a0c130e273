"""The pictures of a report, each as an image inside the page with a caption in words."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.comparison import Comparison

_LIMIT = 24  # terms in a picture: more cannot be read; the tables hold all
_VECTOR = 200_000  # bytes from which an SVG is drawn as pixels instead


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of the page.

    Attributes
    ----------
    title : str
        What it shows; read out where the picture cannot be seen.
    caption : str
        How to read it.
    address : str
        The image itself, as a data URI (empty where it could not be drawn).
    missing : str
        Why it could not be drawn.
    wide : bool
        Whether it takes the whole width of the page.
    """

    title: str
    caption: str
    address: str
    missing: str = ""
    wide: bool = False


def pictures(comparison: Comparison) -> dict[str, list[Picture]]:
    """Draw the pictures of each section.

    Parameters
    ----------
    comparison : Comparison
        What to draw.

    Returns
    -------
    dict of str to list of Picture
        By section: ``estimates``, ``ledger``, ``predictions``, ``diagnostics``.
    """
    from workbench import plot
    from workbench.plot.figures import most_different
    from workbench.plot.response import has_curve

    c = comparison
    order = most_different(c)
    shown = [t for t in c.terms if t in order[:_LIMIT]]
    tall = 1.3 + 0.36 * len(shown)
    rest = "" if len(shown) == len(c.terms) else (
        f" The {len(shown)} of {len(c.terms)} terms that differ most."
    )  # fmt: skip

    def draw(
        title: str, caption: str, onto: Callable[[Any], Any], *, wide: bool = False,
        width: float = 6.2, height: float = 3.7,
    ) -> Picture:  # fmt: skip
        return _picture(title, caption, onto, wide=wide, width=width, height=height)

    return {
        "estimates": [
            draw("Estimates and intervals of every term",
                 "Point and interval by each method, one row a term. Rows are scaled so that "
                 f"terms of different units can stand together.{rest}",
                 lambda ax: plot.forest(c, shown, ax=ax), wide=True, width=9.6, height=tall),
        ],
        "ledger": [
            draw("Steps from maximum likelihood to the posterior mean",
                 f"Each bar is one step of the ledger, and starts where the last one ended.{rest}",
                 lambda ax: plot.ledger(c, shown, ax=ax), wide=True, width=9.6, height=tall),
            *(draw(f"Posterior and normal approximations of {term}",
                   f"The posterior of {term} by NUTS, and what maximum likelihood and Laplace "
                   "make of it.", lambda ax, term=term: plot.density(c, term, ax=ax))
              for term in order[:4]),
        ],
        "predictions": [
            draw("Observed against predicted", "Rows of the data by both predictive means.",
                 lambda ax: plot.fitted(c, ax=ax)),
            draw("Predictive check", "The outcome, and data drawn from each fitted model.",
                 lambda ax: plot.predictive_check(c, ax=ax)),
            # without a curve it is what was drawn as fitted
            *(draw("Calibration of the predictions", "Predicted against observed frequencies: a "
                   "calibrated model follows the diagonal.", lambda ax: plot.calibration(c, ax=ax))
              for _ in range(has_curve(c))),
        ],
        "diagnostics": [
            draw("Trace of the term with the worst R-hat",
                 "Chains that mix look alike, and like noise around one level.",
                 lambda ax: plot.trace(c, ax=ax)),
            draw("Ranks of the same term, by chain",
                 "Chains that agree have ranks spread evenly.", lambda ax: plot.rank(c, ax=ax)),
            draw("Effective sample size", "How many independent draws the draws are worth.",
                 lambda ax: plot.ess(c, limit=12, ax=ax)),
            draw("Energy of the sampler",
                 "Where the two distributions differ much, the tails are hard to reach.",
                 lambda ax: plot.energy(c, ax=ax)),
            draw("Pareto k of leave-one-out", "Rows above the line move the posterior alone.",
                 lambda ax: plot.pareto_k(c, ax=ax)),
            draw("Path of the optimiser", "Gap to the maximum and gradient, step by step.",
                 lambda ax: plot.path(c, ax=ax)),
        ],
    }  # fmt: skip


def _picture(
    title: str, caption: str, draw: Callable[[Any], Any], *, wide: bool, width: float, height: float
) -> Picture:
    """Draw one picture; where the comparison lacks what it shows, keep the reason."""
    from workbench.plot.image import drawn, image

    try:
        figure = drawn(draw, width=width, height=height)
        kind, content = "svg+xml", image(figure)
        if len(content) > _VECTOR:
            kind, content = "png", image(figure, kind="png")
    except WorkbenchError as error:
        return Picture(title=title, caption="", address="", missing=str(error), wide=wide)
    address = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Picture(title=title, caption=caption, address=address, wide=wide)
