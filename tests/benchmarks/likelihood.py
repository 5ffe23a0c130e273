"""Warm maximum likelihood fits and bootstrap refits, beside statsmodels'."""

from __future__ import annotations


def main(argv: list[str]) -> None:
    """Print the table."""
    raise SystemExit("not written yet")
