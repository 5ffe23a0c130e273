"""Fits of one model: maximum likelihood, posterior modes, Laplace, NUTS."""

from workbench.fit.draws import DrawsFit
from workbench.fit.hypothesis import HypothesisTest
from workbench.fit.mode import ModeFit
from workbench.fit.modes import fit_laplace, fit_map, fit_mle
from workbench.fit.nested import deviance_table, likelihood_ratio_test
from workbench.fit.nuts import fit_nuts
from workbench.fit.prediction import Prediction
from workbench.fit.provenance import Provenance
from workbench.fit.status import Status

__all__ = [
    "DrawsFit",
    "HypothesisTest",
    "ModeFit",
    "Prediction",
    "Provenance",
    "Status",
    "deviance_table",
    "fit_laplace",
    "fit_map",
    "fit_mle",
    "fit_nuts",
    "likelihood_ratio_test",
]
