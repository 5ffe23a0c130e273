"""Methods of fitting a network side by side: the result, and what its numbers say."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from workbench.comparison import Finding, Severity
from workbench.network import Contest, Surface
from workbench.study.network_predictions import Curve, Plane

_COPIES = 1e-3  # of a barrier, that is left when units are matched


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
    From :func:`workbench.study.methods`; the best method comes first in its sentences:

    >>> table = pd.DataFrame({"log_score": [-1.0, -0.8]}, index=pd.Index(["MLE", "NUTS"]))
    >>> none = pd.DataFrame({"units matched": []})
    >>> surface = Surface(eigenvalues=np.array([9.0, 0.1]), gauss_newton=np.ones(2), plane=none,
    ...     flat=none, line=none, num_rows=9)
    >>> contest = Contest(answers={}, by_split=pd.DataFrame({"split": [0, 0, 1, 1],
    ...     "method": ["MLE", "NUTS"] * 2, "log_score": [-1.1, -0.9, -0.9, -0.7]}))
    >>> made = Methods(name="m-d", table=table, contest=contest, findings={},
    ...     surface=surface, curve=None, plane=None)
    >>> made.sentences[0]
    'Best log-likelihood at rows held out: NUTS, -0.8 nats a row (mean over 2 splits). Not told
    from it by paired differences (t, 95 %): none.'
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
        said = [_ranking(self.contest)]
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
            found, matched = (max(surface.barrier(k), 0.0) for k in ("as found", "units matched"))
            copies = ": the two are copies of one function" if matched < _COPIES * found else ""
            said.append(
                f"On the line to another mode the loss rises by {found:.3g} nats a row, and with "
                f"its units matched by {matched:.3g}{copies}."
            )
        for method, found in self.findings.items():
            said += [f"{method}, {f.code}: {f.sentence} {f.advice}" for f in found]
        notes = self.contest.by_split.get("note")
        if notes is not None:
            first = self.contest.by_split[notes != ""].drop_duplicates("method")
            said += [f"{m}: {n.split(';')[0]}." for m, n in first[["method", "note"]].to_numpy()]
        return tuple(said)


def _ranking(contest: Contest) -> str:
    """Name the best method, and those that paired differences do not tell from it."""
    scores = contest.by_split.pivot(index="split", columns="method", values="log_score")
    best, number = str(scores.mean().idxmax()), len(scores)
    said = f"Best log-likelihood at rows held out: {best}, {scores[best].mean():.4g} nats a row"
    if number < 2:
        return f"{said} (one split: chance is not told from difference)."
    apart = scores.drop(columns=best).rsub(scores[best], axis=0)
    reach = stats.t.ppf(0.975, number - 1) * apart.std() / np.sqrt(number)
    level = [str(m) for m in apart.columns if not apart.mean()[m] > reach[m]]
    rest = ", ".join(level) if level else "none"
    return (
        f"{said} (mean over {number} splits). Not told from it by paired differences (t, 95 %): "
        f"{rest}."
    )
