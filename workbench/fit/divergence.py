r"""Where the divergent transitions are: the terms whose divergent draws lie apart from the others.

Of a divergent and a non-divergent draw of a term, let

.. math:: A = \Pr(\theta_{div} < \theta_{other}) + \tfrac12 \Pr(\theta_{div} = \theta_{other}),

the Mann-Whitney statistic: 1/2 where divergences fall anywhere in the term's range, 1 where all
lie below. Under no difference its standard deviation is
:math:`\sqrt{(n_1 + n_0 + 1) / (12 n_1 n_0)}`.

References
----------
Mann and Whitney (1947), doi:10.1214/aoms/1177730491;
Betancourt (2017), arXiv:1701.02434, on divergences and where they concentrate.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from workbench.fit.draws import DrawsFit


def locate_divergences(fit: DrawsFit) -> pd.DataFrame:
    """Compare divergent draws of every term with the others.

    Parameters
    ----------
    fit : DrawsFit
        With or without divergences.

    Returns
    -------
    pandas.DataFrame
        Index term, the most telling first: ``below`` (A above), ``z`` (its distance from 1/2 in
        standard deviations), ``divergent`` and ``other`` (medians), ``quantile`` (share of the
        other draws below the divergent median). Empty without divergences.

    Notes
    -----
    A divergent transition is represented by the draw it ended with, which is near by.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> fit = wb.fit_nuts(normal, {"y": [1.0, 2.0, 3.0]}, num_warmup=200, num_samples=200)
    >>> len(wb.locate_divergences(fit))  # none
    0
    """
    diverging = fit.sample_stats["diverging"].astype(bool)
    draws = fit.estimand_draws
    inside, outside = draws[diverging], draws[~diverging]
    columns = ["below", "z", "divergent", "other", "quantile"]
    if not len(inside) or not len(outside):
        return pd.DataFrame(columns=columns, index=pd.Index([], name="term"), dtype=float)
    ranks = stats.rankdata(np.concatenate([inside, outside]), axis=0)
    n1, n0 = len(inside), len(outside)
    above = (ranks[:n1].sum(axis=0) - n1 * (n1 + 1) / 2) / (n1 * n0)
    middle = np.median(inside, axis=0)
    table = pd.DataFrame(
        {
            "below": 1 - above,
            "z": (0.5 - above) / np.sqrt((n1 + n0 + 1) / (12 * n1 * n0)),
            "divergent": middle,
            "other": np.median(outside, axis=0),
            "quantile": (outside < middle).mean(axis=0),
        },
        index=fit.estimands.index,
    )
    return table.sort_values("z", key=np.abs, ascending=False, kind="stable")
