"""Questions that take many fits, and instruments of the mathematics of learning."""

from workbench.study.bayes import Bayes, bayes
from workbench.study.bootstrap import Bootstrap, bootstrap
from workbench.study.calibration import Calibration, calibrate
from workbench.study.evidence import Evidence, bayes_factors, evidence
from workbench.study.intervals import Intervals, intervals
from workbench.study.limits import Limits, limits
from workbench.study.methods import FittedMethods, methods
from workbench.study.optimisers import Optimisers, optimisers
from workbench.study.penalties import Penalties, penalties
from workbench.study.spectrum import Spectrum, spectrum

__all__ = [
    "Calibration",
    "calibrate",
    "Bayes",
    "bayes",
    "Penalties",
    "penalties",
    "Limits",
    "limits",
    "FittedMethods",
    "methods",
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
