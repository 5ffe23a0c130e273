from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys

import pandas as pd
import pytest
from click.testing import CliRunner

from tests.cli.conftest import FAST, STRICT, run
from workbench.cli import main
from workbench.store import load

RUN = "runs/tosses-tosses"
ESCAPE = "\x1b["


def test_a_model_and_a_table_give_a_folder_of_results(done):
    folder, result = done
    assert result.returncode == 0, result.stderr
    names = sorted(p.name for p in (folder / RUN).iterdir())
    assert names == ["comparison.nc", "report.html", "summary.json"]
    comparison = load(folder / RUN / "comparison.nc")
    assert comparison.terms == ["p[0]", "p[1]"]
    assert comparison.held_out
    assert comparison.seed == 2
    assert comparison.data.num_observations == 45
    assert dict(comparison.data.coords)["hand_level"] == ("left", "right")


def test_results_go_to_stdout_and_the_rest_to_stderr(done):
    _, result = done
    assert "p[1]" in result.stdout
    assert "held-out" in result.stdout
    assert result.stderr == f"wrote {RUN}/ (comparison.nc, summary.json, report.html)\n"
    assert ESCAPE not in result.stdout + result.stderr  # no terminal, no colours


def test_the_summary_is_json_without_nan(done):
    folder, _ = done
    content = json.loads((folder / RUN / "summary.json").read_text(), parse_constant=pytest.fail)
    comparison = load(folder / RUN / "comparison.nc")
    assert content["name"] == "tosses-tosses"
    assert content["verdict"] == comparison.verdict
    assert [r["term"] for r in content["table"]] == comparison.table["term"].tolist()
    nan = comparison.scores["std_error"].isna().tolist()
    assert [r["std_error"] is None for r in content["scores"]] == nan
    assert any(nan)


@pytest.mark.parametrize("place", [RUN, f"{RUN}/comparison.nc", "tosses", "tosses-tosses"])
def test_a_run_is_shown_by_folder_file_or_name(done, monkeypatch, place):
    folder, result = done
    monkeypatch.chdir(folder)
    shown = CliRunner().invoke(main, ["show", place])
    assert shown.exit_code == 0
    assert shown.stdout == result.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("methods", ["p[0]", "Laplace", "converged"]),
        ("ledger", ["p[0]", "coordinates", "departure from normality"]),
        ("scores", ["elpd_loo", "AIC"]),
        ("findings", []),
    ],
)
def test_parts_of_a_run(done, monkeypatch, part, words):
    monkeypatch.chdir(done[0])
    shown = CliRunner().invoke(main, ["show", "tosses", "--part", part])
    assert shown.exit_code == 0
    for word in words:
        assert word in shown.stdout


def test_json_is_one_object_equal_to_the_summary(done, monkeypatch):
    folder, _ = done
    monkeypatch.chdir(folder)
    shown = CliRunner().invoke(main, ["show", "tosses", "--json"])
    assert json.loads(shown.stdout) == json.loads((folder / RUN / "summary.json").read_text())


def test_the_report_is_written_again_the_same(done, monkeypatch, tmp_path):
    folder, _ = done
    monkeypatch.chdir(folder)
    place = tmp_path / "again.html"
    result = CliRunner().invoke(main, ["report", "tosses", "--out", str(place)])
    assert (result.exit_code, result.stdout) == (0, f"{place}\n")
    assert place.read_bytes() == (folder / RUN / "report.html").read_bytes()


def test_new_rows_are_predicted_as_csv(done, monkeypatch):
    folder, _ = done
    monkeypatch.chdir(folder)
    (folder / "new.csv").write_text("hand\nright\nleft\nright\n")
    result = CliRunner().invoke(main, ["predict", "tosses", "--data", "new.csv", "--seed", "1"])
    assert result.exit_code == 0, result.stderr
    (folder / "out.csv").write_text(result.stdout)
    table = pd.read_csv(folder / "out.csv")
    assert table["row"].tolist() == [0, 1, 2]
    estimate = load(folder / RUN / "comparison.nc").fits["MLE"].params
    # 1000 draws of a coin have an error of at most 0.016 in the mean; four of them
    for mean, term in zip(table["mle_mean"], ["p[1]", "p[0]", "p[1]"], strict=True):
        assert mean == pytest.approx(estimate[term], abs=0.064)
    assert {"nuts_mean", "nuts_sd", "nuts_lower", "nuts_upper"} <= set(table.columns)


def test_a_level_that_was_not_fitted_is_refused_with_its_row(done, monkeypatch):
    folder, _ = done
    monkeypatch.chdir(folder)
    (folder / "bad.csv").write_text("hand\nleft\nfoot\n")
    result = CliRunner().invoke(main, ["predict", "tosses", "--data", "bad.csv"])
    assert result.exit_code == 1
    assert result.stderr == (
        "error: column 'hand' has the level 'foot' in row 3, which the rows that were fitted do "
        "not have; they have left, right\n"
    )


def test_a_distrusted_result_is_written_and_exits_3(folder):
    # a coefficient that predicts perfectly: the likelihood has no maximum
    (folder / "apart.csv").write_text("x1,y\n-3,0\n-2,0\n-1,0\n1,1\n2,1\n3,1\n")
    words = ["compare", "logistic", "--data", "apart.csv", "--formula", "y ~ x1", "--json"]
    result = CliRunner().invoke(main, [*words, *FAST, "--out", "here", "--quiet"])
    assert result.exit_code == 3, result.stderr
    assert result.stderr == ""
    content = json.loads(result.stdout, parse_constant=pytest.fail)
    assert content["trustworthy"] is False
    assert content["fits"]["MLE"]["status"] == "separated"
    assert content["table"][0]["std_error"] is None
    assert (folder / "here" / "report.html").is_file()


