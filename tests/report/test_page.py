from __future__ import annotations

import math
import os
from html.parser import HTMLParser

import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.report import StudySection, render, write_report
from workbench.store import load, read_source, save

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page holds: its text by section, what it refers to, whether its elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.open: list[str] = []
        self.text: dict[str, str] = {"": ""}
        self.alts: list[str] = []
        self._section = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self._section = given["id"]
            self.text[self._section] = ""
        if "id" in given:
            self.ids.append(given["id"])
        for name in ("src", "href", "srcset", "poster", "action", "data"):
            value = given.get(name)
            if value is not None:
                (self.anchors if value.startswith("#") else self.references).append(value)
        if tag == "img":
            self.alts.append(given.get("alt", ""))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag
        if tag == "section":
            self._section = ""

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            assert "url(" not in data
            assert "@import" not in data
        else:
            self.text[self._section] += data


@pytest.fixture(scope="module")
def text(trees):
    return render(trees)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_page_refers_to_nothing_outside_of_it(page):
    assert page.references
    assert all(r.startswith("data:image/") for r in page.references)
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base"}


def test_elements_nest_and_anchors_lead_somewhere(page):
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {a.removeprefix("#") for a in page.anchors} <= set(page.ids)


def test_every_term_finding_score_and_method_is_there(page, trees):
    for term in trees.terms:
        assert term in page.text["estimates"]
        assert term in page.text["ledger"]
    for finding in trees.findings:
        assert finding.sentence in page.text["findings"]
        assert finding.advice in page.text["findings"]
        assert finding.severity.value in page.text["findings"]
    for score in trees.scores["score"]:
        assert score in page.text["predictions"]
    for method in trees.fits:
        assert method in page.text["estimates"]
        assert method in page.text["diagnostics"]
    assert trees.verdict in page.text[""]


def test_the_verdict_stands_before_everything_else(text):
    assert text.index("Verdict") < text.index('id="findings"') < text.index('id="estimates"')


def test_numbers_are_those_of_the_table(page, trees):
    for method in trees.fits:
        row = trees.rows("sigma").loc[method]
        estimate, error = (float(row[k]) for k in ("estimate", "std_error"))
        # sigma is near 1 and its error near 0.1: three digits of the error are three decimals
        assert 0.1 <= error < 1
        assert f"{estimate:.3f} ± {error:.3f}" in page.text["estimates"]


def test_pictures_have_words_for_those_who_do_not_see_them(page):
    assert len(page.alts) >= 12
    assert all(page.alts)


def test_text_is_escaped(text):
    assert "<script" not in text
    assert "<b>heights" not in text
    assert "&lt;b&gt;heights&lt;/b&gt;" in text
    assert "kind[&lt;i&gt;oak&lt;/i&gt;]" in text or "kind[elm &amp; ash]" in text


def test_the_model_is_told_with_its_mathematics(page):
    assert "Normal linear regression." in page.text["model"]
    assert "numpyro.sample" in page.text["model"]
    assert {"math", "mtable", "msub"} <= page.tags
    assert "\\sim" not in page.text["model"]


def test_the_data_card_and_provenance_are_there(page, trees):
    for part in (trees.data.card.question, trees.data.card.origin, trees.data.design.formula):
        assert part in page.text["data"]
    fit = trees.fits["NUTS"]
    assert fit.provenance.data_fingerprint in page.text["provenance"]
    assert f"jax {fit.provenance.versions['jax']}" in page.text["provenance"]


def test_dark_mode_print_and_small_screens_are_styled(text):
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert 'name="viewport"' in text


def test_a_loaded_comparison_gives_the_same_page(trees, text, tmp_path):
    # every picture too, byte for byte
    save(trees, tmp_path / "c.nc")
    assert render(load(tmp_path / "c.nc"), source=read_source(tmp_path / "c.nc")) == text


def test_without_a_model_the_page_says_how_to_have_its_text(no_mle, tmp_path):
    save(no_mle, tmp_path / "c.nc")
    assert "The model's text was not given" in Page(render(load(tmp_path / "c.nc"))).text["model"]


def test_a_refused_fit_is_told_and_leaves_gaps_with_reasons(no_mle):
    page = Page(render(no_mle))
    assert "refused: " in page.text["diagnostics"]
    assert no_mle.refused["MLE"] in page.text["diagnostics"]
    assert "cannot be drawn" in page.text["diagnostics"]  # the path of an optimiser without MLE
    for term in no_mle.terms:
        assert term in page.text["estimates"]


def test_the_file_is_replaced_whole_or_not_at_all(no_mle, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(a, b):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(WorkbenchError, match="No space left"):
            write_report(no_mle, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    write_report(no_mle, path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_study_has_a_section_with_its_table_and_picture(trees):
    table = pd.DataFrame({"direction": [1, 2], "share": [0.75, math.nan], "along": ["a < b", ""]})
    section = StudySection(
        instrument="spectrum", name="linear-trees", table=table, sentences=("One & two.",),
        trusted=False, picture=b"<?xml version='1.0'?><svg/>",
    )  # fmt: skip
    page = Page(render(trees, studies=[section]))
    assert page.open == []
    said = page.text["studies"]
    for words in ("Spectrum", "One & two.", "0.75", "a < b", "Not to be used as it stands."):
        assert words in said
    assert "Spectrum of linear-trees" in page.alts
    assert "#studies" in page.anchors
    assert all(r.startswith("data:image/") for r in page.references)
    assert "studies" not in Page(render(trees)).text
