"""`workbench intervals` prints the row that Python gives."""

from __future__ import annotations

import json

import numpy as np
from click.testing import CliRunner

import workbench as wb
from models.linear import MODEL
from workbench.cli import main

WORDS = ["intervals", "linear", "--data", "kidiq", "--terms", "sigma", "--kind", "Wald",
         "--kind", "profile"]  # fmt: skip


def test_json_is_the_table_of_python():
    result = CliRunner().invoke(main, [*WORDS, "--json", "--level", "0.9"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    fit = wb.fit_mle(MODEL, wb.load_dataset("kidiq"))
    made = wb.intervals(fit, level=0.9, kinds=("Wald", "profile"), terms=["sigma"])
    assert said["name"] == "linear-kidiq"
    assert [r["kind"] for r in said["intervals"]] == ["Wald", "profile"]
    ends = [[r["lower"], r["upper"]] for r in said["intervals"]]
    np.testing.assert_allclose(ends, made.table[["lower", "upper"]], rtol=1e-8)
    assert said["findings"] == []


def test_text_has_a_line_for_each_kind():
    result = CliRunner().invoke(main, WORDS)
    assert result.exit_code == 0, result.output
    title, heads, first, second = result.stdout.strip().splitlines()
    assert title == "linear-kidiq, 95% intervals"
    assert heads.split() == ["term", "interval", "lower", "upper", "type", "reason"]
    assert first.split()[:2] == ["sigma", "Wald"]
    assert second.split()[0] == "profile"


def test_an_unknown_kind_is_told_the_known_ones():
    result = CliRunner().invoke(main, ["intervals", "linear", "--data", "kidiq", "--kind", "exact"])
    assert result.exit_code == 2
    assert "kinds expects some of Wald" in result.stderr
