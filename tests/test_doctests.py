"""Every example in a docstring runs and gives what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import workbench

PACKAGE = Path(workbench.__file__).parent
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules() -> list[str]:
    """The names of all modules of the package, without importing them."""
    relative = (path.relative_to(PACKAGE.parent) for path in sorted(PACKAGE.rglob("*.py")))
    names = (".".join(path.with_suffix("").parts) for path in relative)
    return [name.removesuffix(".__init__") for name in names if not name.endswith(".__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples_of(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write a file
    outcome = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    plt.close("all")  # too many open figures are a warning
    assert outcome.failed == 0
