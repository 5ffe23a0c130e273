"""What the figures of a benchmark depend on besides the code: versions and the machine's load."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version


def describe(*packages: str) -> str:
    """One line with Python's and the packages' versions, the number of cores, and the load."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = " ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    return (
        f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores, load {load} "
        "(1, 5, 15 minutes)"
    )
