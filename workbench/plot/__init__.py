"""Pictures of a comparison: every function takes ``ax=`` and returns what it drew on.

Nothing is computed here that a table or a fit does not hold. The same method has the same colour
and marker in every picture (`METHOD_COLOURS`, `METHOD_MARKERS`).
"""

from workbench.plot.bayes import bayes
from workbench.plot.chains import rank, trace
from workbench.plot.checks import predictive_check
from workbench.plot.covariance import covariance
from workbench.plot.design import design
from workbench.plot.distribution import densities, density
from workbench.plot.estimates import forest
from workbench.plot.evidence import evidence
from workbench.plot.figures import diagnostics, overview
from workbench.plot.intervals import intervals
from workbench.plot.limits import limits
from workbench.plot.loss import hessian_spectrum, loss_line, loss_plane
from workbench.plot.methods import methods, network_pictures
from workbench.plot.networks import (
    decision_boundary,
    network_bands,
    prior_functions,
    reliability,
)
from workbench.plot.optimisers import optimisers
from workbench.plot.optimum import path, waterfall
from workbench.plot.penalties import penalties
from workbench.plot.ranks import rank_ecdf
from workbench.plot.response import calibration, curve, fitted
from workbench.plot.sampling import energy, ess, pareto_k
from workbench.plot.score import score
from workbench.plot.spectrum import spectrum
from workbench.plot.steps import ledger
from workbench.plot.style import METHOD_COLOURS, METHOD_MARKERS
from workbench.plot.surface import surface

__all__ = [
    "METHOD_COLOURS",
    "METHOD_MARKERS",
    "bayes",
    "calibration",
    "covariance",
    "curve",
    "decision_boundary",
    "densities",
    "density",
    "design",
    "diagnostics",
    "energy",
    "ess",
    "evidence",
    "fitted",
    "forest",
    "hessian_spectrum",
    "intervals",
    "ledger",
    "limits",
    "loss_line",
    "loss_plane",
    "methods",
    "network_bands",
    "network_pictures",
    "optimisers",
    "overview",
    "pareto_k",
    "path",
    "penalties",
    "predictive_check",
    "prior_functions",
    "rank",
    "rank_ecdf",
    "reliability",
    "score",
    "spectrum",
    "surface",
    "trace",
    "waterfall",
]
