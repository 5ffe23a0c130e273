"""Questions that take many fits, and instruments of the mathematics of learning."""

from workbench.study.bootstrap import Bootstrap, bootstrap
from workbench.study.evidence import Evidence, bayes_factors, evidence
from workbench.study.intervals import Intervals, intervals
from workbench.study.optimisers import Optimisers, optimisers
from workbench.study.spectrum import Spectrum, spectrum

__all__ = [
    "Optimisers",
    "optimisers",
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
