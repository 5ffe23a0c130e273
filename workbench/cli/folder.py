"""The folder of a run: ``comparison.nc``, ``summary.json`` and ``report.html``, each whole."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import pandas as pd

    from workbench.comparison import Comparison

FILE, SUMMARY, REPORT = "comparison.nc", "summary.json", "report.html"
RUNS = Path("runs")


def run_folder(comparison: Comparison, out: Path | None) -> Path:
    """Give the folder of a comparison: the one asked for, or ``runs/<model>-<data>``."""
    return out or RUNS / re.sub(r"[^\w.\-]+", "_", comparison.name)


def write_run(comparison: Comparison, folder: Path) -> Iterator[Path]:
    """Write the three files, the one that the others can be made of first; name each when done.

    Parameters
    ----------
    comparison : Comparison
        What to write.
    folder : Path
        Made where it is missing.

    Yields
    ------
    Path
        A file that is now there.
    """
    from workbench.report import write_report
    from workbench.store import replaced, save

    save(comparison, folder / FILE)
    yield folder / FILE
    with replaced(folder / SUMMARY) as place:
        place.write_text(as_json(summary(comparison)) + "\n", encoding="utf-8")
    yield folder / SUMMARY
    write_report(comparison, folder / REPORT)
    yield folder / REPORT


def find_run(reference: str) -> Path:
    """Find the file of a run by its folder, by the file itself, or by its model's name.

    Parameters
    ----------
    reference : str
        A folder, a file, or the name of a model with one folder in ``runs``.

    Returns
    -------
    Path
        A ``comparison.nc``.

    Raises
    ------
    WorkbenchError
        When there is none, or several.
    """
    path = Path(reference)
    if path.is_dir():
        if not (path / FILE).is_file():
            raise WorkbenchError(f"folder '{path}' holds no {FILE}; expected the folder of a run")
        return path / FILE
    if path.is_file():
        return path
    if "/" in reference:
        raise WorkbenchError(f"there is no run '{reference}'; expected a folder with {FILE}")
    found = sorted(RUNS.glob(f"{reference}-*/{FILE}")) + sorted(RUNS.glob(f"{reference}/{FILE}"))
    if not found:
        raise WorkbenchError(
            f"there is no run '{reference}' in '{RUNS}'; expected a folder, or the name of a model "
            f"compared before (workbench compare {reference})"
        )
    if len(found) > 1:
        names = ", ".join(str(p.parent) for p in found)
        raise WorkbenchError(f"model '{reference}' has {len(found)} runs; expected one of {names}")
    return found[0]


def summary(comparison: Comparison) -> dict[str, Any]:
    """Put a comparison into plain values, for JSON.

    Parameters
    ----------
    comparison : Comparison
        What to tell.

    Returns
    -------
    dict
        Verdict, tables as lists of rows, findings and provenance.
    """
    c = comparison
    return {
        "name": c.name,
        "model": c.model_name,
        "data": c.data_name,
        "verdict": c.verdict,
        "trustworthy": c.trustworthy,
        "level": c.level,
        "seed": c.seed,
        "table": rows(c.table),
        "ledger": rows(c.ledger),
        "scores": rows(c.scores),
        "findings": [
            {**vars(f), "severity": f.severity.value, "evidence": dict(f.evidence)}
            for f in c.findings
        ],
        "refused": dict(c.refused),
        "fits": {
            method: {
                "status": fit.status.name.lower().replace("_", " "),
                "ok": fit.status.ok,
                "detail": fit.detail,
                "provenance": fit.provenance.record(),
            }
            for method, fit in c.fits.items()
        },
    }


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows of a table as mappings from column to value."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """Write plain values as JSON, where a number that is not finite is ``null``.

    Examples
    --------
    >>> as_json({"a": float("nan"), "b": (1, 2.5)}, indent=None)
    '{"a": null, "b": [1, 2.5]}'
    """
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if type(value).__module__ == "numpy" else value
