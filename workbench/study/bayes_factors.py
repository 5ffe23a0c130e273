"""Bayes factors: models of the same observations compared by their evidence.

References
----------
Kass and Raftery (1995), "Bayes factors", doi:10.1080/01621459.1995.10476572.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workbench.errors import UsageError
from workbench.study.evidence import Evidence


def bayes_factors(
    evidences: Mapping[str, Evidence], prior: Mapping[str, float] | None = None
) -> pd.DataFrame:
    r"""Compare models of the same observations by their evidence.

    Parameters
    ----------
    evidences : mapping of str to Evidence
        By the model's name.
    prior : mapping of str to float, optional
        Prior weight of each model; equal by default.

    Returns
    -------
    pandas.DataFrame
        Index model, best first: ``log_evidence``, ``std_error``, ``log_bayes_factor`` (of the
        model against the best), ``weight`` (posterior probability), ``estimator``.

    Raises
    ------
    UsageError
        For fewer than two models, other numbers of observations, an evidence that is not known,
        or prior weights that do not belong to the models.

    Notes
    -----
    :math:`w_m \propto p(m) \, p(y \mid m)`; the weights say nothing of models that are not listed.

    References
    ----------
    Kass and Raftery (1995), doi:10.1080/01621459.1995.10476572.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.study import evidence
    >>> def at_zero(y=None):
    ...     numpyro.sample("y", dist.Normal(0 * numpyro.sample("a", dist.Normal(0, 1)), 1), obs=y)
    >>> def free(y=None):
    ...     numpyro.sample("y", dist.Normal(numpyro.sample("a", dist.Normal(0, 1)), 1), obs=y)
    >>> by = {m.__name__: evidence(m, {"y": 2.0}, estimators=("quadrature", "Laplace"))
    ...       for m in (at_zero, free)}
    >>> bayes_factors(by)["weight"].round(3).to_dict()
    {'free': 0.658, 'at_zero': 0.342}
    """
    if len(evidences) < 2:
        raise UsageError(f"bayes_factors expects two or more models; got {len(evidences)}")
    sizes = {n: e.num_observations for n, e in evidences.items()}
    if len(set(sizes.values())) > 1:
        raise UsageError(f"bayes_factors expects models of the same observations; got N {sizes}")
    blank = [n for n, e in evidences.items() if not e.best]
    if blank:
        raise UsageError(f"the evidence of model '{blank[0]}' is not known: its table says why")
    if prior is not None and (set(prior) != set(evidences) or min(prior.values()) <= 0):
        raise UsageError(
            f"prior expects a positive weight for each of {', '.join(evidences)}; got {dict(prior)}"
        )
    table = pd.DataFrame(
        {
            "log_evidence": [e.log_evidence for e in evidences.values()],
            "std_error": [e.std_error for e in evidences.values()],
        },
        index=pd.Index(list(evidences), name="model"),
    )
    table["log_bayes_factor"] = table["log_evidence"] - table["log_evidence"].max()
    log_prior = np.log([1.0 if prior is None else prior[n] for n in evidences])
    weight = np.exp(table["log_bayes_factor"] + log_prior)
    table["weight"] = weight / weight.sum()
    table["estimator"] = [e.best for e in evidences.values()]
    return table.sort_values("log_evidence", ascending=False)
