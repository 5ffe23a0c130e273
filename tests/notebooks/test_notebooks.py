"""The notebooks: stored in step with their sources, small, free of errors, and they run."""

import os
import re
import runpy
from pathlib import Path

import jupytext
import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9]*.py"))
LARGEST = 400_000  # bytes that a code host still renders quickly
ABSOLUTE_PATH = re.compile(r"(?<![\w:/.])/(?:home|Users|root|work|tmp|usr|opt|private|var|mnt)/\w")

each = pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)


def stored(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def complaints(notebook: nbformat.NotebookNode) -> list[str]:
    """Errors, and whatever was written to stderr: warnings come that way."""
    outputs = [o for cell in code_cells(notebook) for o in cell.outputs]
    errors = [o.evalue for o in outputs if o.output_type == "error"]
    return errors + [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]


def test_notebooks_are_numbered_in_order():
    assert [p.name[:2] for p in SOURCES] == [f"{k:02}" for k in range(1, len(SOURCES) + 1)]
    assert len(SOURCES) >= 4
    assert {p.stem for p in SOURCES} == {p.stem for p in FOLDER.glob("*.ipynb")}


@each
def test_stored_notebook_is_in_step_with_its_source(source):
    ours, theirs = stored(source), jupytext.read(source)
    assert [(c.cell_type, c.source) for c in ours.cells] == [
        (c.cell_type, c.source) for c in theirs.cells
    ]
    assert ours.metadata.jupytext.formats == "ipynb,py:percent"
    assert ours.metadata.kernelspec.name == "python3"
    nbformat.validate(ours)


@each
def test_stored_notebook_was_executed_from_top_to_bottom(source):
    counts = [cell.execution_count for cell in code_cells(stored(source))]
    assert counts == list(range(1, len(counts) + 1))


@each
def test_stored_notebook_has_figures_and_no_complaints(source):
    notebook = stored(source)
    assert complaints(notebook) == []
    kinds = [k for c in code_cells(notebook) for o in c.outputs for k in o.get("data", {})]
    assert "image/png" in kinds


@each
def test_stored_notebook_is_small(source):
    assert source.with_suffix(".ipynb").stat().st_size < LARGEST


@each
def test_stored_notebook_names_no_place_of_the_machine_it_ran_on(source):
    for cell in stored(source).cells:
        for output in cell.get("outputs", []):
            texts = [output.get("text", ""), *output.get("data", {}).values()]
            for text in (t for t in texts if isinstance(t, str) and not t.startswith("iVBOR")):
                assert not ABSOLUTE_PATH.search(text), text
                assert " at 0x" not in text, "the address of an object changes from run to run"


@pytest.mark.parametrize(
    "text", [f"{os.sep}home/me/x.py:3: Warning", "in /tmp/ipykernel_1/2.py", f"({os.sep}work/a)"]
)
def test_a_path_of_a_machine_is_found(text):
    assert ABSOLUTE_PATH.search(text)


@pytest.mark.parametrize("text", ["https://example.org/home/x", "mg/dL", "</tmp>", "kg/m²", "1/2"])
def test_other_slashes_are_not_paths(text):
    assert not ABSOLUTE_PATH.search(text)


@pytest.mark.slow
# the kernel's client leaves sockets to the collector, and says that it listens on this machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@each
def test_notebook_runs_without_error_or_warning(source):
    execute = runpy.run_path(str(FOLDER / "execute.py"))["execute"]
    assert complaints(execute(source)) == []
