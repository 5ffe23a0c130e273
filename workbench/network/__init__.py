"""Networks: symmetries of their weights, and methods compared by what they predict."""

from workbench.network.contest import Answer, Contest, hold_contest
from workbench.network.diagnosis import diagnose_network, prior_spread
from workbench.network.laplace import NetworkLaplace, fit_network_laplace
from workbench.network.methods import by_laplace, by_mode, by_network_nuts, by_nuts, by_training
from workbench.network.mixing import Mixing, network_mixing
from workbench.network.nuts import NetworkDraws, fit_network_nuts
from workbench.network.prediction import ClassMixture, NormalMixture
from workbench.network.reading import Network, read_network
from workbench.network.scores import fit_temperature, reliability, scaled_by_temperature, scores
from workbench.network.surface import Surface, loss_surface, other_mode, prior_outputs
from workbench.network.symmetry import Symmetry, align, find_symmetry
from workbench.network.tempering import tempered
from workbench.network.training import TrainedNetwork, train_network

__all__ = [
    "Answer",
    "ClassMixture",
    "Contest",
    "Mixing",
    "Network",
    "NetworkLaplace",
    "NetworkDraws",
    "NormalMixture",
    "Surface",
    "Symmetry",
    "TrainedNetwork",
    "align",
    "by_laplace",
    "by_mode",
    "by_network_nuts",
    "by_nuts",
    "by_training",
    "diagnose_network",
    "find_symmetry",
    "fit_network_laplace",
    "fit_network_nuts",
    "fit_temperature",
    "hold_contest",
    "loss_surface",
    "network_mixing",
    "other_mode",
    "prior_outputs",
    "prior_spread",
    "read_network",
    "reliability",
    "scaled_by_temperature",
    "scores",
    "tempered",
    "train_network",
]
