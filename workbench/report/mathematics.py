r"""LaTeX, as far as docstrings use it, as MathML, which browsers set by themselves.

A recursive-descent reading of: letters, digits and operators; ``_`` and ``^``; groups; ``\frac``,
``\sqrt``, accents, fonts and text; Greek letters and the relations of statistics; rows by ``\\``
aligned at ``&``. What it does not know makes it refuse, and the page shows the LaTeX instead.
"""

from __future__ import annotations

import html
import re

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|[A-Za-z]|\s+|.", re.DOTALL)
_GREEK = {
    **dict(zip(
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma "
        "tau upsilon phi chi psi omega".split(), "αβγδεζηθικλμνξπρστυφχψω", strict=True)),
    **dict(zip("Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(), "ΓΔΘΛΞΠΣΦΨΩ",
               strict=True)),
    "varepsilon": "ε", "varphi": "φ", "ell": "ℓ", "infty": "∞", "partial": "∂", "nabla": "∇",
    "top": "⊤", "ldots": "…", "dots": "…", "cdots": "⋯", "vdots": "⋮",
}  # fmt: skip
_OPERATORS = {
    "sim": "∼", "approx": "≈", "equiv": "≡", "propto": "∝", "mid": "∣", "le": "≤", "leq": "≤",
    "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "ll": "≪", "gg": "≫", "in": "∈", "to": "→",
    "times": "×", "cdot": "⋅", "pm": "±", "sum": "∑", "prod": "∏", "int": "∫", "mapsto": "↦",
    "mapsfrom": "↤", "rightarrow": "→", "leftarrow": "←", "Rightarrow": "⇒", "iff": "⟺",
    "ast": "*", "circ": "∘", "quad": " ", "{": "{", "}": "}", "|": "‖", "langle": "⟨",
    "rangle": "⟩", "lbrace": "{", "rbrace": "}", "forall": "∀", "det": "det", "subset": "⊂",
}  # fmt: skip
_FUNCTIONS = {"log", "exp", "min", "max", "sin", "cos", "tan", "tanh", "det", "Pr", "arg"}
_SPACES = {",": "0.17em", ":": "0.22em", ";": "0.28em", " ": "0.25em", "!": "-0.17em",
           "quad": "1em", "qquad": "2em"}  # fmt: skip
_ACCENTS = {"hat": "^", "bar": "‾", "tilde": "~", "vec": "→", "widehat": "^", "overline": "‾",
            "widetilde": "~"}  # fmt: skip
_UPRIGHT = {"mathrm", "text", "operatorname", "textrm", "mathsf", "texttt"}
_BOLD = {"mathbf", "boldsymbol", "mathcal", "mathbb"}
_SIZES = {"big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "left", "right", "biggl",
          "biggr", "displaystyle", "limits"}  # fmt: skip


class UnknownMathematics(ValueError):
    """LaTeX that is not understood."""


def to_mathml(latex: str, *, block: bool = False) -> str:
    r"""Turn LaTeX into MathML.

    Parameters
    ----------
    latex : str
        Such as ``y_i \sim \mathrm{Normal}(\mu, \sigma)``; rows end at ``\\``, align at ``&``.
    block : bool
        Whether it stands on lines of its own.

    Returns
    -------
    str
        A ``<math>`` element, or the LaTeX as code where it is not understood.

    Examples
    --------
    >>> to_mathml(r"\beta_j")
    '<math><msub><mi>β</mi><mi>j</mi></msub></math>'
    >>> to_mathml(r"\strange{x}")
    '<code>\\strange{x}</code>'
    """
    try:
        body = _rows(latex) if block else _Reader(latex).row()
    except UnknownMathematics:
        tag = "pre" if block else "code"
        return f"<{tag}>{html.escape(latex.strip())}</{tag}>"
    kind = ' display="block"' if block else ""
    return f"<math{kind}>{body}</math>"


