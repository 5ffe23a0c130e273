"""Tables that people read: coloured on a terminal, plain text anywhere else."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from workbench.report.numbers import cells, digits, interval, percent

if TYPE_CHECKING:
    from rich.console import Console

    from workbench.comparison import Comparison
    from workbench.model import FormulaModel
    from workbench.study import Intervals
    from workbench.study.instrument import Study

_MOST_LINES = 30  # of the table of a study
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def console() -> Console:
    """Give the console on stdout; NO_COLOR and a pipe are minded, a pipe is never wrapped."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() else 10_000
    return Console(file=sys.stdout, width=wide, highlight=False, soft_wrap=wide is not None)


def print_table(
    columns: Sequence[tuple[str, str]], lines: Iterable[Sequence[str]], title: str = ""
) -> None:
    """Print a table.

    Parameters
    ----------
    columns : sequence of (str, str)
        Heading and side (``left`` or ``right``) of each column.
    lines : iterable of sequences of str
        The cells.
    title : str
        A line above.
    """
    from rich.table import Table
    from rich.text import Text

    to = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, side in columns:
        table.add_column(
            Text(heading), justify="right" if side == "right" else "left", overflow="fold"
        )
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    if title:
        to.print(Text(title, style="bold"))
    if sys.stdout.isatty():
        to.print(table)
        return
    with to.capture() as got:
        to.print(table)
    to.print("\n".join(line.rstrip() for line in got.get().splitlines()), markup=False)


def print_priors(made: FormulaModel) -> None:
    """Print the priors of a formula's model on stderr, since they are not what was asked for."""
    import click

    width = max(len(term) for term in made.priors["term"])
    click.echo(f"{made.family}, with priors (--prior TERM=PRIOR gives another):", err=True)
    for term, prior, source in made.priors.itertuples(index=False):
        click.echo(
            f"  {term:<{width}}  {prior}{'  (given)' if source == 'given' else ''}", err=True
        )


def print_comparison(comparison: Comparison) -> None:
    """Print verdict, estimates side by side, scores and findings.

    Parameters
    ----------
    comparison : Comparison
        What to print.
    """
    c = comparison
    to = console()
    to.print(c.name, style="bold")
    to.print(c.verdict, markup=False)
    to.print()
    print_estimates(c)
    to.print()
    print_scores(c)
    print_findings(c)


def print_estimates(comparison: Comparison) -> None:
    """Print MLE and NUTS of every term in one row, with their distance."""
    from workbench.comparison.ledger import totals

    c = comparison
    level = percent(c.level)
    moved = totals(c.ledger)["location"] if len(c.ledger) else {}
    units = c.ledger.drop_duplicates("term").set_index("term")["unit"]
    lines = []
    for term in c.terms:
        found = c.rows(term)
        cells = [term]
        for method in ("MLE", "NUTS"):
            cells += _estimate(found.loc[method]) if method in found.index else ["-", "-", "-"]
        shift = float(moved.get(term, math.nan))
        mark = "" if str(units.get(term, "")).startswith("MLE") else " sd"
        cells.append("-" if math.isnan(shift) else f"{shift:+.2f}{mark}")
        lines.append(cells)
    columns = [
        ("term", "left"), ("MLE", "right"), ("se", "right"), (f"{level} confidence", "right"),
        ("NUTS", "right"), ("sd", "right"), (f"{level} credible", "right"), ("apart", "right"),
    ]  # fmt: skip
    print_table(columns, lines)
    foot = "apart: posterior mean minus MLE, in standard errors of the MLE"
    if any(line[-1].endswith("sd") for line in lines):
        foot += " (sd: in posterior sd, where the MLE has no standard error)"
    console().print(foot, style="dim")


def _estimate(row: Any) -> list[str]:
    error = float(row["std_error"])
    value, low, high = (float(row[k]) for k in ("estimate", "lower", "upper"))
    return [digits(value, error), digits(error, error), interval(low, high, error)]


