"""The `workbench` command: data and a model in, a table on the screen and a folder of results."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from workbench.cli.commands import main
from workbench.cli.studies import study

if TYPE_CHECKING:
    from workbench.model import Model

__all__ = ["compare_model", "main", "study"]


def compare_model(model: Model) -> int:
    """Do what ``workbench compare NAME`` does, for a model at hand and the options in ``sys.argv``.

    Parameters
    ----------
    model : Model
        The model, as when its file runs by ``python -m models.linear``.

    Returns
    -------
    int
        The exit code: 0 done, 1 error, 2 usage, 3 done but not to be trusted, 130 interrupted.
    """
    return main.main(
        args=["compare", model.name, *sys.argv[1:]],
        prog_name="workbench",
        standalone_mode=False,
        obj=model,
    )
