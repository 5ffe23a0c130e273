"""Fits of one model: maximum likelihood, posterior modes, Laplace, NUTS."""

from workbench.fit.chains import stuck_chains
from workbench.fit.divergence import locate_divergences
from workbench.fit.draws import DrawsFit
from workbench.fit.hypothesis import HypothesisTest
from workbench.fit.laplace_error import LaplaceError, laplace_error
from workbench.fit.mode import ModeFit
from workbench.fit.modes import fit_firth, fit_laplace, fit_map, fit_mle
from workbench.fit.nested import deviance_table, likelihood_ratio_test
from workbench.fit.nuts import fit_nuts
from workbench.fit.optima import Optima, basin_visits, find_optima
from workbench.fit.prediction import Prediction
from workbench.fit.profile import Profile, profile_likelihood
from workbench.fit.provenance import Provenance
from workbench.fit.reml import fit_reml
from workbench.fit.status import Status

__all__ = [
    "DrawsFit",
    "HypothesisTest",
    "LaplaceError",
    "ModeFit",
    "Optima",
    "Prediction",
    "Profile",
    "Provenance",
    "Status",
    "basin_visits",
    "deviance_table",
    "find_optima",
    "fit_firth",
    "fit_laplace",
    "fit_map",
    "fit_mle",
    "fit_nuts",
    "fit_reml",
    "laplace_error",
    "likelihood_ratio_test",
    "locate_divergences",
    "profile_likelihood",
    "stuck_chains",
]
