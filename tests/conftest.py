"""Conditions that every test shares, set before jax is imported."""

from __future__ import annotations

import os
from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # truths are stated for float64 on the CPU
os.environ.setdefault("MPLBACKEND", "Agg")
# most of a test's time is compilation, and most of that is XLA's optimisation; what is true of a
# fit is true of it unoptimised. XLA_FLAGS="" runs the tests on the programs that users run
_QUICK = "--xla_backend_optimization_level=0"
if version("jaxlib") < "0.12":  # its older emitters compile in half the time; 0.12 has them no more
    _QUICK += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", _QUICK)

# examples are the same on every machine; a first call compiles, so no deadline is fair
settings.register_profile("workbench", derandomize=True, database=None, deadline=None)
settings.load_profile("workbench")


def pytest_configure(config: pytest.Config) -> None:
    """Keep what XLA compiles in pytest's cache: most of a test's time is its first compilation."""
    if not config.pluginmanager.hasplugin("cacheprovider"):
        return
    folder = config.cache.mkdir("jax")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20240229)
