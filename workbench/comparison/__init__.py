"""Two answers side by side: the table, the ledger, scores and findings."""

from workbench.comparison.compare import compare
from workbench.comparison.comparison import Comparison
from workbench.comparison.finding import Finding, Severity

__all__ = ["Comparison", "Finding", "Severity", "compare"]
