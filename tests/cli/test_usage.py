from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from workbench.cli import main
from workbench.cli.models import FOLDER, find_model, list_models
from workbench.data import list_datasets
from workbench.errors import ModelError


def say(*words: str):
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize("words", [[], ["--help"], ["list", "models"], ["compare", "--help"]])
def test_help_and_lists_load_no_numerics(words):
    code = (
        "import sys\nsys.argv = ['workbench', *sys.argv[1:]]\nfrom workbench.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'jax', 'numpyro', 'arviz_base', 'pandas', 'xarray', 'matplotlib', 'scipy'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_command_has_help_with_its_options():
    for name in ("list", "fit", "compare", "intervals", "predict", "report", "show"):
        result = say(name, "--help")
        assert result.exit_code == 0
        assert "--json" in result.stdout
        assert "--debug" in result.stdout
    help_ = say("--help").stdout
    assert "_WORKBENCH_COMPLETE=bash_source" in help_
    assert "130 interrupted" in help_


def test_version():
    assert say("--version").stdout.startswith("workbench 0.")


def test_lists_name_every_model_and_data_set():
    text = say("list").stdout
    for card in list_models():
        assert card.name in text
        assert card.description
    for card in list_datasets():
        assert card.name in text
        assert card.title in text
    content = json.loads(say("list", "--json").stdout)
    assert [m["name"] for m in content["models"]] == [c.name for c in list_models()]
    assert list(json.loads(say("list", "data", "--json").stdout)) == ["data"]


@pytest.mark.parametrize(
    "words",
    [
        ["cmpare"],
        ["compare"],
        ["compare", "linear", "--level", "1.5"],
        ["compare", "linear", "--held-out", "0"],
        ["compare", "linear", "--chain-method", "threads"],
        ["compare", "linear", "--num-samples", "0"],
        ["fit", "linear", "--method", "ols"],
        ["fit", "linear", "--method", "mle", "--num-samples", "100"],
        ["compare", "./my_model.py"],
        ["compare", "linear", "--data", "tosses.csv"],
        ["predict", "linear"],
        ["list", "colours"],
    ],
    ids=" ".join,
)
def test_a_malformed_command_exits_2_with_one_sentence(folder, words):
    result = say(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["compare", "linaer"], "asked for model 'linaer', which is not there; did you mean "
                                "'linear'?"),
        (["fit", "linear", "--data", "diabtes"], "did you mean 'diabetes'?"),
        (["fit", "linear", "--data", "kidiq", "--formula", "kid_score ~ mom_qi"],
         "did you mean 'mom_iq'?"),
        (["compare", "./none.py"], "there is no file 'none.py'"),
        (["fit", "linear", "--data", "none.csv"], "there is no file 'none.csv'"),
        (["show", "nothing"], "there is no run 'nothing' in 'runs'"),
        (["show", "."], "holds no comparison.nc"),
        (["show", "tosses.csv"], "is not a NetCDF file"),
        (["report", "./nowhere"], "there is no run './nowhere'"),
        (["fit", "./my_model.py:helpr", "--data", "tosses.csv"], "did you mean 'helper'?"),
    ],
)  # fmt: skip
def test_an_error_is_one_sentence_and_exits_1(folder, words, sentence):
    result = say(*words)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


def test_an_error_in_the_users_model_names_its_line(folder):
    (folder / "broken.py").write_text("def model(heads=None):\n    return undefined_name\n")
    result = say("fit", "./broken.py", "--data", "tosses.csv")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: NameError at broken.py:2: name 'undefined_name'")
    assert result.stderr.count("\n") == 1
    debug = say("fit", "./broken.py", "--data", "tosses.csv", "--debug")
    assert debug.exit_code == 1
    assert "Traceback (most recent call last)" in debug.stderr


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("hnad,heads", "the model takes column 'hand', which is not there; did you mean 'hnad'?"),
        ("hand,tails", "no column of the table is observed"),
    ],
)
def test_columns_that_do_not_fit_the_function(folder, columns, sentence):
    (folder / "t.csv").write_text(f"{columns}\nleft,1\nright,0\n")
    result = say("fit", "./my_model.py", "--data", "t.csv")
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_a_gap_in_an_input_is_named(folder):
    (folder / "t.csv").write_text("hand,heads\nleft,1\n,0\n")
    result = say("fit", "./my_model.py", "--data", "t.csv")
    assert "error: column 'hand' has no value in row 3" in result.stderr


def test_fit_prints_a_table_or_json(folder):
    result = say("fit", "./my_model.py", "--data", "tosses.csv")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "tosses-tosses, MLE: converged"
    assert lines[1].split()[:2] == ["term", "estimate"]
    content = json.loads(say("fit", "./my_model.py", "--data", "tosses.csv", "--json").stdout)
    rows = {row["term"]: row["estimate"] for row in content["table"]}
    table = (folder / "tosses.csv").read_text().splitlines()[1:]
    # the estimate of a coin is its share of heads
    for term, hand in (("p[0]", "left"), ("p[1]", "right")):
        tosses = [int(line.split(",")[1]) for line in table if line.startswith(hand)]
        assert rows[term] == pytest.approx(sum(tosses) / len(tosses), abs=1e-9)


# -- finding models ----------------------------------------------------------------------------


@pytest.mark.parametrize("card", list_models(), ids=lambda card: card.name)
def test_every_listed_model_loads(card):
    model = find_model(card.name)
    assert model.name == card.name
    assert model.defaults["data"] == card.data


def test_names_come_from_the_models_folder():
    assert {p.stem for p in FOLDER.glob("[a-z]*.py")} == {c.name for c in list_models()}


def test_the_only_function_that_samples_is_the_model(folder):
    assert find_model("./my_model.py").name == "tosses"


def test_a_function_called_model_is_named_after_its_file(folder):
    (folder / "coin.py").write_text("def model(y=None):\n    pass\ndef other(y):\n    pass\n")
    assert find_model("coin.py").name == "coin"


def test_a_file_with_several_models_asks_for_a_choice(folder):
    (folder / "two.py").write_text(
        "import numpyro\ndef a(y=None):\n    numpyro.sample('y', None)\n"
        "def b(y=None):\n    numpyro.sample('y', None)\n"
    )
    with pytest.raises(ModelError, match=r"holds 2 functions that may be the model \(a, b\)"):
        find_model("./two.py")
    assert find_model("./two.py:b").name == "b"


def test_a_file_without_a_model_is_refused(folder):
    (folder / "none.py").write_text("x = 1\n")
    with pytest.raises(ModelError, match="holds no function"):
        find_model("./none.py")


def test_a_file_that_does_not_import_is_left_out_of_the_modules(folder):
    (folder / "fails.py").write_text("raise RuntimeError('no')\n")
    with pytest.raises(RuntimeError, match="no"):
        find_model("./fails.py")
    assert "fails" not in sys.modules


# -- completion --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "offer"),
    [("workbench com", "compare"), ("workbench compare lin", "linear"),
     ("workbench compare linear --data dia", "diabetes"), ("workbench fit linear --he", "--help")],
)  # fmt: skip
def test_completion_offers_commands_models_and_data(line, offer):
    last = str(line.count(" "))
    environment = {
        "_WORKBENCH_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": last,
    }  # fmt: skip
    result = CliRunner().invoke(main, [], prog_name="workbench", env=environment)
    assert f"plain,{offer}" in result.stdout.splitlines()


def test_a_command_leaves_the_collector_as_it_was():
    before = gc.get_threshold()
    main.main(args=["list", "data"], standalone_mode=False)
    assert gc.get_threshold() == before
