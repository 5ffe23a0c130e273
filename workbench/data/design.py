"""The design of a table under a formula, and its memory.

A formula ``y ~ x1 + C(g) + (x1|h)`` says y_i = X_i beta + Z_i u_{h(i)}: X is the common design
(N, P), Z the design of the group effects (N, Q) and h(i) the group of row i. The design keeps the
formula and the rows it was fitted to, and from them everything that new rows must share with the
old: levels, reference levels, and the means and scales of ``center`` and ``scale``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.data import coding, formula
from workbench.data.columns import check_frame, clean, row_number
from workbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# a factor of one of these names would make a dimension that something else already has
_TAKEN = frozenset({"chain", "draw", "group", "level", "obs", "coefficient", "x", "y", "z"})


@dataclass(frozen=True, kw_only=True)
class Coded:
    """Rows coded by a design.

    Parameters
    ----------
    inputs : dict
        Arrays and plain numbers by argument name.
    observed : dict
        ``{"y": (N,)}``, or empty for rows without a response.
    coords : dict
        Labels by dimension.
    dims : dict
        Dimensions by array name.
    """

    inputs: dict[str, Any]
    observed: dict[str, np.ndarray]
    coords: dict[str, tuple]
    dims: dict[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """A formula with the rows it was fitted to.

    Parameters
    ----------
    formula : str
        The formula.
    frame : DataFrame
        The columns that it uses, cleaned; the coding is learned from these rows.
    allow_duplicates : bool
        Whether two identical columns of the common design are let through.
    columns : dict of str to str
        Further arguments of the model, one number per row each, by the column or function of
        columns that gives them: ``{"offset": "np.log(exposure)"}``.
    intercept : bool
        Whether the common design keeps its intercept; in a model of ordered categories the cuts
        take its place.
    """

    formula: str
    frame: pd.DataFrame
    allow_duplicates: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    intercept: bool = True

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        text: str,
        *,
        allow_duplicates: bool = False,
        columns: Mapping[str, str] | None = None,
        intercept: bool = True,
    ) -> Design:
        """Learn the coding of a table under a formula.

        Parameters
        ----------
        frame : DataFrame
            The table.
        text : str
            The formula.
        allow_duplicates : bool
            Whether two identical columns of the common design are let through.
        columns, intercept
            As in the attributes.

        Returns
        -------
        Design

        Raises
        ------
        DataError
            If the formula does not parse, does not fit the table, or leaves columns that no model
            can tell apart.
        """
        import pandas as pd

        check_frame(frame)
        parsed = formula.parse(text)
        further = {key: formula.parse_column(column) for key, column in (columns or {}).items()}
        used: dict[str, Any] = {}
        for read in (parsed, *further.values()):
            formula.unknown_column(read, [name for name in frame.columns if isinstance(name, str)])
            new = [name for name in read.variables if name not in used]
            cleaned = clean(frame, new, labels=coding.label_columns(read))
            coding.check_text(read, cleaned.join(pd.DataFrame(used, index=frame.index)))
            used.update({str(name): cleaned[name] for name in cleaned})
        design = cls(
            formula=text,
            frame=pd.DataFrame(used, index=frame.index),
            allow_duplicates=allow_duplicates,
            columns=dict(columns or {}),
            intercept=intercept,
        )
        design._check()
        return design

    @property
    def response(self) -> str:
        """The left-hand side of the formula, such as ``"np.log(earn)"``."""
        return self._parsed.response

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns of the table that the formula and the further arguments use."""
        further = (name for read in self._further.values() for name in read.variables)
        return tuple(dict.fromkeys([*self._parsed.variables, *further]))

    @property
    def response_levels(self) -> tuple[str, ...] | None:
        """The levels of a response of categories, in the order of their codes; else None."""
        return self._response[1]

    @cached_property
    def coefficients(self) -> tuple[str, ...]:
        """The names of the P columns of the common design."""
        common = self._matrices.common
        terms = () if common is None else common.terms.values()
        return tuple(label for term in terms for label in term.labels if self._keeps(label))

    @cached_property
    def factors(self) -> dict[str, list[Any]]:
        """The group terms of the formula by the name of their factor, in order of appearance."""
        group = self._matrices.group
        factors: dict[str, list[Any]] = {}
        for term in () if group is None else group.terms.values():
            factors.setdefault(term.factor.name, []).append(term)
        return factors

    def group_names(self, factor: str) -> tuple[str, str]:
        """Return what the names of a factor's arrays end in, and the dimension of its groups."""
        if len(self.factors) == 1:
            return "", "level"
        plain = re.sub(r"\W+", "_", factor).strip("_")  # fit for the name of an argument
        return f"_{plain}", f"{plain}_level" if plain in _TAKEN else plain

    def code(self, frame: pd.DataFrame | None = None) -> Coded:
        """Code rows.

        Parameters
        ----------
        frame : DataFrame, optional
            New rows, coded as the rows that the formula was fitted to; those rows when omitted.
            The response may be absent.

        Returns
        -------
        Coded

        Raises
        ------
        DataError
            For new rows that lack a column, hold a missing value, or have a level never seen.
        """
        if frame is None:
            rows, has_response = self.frame, True
        else:
            rows, has_response = self._clean_new(frame)
        coded = Coded(
            inputs={"x": self._common(rows), **self._statistics},
            observed={},
            coords={"obs": _row_labels(rows.index), "coefficient": self.coefficients},
            dims={
                "x": ("obs", "coefficient"),
                "x_mean": ("coefficient",),
                "x_scale": ("coefficient",),
            },
        )
        if self.response_levels is not None:
            coded.inputs["num_classes"] = len(self.response_levels)
            coded.coords["response_level"] = self.response_levels
        for name, terms in self.factors.items():
            self._add_group(name, terms, rows, coded)
        for key in self.columns:
            coded.inputs[key] = self._number(key, rows)
            coded.dims[key] = ("obs",)
        if has_response:
            coded.observed["y"] = self._respond(rows)[0]
            coded.dims["y"] = ("obs",)
        return coded

    def __getstate__(self) -> dict[str, Any]:
        # the coding is learned anew from formula and rows, so that a copy in another process
        # depends on nothing but them
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _parsed(self) -> formula.Formula:
        return formula.parse(self.formula)

    @cached_property
    def _further(self) -> dict[str, formula.Formula]:
        return {key: formula.parse_column(text) for key, text in self.columns.items()}

    def _number(self, key: str, rows: pd.DataFrame) -> np.ndarray:
        """One number per row of a further argument."""
        read = self._further[key]
        component = formula.evaluate(read, self.frame).response.term.term.components[0]
        values = coding.component_values(component, rows, read.text)
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise DataError(f"{key} '{self.columns[key]}' holds '{array[0]}'; expected numbers")
        return _finite(array.astype(np.float64)[:, None], (self.columns[key],))[:, 0]

    def _keeps(self, label: str) -> bool:
        return self.intercept or label != "Intercept"

    @cached_property
    def _matrices(self) -> Any:
        return formula.evaluate(self._parsed, self.frame)

    @cached_property
    def _response(self) -> tuple[np.ndarray, tuple[str, ...] | None]:
        return self._respond(self.frame, learn=True)

    @cached_property
    def _statistics(self) -> dict[str, Any]:
        x = self._common(self.frame)
        y, levels = self._response
        x_scale = x.std(axis=0)
        y_scale = float(y.std())
        return {
            "x_mean": x.mean(axis=0),
            # rounding leaves a constant column, such as the intercept, with a tiny sd or none
            "x_scale": np.where(np.ptp(x, axis=0) == 0, 1.0, x_scale),
            "num_covariates": x.shape[1] - self.coefficients.count("Intercept"),
            "y_mean": float(y.mean()) if levels is None else 0.0,
            "y_scale": y_scale if levels is None else 1.0,
        }

    def _check(self) -> None:
        y, levels = self._response
        if levels is not None and len(levels) == 1:
            raise DataError(
                f"response '{self.response}' has the one level '{levels[0]}' in every row; "
                "expected at least two levels"
            )
        if np.all(y == y[0]):
            raise DataError(
                f"response '{self.response}' is constant ({y[0]} in every row); there is nothing "
                "to explain"
            )
        seen: dict[bytes, str] = {}
        for label, column in zip(self.coefficients, self._common(self.frame).T, strict=True):
            if label != "Intercept" and np.all(column == column[0]):
                raise DataError(
                    f"column '{label}' is constant ({column[0]:g} in every row), so that nothing "
                    "can be learned of its coefficient; take it out of formula "
                    f"'{self.formula}'"
                )
            twin = seen.setdefault((column + 0.0).tobytes(), label)  # + 0.0 turns -0 into 0
            if twin != label and not self.allow_duplicates:
                raise DataError(
                    f"columns '{twin}' and '{label}' are identical, so that only the sum of their "
                    "coefficients can be learned; take one out of the formula, or allow it with "
                    "allow_duplicates=True"
                )
        for name, terms in self.factors.items():
            if len(terms[0].groups) < 2:
                raise DataError(
                    f"factor '{name}' has the one level '{terms[0].groups[0]}'; expected more"
                )

    def _common(self, rows: pd.DataFrame) -> np.ndarray:
        common = self._matrices.common
        if common is None:
            return np.empty((len(rows), 0))
        if rows is self.frame:
            matrix = common.design_matrix
        else:
            with formula.explained(self.formula):
                matrix = common.evaluate_new_data(rows).design_matrix
        labels = [label for term in common.terms.values() for label in term.labels]
        kept = np.asarray(matrix, dtype=np.float64)[:, [self._keeps(label) for label in labels]]
        return _finite(kept, self.coefficients)

    def _add_group(self, name: str, terms: list[Any], rows: pd.DataFrame, coded: Coded) -> None:
        with formula.explained(self.formula):
            codes, _ = terms[0].eval_new_data_group_index(rows)
            z = np.column_stack([term.expr.eval_new_data(rows) for term in terms])
        labels = tuple(label for term in terms for label in term.expr.labels)
        suffix, level = self.group_names(name)
        if f"group{suffix}" in coded.inputs:
            raise DataError(
                f"two factors of formula '{self.formula}' are both called '{suffix[1:]}'"
            )
        coded.inputs[f"group{suffix}"] = codes.astype(np.int64)
        coded.inputs[f"num{suffix or '_groups'}"] = len(terms[0].groups)
        coded.inputs[f"z{suffix}"] = _finite(np.asarray(z, dtype=np.float64), labels)
        coded.coords[level] = tuple(terms[0].groups)
        coded.coords[f"group_effect{suffix}"] = labels
        coded.dims[f"group{suffix}"] = ("obs",)
        coded.dims[f"z{suffix}"] = ("obs", f"group_effect{suffix}")

    def _respond(
        self, rows: pd.DataFrame, learn: bool = False
    ) -> tuple[np.ndarray, tuple[str, ...] | None]:
        component = self._matrices.response.term.term.components[0]
        values = coding.component_values(component, rows, self.formula)
        levels = None if learn else self.response_levels
        return coding.code_response(component, values, self.response, levels)

    def _clean_new(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
        check_frame(frame)
        response = self._parsed.response_variables
        has_response = all(
            name in frame.columns and not frame[name].isna().all() for name in response
        )
        needed = [name for name in self.variables if has_response or name not in response]
        needed += [name for name in response if name in self._predictors and name not in needed]
        for name in needed:
            if name not in frame.columns:
                known = [str(other) for other in frame.columns]
                raise DataError(f"the new rows need column '{name}', {formula.absent(name, known)}")
        rows = clean(frame, needed, labels=needed)
        for name in needed:
            rows[name] = coding.as_fitted(name, self.frame[name], rows[name])
        for component in self._categories():
            coding.check_levels(component, rows, self.formula)
        return rows, has_response

    @cached_property
    def _predictors(self) -> frozenset[str]:
        model = self._parsed.description
        terms = [*model.common_terms, *model.group_terms]
        return frozenset(name for term in terms for name in term.var_names)

    def _categories(self) -> Iterator[Any]:
        common = self._matrices.common
        terms = [] if common is None else list(common.terms.values())
        for group_terms in self.factors.values():
            for term in group_terms:
                terms += [term.expr, term.factor]
        for term in terms:
            if term.kind != "intercept":
                yield from (part for part in term.components if part.kind == "categoric")


def _finite(matrix: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    unfit = ~np.isfinite(matrix)
    if unfit.any():
        row, column = np.argwhere(unfit)[0]
        raise DataError(
            f"'{labels[column]}' is {matrix[row, column]} in row {row_number(row)}; the "
            "formula needs finite numbers there"
        )
    return matrix


def _row_labels(index: Any) -> tuple:
    if index.nlevels > 1:
        return tuple(range(len(index)))
    return tuple(
        label if isinstance(label, (bool, int, float, str)) else str(label)
        for label in index.tolist()
    )
