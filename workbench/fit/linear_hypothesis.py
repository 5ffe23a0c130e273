r"""Linear hypotheses about the terms of a fit, written by name: :math:`R \theta = r`.

``"x1 = x2"``, ``"beta[x1] = 0, beta[x2] = 0"``, ``"2 * x1 - x2 / 3 = 1"``, ``"a = b = c"``: each
equation compares sums of terms with numbers for factors. A term is named as in the table, or by
what stands in its brackets where no other term has the same.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.errors import UsageError

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORD = re.compile(r"[^\s=,*/+-]+")


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearHypothesis:
    """The equations R theta = r about Q terms.

    Attributes
    ----------
    text : str
        As it was written.
    weights : numpy.ndarray
        R, shape (k, Q), of rank k.
    values : numpy.ndarray
        r, shape (k,).
    """

    text: str
    weights: np.ndarray
    values: np.ndarray


def read_hypothesis(text: str, terms: Sequence[str]) -> LinearHypothesis:
    """Read equations about terms.

    Parameters
    ----------
    text : str
        Equations, separated by commas.
    terms : sequence of str
        The terms of the fit, in order.

    Returns
    -------
    LinearHypothesis
        One row for each equality sign.

    Raises
    ------
    UsageError
        When a name is none of a term (the nearest is told), the text cannot be read, or an
        equation follows from the others.

    Examples
    --------
    >>> read = read_hypothesis("x1 = 2 * x2, sigma = 1", ["beta[x1]", "beta[x2]", "sigma"])
    >>> read.weights.tolist(), read.values.tolist()
    ([[1.0, -2.0, 0.0], [0.0, 0.0, 1.0]], [0.0, 1.0])
    """
    reader = _Reader(text=text, names=_names(terms), size=len(terms))
    rows = reader.equations()
    table = np.array(rows)
    weights, values = table[:, :-1] + 0.0, 0.0 - table[:, -1]  # no zero is negative
    if np.linalg.matrix_rank(weights) < len(weights):
        raise UsageError(
            f"hypothesis '{text}' expects equations of which none follows from the others; got "
            f"{len(weights)} of rank {np.linalg.matrix_rank(weights)}"
        )
    return LinearHypothesis(text=text, weights=weights, values=values)


def _names(terms: Sequence[str]) -> dict[str, int]:
    """Positions of the terms by their names, and by what stands in brackets where unique."""
    inner = [t[t.index("[") + 1 : -1] if t.endswith("]") and "[" in t else "" for t in terms]
    count = Counter(inner)
    short = {
        name: i
        for i, name in enumerate(inner)
        if name and count[name] == 1 and not _NUMBER.fullmatch(name)
    }
    return {**short, **{t: i for i, t in enumerate(terms)}}


@dataclass(kw_only=True)
class _Reader:
    """Reads a text from left to right; expressions are vectors (Q weights, constant)."""

    text: str
    names: Mapping[str, int]
    size: int
    at: int = 0

    def equations(self) -> list[np.ndarray]:
        rows = []
        while True:
            sides = [self.expression()]
            while self.take("="):
                sides.append(self.expression())
            if len(sides) == 1:
                raise UsageError(f"hypothesis '{self.text}' expects an equation such as 'a = 0'")
            rows += [left - right for left, right in zip(sides[:-1], sides[1:], strict=True)]
            if not self.take(","):
                break
        if self.rest():
            raise self.error("'=', ',', '+' or '-'")
        return rows

    def expression(self) -> np.ndarray:
        total = self.signed()
        while self.rest()[:1] in ("+", "-") and self.rest():
            total = total + self.signed()
        return total

    def signed(self) -> np.ndarray:
        sign = 1.0
        while self.rest()[:1] in ("+", "-") and self.rest():
            sign = -sign if self.take("-") else sign
            self.take("+")
        value = self.factor()
        while self.rest()[:1] in ("*", "/") and self.rest():
            divide = self.take("/") or not self.take("*")
            other = self.factor()
            if divide and other[:-1].any() or value[:-1].any() and other[:-1].any():
                raise UsageError(f"hypothesis '{self.text}' is not linear in the terms")
            if divide:
                if other[-1] == 0:
                    raise UsageError(f"hypothesis '{self.text}' divides by zero")
                value = value / other[-1]
            else:
                value = value * other[-1] if value[:-1].any() else other * value[-1]
        return sign * value

    def factor(self) -> np.ndarray:
        """A term or a number."""
        vector = np.zeros(self.size + 1)
        rest = self.rest()
        for name in sorted(self.names, key=len, reverse=True):
            # a name ends where a longer word does not go on
            if rest.startswith(name) and not re.match(r"\w", rest[len(name) :]):
                vector[self.names[name]] = 1.0
                self.at += len(name)
                return vector
        number = _NUMBER.match(rest)
        if number and not re.match(r"\w", rest[number.end() :]):
            vector[-1] = float(number.group())
            self.at += number.end()
            return vector
        raise self.error("a term or a number")

    def take(self, sign: str) -> bool:
        found = self.rest().startswith(sign)
        self.at += found
        return found

    def rest(self) -> str:
        """What is left, without leading space."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return self.text[self.at :]

    def error(self, expected: str) -> UsageError:
        word = _WORD.match(self.rest())
        got = f"'{word.group() if word else self.rest()[:1]}'" if self.rest() else "its end"
        near = difflib.get_close_matches(word.group(), self.names, n=1, cutoff=0.0) if word else []
        hint = f"; did you mean '{near[0]}'?" if near and expected.startswith("a term") else ""
        return UsageError(f"hypothesis '{self.text}' expects {expected}; got {got}{hint}")