def _rows(latex: str) -> str:
    r"""Rows by ``\\``, cells by ``&``: right and left in turn, so that they align."""
    latex = re.sub(r"\\(?:begin|end)\{(?:aligned|align\*?|split)\}", "", latex)
    rows = [r for r in _split(latex, r"\\") if r.strip()]
    if len(rows) == 1 and "&" not in rows[0]:
        return _Reader(rows[0]).row()
    made = []
    for row in rows:
        cells = _split(row, "&")
        # an operator that opens a cell stands between two sides: what is empty makes it infix
        tags = [
            f'<mtd class="left"><mi></mi>{_Reader(c).row(bare=True)}</mtd>'
            if i % 2
            else f'<mtd class="right">{_Reader(c).row()}</mtd>'
            for i, c in enumerate(cells)
        ]
        made.append(f"<mtr>{''.join(tags)}</mtr>")
    return f'<mtable displaystyle="true">{"".join(made)}</mtable>'


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark that stands outside of groups."""
    parts, depth = [""], 0
    for token in _TOKEN.findall(text):
        depth += (token == "{") - (token == "}")
        if token == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    return parts


class _Reader:
    """Reads one row of LaTeX."""

    def __init__(self, latex: str) -> None:
        self._tokens = [t for t in _TOKEN.findall(latex)]
        self._at = 0

    def row(self, end: str | None = None, *, bare: bool = False) -> str:
        """Read up to the end, or to a closing token; as one element unless `bare`."""
        items: list[str] = []
        while True:
            token = self._peek()
            if token is None:
                if end is not None:
                    raise UnknownMathematics("a group is not closed")
                break
            if token == end:
                self._at += 1
                break
            if token == "}":
                raise UnknownMathematics("a group is closed that was not opened")
            items.append(self._scripted())
        if bare:
            return "".join(items)
        return items[0] if len(items) == 1 else f"<mrow>{''.join(items)}</mrow>"

    def _peek(self) -> str | None:
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _scripted(self) -> str:
        """An atom with what hangs below and above it."""
        base = self._atom()
        below = above = ""
        while (mark := self._peek()) in ("_", "^", "'"):
            self._at += 1
            if mark == "_":
                below = self._atom()
            else:
                above = self._atom() if mark == "^" else "<mo>′</mo>"
        big = any(f"<mo>{x}</mo>" == base for x in "∑∏")
        if below and above:
            tag = "munderover" if big else "msubsup"
            return f"<{tag}>{base}{below}{above}</{tag}>"
        if below:
            tag = "munder" if big else "msub"
            return f"<{tag}>{base}{below}</{tag}>"
        return f"<msup>{base}{above}</msup>" if above else base

    def _atom(self) -> str:
        token = self._peek()
        if token is None:
            raise UnknownMathematics("something is missing at the end")
        self._at += 1
        if token == "{":
            return self.row("}")
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        if token in "$#%&_^":
            raise UnknownMathematics(token)
        return f"<mo>{html.escape({'-': '−'}.get(token, token))}</mo>"

    def _command(self, name: str) -> str:
        if name in _SIZES:
            if self._peek() == ".":
                self._at += 1
                return ""
            return ""
        if name in _GREEK:
            return f"<mi>{_GREEK[name]}</mi>"
        if name in _SPACES:
            return f'<mspace width="{_SPACES[name]}"></mspace>'
        if name in _OPERATORS:
            return f"<mo>{_OPERATORS[name]}</mo>"
        if name in _FUNCTIONS:
            return f"<mi>{name}</mi><mo>\u2061</mo>"
        if name in _UPRIGHT:
            return f'<mi mathvariant="normal">{html.escape(self._text())}</mi>'
        if name in _BOLD:
            return f'<mi class="{name}">{html.escape(self._text())}</mi>'
        if name in _ACCENTS:
            return f'<mover accent="true">{self._atom()}<mo>{_ACCENTS[name]}</mo></mover>'
        if name in ("frac", "tfrac", "dfrac"):
            return f"<mfrac>{self._atom()}{self._atom()}</mfrac>"
        if name == "sqrt":
            return f"<msqrt>{self._atom()}</msqrt>"
        if name == "underbrace":
            return f'<munder>{self._atom()}<mo stretchy="true">⏟</mo></munder>'
        raise UnknownMathematics(name)

    def _text(self) -> str:
        r"""The raw text of a group, as in ``\mathrm{Normal}``."""
        if self._peek() != "{":
            self._at += 1
            return self._tokens[self._at - 1].removeprefix("\\")
        self._at += 1
        depth, text = 1, ""
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            depth += (token == "{") - (token == "}")
            if depth == 0:
                return text.replace("\\ ", " ").replace("\\", "")
            text += token
        raise UnknownMathematics("a group is not closed")
