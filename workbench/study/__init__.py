"""Questions that take many fits, and instruments that measure the mathematics of learning on one."""

from workbench.study.bootstrap import Bootstrap, bootstrap
from workbench.study.evidence import Evidence, bayes_factors, evidence
from workbench.study.intervals import Intervals, intervals
from workbench.study.spectrum import Spectrum, spectrum

__all__ = [
    "Spectrum",
    "spectrum",
    "Bootstrap",
    "Evidence",
    "Intervals",
    "bayes_factors",
    "bootstrap",
    "evidence",
    "intervals",
]
