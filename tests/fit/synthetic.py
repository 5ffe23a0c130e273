"""Draws that were never sampled: a fit made of given numbers, for what reads draws."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

import workbench as wb
import workbench.az as az
from workbench.fit import Provenance, Status
from workbench.fit.quantities import Groups


def _incomplete() -> Groups:
    raise AssertionError("a synthetic fit has no other groups")


def draws_fit(
    terms: Mapping[str, np.ndarray],
    *,
    diverging: np.ndarray | None = None,
    lp: np.ndarray | None = None,
) -> wb.DrawsFit:
    """A fit with the given draws, shape (C, S) each, and statistics."""
    shape = next(iter(terms.values())).shape
    statistics = {
        "diverging": np.zeros(shape, dtype=bool) if diverging is None else diverging,
        "lp": np.zeros(shape) if lp is None else lp,
    }
    table = pd.DataFrame(
        {
            "estimate": {k: v.mean() for k, v in terms.items()},
            "std_error": {k: v.std(ddof=1) for k, v in terms.items()},
            **{
                name: {k: float(az.mcse(v, method=name[5:])) for k, v in terms.items()}
                for name in ("mcse_mean", "mcse_sd")
            },
            **dict.fromkeys(("ess_bulk", "ess_tail"), float(np.prod(shape))),
            "r_hat": 1.0,
            "role": "parameter",
        }
    )
    return wb.DrawsFit(
        samples=dict(terms),
        sample_stats=statistics,
        estimands=table.rename_axis("term"),
        estimand_draws=np.stack(list(terms.values()), axis=-1),
        status=Status.CONVERGED,
        detail="",
        provenance=Provenance(
            versions={}, seed=0, precision="float64", seconds=0.0, created="",
            data="", model_fingerprint="", settings={"max_tree_depth": 10},
        ),
        density=None,
        complete=_incomplete,
    )  # fmt: skip
