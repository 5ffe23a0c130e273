"""The design as a test: imports run downhill, and each kind of work stays in its room."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path

import pytest

import workbench

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(workbench.__file__).parent

# from upstream to downstream; a file imports from its own room and those before it
ROOMS = [
    "errors", "data", "model", "fit", "comparison", "network", "study", "plot", "report", "store",
    "cli",
]  # fmt: skip
# report and store are neighbours on one level: neither knows the other
BESIDE = {"report": {"store"}, "store": {"report"}}
ARVIZ_FROM = "fit"  # workbench.az may be imported from this room on
EDGE = {"store", "report", "cli"}
READERS = EDGE | {"data"}  # data/ reads the tables it is given
CLOCKS = EDGE | {"fit/provenance.py"}  # one file notes when a fit was made and how long it took

FILES = sorted(PACKAGE.rglob("*.py"))
MODELS = sorted((ROOT / "models").rglob("*.py"))


def room(path: Path) -> str:
    """The room of a file of the package: its folder, or its name where it stands alone."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def label(path: Path) -> str:
    """The file's name from the package's or the repository's root on."""
    top = PACKAGE if path.is_relative_to(PACKAGE) else ROOT
    return path.relative_to(top).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions, with relative names resolved."""
    names = set()
    package = ["workbench", *path.relative_to(PACKAGE).parts[:-1]] if path in FILES else []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.add(module)
            # `from workbench import az` names a module too
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def rooms_imported(path: Path) -> set[str]:
    parts = (name.split(".") for name in imported(path))
    known = {*ROOMS, "az"}
    return {p[1] for p in parts if p[0] == "workbench" and len(p) > 1 and p[1] in known}


def calls(path: Path) -> set[str]:
    """The dotted names of everything a file calls, as written there."""
    return {ast.unparse(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)}


def test_every_file_has_a_room():
    unknown = {room(path) for path in FILES} - {*ROOMS, "az", "__init__", "__main__"}
    assert not unknown


@pytest.mark.parametrize("path", FILES, ids=label)
def test_imports_run_downhill(path):
    here = room(path)
    if here in {"__init__", "__main__"}:
        return  # the public face names what every room offers
    found = rooms_imported(path) - {here}
    if here == "az":
        assert not found
        return
    allowed = set(ROOMS[: ROOMS.index(here)]) - BESIDE.get(here, set())
    if ROOMS.index(here) >= ROOMS.index(ARVIZ_FROM):
        allowed.add("az")
    assert found <= allowed


@pytest.mark.parametrize("path", FILES, ids=label)
def test_package_does_not_know_its_models(path):
    assert not {name for name in imported(path) if name.split(".")[0] in {"models", "tests"}}


@pytest.mark.parametrize("path", FILES, ids=label)
def test_arviz_is_known_to_one_file(path):
    known = {"arviz", "arviz_base", "arviz_stats", "arviz_plots"}
    assert room(path) == "az" or not {n for n in imported(path) if n.split(".")[0] in known}


@pytest.mark.parametrize("path", FILES, ids=label)
def test_matplotlib_is_drawn_in_one_room(path):
    drawn = {name for name in imported(path) if name.split(".")[0] == "matplotlib"}
    assert room(path) == "plot" or not drawn


@pytest.mark.parametrize("path", FILES, ids=label)
def test_printing_files_and_clocks_stay_at_the_edge(path):
    here, called = room(path), calls(path)
    if here not in EDGE:
        assert not called & {"print", "input", "sys.stdout.write", "sys.stderr.write"}
    if here not in READERS:
        reads = re.compile(r"(^|\.)(open|read_text|read_bytes|write_text|write_bytes|to_netcdf)$")
        assert not {name for name in called if reads.search(name)}
    if here == "data":
        writes = re.compile(r"\.(write_text|write_bytes|to_parquet|to_netcdf|mkdir|unlink)$")
        assert not {name for name in called if writes.search(name)}
    if not {here, label(path)} & CLOCKS:
        clock = re.compile(r"(^|\.)(time|perf_counter|monotonic|process_time|now|today|utcnow)$")
        assert not {name for name in called if clock.search(name)}


@pytest.mark.parametrize("path", MODELS, ids=label)
def test_model_file_imports_the_workbench_and_numerics_only(path):
    allowed = {"__future__", "workbench", "models", "numpyro", "jax", "numpy", "typing"}
    allowed |= {"collections", "functools", "math", "dataclasses"}
    assert {name.split(".")[0] for name in imported(path)} <= allowed


def texts() -> list[Path]:
    """Every text file of the repository that git would carry."""
    kinds = {".py", ".md", ".toml", ".txt", ".json", ".csv", ".cfg", ".yml", ".ipynb", ".html", ""}
    skipped = {
        "build", "dist", "runs", "htmlcov", "node_modules", "__pycache__", "shared",
    }  # fmt: skip
    found = []
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in {".ci", ".gitignore"} for part in parts)
        if not hidden and not skipped & set(parts) and path.suffix in kinds and path.is_file():
            found.append(path)
    return found


def test_no_text_holds_a_machine_path_or_a_registry():
    # written in pieces, so that this file does not hold what it looks for
    slash, dot = "/", "."
    homes = [f"{slash}root{slash}", f"{slash}work{slash}", f"{slash}home{slash}"]
    homes += [f"{slash}Users{slash}", f"C:{chr(92)}", f"{slash}opt{slash}"]
    hosts = [f"pypi{dot}org", f"pythonhosted{dot}org", f"npmjs{dot}org", f"deb{dot}debian"]
    found = []
    for path in texts():
        content = path.read_text(encoding="utf-8", errors="replace")
        for word in homes:
            # a path starts a word: part of a longer address is something else
            if re.search(rf"(?<![\w.\-\]]){re.escape(word)}", content):
                found.append(f"{label(path)}: {word}")
        found += [f"{label(path)}: {word}" for word in hosts if word in content]
    assert not found


@pytest.mark.parametrize("name", sorted(getattr(workbench, "__all__", [])))
def test_public_name_has_a_docstring_with_an_example(name):
    doc = getattr(workbench, name).__doc__
    assert doc
    assert ">>>" in doc


def test_public_names_are_listed_once_and_shadow_nothing():
    names = list(getattr(workbench, "__all__", []))
    assert len(names) == len(set(names))
    assert not set(names) & set(dir(builtins))
    assert set(names) <= set(dir(workbench))
