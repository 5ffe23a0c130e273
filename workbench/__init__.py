"""Fit one NumPyro model by maximum likelihood and by NUTS, and compare the two answers.

Everything is computed in float64: importing this package switches JAX to 64 bits, unless the
environment says ``JAX_ENABLE_X64=0``; and XLA is asked, in ``XLA_FLAGS``, to make one function of
every loop over little memory, such as that over the leapfrog steps of a trajectory. Names are
imported when they are first used, so that ``import workbench`` costs milliseconds.

Examples
--------
>>> import workbench as wb
>>> wb.load_dataset("diabetes").num_observations
442
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if os.environ.setdefault("JAX_ENABLE_X64", "1") not in ("0", "false", "False"):
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", True)

# XLA runs a loop's operations one by one, at the cost of a call each, unless the arrays of the loop
# take no more bytes than this. It reads the flag when it first compiles, and other versions than
# those that know it pass it over
_LOOPS = "xla_cpu_small_while_loop_byte_threshold"
if _LOOPS not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_extra_options={_LOOPS}=1000000".strip()
    )

_HOME = {
    "Dataset": "data",
    "list_datasets": "data",
    "load_dataset": "data",
    "load_splits": "data",
    "read_table": "data",
    "FormulaModel": "model",
    "Model": "model",
    "Site": "model",
    "formula_model": "model",
    "read_density": "model",
    "DrawsFit": "fit",
    "HypothesisTest": "fit",
    "LaplaceError": "fit",
    "ModeFit": "fit",
    "Prediction": "fit",
    "Profile": "fit",
    "Status": "fit",
    "basin_visits": "fit",
    "deviance_table": "fit",
    "fit_firth": "fit",
    "fit_laplace": "fit",
    "fit_map": "fit",
    "fit_mle": "fit",
    "fit_nuts": "fit",
    "fit_reml": "fit",
    "laplace_error": "fit",
    "likelihood_ratio_test": "fit",
    "locate_divergences": "fit",
    "profile_likelihood": "fit",
    "stuck_chains": "fit",
    "Comparison": "comparison",
    "Finding": "comparison",
    "compare": "comparison",
    "Contest": "network",
    "Mixing": "network",
    "NetworkDraws": "network",
    "NetworkLaplace": "network",
    "TrainedNetwork": "network",
    "diagnose_network": "network",
    "fit_network_laplace": "network",
    "fit_network_nuts": "network",
    "hold_contest": "network",
    "network_mixing": "network",
    "tempered": "network",
    "train_network": "network",
    "Bootstrap": "study",
    "Calibration": "study",
    "Evidence": "study",
    "Intervals": "study",
    "bayes_factors": "study",
    "bootstrap": "study",
    "calibrate": "study",
    "intervals": "study",
    "Checkpoint": "store",
    "evidence": "study",
    "Spectrum": "study",
    "spectrum": "study",
    "Optimisers": "study",
    "optimisers": "study",
    "Limits": "study",
    "limits": "study",
    "Penalties": "study",
    "penalties": "study",
    "Covariance": "study",
    "covariance": "study",
    "Design": "study",
    "design": "study",
    "Score": "study",
    "score": "study",
    "Surface": "study",
    "surface": "study",
    "Bayes": "study",
    "bayes": "study",
    "load": "store",
    "save": "store",
    "write_report": "report",
    "WorkbenchError": "errors",
}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from workbench.comparison import *
    from workbench.data import *
    from workbench.errors import *
    from workbench.fit import *
    from workbench.model import *
    from workbench.network import *
    from workbench.report import *
    from workbench.store import *
    from workbench.study import *


def __getattr__(name: str) -> Any:
    """Import a public name from its room when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'workbench' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"workbench.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