def test_a_model_file_runs_the_same_code(folder):
    code = (
        "import runpy, sys; sys.argv = ['linear', '--data', 'longley', '--formula', "
        "'employed ~ gnp', '--terms', 'sigma', '-q', *sys.argv[1:]]; "
        "runpy.run_module('models.linear', run_name='__main__')"
    )
    command = [sys.executable, *STRICT, "-c", code, *FAST]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode in (0, 3), result.stderr
    assert load(folder / "runs/linear-longley/comparison.nc").terms == ["sigma"]


# -- on a terminal -----------------------------------------------------------------------------


def read_all(master, until=None, then=None):
    """Read a terminal to its end; do something, once, when `until` is shown."""
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            os.close(master)
            return shown.decode()
        shown += piece
        if until is not None and until in shown:
            then()
            until = None


def on_a_terminal(words, folder, until=None, **environment):
    """Run with stderr on a terminal; send an interrupt when `until` is shown there."""
    master, slave = pty.openpty()
    code = "import sys; sys.argv[0] = 'workbench'; from workbench.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, *STRICT, "-c", code, *words], cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=slave, text=True, start_new_session=True,
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm", **environment},
    )  # fmt: skip
    os.close(slave)
    shown = read_all(master, until, lambda: process.send_signal(signal.SIGINT))
    out, _ = process.communicate()
    return process.returncode, out, shown


def test_progress_is_shown_on_a_terminal_a_line_for_each_chain(folder):
    words = ["fit", "./my_model.py", "--data", "tosses.csv", "--method", "nuts", *FAST]
    code, out, shown = on_a_terminal(words, folder)
    assert code == 0
    for part in ("NUTS: sampling", "chain 1", "chain 2", "divergences", "step size", "700/700"):
        assert part in shown
    assert "chain 1" not in out


def test_an_interrupt_before_any_draw_leaves_nothing_behind(folder):
    words = ["compare", "./my_model.py", "--data", "tosses.csv", "--num-chains", "1"]
    words += ["--num-warmup", "1000000"]
    code, out, shown = on_a_terminal(words, folder, until=b"warm-up")
    assert code == 130
    assert shown.endswith("interrupted: nothing was written\r\n")
    assert out == ""
    assert not (folder / "runs").exists()


def test_an_interrupt_while_sampling_keeps_the_draws(folder):
    words = ["compare", "./my_model.py", "--data", "tosses.csv", "--num-chains", "1"]
    words += ["--num-warmup", "100", "--num-samples", "10000000"]
    code, out, shown = on_a_terminal(words, folder, until=b"sampling  divergences")
    assert code == 130
    draws = load(folder / RUN / "comparison.nc").fits["NUTS"]
    kept = draws.provenance.settings["num_samples"]
    assert draws.estimand_draws.shape[1] == kept > 0
    assert f"interrupted: kept the {kept} draws" in shown
    assert "maximum likelihood" in shown  # the stages before
    assert "p[0]" in out
    assert sorted(p.name for p in (folder / RUN).iterdir()) == [
        "comparison.nc", "report.html", "summary.json",
    ]  # fmt: skip


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}], ids=["plain", "NO_COLOR"])
def test_colours_on_a_terminal_unless_asked_not_to(done, environment):
    master, slave = pty.openpty()
    code = (
        "import sys; from workbench.cli.output import print_findings\n"
        "from workbench.store import load\nfrom workbench.comparison import Finding, Severity\n"
        "from dataclasses import replace\n"
        "f = Finding(code='c', severity=Severity.ERROR, terms=(), evidence={}, threshold=0.0, "
        "sentence='Bad.', advice='Stop.')\n"
        "print_findings(replace(load(sys.argv[1]), findings=(f,)))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(done[0] / RUN / "comparison.nc")], stdout=slave,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    os.close(slave)
    shown = read_all(master)
    assert process.wait() == 0
    red = re.search(r"\x1b\[[0-9;]*31m", shown) is not None
    assert red is not bool(environment)
    assert "error: " in shown
    assert "Bad. Stop." in shown


def test_a_reader_that_leaves_ends_it_quietly(done):
    folder, _ = done
    code = "import sys; sys.argv[0] = 'workbench'; from workbench.cli import main; main()"
    shell = f'"{sys.executable}" -c "{code}" list | head -n 1'
    result = subprocess.run(
        ["bash", "-c", shell], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    assert result.stdout.startswith("model")


def test_a_run_goes_on_from_its_checkpoint_until_its_goal(folder):
    words = ["fit", "./my_model.py", "--data", "tosses.csv", "--method", "nuts"]
    words += ["--until", "ess=500", "--until", "rhat=1.01", "--checkpoint", "run.checkpoint"]
    first, again = run(*words, folder=folder), run(*words, folder=folder)
    assert first.returncode == 0
    assert again.stdout == first.stdout
    other = run(*words, "--seed", "1", folder=folder)
    assert other.returncode == 1
    assert "checkpoint 'run.checkpoint' is of another run: expected seed 1; got 0" in other.stderr


def test_a_goal_has_a_name_and_a_value(folder):
    words = ["fit", "./my_model.py", "--data", "tosses.csv", "--method", "nuts"]
    wrong = run(*words, "--until", "enough", folder=folder)
    assert wrong.returncode == 2
    assert "--until expects NAME=VALUE, such as ess=400; got 'enough'" in wrong.stderr
