"""A comparison as a page: what its tables hold, put in order for a reader."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.report.documentation import to_html
from workbench.report.figures import pictures
from workbench.report.numbers import digits, interval, percent
from workbench.report.studies import StudySection, study_section

if TYPE_CHECKING:
    from workbench.comparison import Comparison
    from workbench.model.source import ModelSource
    from workbench.study.instrument import Study

_HERE = Path(__file__).parent
_METHODS = {
    "MLE": "maximum likelihood", "MAP": "posterior mode, constrained space",
    "Laplace": "posterior mode, unconstrained space", "NUTS": "posterior by sampling",
}  # fmt: skip
_STEPS = (
    ("location", ("prior", "coordinates", "averaging")),
    ("spread", ("prior information", "departure from normality")),
)


def write_report(
    comparison: Comparison,
    path: str | Path,
    *,
    source: ModelSource | None = None,
    studies: Sequence[Study | StudySection] = (),
) -> None:
    """Write a comparison as one HTML page that needs nothing else.

    Parameters
    ----------
    comparison : Comparison
        What to report.
    path : str or Path
        The file; it is replaced whole or not at all.
    source : ModelSource, optional
        The text of the model, for a comparison that was loaded without its model
        (``workbench.store.read_source``).
    studies : sequence of Study, optional
        What instruments gave, such as ``[wb.spectrum(...), wb.limits(...)]``: a section each.

    Raises
    ------
    WorkbenchError
        When the file cannot be written.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def coin(y=None):
    ...     p = numpyro.sample("p", dist.Beta(2, 2))
    ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
    >>> comparison = wb.compare(coin, {"y": [1, 0, 0, 0]}, num_warmup=100, num_samples=100)
    >>> wb.write_report(comparison, "report.html")
    """
    path = Path(path)
    text = render(comparison, source=source, studies=studies)
    place = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with place.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(place, path)
        finally:
            place.unlink(missing_ok=True)
    except OSError as error:
        raise WorkbenchError(
            f"'{path}' cannot be written: {error.strerror or error}; expected a folder to write to"
        ) from error


def render(
    comparison: Comparison,
    *,
    source: ModelSource | None = None,
    studies: Sequence[Study | StudySection] = (),
) -> str:
    """Make the page.

    Parameters
    ----------
    comparison : Comparison
        What to report.
    source : ModelSource, optional
        The text of the model, where the fits do not carry it.
    studies : sequence of Study, optional
        A section each.

    Returns
    -------
    str
        HTML.
    """
    c = comparison
    return _template().render(
        c=c,
        style=(_HERE / "style.css").read_text(encoding="utf-8"),
        level=percent(c.level),
        methods={m: _METHODS[m] for m in c.fits},
        fits=_fits(c),
        terms=_terms(c),
        intervals=dict(zip(c.table["method"], c.table["interval"], strict=True)),
        steps=_STEPS,
        ledger=_ledger(c),
        scores=_scores(c),
        pictures=pictures(c),
        studies=[s if isinstance(s, StudySection) else study_section(s) for s in studies],
        source=source or _source(c),
        documentation=to_html,
        arrays=_arrays(c),
        provenance=_provenance(c),
    )


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html.jinja")


def _source(c: Comparison) -> ModelSource | None:
    from workbench.model.source import model_source

    found = [f.density.model for f in c.fits.values() if f.density is not None]
    return model_source(found[0]) if found else None


def _fits(c: Comparison) -> list[dict[str, Any]]:
    """How each method ended, the refused ones included."""
    rows = []
    for method, what in _METHODS.items():
        fit = c.fits.get(method)
        if fit is not None:
            said = fit.detail or fit.status.value
            rows.append({"method": method, "what": what, "ok": fit.status.ok, "said": said,
                         "seconds": f"{fit.provenance.seconds:.1f} s"})  # fmt: skip
        elif method in c.refused:
            rows.append({"method": method, "what": what, "ok": False,
                         "said": f"refused: {c.refused[method]}", "seconds": ""})  # fmt: skip
    return rows


def _terms(c: Comparison) -> list[dict[str, Any]]:
    """One row a term: each method's estimate, error, interval and reason, and the diagnostics."""
    guilty = {t: f.severity.value for f in reversed(c.findings) for t in f.terms}
    diagnostics = c.fits["NUTS"].summary().set_index("term") if "NUTS" in c.fits else None
    rows = []
    for term in c.terms:
        found = c.rows(term)
        cells = {}
        for method in c.fits:
            if method not in found.index:
                cells[method] = {"estimate": "-", "error": "-", "interval": "-", "reason": ""}
                continue
            row = found.loc[method]
            error = float(row["std_error"])
            ends = float(row["lower"]), float(row["upper"])
            cells[method] = {
                "estimate": _minus(digits(float(row["estimate"]), error)),
                "error": _minus(digits(error, error)),
                "interval": _minus(interval(*ends, error)),
                "reason": str(row["reason"]),
            }
        quality = {}
        if diagnostics is not None and term in diagnostics.index:
            quality = {
                "r_hat": _number(diagnostics.loc[term, "r_hat"], ".3f"),
                "ess": _number(diagnostics.loc[term, ["ess_bulk", "ess_tail"]].min(), ".0f"),
            }
        rows.append({"term": term, "cells": cells, "mark": guilty.get(term, ""), **quality})
    return rows


