from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.store import load, replaced, save


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(trees, tmp_path, monkeypatch):
    path = tmp_path / "comparison.nc"
    save(trees, path)
    old = path.read_bytes()

    def half(tree, place, **options):
        place.write_bytes(old[: len(old) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", half)
    with pytest.raises(WorkbenchError, match="cannot be written: No space left on device"):
        save(trees, path)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["comparison.nc"]
    assert load(path).name == trees.name


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_between_write_and_rename_leaves_the_old_file(tmp_path, monkeypatch, error):
    path = tmp_path / "note.txt"
    path.write_text("old")

    def stop(a, b):
        raise error("stopped")

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(error, match="stopped"), replaced(path) as place:
        place.write_text("new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


# the process dies when the new file is whole but not yet flushed and renamed
KILLED = """
import os, signal, sys
from workbench.store.atomic import replaced
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
with replaced(sys.argv[1]) as place:
    place.write_text("new")
"""


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_new_file_has_the_usual_permissions_and_its_folder_is_made(tmp_path):
    with replaced(tmp_path / "a" / "b" / "note.txt") as place:
        place.write_text("new")
    (tmp_path / "plain.txt").write_text("")
    made = (tmp_path / "a" / "b" / "note.txt").stat().st_mode
    assert made == (tmp_path / "plain.txt").stat().st_mode


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(WorkbenchError, match="cannot be written"),
        replaced(tmp_path / "file" / "note.txt"),
    ):
        pass
