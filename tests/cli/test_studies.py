"""`workbench study` lists the instruments, and prints what Python gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from click.testing import CliRunner

import workbench as wb
from models.linear import MODEL
from tests.plot.example_networks import fitted_methods
from workbench import plot, study
from workbench.cli import main
from workbench.cli.instruments import INSTRUMENTS
from workbench.cli.study_files import study_into
from workbench.store import StudyParts

WORDS = ["study", "spectrum", "linear", "--data", "kidiq", "--quick"]


def test_alone_it_lists_every_instrument_with_a_line():
    result = CliRunner().invoke(main, ["study"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(INSTRUMENTS)
    for name in INSTRUMENTS:
        assert callable(getattr(study, name))
        assert callable(getattr(plot, name))


def test_the_readme_has_a_command_for_every_instrument():
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`workbench study (\w+) \w+`", readme)) == set(INSTRUMENTS)


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


def test_an_interrupted_study_goes_on_from_what_was_done(tmp_path, monkeypatch):
    words = ["study", "penalties", "linear", "--data", "kidiq", "--quick", "--out", str(tmp_path)]
    whole = StudyParts.__call__
    made: list[str] = []

    def stopped_at_the_lasso(self: StudyParts, name: str, make: Any) -> Any:
        def noted() -> Any:
            if name == "lasso":
                raise KeyboardInterrupt
            made.append(name)
            return make()

        return whole(self, name, noted)

    monkeypatch.setattr(StudyParts, "__call__", stopped_at_the_lasso)
    first = CliRunner().invoke(main, words)
    assert first.exit_code == 130
    assert made == ["modes constrained", "modes unconstrained", "posterior means"]
    parts = tmp_path / "study-penalties.parts.npz"
    assert [p.name for p in tmp_path.iterdir()] == [parts.name]

    def noting(self: StudyParts, name: str, make: Any) -> Any:
        return whole(self, name, lambda: (made.append(name), make())[1])

    made.clear()
    monkeypatch.setattr(StudyParts, "__call__", noting)
    second = CliRunner().invoke(main, words)
    assert second.exit_code == 0, second.output
    assert made == ["lasso"]
    said = json.loads((tmp_path / "study-penalties.json").read_text())
    here = wb.penalties(MODEL, wb.load_dataset("kidiq"), quick=True)
    np.testing.assert_allclose(
        [row["log_evidence"] for row in said["table"]], here.table["log_evidence"], rtol=1e-10
    )
    assert (tmp_path / "study-penalties.svg").read_bytes().startswith(b"<?xml")


def test_a_study_in_the_folder_of_a_run_is_in_its_report(done, monkeypatch):
    folder = done[0]
    monkeypatch.chdir(folder)
    run = Path("runs") / "tosses-tosses"
    words = ["study", "bayes", "./my_model.py", "--data", "tosses.csv", "--quick"]
    result = CliRunner().invoke(main, [*words, "--out", str(run)])
    assert result.exit_code == 0, result.output
    # the comparison held rows out: of all rows is another study
    assert "its report does not show the bayes" in result.stderr
    assert "study-bayes" not in (run / "report.html").read_text()
    place = run / "study-bayes.json"
    content = json.loads(place.read_text())
    comparison = wb.load(run / "comparison.nc")
    of = {**content["of"], "data": comparison.data.fingerprint}
    place.write_text(json.dumps({**content, "of": of}))
    result = CliRunner().invoke(main, ["report", str(run)])
    assert result.exit_code == 0, result.output
    page = (run / "report.html").read_text()
    assert 'id="study-bayes"' in page
    assert "At the mode: log-likelihood" in page
    assert 'alt="Bayes of tosses-tosses"' in page
    place.write_text("{")
    result = CliRunner().invoke(main, ["report", str(run)])
    assert result.exit_code == 1
    assert "study-bayes.json' is not the file of a study, or is damaged" in result.stderr
    place.unlink()


def test_a_study_that_does_not_apply_says_so_in_its_section(tmp_path):
    def coin(y=None):
        p = numpyro.sample("p", dist.Beta(2, 2))
        numpyro.sample("y", dist.Bernoulli(p), obs=y)

    data = wb.Dataset(name="tosses", inputs={}, observed={"y": np.array([0, 1, 1])})
    model = wb.Model(name="coin", fn=coin)
    written = list(study_into(tmp_path, "penalties", model, data, 0, lambda _: None))
    assert [p.name for p in written] == ["study-penalties.json"]
    content = json.loads(written[0].read_text())
    assert content["sentences"][0].startswith("penalties expects sites with a normal")


def test_what_does_not_apply_is_said_in_one_sentence():
    result = CliRunner().invoke(main, ["study", "limits", "eight_schools"])
    assert result.exit_code == 1
    assert result.stderr.strip() == (
        "error: limits expects a regular maximum of the likelihood to tend to; that of model "
        "'eight_schools' is at the boundary: the objective does not fall along -log(tau); with "
        "more data the posterior there tends to no normal density"
    )


def test_methods_of_a_network_leave_a_folder_of_pictures(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "methods", lambda *_, **settings: fitted_methods())
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["study", "methods", "mlp_regression", "--quick", "--json"])
    assert result.exit_code == 0, result.output
    folder = tmp_path / "runs" / "mlp_regression-nile"
    said = json.loads(result.stdout)
    kept = json.loads((folder / "study-methods.json").read_text(encoding="utf-8"))
    assert said["table"] == kept["table"]
    assert [row["method"] for row in said["table"]] == ["NUTS", "ensemble"]
    assert "study-methods-bands.png" in {p["file"] for p in said["pictures"]}
    for picture in said["pictures"]:
        assert (folder / picture["file"]).read_bytes()[1:4] == b"PNG"
        assert len(picture["caption"]) > 60


def test_usage():
    result = CliRunner().invoke(main, ["study", "spectrum"])
    assert result.exit_code == 2
    assert "study spectrum expects a model, such as 'linear'; got none" in result.stderr
    result = CliRunner().invoke(main, [*WORDS, "--plot", "picture.gif"])
    assert result.exit_code == 2
    assert "--plot expects a file of kind .png, .svg; got 'picture.gif'" in result.stderr
