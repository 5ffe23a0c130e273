"""`workbench study` lists the instruments, and prints what Python gives."""

from __future__ import annotations

import json

import numpy as np
from click.testing import CliRunner

import workbench as wb
from models.linear import MODEL
from tests.plot.example_networks import fitted_methods
from workbench import plot, study
from workbench.cli import main
from workbench.cli.studies import INSTRUMENTS

WORDS = ["study", "spectrum", "linear", "--data", "kidiq", "--quick"]


def test_alone_it_lists_every_instrument_with_a_line():
    result = CliRunner().invoke(main, ["study"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(INSTRUMENTS)
    for name in INSTRUMENTS:
        assert callable(getattr(study, name))
        assert callable(getattr(plot, name))


def test_json_is_the_table_of_python(tmp_path):
    place = tmp_path / "spectrum.png"
    result = CliRunner().invoke(main, [*WORDS, "--json", "--plot", str(place)])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    made = wb.spectrum(MODEL, wb.load_dataset("kidiq"), quick=True)
    assert said["name"] == "linear-kidiq"
    shares = [row["data_share"] for row in said["table"]]
    np.testing.assert_allclose(shares, made.table["data_share"], rtol=1e-8)
    assert said["sentences"] == list(made.sentences)
    assert place.read_bytes()[1:4] == b"PNG"


def test_text_has_the_table_and_the_sentences():
    result = CliRunner().invoke(main, WORDS)
    assert result.exit_code == 0, result.output
    title, heads, *lines = result.stdout.strip().splitlines()
    assert title == "linear-kidiq, spectrum"
    assert heads.split() == ["direction", "data_share", "decided_by", "combination"]
    assert lines[-1].startswith("Effective number of parameters 4")


def test_what_does_not_apply_is_said_in_one_sentence():
    result = CliRunner().invoke(main, ["study", "limits", "eight_schools"])
    assert result.exit_code == 1
    assert result.stderr.strip() == (
        "error: limits expects independent rows, of which parts can be taken; model "
        "'eight_schools' has random effects"
    )


def test_methods_of_a_network_leave_a_folder_of_pictures(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "methods", lambda *_, **settings: fitted_methods())
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["study", "methods", "mlp_regression", "--quick", "--json"])
    assert result.exit_code == 0, result.output
    folder = tmp_path / "runs" / "m-d"
    said = json.loads(result.stdout)
    assert said == json.loads((folder / "methods.json").read_text(encoding="utf-8"))
    assert [row["method"] for row in said["table"]] == ["NUTS", "ensemble"]
    assert {p["file"] for p in said["pictures"]} >= {"bands.png", "surface.png", "spectrum.png"}
    for picture in said["pictures"]:
        assert (folder / picture["file"]).read_bytes()[1:4] == b"PNG"
        assert len(picture["caption"]) > 60


def test_usage():
    result = CliRunner().invoke(main, ["study", "spectrum"])
    assert result.exit_code == 2
    assert "study spectrum expects a model, such as 'linear'; got none" in result.stderr
    result = CliRunner().invoke(main, [*WORDS, "--out", "there"])
    assert result.exit_code == 2
    assert "--out is for methods; got spectrum: try --plot FILE" in result.stderr
    result = CliRunner().invoke(main, [*WORDS, "--plot", "picture.gif"])
    assert result.exit_code == 2
    assert "--plot expects a file of kind .png, .svg; got 'picture.gif'" in result.stderr
