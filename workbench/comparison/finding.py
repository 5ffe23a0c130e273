"""A finding: a number, its threshold, the guilty parameter, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad it is: ``ERROR`` means that an answer should not be used as it stands."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to know before quoting a number.

    Attributes
    ----------
    code : str
        Short stable name of the rule.
    severity : Severity
        ``error``, ``warning`` or ``note``.
    terms : tuple of str
        The guilty parameters (empty when it is about the whole fit).
    evidence : mapping of str to float
        The measured numbers.
    threshold : float
        What the (first) number was held against.
    sentence : str
        What was found, with number, threshold and parameter.
    advice : str
        What to do.

    Examples
    --------
    >>> Finding(code="r-hat", severity=Severity.ERROR, terms=("beta",), evidence={"r_hat": 1.2},
    ...         threshold=1.01, sentence="R-hat of beta is 1.2.", advice="Run longer.").code
    'r-hat'
    """

    code: str
    severity: Severity
    terms: tuple[str, ...]
    evidence: Mapping[str, float]
    threshold: float
    sentence: str
    advice: str
