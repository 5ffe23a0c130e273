"""Binding data to a model function: which values are traced, which stay Python.

Numerical arrays and Python's floats become arguments of compiled programs; everything else
(strings, frames, whole numbers, which models use as sizes) stays static. A function
that needs the *values* of its data while it is being traced (``np.unique(x)``, ``int(g.max())``)
is bound with all of it constant.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from workbench.data import Dataset
from workbench.errors import ModelError

Form = Literal["traced", "jax constant", "numpy constant"]


def as_dataset(data: Any) -> Dataset:
    """Take a Dataset, or a mapping of argument names to values, as a Dataset.

    Parameters
    ----------
    data : Dataset, mapping or None
        ``None`` stands for a function without arguments.

    Returns
    -------
    Dataset
        The data by argument name.

    Raises
    ------
    ModelError
        When ``data`` is of another kind.

    Examples
    --------
    >>> as_dataset({"y": [1.0, 2.0]}).name
    'data'
    """
    if isinstance(data, Dataset):
        return data
    if data is None or isinstance(data, Mapping):
        values = {str(k): _plain(v) for k, v in (data or {}).items()}
        # each array has axes of its own: what a plain function calls its arguments is its affair
        dims = {
            k: tuple(f"{k}_dim_{i}" for i in range(v.ndim))
            for k, v in values.items()
            if isinstance(v, np.ndarray) and v.ndim
        }
        return Dataset.from_arrays(name="data", inputs=values, observed={}, dims=dims)
    raise ModelError(
        "data is a Dataset or a mapping from the model's argument names to values; "
        f"got {type(data).__name__}"
    )


def _plain(value: Any) -> Any:
    """Turn lists, series and JAX arrays into arrays; leave every other value as it is."""
    from pandas import Index, Series

    return np.asarray(value) if isinstance(value, list | jax.Array | Series | Index) else value


def innermost(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function inside partials, handlers and decorators.

    Examples
    --------
    >>> from functools import partial
    >>> from numpyro import handlers
    >>> def model(x, y=None): ...
    >>> innermost(handlers.condition(partial(model, 1.0), data={"a": 2.0})).__name__
    'model'
    """
    inner: Any = fn
    while True:
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif callable(wrapped := getattr(inner, "__wrapped__", None)):
            inner = wrapped
        else:
            return inner


