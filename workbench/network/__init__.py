"""Networks: symmetries of their weights, and methods compared by what they predict."""

from workbench.network.mixing import Mixing, network_mixing
from workbench.network.reading import Network, read_network
from workbench.network.symmetry import Symmetry, align, find_symmetry

__all__ = [
    "Mixing",
    "Network",
    "Symmetry",
    "align",
    "find_symmetry",
    "network_mixing",
    "read_network",
]
