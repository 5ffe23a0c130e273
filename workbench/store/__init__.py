"""Save and load: a comparison as one NetCDF file that plain ArviZ and xarray open."""

from workbench.store.atomic import replaced
from workbench.store.file import load, read_source, save

__all__ = ["load", "read_source", "replaced", "save"]
