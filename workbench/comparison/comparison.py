"""The result of a comparison: one table, the ledger, the scores, the findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from workbench.comparison.finding import Finding, Severity
from workbench.data import Dataset
from workbench.fit import DrawsFit, ModeFit, Prediction

METHODS = ("MLE", "MAP", "Laplace", "NUTS")


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Maximum likelihood and the posterior of one model at one data set, side by side.

    Attributes
    ----------
    model_name, data_name : str
        What was fitted to what.
    table : pandas.DataFrame
        ``term, method, estimate, std_error, lower, upper, level, interval, status, reason``: one
        row per term and method; ``std_error`` is a standard error for modes and a posterior sd
        for draws; ``interval`` says its kind.
    ledger : pandas.DataFrame
        ``term, quantity, step, start, end, change, unit, unit_value, change_in_units,
        mc_error_in_units, reason``: the steps from MLE to posterior mean (``location``) and from
        standard error to posterior sd (``spread``), which add up exactly.
    scores : pandas.DataFrame
        ``score, method, value, std_error, note``.
    findings : tuple of Finding
        What to know before quoting a number, worst first.
    fits : mapping of str to ModeFit or DrawsFit
        By method, ``MLE``, ``MAP``, ``Laplace``, ``NUTS``; a refused fit is absent.
    refused : mapping of str to str
        Why a method gave no fit, in a sentence.
    predictions : mapping of str to Prediction
        Predictive distributions at the fitted data, for ``MLE`` and ``NUTS``.
    held_out : mapping of str to Prediction
        The same at held-out rows (empty when none were given).
    data : Dataset
        The data.
    level : float
        Level of every interval.
    seed : int
        The seed.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.linear import MODEL
    >>> both = wb.compare(MODEL, wb.load_dataset("kidiq"), num_samples=200, num_warmup=200)
    >>> both.name, both.terms[-1]
    ('linear-kidiq', 'sigma')
    """

    model_name: str
    data_name: str
    table: pd.DataFrame
    ledger: pd.DataFrame
    scores: pd.DataFrame
    findings: tuple[Finding, ...]
    fits: Mapping[str, ModeFit | DrawsFit]
    refused: Mapping[str, str]
    predictions: Mapping[str, Prediction]
    held_out: Mapping[str, Prediction]
    data: Dataset
    level: float
    seed: int

    @property
    def name(self) -> str:
        """``<model>-<data>``."""
        return f"{self.model_name}-{self.data_name}"

    @property
    def terms(self) -> list[str]:
        """The reported terms, in order."""
        return list(dict.fromkeys(self.table["term"]))

    @property
    def trustworthy(self) -> bool:
        """False when a finding of severity ``error`` says that an answer should not be used."""
        return not any(f.severity is Severity.ERROR for f in self.findings)

    @property
    def verdict(self) -> str:
        """One paragraph: how far the two answers part, why, and whether to trust them."""
        from workbench.comparison.verdict import verdict

        return verdict(self)

    def rows(self, term: str) -> pd.DataFrame:
        """The rows of one term, indexed by method."""
        return self.table[self.table["term"] == term].set_index("method")

    def __str__(self) -> str:
        """Verdict, table and findings as text."""
        wide = ["term", "method", "estimate", "std_error", "lower", "upper"]
        body = self.table[wide].to_string(index=False, float_format=lambda v: f"{v:.5g}")
        notes = "\n".join(f"{f.severity.value}: {f.sentence} {f.advice}" for f in self.findings)
        return f"{self.name}\n{self.verdict}\n\n{body}\n\n{notes}".rstrip()

    def _repr_html_(self) -> str:
        body = self.table.drop(columns=["level", "interval", "status"]).to_html(
            index=False, float_format=lambda v: f"{v:.5g}", na_rep="-"
        )
        items = "".join(
            f"<li><b>{f.severity.value}</b> {f.sentence} <i>{f.advice}</i></li>"
            for f in self.findings
        )
        return f"<h4>{self.name}</h4><p>{self.verdict}</p>{body}<ul>{items}</ul>"
