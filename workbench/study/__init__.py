"""Questions that take many fits, and instruments of the mathematics of learning."""

from workbench.study.bayes import Bayes, bayes
from workbench.study.bayes_factors import bayes_factors
from workbench.study.bootstrap import Bootstrap, bootstrap
from workbench.study.calibration import Calibration, calibrate
from workbench.study.covariance import Covariance, covariance
from workbench.study.design import Design, design
from workbench.study.evidence import Evidence, evidence
from workbench.study.intervals import Intervals, intervals
from workbench.study.limits import Limits, limits
from workbench.study.methods import Methods, methods
from workbench.study.optimisers import Optimisers, optimisers
from workbench.study.penalties import Penalties, penalties
from workbench.study.score import Score, score
from workbench.study.spectrum import Spectrum, spectrum
from workbench.study.surface import Surface, surface

__all__ = [
    "Calibration",
    "calibrate",
    "Bayes",
    "bayes",
    "Covariance",
    "covariance",
    "Design",
    "design",
    "Score",
    "score",
    "Surface",
    "surface",
    "Penalties",
    "penalties",
    "Limits",
    "limits",
    "Methods",
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