def print_scores(comparison: Comparison) -> None:
    """Print every score, its methods side by side."""
    table = comparison.scores
    lines = []
    for score in dict.fromkeys(table["score"]):
        rows = table[table["score"] == score].set_index("method")
        cells = [str(score)]
        for method in ("MLE", "NUTS"):
            if method not in rows.index:
                cells.append("")
                continue
            value, error = (float(rows.loc[method, k]) for k in ("value", "std_error"))
            more = "" if math.isnan(error) else f" ({digits(error, error)})"
            cells.append(f"{digits(value, error)}{more}")
        notes = [str(n) for n in dict.fromkeys(rows["note"]) if n]
        lines.append([*cells, "; ".join(notes)])
    columns = [("score", "left"), ("MLE", "right"), ("NUTS", "right"), ("", "left")]
    print_table(columns, lines)


def print_findings(found: Comparison | Intervals) -> None:
    """Print every finding with its severity in words and colour."""
    from rich.text import Text

    to = console()
    if found.findings:
        to.print()
    for finding in found.findings:
        word = finding.severity.value
        line = Text(f"{word}: ", style=_COLOURS[word])
        line.append(" ".join(filter(None, (finding.sentence, finding.advice))), style="default")
        to.print(line)


def print_ledger(comparison: Comparison) -> None:
    """Print the steps from MLE to posterior, in units."""
    lines = [
        [
            str(r["term"]), str(r["quantity"]), str(r["step"]), digits(float(r["start"])),
            digits(float(r["end"])), digits(float(r["change_in_units"])), str(r["unit"]),
            str(r["reason"]),
        ]
        for r in comparison.ledger.to_dict("records")
    ]  # fmt: skip
    sides = ("left", "left", "left", "right", "right", "right", "left", "left")
    heads = ("term", "quantity", "step", "from", "to", "change in units", "unit", "reason")
    print_table(list(zip(heads, sides, strict=True)), lines)


def print_methods(comparison: Comparison) -> None:
    """Print the whole table: every term by every method."""
    lines = [
        [str(r["term"]), str(r["method"]), *_estimate(r), str(r["status"]), str(r["reason"])]
        for r in comparison.table.to_dict("records")
    ]
    sides = ("left", "left", "right", "right", "right", "left", "left")
    heads = ("term", "method", "estimate", "error", "interval", "status", "reason")
    print_table(list(zip(heads, sides, strict=True)), lines)


def print_intervals(made: Intervals, name: str) -> None:
    """Print every interval of every term, findings below."""
    lines, before = [], ""
    for r in made.table.to_dict("records"):
        ends = [digits(float(r[k])) for k in ("lower", "upper")]
        term = "" if r["term"] == before else str(r["term"])
        lines.append([term, str(r["kind"]), *ends, str(r["type"]), str(r["reason"])])
        before = r["term"]
    sides = ("left", "left", "right", "right", "left", "left")
    heads = ("term", "interval", "lower", "upper", "type", "reason")
    title = f"{name}, {percent(made.level)} intervals"
    print_table(list(zip(heads, sides, strict=True)), lines, title=title)
    print_findings(made)


def print_study(made: Study, instrument: str) -> None:
    """Print the table of a study, and what it says.

    Parameters
    ----------
    made : Study
        What an instrument gives.
    instrument : str
        Which instrument made it.
    """
    table = made.table.reset_index(drop=made.table.index.name is None)
    lines, names = cells(table), list(table.columns)
    hidden = len(lines) - _MOST_LINES
    if hidden > 0:
        gap = [f"... {hidden} more", *[""] * (len(names) - 1)]
        lines = [*lines[: _MOST_LINES // 2], gap, *lines[-_MOST_LINES // 2 :]]
    text = [bool(len(table)) and isinstance(table[c].iloc[0], str) for c in table.columns]
    columns = [(str(c), "left" if t else "right") for c, t in zip(table.columns, text, strict=True)]
    print_table(columns, lines, title=f"{made.name}, {instrument}")
    for sentence in made.sentences:
        console().print(sentence, markup=False)
    if hidden > 0:
        console().print("--json prints the whole table.", style="dim")
