"""The verdict: one paragraph on how far the answers part, why, and whether to trust them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.comparison.finding import Severity
from workbench.comparison.ledger import totals

if TYPE_CHECKING:
    from workbench.comparison.comparison import Comparison

_CAUSES = {
    "prior": "the pull of the prior",
    "coordinates": "the choice of coordinates for the mode",
    "averaging": "averaging over a skewed posterior and its nuisance parameters",
}
_CLOSE = 0.25  # units


def verdict(comparison: Comparison) -> str:
    """Write the verdict.

    Parameters
    ----------
    comparison : Comparison
        Its ledger and findings are read.

    Returns
    -------
    str
        Two or three sentences.
    """
    return " ".join([_difference(comparison), _trust(comparison)])


def _difference(c: Comparison) -> str:
    if "MLE" in c.refused:
        return "There is no maximum likelihood estimate of this model to compare with."
    location = totals(c.ledger)["location"].dropna()
    missing = len(c.terms) - len(location)
    lacking = f" {missing} terms cannot be compared." if missing else ""
    if location.empty:
        return "No term has both a maximum likelihood estimate and a posterior mean."
    of_location = c.ledger[c.ledger["quantity"] == "location"]
    error = of_location.groupby("term")["mc_error_in_units"].sum().reindex(location.index)
    # nothing is concluded that two Monte Carlo errors could undo
    apart = location.abs() - 2 * error > _CLOSE
    near = location.abs() + 2 * error <= _CLOSE
    shown = location[apart] if apart.any() else location if near.all() else location[~near]
    worst = shown.abs().idxmax()
    value = float(location[worst])
    rows = of_location[of_location["term"] == worst]
    unit = "standard errors" if rows["unit"].iloc[0].startswith("MLE") else "posterior sd"
    if near.all():
        return (
            f"Maximum likelihood and the posterior agree: no posterior mean is further than "
            f"{abs(value):.2f} {unit} from its estimate (largest for {worst}).{lacking}"
        )
    if not apart.any():
        return (
            f"Whether maximum likelihood and the posterior part cannot be told from these draws: "
            f"the posterior mean of {worst} lies {value:+.2f} {unit} from its estimate, with a "
            f"Monte Carlo error of {error[worst]:.2f}.{lacking}"
        )
    cause = rows.loc[rows["change_in_units"].abs().idxmax()]
    share = f"{cause['change_in_units']:+.2f}"
    return (
        f"The answers part for {int(apart.sum())} of {len(location)} terms, most for {worst}: its "
        f"posterior mean lies {value:+.2f} {unit} from the maximum likelihood estimate, mainly by "
        f"{_CAUSES[cause['step']]} ({share}).{lacking}"
    )


def _trust(c: Comparison) -> str:
    errors = [f for f in c.findings if f.severity is Severity.ERROR]
    halves = {"the maximum likelihood fit": False, "the posterior": False}
    for f in errors:
        half = "the maximum likelihood fit" if f.code.startswith("mle-") else "the posterior"
        halves[half] = True
    bad = [h for h, is_bad in halves.items() if is_bad]
    if bad:
        return f"Do not trust {' or '.join(bad)}: {errors[0].sentence}"
    warnings = sum(f.severity is Severity.WARNING for f in c.findings)
    if warnings:
        return f"Both can be read, with {warnings} warning{'s' if warnings > 1 else ''} in mind."
    if not np.isfinite(c.table["estimate"]).all():
        return "Some estimates are not finite."
    return "Nothing speaks against trusting both."
