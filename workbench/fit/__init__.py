"""Fits of one model: maximum likelihood, posterior modes, Laplace, NUTS."""

from workbench.fit.draws import DrawsFit
from workbench.fit.mode import ModeFit
from workbench.fit.modes import fit_laplace, fit_map, fit_mle
from workbench.fit.nuts import fit_nuts
from workbench.fit.prediction import Prediction
from workbench.fit.profile import Profile, profile_likelihood
from workbench.fit.provenance import Provenance
from workbench.fit.status import Status

__all__ = [
    "DrawsFit",
    "ModeFit",
    "Prediction",
    "Profile",
    "Provenance",
    "Status",
    "fit_laplace",
    "fit_map",
    "fit_mle",
    "fit_nuts",
    "profile_likelihood",
]
