"""Questions that take many fits: the bootstrap, and every interval of a term in one row."""

from workbench.study.bootstrap import Bootstrap, bootstrap
from workbench.study.intervals import Intervals, intervals

__all__ = ["Bootstrap", "Intervals", "bootstrap", "intervals"]
