"""Where a model is written: its file, its documentation and its code, for people to read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.model.model import Model, as_model


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """The text of a model.

    Attributes
    ----------
    name : str
        Name of the model.
    function : str
        Name of its function.
    file : str
        The file it was read from (empty for a function without one, as in a notebook).
    documentation : str
        The docstring of the file, or of the function where the file has none.
    code : str
        The source of the function (empty where Python has none).
    recipe : mapping
        Family and priors of a model that was made from a formula (empty for others).
    """

    name: str
    function: str
    file: str
    documentation: str
    code: str
    recipe: Mapping[str, Any] = field(default_factory=dict)


def model_source(model: Model | Callable[..., Any]) -> ModelSource:
    """Look up the text of a model.

    Parameters
    ----------
    model : Model or callable
        A model or a plain NumPyro function.

    Returns
    -------
    ModelSource
        Empty fields where Python knows no source.

    Examples
    --------
    >>> from workbench.model import Model
    >>> def coin(y=None):
    ...     "Toss of a coin."
    >>> source = model_source(Model(name="coin", fn=coin))
    >>> source.function, source.documentation
    ('coin', 'Toss of a coin.')
    """
    model = as_model(model)
    inner: Any = model.fn
    while isinstance(inner, functools.partial):
        inner = inner.func
    inner = inspect.unwrap(inner)
    try:
        file, code = inspect.getsourcefile(inner) or "", inspect.getsource(inner)
    except (OSError, TypeError):  # an interactive function, a handler or a compiled one
        file, code = "", ""
    home = inspect.getmodule(inner)
    in_file = bool(code) and not model.recipe and getattr(home, "__file__", None) == file
    page = inspect.getdoc(home) if in_file else None
    return ModelSource(
        name=model.name,
        function=getattr(inner, "__name__", type(inner).__name__),
        file=file if in_file else "",
        documentation=page or inspect.getdoc(inner) or "",
        code=inspect.cleandoc(code) if code[:1].isspace() else code,
        recipe=dict(model.recipe),
    )
