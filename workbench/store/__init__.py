"""Save and load: a comparison as one NetCDF file, and a run that can go on as a checkpoint."""

from workbench.store.atomic import replaced
from workbench.store.checkpoint import Checkpoint
from workbench.store.file import load, read_source, save
from workbench.store.parts import StudyParts

__all__ = ["Checkpoint", "StudyParts", "load", "read_source", "replaced", "save"]
