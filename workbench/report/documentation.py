"""A docstring as HTML: paragraphs, headings, lists, code and mathematics of reStructuredText."""

from __future__ import annotations

import html
import re
import textwrap

from workbench.report.mathematics import to_mathml

_INLINE = re.compile(
    r"(?P<role>:(?P<name>[\w:]+):`(?P<inner>[^`]+)`)"
    r"|(?P<code>``(?P<verbatim>.+?)``)"
    r"|(?P<link>`(?P<words>[^`<]+?)(?:\s*<[^>]+>)?`_{0,2})"
    r"|(?P<bold>\*\*(?P<strong>[^*]+)\*\*)"
    r"|(?P<italic>(?<![\w*])\*(?P<em>[^*\s][^*]*)\*)",
    re.DOTALL,
)


def to_html(text: str) -> str:
    """Turn the text of a docstring into HTML.

    Parameters
    ----------
    text : str
        The docstring, its margin taken off.

    Returns
    -------
    str
        Elements; everything from the text is escaped, and nothing in it links elsewhere.

    Examples
    --------
    >>> to_html("Normal noise, :math:`y = x`.")
    '<p>Normal noise, <math><mrow><mi>y</mi><mo>=</mo><mi>x</mi></mrow></math>.</p>'
    """
    out: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif at + 1 < len(lines) and re.fullmatch(r"([-=~^])\1{2,}", lines[at + 1].strip()):
            out.append(f"<h4>{_inline(line.strip())}</h4>")
            at += 2
        elif line.lstrip().startswith(".. math::"):
            first = line.split("::", 1)[1]
            at, body = _indented(lines, at + 1, _margin(line))
            blocks = re.split(r"\n\s*\n", f"{first}\n{body}".strip())
            out += [f'<div class="math">{to_mathml(b, block=True)}</div>' for b in blocks if b]
        elif line.lstrip().startswith(".. "):
            at, _ = _indented(lines, at + 1, _margin(line))
        elif line.lstrip().startswith(">>> "):
            end = _until_blank(lines, at)
            out.append(_code("\n".join(lines[at:end])))
            at = end
        elif re.match(r"\s*[-*] ", line):
            end = _until_blank(lines, at)
            out.append(_list("\n".join(lines[at:end])))
            at = end
        elif re.fullmatch(r"\s*=+(\s+=+)+\s*", line):
            end = _until_blank(lines, at)
            out.append(_code("\n".join(lines[at:end])))
            at = end
        else:
            end = _until_blank(lines, at)
            paragraph = textwrap.dedent("\n".join(lines[at:end])).strip()
            at = end
            if paragraph.endswith("::"):
                out.append(f"<p>{_inline(paragraph[:-1])}</p>")
                at, body = _indented(lines, at, _margin(line))
                out.append(_code(body))
            else:
                out.append(f"<p>{_inline(paragraph)}</p>")
    return "\n".join(out)


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _indented(lines: list[str], at: int, margin: int) -> tuple[int, str]:
    """The block below a directive: blank lines, and lines further in than it."""
    start = at
    while at < len(lines) and (not lines[at].strip() or _margin(lines[at]) > margin):
        at += 1
    return at, textwrap.dedent("\n".join(lines[start:at])).strip("\n")


def _until_blank(lines: list[str], at: int) -> int:
    while at < len(lines) and lines[at].strip() and not lines[at].lstrip().startswith(".. math::"):
        at += 1
    return at


def _code(text: str) -> str:
    return f"<pre>{html.escape(textwrap.dedent(text))}</pre>"


def _list(text: str) -> str:
    items = re.split(r"(?m)^\s*[-*] ", text)[1:]
    return "<ul>" + "".join(f"<li>{_inline(i.strip())}</li>" for i in items) + "</ul>"


def _inline(text: str) -> str:
    """Text with its marks; a role other than mathematics shows its last name."""
    out, at = [], 0
    for found in _INLINE.finditer(text):
        out.append(html.escape(text[at : found.start()]))
        at = found.end()
        if found["role"]:
            inner = found["inner"]
            if found["name"] == "math":
                out.append(to_mathml(inner))
            else:
                name = re.sub(r"\s*<[^>]+>$", "", inner)
                out.append(f"<code>{html.escape(name.lstrip('~').rsplit('.', 1)[-1])}</code>")
        elif found["code"]:
            out.append(f"<code>{html.escape(found['verbatim'])}</code>")
        elif found["bold"]:
            out.append(f"<strong>{html.escape(found['strong'])}</strong>")
        elif found["italic"]:
            out.append(f"<em>{html.escape(found['em'])}</em>")
        else:
            out.append(html.escape(found["words"]))
    return "".join(out) + html.escape(text[at:])
