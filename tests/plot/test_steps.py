"""The ledger's picture adds up as the ledger does."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import plot
from workbench.errors import UsageError
from workbench.plot.steps import STEP_COLOURS

from .conftest import many_terms
from .helpers import outside, overlapping


def bars(ax, term):
    """Left and right end of each bar of a term, by step."""
    found = {}
    for container in ax.containers:
        label = container.get_label()
        if label.startswith(f"_{term} "):
            patch = container.patches[0]
            found[label.removeprefix(f"_{term} ")] = (patch.get_x(), patch.get_width())
    return found


@pytest.mark.parametrize("quantity", ["location", "spread"])
def test_bars_are_the_ledgers_steps_end_to_end(line, quantity):
    ax = plot.ledger(line, quantity=quantity)
    table = line.ledger[line.ledger["quantity"] == quantity]
    for term in line.terms:
        rows = table[table["term"] == term]
        drawn = bars(ax, term)
        np.testing.assert_allclose(
            [drawn[s][1] for s in rows["step"]], rows["change_in_units"], rtol=0, atol=1e-12
        )
        at = 0.0
        for step in rows["step"]:
            assert drawn[step][0] == pytest.approx(at, abs=1e-9)
            at += drawn[step][1]


def test_last_step_carries_the_monte_carlo_error(line):
    ax = plot.ledger(line, "sigma")
    row = line.ledger.set_index(["term", "step"]).loc[("sigma", "averaging")]
    (segment,) = next(
        c[2][0].get_segments() for c in ax.containers if c.get_label() == "_Monte Carlo error"
    )
    assert np.ptp(segment[:, 0]) == pytest.approx(2 * row["mc_error_in_units"], rel=1e-9)


def test_a_step_has_the_colour_of_the_answer_it_leads_to():
    assert STEP_COLOURS["prior"] == plot.METHOD_COLOURS["MAP"]
    assert STEP_COLOURS["averaging"] == plot.METHOD_COLOURS["NUTS"]


def test_steps_without_an_end_are_left_out_and_the_unit_is_named(schools):
    ax = plot.ledger(schools, ["tau", "mu"], quantity="spread")
    assert "prior information" not in bars(ax, "tau")
    assert "posterior sds" in ax.get_xlabel()


def test_many_terms_are_cut_with_a_note(line):
    ax = plot.ledger(many_terms(line, "sigma", 40), limit=20)
    assert "the first 20 of 40 terms; 20 are left out" in ax.get_xlabel().replace("\n", " ")
    assert not overlapping(ax)
    assert not outside(ax)


def test_unknown_quantity_is_refused(line):
    with pytest.raises(UsageError, match="'location' or 'spread'; got 'skew'"):
        plot.ledger(line, quantity="skew")  # pyright: ignore[reportArgumentType]