def call_arguments(fn: Callable[..., Any], data: Dataset) -> dict[str, Any]:
    """Pick from the data what the function takes, by argument name.

    Parameters
    ----------
    fn : callable
        The model function.
    data : Dataset
        May offer more than the function takes.

    Returns
    -------
    dict
        Keyword arguments for ``fn``.

    Raises
    ------
    ModelError
        When an argument without a default has no value, naming it and what the data offer.

    Examples
    --------
    >>> call_arguments(lambda y=None: None, as_dataset({"y": [1.0], "x": [2.0]}))
    {'y': array([1.])}
    """
    offered = {**data.inputs, **data.observed}
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return offered
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return offered
    for p in parameters:
        if p.kind is p.POSITIONAL_ONLY and p.default is p.empty:
            raise ModelError(
                f"the model's argument '{p.name}' is positional-only, but data are passed by "
                "name: drop the '/' from its signature"
            )
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    missing = [p.name for p in named if p.default is p.empty and p.name not in offered]
    if missing:
        raise ModelError(
            f"the model's argument '{missing[0]}' has no value: data '{data.name}' offers "
            f"{', '.join(sorted(offered)) or 'nothing'}"
        )
    return {p.name: offered[p.name] for p in named if p.name in offered}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Keyword arguments of a model function, parted into arrays and static values.

    Attributes
    ----------
    arrays : dict
        Numerical arrays by path (``y``, or ``config['scale']`` inside a dict); the arguments of
        compiled programs.
    form : str
        How the function gets them: ``traced``, or as constants of the compiled program, because
        it needs their values while it is traced (``jax constant``, ``numpy constant``).
    """

    arrays: dict[str, jax.Array]
    form: Form
    _leaves: tuple[Any, ...]
    _treedef: Any

    @classmethod
    def split(
        cls,
        kwargs: Mapping[str, Any],
        form: Form = "traced",
        *,
        floats: bool = False,
        known: Mapping[str, jax.Array] | None = None,
    ) -> Arguments:
        """Part keyword arguments (nested dicts and lists allowed) into arrays and the rest.

        ``floats`` says whether Python's floats count as arrays without axes; ``known`` are the
        arrays of an earlier split of the same arguments, which are not copied again.
        """
        known = known or {}
        flat, treedef = jax.tree_util.tree_flatten_with_path(dict(kwargs))
        arrays, leaves = {}, []
        for path, leaf in flat:
            if _is_array(leaf) or (floats and isinstance(leaf, float)):
                name = f"{path[0].key}{jax.tree_util.keystr(path[1:])}"
                arrays[name] = known[name] if name in known else _shared(leaf)
                value, scalar = np.asarray(leaf), isinstance(leaf, float)
                leaves.append(_Slot(name=name, key=path[0].key, value=value, scalar=scalar))
            else:
                leaves.append(leaf)
        return cls(arrays=arrays, form=form, _leaves=tuple(leaves), _treedef=treedef)

    @property
    def static(self) -> bool:
        """Whether the arrays are constants of the compiled program."""
        return self.form != "traced"

    def formed(self, form: Form) -> Arguments:
        """The same arguments in another form."""
        return replace(self, form=form)

    @property
    def floats(self) -> tuple[str, ...]:
        """Names of the arrays that were given as floats."""
        slots = [x for x in self._leaves if isinstance(x, _Slot)]
        return tuple(x.name for x in slots if x.scalar)

    @property
    def statics(self) -> tuple[Any, ...]:
        """The values that are no arrays, the names of the arrays, and how they nest."""
        names = [x.name if isinstance(x, _Slot) else x for x in self._leaves]
        return (*names, self._treedef)

    def without_values(self) -> Arguments:
        """The same arguments with shapes for arrays, where these are not constants."""
        if self.static:
            return self
        shapes: Any = {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in self.arrays.items()}
        leaves = [replace(x, value=None) if isinstance(x, _Slot) else x for x in self._leaves]
        return replace(self, arrays=shapes, _leaves=tuple(leaves))

    def join(self, arrays: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Rebuild the keyword arguments, with other arrays of the same names if given."""
        source = self.arrays if arrays is None or self.static else arrays
        leaves = [self._fill(x, source) if isinstance(x, _Slot) else x for x in self._leaves]
        return jax.tree_util.tree_unflatten(self._treedef, leaves)

    def _fill(self, slot: _Slot, source: Mapping[str, Any]) -> Any:
        return slot.value if self.form == "numpy constant" else source[slot.name]

    def key_of(self, name: str) -> str:
        """The keyword argument that an array lies in."""
        return next(x.key for x in self._leaves if isinstance(x, _Slot) and x.name == name)

    def keys_holding(self, value: np.ndarray) -> tuple[str, ...]:
        """The keyword arguments that hold an array equal to ``value`` (nan equals nan)."""
        slots = [x for x in self._leaves if isinstance(x, _Slot)]
        return tuple(x.key for x in slots if same_arrays(x.value, value))


@dataclass(frozen=True, kw_only=True)
class _Slot:
    name: str
    key: str
    value: Any  # an array; None where only its shape is known
    scalar: bool  # given as a float


def _shared(leaf: Any) -> jax.Array:
    """An array of JAX's, in the memory of a NumPy array that nobody can change where it can be."""
    fixed = isinstance(leaf, np.ndarray) and not leaf.flags.writeable
    return jax.device_put(leaf) if fixed else jnp.asarray(leaf)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | jax.Array) and leaf.dtype.kind in "biufc"


def same_arrays(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have one shape and equal values (nan equals nan)."""
    floats = a.dtype.kind == b.dtype.kind == "f"
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=floats)
