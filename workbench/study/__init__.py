"""Questions that take many fits: the bootstrap, intervals in one row, the sampler's calibration."""

from workbench.study.bootstrap import Bootstrap, bootstrap
from workbench.study.calibration import Calibration, calibrate
from workbench.study.intervals import Intervals, intervals

__all__ = ["Bootstrap", "Calibration", "Intervals", "bootstrap", "calibrate", "intervals"]
