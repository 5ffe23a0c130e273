"""The priors of a regression by term: the defaults, what was given instead, and their supports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.data import Design
from workbench.data.design import Coded
from workbench.data.formula import absent
from workbench.errors import UsageError
from workbench.model import autoscale
from workbench.model.families import Family
from workbench.model.prior_text import PriorText, read_prior
from workbench.model.regression import GroupEffects


def default_priors(
    coded: Coded, family: Family, scale: autoscale.PredictorScale, groups: Sequence[GroupEffects]
) -> dict[str, str]:
    """Give the default prior of every term of a regression, as text."""
    found = autoscale.coefficient_priors(coded, scale)
    if family.name == "ordinal":
        found["cut"] = autoscale.cut_prior(coded)
    found |= autoscale.parameter_priors(family, scale)
    for group in groups:
        spreads = autoscale.spread_priors(coded.inputs[f"z{group.suffix}"], scale)
        for label, text in zip(group.labels, spreads, strict=True):
            found[f"sd{group.suffix}[{label}]"] = text
        if group.correlated:
            found[f"cor{group.suffix}"] = "LKJ(2)"
    return found


def choose_priors(defaults: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The defaults with what was given in their place; ``sd`` stands for each ``sd[...]``."""
    chosen = dict(defaults)
    for key, text in given.items():
        terms = [term for term in defaults if term == key or term.startswith(f"{key}[")]
        if key in defaults:
            terms = [key]
        if not terms:
            raise UsageError(f"a prior is given for '{key}', {absent(key, list(defaults))}")
        chosen |= dict.fromkeys(terms, str(read_prior(key, text)))
    return chosen


def check_supports(
    read: Mapping[str, PriorText], design: Design, groups: Sequence[GroupEffects]
) -> None:
    """Refuse a prior whose support is not that of its term."""
    correlations = {f"cor{group.suffix}" for group in groups}
    for term, prior in read.items():
        if (prior.name == "LKJ") != (term in correlations):
            expected = "LKJ(2)" if term in correlations else "a distribution, such as Normal(0, 1)"
            raise UsageError(f"prior of '{term}' expects {expected}; got '{prior}'")
        if term in correlations:
            continue
        if term == "cut":
            if prior.name != "Normal":
                raise UsageError(f"prior of 'cut' expects Normal(place, scale); got '{prior}'")
            continue
        real = term in design.coefficients
        here = prior.distribution().support
        low, high = (bool(np.all(here(np.asarray(value)))) for value in (-1e3, 1e3))
        if not high or low != real:
            kind = "all numbers" if real else "the positive numbers"
            raise UsageError(f"prior of '{term}' expects a distribution over {kind}; got '{prior}'")
