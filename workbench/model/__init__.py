"""A NumPyro function read as mathematics: sites and roles, transforms, the density split."""

from workbench.model.density import Density
from workbench.model.formula_model import FormulaModel, formula_model
from workbench.model.model import LogTerms, Model, Site, as_model
from workbench.model.reading import read_density

__all__ = [
    "Density",
    "FormulaModel",
    "LogTerms",
    "Model",
    "Site",
    "as_model",
    "formula_model",
    "read_density",
]
