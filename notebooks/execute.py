"""Execute the notebooks and store them with their outputs.

The source of a notebook is its ``.py`` file (percent format, paired by jupytext). This writes the
``.ipynb`` beside it, executed in this folder:

    python notebooks/execute.py            # all
    python notebooks/execute.py 01 03      # those whose names begin so
"""

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent


def execute(source: Path) -> nbformat.NotebookNode:
    """Run a notebook from its percent file; an error in a cell is raised."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02}"  # the same in every run, so that a diff shows changes
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(source.parent)}},
    )
    # a kernel without ipywidgets says so through tqdm: no progress bar is drawn here
    client.execute(env={**os.environ, "PYTHONWARNINGS": "ignore:IProgress not found"})
    notebook.metadata.pop("language_info", None)
    return notebook


def main(beginnings: list[str]) -> None:
    """Execute the notebooks whose names begin as given, all when nothing is given."""
    for source in sorted(FOLDER.glob("[0-9]*.py")):
        if beginnings and not source.name.startswith(tuple(beginnings)):
            continue
        nbformat.write(execute(source), source.with_suffix(".ipynb"))
        print(source.stem)


if __name__ == "__main__":
    main(sys.argv[1:])