def _minus(text: str) -> str:
    """Set true minus signs; a lone one says that there is no number."""
    return text if text == "-" else text.replace("-", "−")


def _number(value: Any, form: str) -> str:
    if not math.isfinite(float(value)):
        return "-"
    text = format(float(value), form)
    return text.replace("+", "").replace("-", "") if float(text) == 0 else text.replace("-", "−")


def _ledger(c: Comparison) -> list[dict[str, Any]]:
    """One row a term: its steps in units, their sums, and the Monte Carlo error."""
    rows = []
    for term, steps in c.ledger.groupby("term", sort=False):
        by = steps.set_index(["quantity", "step"])
        parts: dict[str, Any] = {}
        for quantity, names in _STEPS:
            values = [float(by.loc[(quantity, n), "change_in_units"]) for n in names]
            error = float(by.loc[(quantity, names[-1]), "mc_error_in_units"])
            biggest = int(np.nanargmax(np.abs(values))) if np.isfinite(values).any() else -1
            parts[quantity] = {
                "steps": [_number(v, "+.2f") for v in values],
                "biggest": biggest if np.nanmax(np.abs([0.0, *values])) > 0.25 else -1,
                "total": _number(sum(values), "+.2f"),
                "error": _number(error, ".2f"),
            }
        reasons = [r for r in dict.fromkeys(steps["reason"]) if r]
        first = steps.iloc[0]
        value = digits(float(first["unit_value"]))
        unit = f"{'MLE se' if first['unit'].startswith('MLE') else first['unit']} = {value}"
        rows.append({"term": term, "unit": unit, "reason": "; ".join(reasons), **parts})
    return rows


def _scores(c: Comparison) -> list[dict[str, Any]]:
    rows = []
    for score in dict.fromkeys(c.scores["score"]):
        found = c.scores[c.scores["score"] == score].set_index("method")
        cells = {}
        for method in ("MLE", "NUTS"):
            if method in found.index:
                value, error = (float(found.loc[method, k]) for k in ("value", "std_error"))
                more = "" if math.isnan(error) else f" ({digits(error, error)})"
                cells[method] = _minus(f"{digits(value, error)}{more}")
        notes = [str(n) for n in dict.fromkeys(found["note"]) if n]
        rows.append({"score": score, "cells": cells, "note": "; ".join(notes)})
    return rows


def _arrays(c: Comparison) -> list[dict[str, str]]:
    data = c.data
    rows = []
    for role, values in (("observed", data.observed), ("input", data.inputs)):
        for name, value in values.items():
            shape = " × ".join(map(str, value.shape)) if isinstance(value, np.ndarray) else ""
            shown = "" if shape else repr(value)
            if not shape and len(shown) > 60:
                shown = f"{shown[:57]}..."
            dims = ", ".join(data.dims.get(name, ()))
            rows.append({"name": name, "role": role, "dims": dims, "shape": shape or shown})
    return rows


def _provenance(c: Comparison) -> dict[str, str]:
    """Where the numbers come from; what the fits share is said once."""
    if not c.fits:
        return {"seed": str(c.seed)}
    fits = dict(c.fits)
    last = max(fits.values(), key=lambda f: f.provenance.created).provenance
    shared = {
        "created": last.created, "seed": str(c.seed), "precision": last.precision,
        "data": f"SHA-256 {last.data_fingerprint}", "model": f"SHA-256 {last.model_fingerprint}",
        "versions": ", ".join(f"{k} {v}" for k, v in last.versions.items()),
    }  # fmt: skip
    for method, fit in fits.items():
        settings = fit.provenance.settings.items()
        shared[method] = ", ".join(f"{k.replace('_', ' ')} {_plain(v)}" for k, v in settings)
    return shared


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
