"""From a formula, a table and a family to a model with its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.data import Dataset, Design
from workbench.data.columns import first_row
from workbench.data.design import Coded
from workbench.data.formula import group_terms
from workbench.errors import DataError, ModelError, UsageError
from workbench.model import autoscale
from workbench.model.elementwise import About
from workbench.model.families import Family, check_response, find_family
from workbench.model.model import Model
from workbench.model.prior_text import PriorText, read_prior
from workbench.model.priors import coefficient_scale
from workbench.model.regression import GroupEffects, Regression, regression_function
from workbench.model.regression_priors import (
    check_supports,
    choose_priors,
    default_priors,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class FormulaModel:
    """A regression model and the data it is of.

    Attributes
    ----------
    model : Model
        The model, for every function that takes one.
    data : Dataset
        The data, coded by the formula.
    family : str
        Family and link, such as ``poisson(log)``.
    priors : DataFrame
        Columns ``term``, ``prior`` (text, as the model uses it) and ``source`` (``default`` or
        ``given``).

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [0.5, 2.0, 3.0, 7.0], "x": [0.0, 1.0, 2.0, 3.0]})
    >>> made = formula_model("y ~ x", frame, family="gamma(log)")
    >>> made.family, made.model.name, made.priors["term"].tolist()
    ('gamma(log)', 'gamma', ['Intercept', 'x', 'shape'])
    """

    model: Model
    data: Dataset
    family: str
    priors: pd.DataFrame


def formula_model(
    formula: str,
    frame: pd.DataFrame,
    *,
    family: str = "gaussian",
    priors: Mapping[str, str] | None = None,
    offset: str | None = None,
    weights: str | None = None,
    trials: str | None = None,
    name: str = "data",
    units: Mapping[str, str] | None = None,
    card: Any = None,
    allow_duplicates: bool = False,
) -> FormulaModel:
    """Make a regression model from a formula.

    Parameters
    ----------
    formula : str
        Such as ``"y ~ x1 * x2 + C(g) + (x1|h)"``. Effects in one bracket are correlated over the
        groups; in brackets of their own, as in ``(1|h) + (0 + x1|h)``, they are independent.
    frame : DataFrame
        The table.
    family : str
        ``NAME`` or ``NAME(link)``: gaussian, student, binomial, poisson, negative_binomial, gamma,
        inverse_gaussian, beta, ordinal or categorical.
    priors : mapping of str to str, optional
        Priors other than the default ones, by term: ``{"x1": "Normal(0, 1)"}``. A term is a
        coefficient (``Intercept``, ``x1``, ``g[b]``), a parameter of the family (``sigma``,
        ``nu``, of which the prior is that of nu - 1, ``phi``, ``shape``), ``cut``, ``sd`` or
        ``sd[x1]`` for the sd of group effects, or ``cor`` for their correlations (``LKJ(2)``).
    offset : str, optional
        A column, or a function of columns, that is added to the linear predictor.
    weights : str, optional
        Positive case weights: each multiplies the log density of its row.
    trials : str, optional
        Numbers of trials, for binomial counts.
    name, units, card, allow_duplicates
        As in :meth:`~workbench.data.Dataset.from_frame`.

    Returns
    -------
    FormulaModel
        Model and data, the same for maximum likelihood and for NUTS. The group effects are its
        random effects.

    Raises
    ------
    UsageError
        For a family, link, prior or term that is not there.
    DataError
        For data that do not suit the formula or the family.

    Notes
    -----
    The model is that of :mod:`workbench.model.regression`, the default priors are those of
    :mod:`workbench.model.autoscale`.

    References
    ----------
    McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd edition. Chapman & Hall.
    doi:10.1007/978-1-4899-3242-6

    Examples
    --------
    >>> import pandas as pd, workbench as wb
    >>> frame = pd.DataFrame({"y": [0, 1, 3, 5, 4], "x": [0.0, 1.0, 2.0, 3.0, 4.0]})
    >>> made = wb.formula_model("y ~ x", frame, family="poisson", priors={"x": "Normal(0, 1)"})
    >>> made.priors["prior"].tolist()
    ['Normal(0, 4.95)', 'Normal(0, 1)']
    >>> wb.fit_mle(made.model, made.data).params.round(4).to_dict()
    {'beta[Intercept]': -0.3167, 'beta[x]': 0.5118}
    """
    kind = find_family(family)
    columns = {"offset": offset, "weights": weights, "trials": trials}
    given = {key: text for key, text in columns.items() if text is not None}
    if trials is not None and kind.name != "binomial":
        raise UsageError(f"trials are for family 'binomial'; got family '{kind.name}'")
    if offset is not None and kind.name == "categorical":
        raise UsageError("family 'categorical' has a predictor for each category; got one offset")
    data = Dataset.from_frame(
        frame,
        formula=formula,
        name=name,
        units=units,
        card=card,
        allow_duplicates=allow_duplicates,
        columns=given,
        intercept=kind.name != "ordinal",  # the cuts are its intercepts
    )
    _check_positive(data, given)
    check_response(kind, data)
    made = rebuild(kind.label, data, priors or {})
    return FormulaModel(
        model=made, data=_label(data), family=kind.label, priors=_table(made, priors or {})
    )


def rebuild(family: str, data: Dataset, priors: Mapping[str, str]) -> Model:
    """Make the model of data that a formula coded.

    Parameters
    ----------
    family : str
        Family and link.
    data : Dataset
        All of its rows or some: the default priors are those of the rows that the formula was
        fitted to.
    priors : mapping of str to str
        Priors by term; the default where a term is missing.

    Returns
    -------
    Model
        Its ``recipe`` holds the family and every prior, as text.
    """
    assert data.design is not None
    kind, design = find_family(family), data.design
    coded = design.code()
    scale = autoscale.predictor_scale(coded, kind, design.response)
    groups = _groups(design, kind)
    texts = choose_priors(default_priors(coded, kind, scale, groups), priors)
    read = {term: read_prior(term, text) for term, text in texts.items()}
    check_supports(read, design, groups)
    spec = Regression(
        family=kind,
        coefficients=tuple(read[label] for label in design.coefficients),
        parameters={key: read[key] for key in kind.parameters},
        cut=read.get("cut") if kind.name == "ordinal" else None,
        groups=tuple(_with_priors(group, read) for group in groups),
        about=_about(coded, kind, scale) if kind.bounded else None,
    )
    fn = regression_function(spec)
    fn.__doc__ = _documentation(design, kind, texts)
    dims: dict[str, tuple[str, ...]] = {"cut": ("cut",)} if kind.name == "ordinal" else {}
    for group in groups:
        dims[f"u{group.suffix}"] = (group.level, group.effect)
        if group.correlated and len(group.labels) > 2:
            dims[f"cor{group.suffix}"] = (f"pair{group.suffix}",)
    return Model(
        name=kind.name if kind.link.name == kind.links[0] else f"{kind.name}-{kind.link.name}",
        fn=fn,
        observed=("y",),
        random_effects=tuple(f"u_unit{group.suffix}" for group in groups),
        dims=dims,
        recipe={"family": kind.label, "priors": texts},
    )


# -- what the formula says -----------------------------------------------------------------------


def _groups(design: Design, family: Family) -> list[GroupEffects]:
    """The factors of group effects, their priors still to come."""
    if design.factors and family.name == "categorical":
        raise ModelError(
            "family 'categorical' has no group effects; expected a formula without them, such as "
            f"'{design.formula.split('+ (')[0].strip()}'"
        )
    brackets: dict[str, int] = {}
    for bracket in group_terms(design.formula):
        for factor in {factor for factor, _ in bracket}:
            brackets[factor] = brackets.get(factor, 0) + 1
    coded, found = design.code(), []
    for factor in design.factors:
        suffix, level = design.group_names(factor)
        labels = tuple(str(label) for label in coded.coords[f"group_effect{suffix}"])
        together = brackets[factor] == 1
        if not together and brackets[factor] != len(labels):
            raise ModelError(
                f"factor '{factor}' has {brackets[factor]} brackets for {len(labels)} effects; "
                "expected one bracket, whose effects are correlated, or one for each effect"
            )
        found.append(
            GroupEffects(
                suffix=suffix,
                count=f"num{suffix or '_groups'}",
                level=level,
                effect=f"group_effect{suffix}",
                labels=labels,
                correlated=together and len(labels) > 1,
                spread=(),
                correlation=None,
            )
        )
    return found


def _with_priors(group: GroupEffects, read: Mapping[str, PriorText]) -> GroupEffects:
    return replace(
        group,
        spread=tuple(read[f"sd{group.suffix}[{label}]"] for label in group.labels),
        correlation=read.get(f"cor{group.suffix}") if group.correlated else None,
    )


def _about(coded: Coded, family: Family, scale: autoscale.PredictorScale) -> About:
    """Coordinates about coefficients at which every row has the mean response."""
    x = coded.inputs["x"]
    target = scale.mean + np.mean(coded.inputs.get("offset", 0.0))
    rest = target - coded.inputs.get("offset", 0.0) + np.zeros(len(x))
    centre = np.linalg.lstsq(x, rest, rcond=None)[0]
    unit = coefficient_scale(
        coded.inputs["x_mean"], coded.inputs["x_scale"], scale.mean, scale.scale
    )
    return About(centre, unit)


# -- words ---------------------------------------------------------------------------------------


def _table(model: Model, given: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    texts = model.recipe["priors"]
    return pd.DataFrame(
        {
            "term": ["nu - 1" if term == "nu" else term for term in texts],
            "prior": list(texts.values()),
            "source": [
                "given" if term in given or term.split("[")[0] in given else "default"
                for term in texts
            ],
        }
    )


def _documentation(design: Design, family: Family, texts: Mapping[str, str]) -> str:
    """What the model says, for people: formula, family, priors."""
    lines = [f"{design.formula}, {family.label}.", "", "Priors:", ""]
    lines += [f"- {'nu - 1' if t == 'nu' else t} ~ {text}" for t, text in texts.items()]
    return "\n".join(lines)


def _label(data: Dataset) -> Dataset:
    """Add the labels of cuts, of contrasts with the first category, and of pairs of effects."""
    assert data.design is not None
    coords = dict(data.coords)
    levels = data.design.response_levels
    if levels is not None:
        coords["cut"] = tuple(f"{a}|{b}" for a, b in zip(levels, levels[1:], strict=False))
        coords["contrast"] = levels[1:]
    for factor in data.design.factors:
        suffix, _ = data.design.group_names(factor)
        effects = coords[f"group_effect{suffix}"]
        coords[f"pair{suffix}"] = tuple(
            f"{effects[j]}, {effects[i]}" for i in range(len(effects)) for j in range(i)
        )
    return replace(data, coords=coords)


def _check_positive(data: Dataset, given: Mapping[str, str]) -> None:
    """Refuse weights that are not positive and trials that are not whole and positive."""
    for key in ("weights", "trials"):
        if key not in given:
            continue
        values = data.inputs[key]
        good = values > 0
        if key == "trials":
            good &= values == np.round(values)
        if not good.all():
            kind = "positive numbers" if key == "weights" else "whole numbers from 1 on"
            raise DataError(
                f"{key} '{given[key]}' expects {kind}; got {values[~good][0]:g} in row "
                f"{first_row(~good)}"
            )
