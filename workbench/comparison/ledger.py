r"""The ledger: why the two answers differ, in steps that add up exactly.

For each term, location moves

.. math:: \hat\theta_{MLE} \xrightarrow{\text{prior}} \hat\theta_{MAP}
          \xrightarrow{\text{coordinates}} \hat\theta_{mode(z)}
          \xrightarrow{\text{averaging}} E(\theta \mid y),

the pull of the prior, the change of coordinates (a mode is not invariant to a change of
variables, since the density is multiplied by the Jacobian), and the averaging over the posterior
(its skew and its nuisance parameters). Spread moves from the MLE's standard error to the Laplace
sd (*information in the prior*) and on to the posterior sd (*departure from normality*).

The unit is the MLE's standard error; where it has none, the posterior sd, and the ledger says so.
The Monte Carlo error belongs to the last step, the only one that is sampled.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workbench.fit import DrawsFit, ModeFit

LOCATION_STEPS = (("prior", "MLE", "MAP"), ("coordinates", "MAP", "Laplace"),
                  ("averaging", "Laplace", "NUTS"))  # fmt: skip
SPREAD_STEPS = (("prior information", "MLE", "Laplace"),
                ("departure from normality", "Laplace", "NUTS"))  # fmt: skip
COLUMNS = (
    "term", "quantity", "step", "start", "end", "change", "unit", "unit_value",
    "change_in_units", "mc_error_in_units", "reason",
)  # fmt: skip


def build_ledger(
    fits: Mapping[str, ModeFit | DrawsFit],
    terms: list[str],
    refused: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The steps from maximum likelihood to posterior, for each term.

    Parameters
    ----------
    fits : mapping
        Fits by method, ``MLE``, ``MAP``, ``Laplace``, ``NUTS``; any may be absent.
    terms : list of str
        Terms to explain.
    refused : mapping, optional
        Why a method is absent, by method.

    Returns
    -------
    pandas.DataFrame
        Columns ``term, quantity, step, start, end, change, unit, unit_value, change_in_units,
        mc_error_in_units, reason``. For each term and quantity the changes add up to the last
        ``end`` minus the first ``start``. A step with an end that does not exist is ``nan``,
        with its reason.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.comparison import compare
    >>> def normal(y=None):  # prior N(0, 1), four observations of variance 1 with mean 2
    ...     mu = numpyro.sample("mu", dist.Normal(0, 1))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> c = compare(normal, {"y": [1.0, 2.0, 3.0, 2.0]}, num_samples=500)
    >>> c.ledger.set_index("step").loc["prior", "change"].round(6)  # 8/5 - 2
    np.float64(-0.4)
    """
    refused = refused or {}
    summaries = {m: f.summary().set_index("term") for m, f in fits.items()}
    rows = []
    for term in terms:
        unit, unit_value = _unit(summaries, term)
        for quantity, column, steps in (
            ("location", "estimate", LOCATION_STEPS),
            ("spread", "std_error", SPREAD_STEPS),
        ):
            for step, first, last in steps:
                start, end = (_value(summaries, m, term, column) for m in (first, last))
                reason = _reason(fits, refused, summaries, (first, last), term, column)
                error = 0.0
                if last == "NUTS" and "NUTS" in summaries:
                    name = "mcse_mean" if quantity == "location" else "mcse_sd"
                    error = float(summaries["NUTS"].loc[term, name])
                rows.append(
                    (term, quantity, step, start, end, end - start, unit, unit_value,
                     (end - start) / unit_value, error / unit_value, reason)
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _value(summaries: Mapping[str, pd.DataFrame], method: str, term: str, column: str) -> float:
    return float(summaries[method].loc[term, column]) if method in summaries else np.nan


def _unit(summaries: Mapping[str, pd.DataFrame], term: str) -> tuple[str, float]:
    """The MLE's standard error; where it has none, the posterior sd."""
    error = _value(summaries, "MLE", term, "std_error")
    if np.isfinite(error) and error > 0:
        return "MLE standard error", error
    sd = _value(summaries, "NUTS", term, "std_error")
    return "posterior sd", sd if sd > 0 else np.nan


def _reason(
    fits: Mapping[str, ModeFit | DrawsFit],
    refused: Mapping[str, str],
    summaries: Mapping[str, pd.DataFrame],
    methods: tuple[str, str],
    term: str,
    column: str,
) -> str:
    """Why a step cannot be computed ("" when it can)."""
    for method in methods:
        if method not in fits:
            return refused.get(method, f"{method} was not fitted")
        if not np.isfinite(_value(summaries, method, term, column)):
            return str(summaries[method].get("reason", pd.Series(dtype=str)).get(term, ""))
    return ""


def totals(ledger: pd.DataFrame) -> pd.DataFrame:
    """Sum of the steps in units, by term and quantity: posterior minus maximum likelihood.

    Parameters
    ----------
    ledger : pandas.DataFrame
        As built by :func:`build_ledger`.

    Returns
    -------
    pandas.DataFrame
        Indexed by term, columns ``location`` and ``spread``; ``nan`` where a step is missing.
    """
    summed = ledger.groupby(["term", "quantity"], sort=False)["change_in_units"].sum(min_count=1)
    missing = (
        ledger["change_in_units"]
        .isna()
        .groupby([ledger["term"], ledger["quantity"]], sort=False)
        .any()
    )
    return summed.where(~missing).unstack("quantity")
