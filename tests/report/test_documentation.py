from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from workbench.cli.models import FOLDER, model_names
from workbench.report.documentation import to_html
from workbench.report.mathematics import to_mathml
from workbench.report.numbers import digits


@pytest.mark.parametrize(
    ("latex", "mathml"),
    [
        (r"\beta", "<mi>β</mi>"),
        (r"x_i^2", "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>"),
        (r"e^{-x}", "<msup><mi>e</mi><mrow><mo>−</mo><mi>x</mi></mrow></msup>"),
        (r"\frac{a}{b}", "<mfrac><mi>a</mi><mi>b</mi></mfrac>"),
        (r"\mathrm{Normal}", '<mi mathvariant="normal">Normal</mi>'),
        (r"a < b", "<mrow><mi>a</mi><mo>&lt;</mo><mi>b</mi></mrow>"),
        (r"\sqrt{H_{l-1}}", "<msqrt><msub><mi>H</mi><mrow><mi>l</mi><mo>−</mo><mn>1</mn></mrow>"
                            "</msub></msqrt>"),
    ],
)  # fmt: skip
def test_latex_as_mathml(latex, mathml):
    assert to_mathml(latex) == f"<math>{mathml}</math>"


@pytest.mark.parametrize("latex", [r"\unknown{x}", "{x", "x}", "a_", "#"])
def test_what_is_not_understood_is_shown_as_it_was_written(latex):
    assert to_mathml(latex) == f"<code>{latex}</code>"


def test_rows_align_at_the_ampersand():
    found = to_mathml(r"y &= x \\ z &= w", block=True)
    assert found.count("<mtr>") == 2
    assert found.count("<mtd") == 4


@pytest.mark.parametrize("name", model_names())
def test_the_mathematics_of_every_model_is_understood(name):
    import ast

    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8")))
    found = to_html(text)
    assert not re.findall(r"<(?:code|pre)>[^<]*\\[a-z]+", found)
    ElementTree.fromstring(f"<div>{found}</div>")  # well formed
    assert len(re.findall("<math", found)) >= text.count(":math:`") + text.count(".. math::")


def test_paragraphs_headings_lists_and_code():
    text = "First *line*\nand more.\n\nNotes\n-----\n- a ``b``\n- c\n\nCode::\n\n    x = 1 < 2\n"
    assert to_html(text) == (
        "<p>First <em>line</em>\nand more.</p>\n<h4>Notes</h4>\n"
        "<ul><li>a <code>b</code></li><li>c</li></ul>\n"
        "<p>Code:</p>\n<pre>x = 1 &lt; 2</pre>"
    )


def test_roles_show_their_last_name_and_markup_is_escaped():
    assert to_html("See :func:`a.b.c` & <b>.") == "<p>See <code>c</code> &amp; &lt;b&gt;.</p>"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (5.60298, 0.70813, "5.603"),  # error 0.708: three decimals
        (-334.567, 66.61, "-334.6"),
        (123456.0, 2000.0, "123456"),
        (1e-7, 3e-9, "1e-07"),
        (float("nan"), 1.0, "-"),
        (float("inf"), float("nan"), "inf"),
        (0.5, 0.0, "0.5"),
    ],
)
def test_digits_follow_the_error(value, error, text):
    assert digits(value, error) == text
