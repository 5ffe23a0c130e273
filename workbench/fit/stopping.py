r"""When to stop drawing: at a number of draws, or once every term is known well enough.

With ``until`` the chains are advanced in rounds. After each round the effective sample size (the
smaller of bulk and tail) and R-hat of every reported term are computed; the next round ends where
the effective sample size, growing with the number of draws, should reach its goal.

References
----------
Vehtari et al. (2021), doi:10.1214/20-BA1221; Jones, Haran, Caffo and Neath (2006),
doi:10.1198/016214506000000492 (rules that stop at an error are consistent).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.errors import FitError
from workbench.fit.convergence import diagnose

_ROUND = 100  # a look comes after whole hundreds of draws


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What every reported term should reach.

    Attributes
    ----------
    ess : float
        Least effective sample size, bulk and tail.
    rhat : float
        Largest R-hat.
    """

    ess: float
    rhat: float

    @classmethod
    def read(cls, until: Mapping[str, float]) -> Goal:
        """Take a goal from a mapping with ``ess``, ``rhat`` or both.

        Raises
        ------
        FitError
            For another key, or a goal that cannot be reached.

        Examples
        --------
        >>> Goal.read({"ess": 400})
        Goal(ess=400, rhat=inf)
        """
        if not until or set(until) - {"ess", "rhat"}:
            raise FitError(
                "until expects 'ess', 'rhat' or both, such as {'ess': 400, 'rhat': 1.01}; got "
                f"{dict(until)}"
            )
        goal = cls(ess=until.get("ess", 0.0), rhat=until.get("rhat", np.inf))
        if not (goal.ess >= 0 and goal.rhat > 1):
            raise FitError(
                f"until expects an ess of at least 0 and an rhat above 1; got {dict(until)}"
            )
        return goal

    def first(self, num_chains: int) -> int:
        """Draws per chain at which to look first: with less, the goal is out of reach."""
        return _whole_rounds(max(self.ess / num_chains, _ROUND))

    def next(self, draws: np.ndarray) -> int | None:
        """Draws per chain at which to look again; ``None`` where the goal is reached.

        Parameters
        ----------
        draws : numpy.ndarray
            Draws of the terms so far, shape (C, S, Q).
        """
        so_far = draws.shape[1]
        read = diagnose(draws)
        # a term that is constant has none of the three, and nothing to wait for
        ess = np.nanmin(np.concatenate([read["ess_bulk"], read["ess_tail"], [np.inf]]))
        rhat = np.nanmax(np.concatenate([read["r_hat"], [1.0]]))
        if ess >= self.ess and rhat <= self.rhat:
            return None
        wanted = so_far * (self.ess / ess if ess < self.ess else 1.5)
        return _whole_rounds(min(max(wanted, so_far + _ROUND), 2 * so_far))


def _whole_rounds(draws: float) -> int:
    return _ROUND * int(np.ceil(draws / _ROUND))
