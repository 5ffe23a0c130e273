"""What was observed: arrays by name, with a label for every axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.data import display
from workbench.data.axes import as_input, as_observed, label_axes
from workbench.data.card import Card
from workbench.data.design import Design
from workbench.data.fingerprint import fingerprint
from workbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Inputs and observed values of a model, by the names of its arguments.

    Build one with ``Dataset.from_frame``, ``Dataset.from_arrays`` or ``load_dataset``.

    Parameters
    ----------
    name : str
        A short name.
    inputs : Mapping of str to array or plain Python value
        What the model is given. Numeric arrays are float64 or int64 and read-only; float32 stays
        in a run in float32 (``JAX_ENABLE_X64=0``).
    observed : Mapping of str to array
        What the model explains. ``nan`` marks a value that is missing and that the model masks.
    coords : Mapping of str to sequence
        The labels along each dimension.
    dims : Mapping of str to tuple of str
        The dimensions of each array of `inputs` and `observed`.
    units : Mapping of str to str
        Units by column or array name.
    truth : Mapping, optional
        The parameters that simulated data were drawn with.
    card : Card, optional
        Origin, licence and columns.
    design : Design, optional
        The memory of the formula.

    Examples
    --------
    >>> data = Dataset.from_arrays(
    ...     "schools", inputs={"sigma": [15.0, 10.0]}, observed={"y": [28.0, 8.0]},
    ...     coords={"school": ["A", "B"]}, dims={"y": ("school",), "sigma": ("school",)},
    ... )
    >>> data.num_observations
    2
    >>> data.take([1]).coords["school"]
    ('B',)
    """

    name: str
    inputs: Mapping[str, Any]
    observed: Mapping[str, np.ndarray]
    coords: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    truth: Mapping[str, Any] | None = None
    card: Card | None = None
    design: Design | None = None

    def __post_init__(self) -> None:
        """Bring arrays to one type and check every axis against its labels."""
        both = sorted(set(self.inputs) & set(self.observed))
        if both:
            raise DataError(
                f"'{both[0]}' is both an input and observed; expected it in one of them"
            )
        inputs = {key: as_input(key, value) for key, value in self.inputs.items()}
        observed = {key: as_observed(key, value) for key, value in self.observed.items()}
        arrays = {
            key: value
            for key, value in {**observed, **inputs}.items()
            if isinstance(value, np.ndarray)
        }
        coords, dims = label_axes(arrays, dict(self.coords), dict(self.dims), set(inputs))
        for key, value in {
            "inputs": inputs,
            "observed": observed,
            "coords": coords,
            "dims": dims,
            "units": dict(self.units),
        }.items():
            object.__setattr__(self, key, value)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        formula: str | None = None,
        name: str = "data",
        units: Mapping[str, str] | None = None,
        card: Card | None = None,
        allow_duplicates: bool = False,
        columns: Mapping[str, str] | None = None,
        intercept: bool = True,
    ) -> Dataset:
        """Code a table by a formula.

        Parameters
        ----------
        frame : DataFrame
            The table.
        formula : str
            Such as ``"y ~ x1 * x2 + C(g) + (1|h)"``. Functions that formulas have: ``C``, ``S``,
            ``T``, ``I``, ``center``, ``scale``, ``standardize``, ``bs``, ``poly``, and the
            row-by-row functions of NumPy as in ``np.log(x)``.
        name : str
            A short name.
        units : Mapping of str to str, optional
            Units by column; those of the card when omitted.
        card : Card, optional
            Origin, licence and columns.
        allow_duplicates : bool
            Whether two identical columns of the design are let through.
        columns : Mapping of str to str, optional
            Further inputs, one number per row each, by the column or function of columns that
            gives them: ``{"offset": "np.log(exposure)"}``.
        intercept : bool
            Whether the common design keeps its intercept.

        Returns
        -------
        Dataset
            `observed` holds ``y``: numbers as they are, or categories coded 0 to K-1 in the order
            of ``coords["response_level"]``, with K in ``inputs["num_classes"]``. `inputs` holds the
            common design ``x`` (N, P), the column means ``x_mean`` and standard deviations
            ``x_scale`` (divisor N; mean 1 and sd 1 for the intercept), the number of its columns
            besides the intercept ``num_covariates``, ``y_mean`` and ``y_scale`` (0 and 1 for
            categories), and with group effects ``group`` (N,), ``num_groups`` and
            ``z`` (N, Q). With several factors f these become ``group_f``, ``num_f`` and ``z_f``.

        Raises
        ------
        DataError
            If the formula does not parse or fit the table, or the table holds missing, infinite or
            unusable values. Rows are counted as in a file, where the header is row 1.

        Notes
        -----
        Levels are sorted; an ordered categorical column keeps its order. The first level is the
        reference.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0], "g": ["a", "b", "a"]})
        >>> data = Dataset.from_frame(frame, formula="y ~ g")
        >>> data.coords["coefficient"]
        ('Intercept', 'g[b]')
        >>> data.inputs["x"][:, 1].tolist()
        [0.0, 1.0, 0.0]
        """
        if formula is None:
            raise DataError("a table needs a formula that says what explains what, such as 'y ~ x'")
        design = Design.fit(
            frame,
            formula,
            allow_duplicates=allow_duplicates,
            columns=columns,
            intercept=intercept,
        )
        coded = design.code()
        known = units if units is not None else card.units if card is not None else {}
        used = {column: known[column] for column in design.variables if column in known}
        return cls(
            name=name,
            inputs=coded.inputs,
            observed=coded.observed,
            coords=coded.coords,
            dims=coded.dims,
            units=used,
            card=card,
            design=design,
        )

    @classmethod
    def from_arrays(
        cls,
        name: str = "data",
        *,
        inputs: Mapping[str, Any] | None = None,
        observed: Mapping[str, Any],
        coords: Mapping[str, Sequence[Any]] | None = None,
        dims: Mapping[str, Sequence[str]] | None = None,
        units: Mapping[str, str] | None = None,
        truth: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """Name arrays and their axes.

        Parameters
        ----------
        name : str
            A short name.
        inputs : Mapping of str to array or plain Python value
            Lists and arrays of numbers become float64 or int64; other values stay as they are.
        observed : Mapping of str to array
            May hold ``nan`` for values that the model masks.
        coords : Mapping of str to sequence, optional
            Labels by dimension; 0, 1, ... where omitted.
        dims : Mapping of str to sequence of str, optional
            Dimensions by array. An axis without a name is called ``obs`` where it is the first and
            as long as the first observed array, else ``NAME_dim_0``, ``NAME_dim_1``, ...
        units : Mapping of str to str, optional
            Units by array.
        truth : Mapping, optional
            The parameters that simulated data were drawn with.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            If an array is not numeric, or its shape does not fit its dimensions and their labels.
        """
        given = {key: tuple(value) for key, value in (dims or {}).items()}
        return cls(
            name=name,
            inputs=inputs or {},
            observed=observed,
            coords=coords or {},
            dims=given,
            units=units or {},
            truth=truth,
        )

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of names, contents and labels, as 64 hexadecimal digits."""
        return fingerprint(
            {
                "inputs": self.inputs,
                "observed": self.observed,
                "coords": self.coords,
                "dims": self.dims,
            }
        )

    @property
    def num_observations(self) -> int:
        """The number of observed values that are not missing."""
        return sum(int(np.sum(~np.isnan(array))) for array in self.observed.values())

    @property
    def num_rows(self) -> int:
        """The length of the dimension along which ``take`` and ``split`` cut."""
        return len(self.coords[self._row_dim])

    def axis_label(self, name: str) -> str:
        """Return the label of a plot's axis: the column behind an array, with its unit.

        Parameters
        ----------
        name : str
            An array, a column of the design, or a column of the table.

        Returns
        -------
        str
            Such as ``"height (inch)"``; pure numbers, labels and years go without a unit.
        """
        shown = self.design.response if name == "y" and self.design is not None else name
        unit = self.units.get(shown, "1")
        return shown if unit in {"1", "label", "", shown} else f"{shown} ({unit})"

    def new(self, frame: pd.DataFrame) -> Dataset:
        """Code new rows as the rows that the formula was fitted to.

        Parameters
        ----------
        frame : DataFrame
            The columns of the formula's right-hand side; the response may be absent or all missing.

        Returns
        -------
        Dataset
            With the same coefficients, levels, ``x_mean`` and ``x_scale``.

        Raises
        ------
        DataError
            If the data did not come from a formula, or the rows lack a column, hold a missing value
            or have a level that was not there.
        """
        if self.design is None:
            raise DataError(
                f"data '{self.name}' were not made from a formula, so that new rows cannot be "
                "coded; give their arrays to Dataset.from_arrays"
            )
        coded = self.design.code(frame)
        return replace(
            self, inputs=coded.inputs, observed=coded.observed, coords=coded.coords, dims=coded.dims
        )

    def take(self, rows: Any) -> Dataset:
        """Return some of the rows, coded as before.

        Parameters
        ----------
        rows : sequence of int, slice or array of bool
            Which rows, by position; a repeated row is repeated.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            If a row is not there.
        """
        dim, size = self._row_dim, self.num_rows
        try:
            positions = np.arange(size)[rows if isinstance(rows, slice) else np.asarray(rows)]
        except IndexError as error:
            raise DataError(
                f"rows of data '{self.name}' are 0 to {size - 1}; got {rows!r}"
            ) from error

        def cut(name: str, value: Any) -> Any:
            for axis, axis_dim in enumerate(self.dims.get(name, ())):
                if axis_dim == dim:
                    value = np.take(value, positions, axis=axis)
            return value

        labels = tuple(self.coords[dim][position] for position in positions)
        return replace(
            self,
            inputs={name: cut(name, value) for name, value in self.inputs.items()},
            observed={name: cut(name, value) for name, value in self.observed.items()},
            coords={**self.coords, dim: labels},
        )

    def split(self, fraction: float = 0.8, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Split the rows at random into two data sets.

        Parameters
        ----------
        fraction : float
            The share of the first, between 0 and 1.
        seed : int
            The seed of the permutation.

        Returns
        -------
        train, test : Dataset
            Every row is in one of them, in its old order; neither is empty.

        Raises
        ------
        DataError
            If one of the two would be empty.
        """
        size = self.num_rows
        count = round(fraction * size)
        if not 0 < count < size:
            raise DataError(
                f"a fraction of {fraction:g} of {size} rows leaves a part empty; expected a share "
                "between 0 and 1 that gives both parts a row"
            )
        order = np.random.default_rng(seed).permutation(size)
        return self.take(np.sort(order[:count])), self.take(np.sort(order[count:]))

    def __repr__(self) -> str:
        """Return one line: name and arrays."""
        return display.as_line(self)

    def _repr_html_(self) -> str:
        return display.as_html(self)

    @property
    def _row_dim(self) -> str:
        if self.design is not None:
            return "obs"
        for key, array in self.observed.items():
            if array.ndim:
                return self.dims[key][0]
        raise DataError(f"data '{self.name}' have no observed array with rows")
