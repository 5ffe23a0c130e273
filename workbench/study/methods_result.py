"""Methods of fitting a network side by side: the result, and what its numbers say."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from workbench.comparison import Finding, Severity
from workbench.network import Contest, Surface
from workbench.study.network_predictions import Curve, Plane


@dataclass(frozen=True, kw_only=True, eq=False)
class Methods:
    """Methods of fitting a network side by side.

    Attributes
    ----------
    name : str
        Model and data.
    table : pandas.DataFrame
        Index method; means over splits of the scores (see
        :func:`workbench.network.scores.scores`), ``apart`` (log score less the first method's) with
        its ``paired_se``; of a regression ``gap_log_score``, ``gap_coverage_95`` and
        ``gap_width_95`` at the rows of the gap; ``seconds`` and ``num_gradients`` of one fit. Log
        scores in nats a row.
    contest : Contest
        Scores by split.
    findings : dict of str to tuple of Finding
        What is wrong with each method's fit to the first split.
    surface : Surface
        The loss about the posterior mode of the first split.
    curve : Curve or None
        Of a regression.
    plane : Plane or None
        Of a classifier with two covariates or more.
    reliability : dict of str to pandas.DataFrame
        Of a classifier: accuracy against confidence at the rows held out in the first split.

    Examples
    --------
    From :func:`workbench.study.methods`; the best row of the table comes first in its sentences:

    >>> table = pd.DataFrame({"log_score": [-1.0, -0.8], "apart": [0.0, 0.2],
    ...     "paired_se": [0.0, 0.05]}, index=pd.Index(["MLE", "NUTS"], name="method"))
    >>> none = pd.DataFrame({"units matched": []})
    >>> surface = Surface(eigenvalues=np.array([9.0, 0.1]), gauss_newton=np.ones(2), plane=none,
    ...     flat=none, line=none, num_rows=9)
    >>> contest = Contest(by_split=pd.DataFrame({"split": [0, 1]}), answers={})
    >>> made = Methods(name="m-d", table=table, contest=contest, findings={},
    ...     surface=surface, curve=None, plane=None)
    >>> made.sentences[0]
    'Best log-likelihood at rows held out: NUTS, -0.8 nats a row; it is 0.2 (0.05) above MLE
    (paired standard error over 2 splits).'
    """

    name: str
    table: pd.DataFrame
    contest: Contest
    findings: dict[str, tuple[Finding, ...]]
    surface: Surface
    curve: Curve | None
    plane: Plane | None
    reliability: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def trusted(self) -> bool:
        """Whether the chains agree about the function."""
        return not any(f.severity is Severity.ERROR for x in self.findings.values() for f in x)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say."""
        said = [_ranking(self.table, self.contest)]
        if self.curve is not None and "gap_coverage_95" in self.table:
            low, high = self.curve.gap
            cells = [f"{m} {100 * r['gap_coverage_95']:.0f} %" for m, r in self.table.iterrows()]
            said.append(
                f"With the rows of {self.curve.label} from {low:.4g} to {high:.4g} left out, "
                f"intervals of 95 % there cover: {', '.join(cells)}."
            )
        surface = self.surface
        said.append(
            f"At the posterior mode the data decide {surface.num_decided} of "
            f"{len(surface.eigenvalues)} directions of the weights; the prior holds the others."
        )
        if np.isfinite(surface.barrier()):
            said.append(
                "On the line to another mode the loss rises by "
                f"{max(surface.barrier('as found'), 0.0):.3g} nats a row, and with its units "
                f"matched by {max(surface.barrier(), 0.0):.3g}."
            )
        for method, found in self.findings.items():
            said += [f"{method}, {f.code}: {f.sentence} {f.advice}" for f in found]
        notes = self.contest.by_split.get("note")
        if notes is not None:
            first = self.contest.by_split[notes != ""].drop_duplicates("method")
            said += [f"{m}: {n.split(';')[0]}." for m, n in first[["method", "note"]].to_numpy()]
        return tuple(said)


def _ranking(table: pd.DataFrame, contest: Contest) -> str:
    best, first = str(table["log_score"].idxmax()), str(table.index[0])
    row = table.loc[best]
    said = f"Best log-likelihood at rows held out: {best}, {row['log_score']:.4g} nats a row"
    number = contest.by_split["split"].nunique()
    if best == first:
        return f"{said} (mean over {number} splits)."
    return (
        f"{said}; it is {row['apart']:.2g} ({row['paired_se']:.2g}) above {first} (paired standard "
        f"error over {number} splits)."
    )
