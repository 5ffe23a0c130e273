"""Finding models: by name among those that come along, or in a file of the user's.

Listing reads the files' text, so that it needs neither JAX nor NumPyro.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import workbench
from workbench.errors import ModelError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from workbench.data import Dataset
    from workbench.model import Model
    from workbench.model.source import ModelSource

FOLDER = Path(workbench.__file__).parents[1] / "models"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A model that comes along.

    Attributes
    ----------
    name : str
        Its name at the shell.
    description : str
        The first line of its file's docstring.
    data : str
        The built-in data set it is shown on (empty when it has none).
    """

    name: str
    description: str
    data: str


def list_models() -> tuple[ModelCard, ...]:
    """Return the models that come along, sorted by name.

    Returns
    -------
    tuple of ModelCard

    Examples
    --------
    >>> {card.name: card.data for card in list_models()}["linear"]
    'diabetes'
    """
    return tuple(_card(FOLDER / f"{name}.py") for name in model_names())


def model_names() -> list[str]:
    """Return the names of the models that come along."""
    return sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_"))


def _card(path: Path) -> ModelCard:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    description = (ast.get_docstring(tree) or "").partition("\n")[0]
    data = ""
    for node in tree.body:
        if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) != "MODEL":
            continue
        if isinstance(node.value, ast.Call):
            words = {k.arg: k.value for k in node.value.keywords}
            given = words.get("data", words.get("defaults"))
            value = ast.literal_eval(given) if given is not None else ""
            data = value.get("data", "") if isinstance(value, dict) else value
    return ModelCard(name=path.stem, description=description, data=data)


def find_model(reference: str) -> Model:
    """Load a model by name, or from a file.

    Parameters
    ----------
    reference : str
        A name such as ``linear``, a file such as ``./my_model.py``, or ``./my_model.py:function``.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        When there is no such model, or a file holds none or several.

    Examples
    --------
    >>> find_model("linaer")
    Traceback (most recent call last):
    workbench.errors.ModelError: asked for model 'linaer', ...
    """
    path, _, function = reference.rpartition(":") if ".py:" in reference else (reference, "", "")
    if path.endswith(".py") or "/" in path:
        return _from_file(Path(path), function)
    names = model_names()
    if reference not in names:
        from workbench.data.formula import absent

        raise ModelError(f"asked for model '{reference}', {absent(reference, names)}")
    return _from_file(FOLDER / f"{reference}.py", "")


def recorded_model(source: ModelSource, data: Dataset) -> Model:
    """Load the model that a file of results was made with.

    Parameters
    ----------
    source : ModelSource
        What the file says about it.
    data : Dataset
        The data it was fitted to, from which the model of a formula is made again.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        When its file is not there any more.
    """
    if source.recipe:
        from workbench.model.formula_model import rebuild

        return rebuild(source.recipe["family"], data, source.recipe["priors"])
    path = Path(source.file)
    if source.file and path.parent.name == FOLDER.name and source.name in model_names():
        return find_model(source.name)
    if not source.file or not path.is_file():
        where = f"'{path}'" if source.file else "no file"
        raise ModelError(
            f"model '{source.name}' was fitted from {where}, "
            "which cannot be found; expected the model's file, or name it by --model"
        )
    module = _import(path)
    known = [k for k in ("MODEL", "model") if k in vars(module)]
    return _from_file(path, "" if known else source.function)


def _from_file(path: Path, function: str) -> Model:
    if not path.is_file():
        raise ModelError(f"there is no file '{path}'; expected a Python file that holds a model")
    module = _import(path)
    found = _choose(module, path, function)
    return _named(found, path)


def _import(path: Path) -> types.ModuleType:
    """Import a file by its path, its neighbours within reach."""
    ours = path.resolve().parent == FOLDER.resolve()
    name = f"{FOLDER.name}.{path.stem}" if ours else path.stem
    known = sys.modules.get(name)
    if known is not None and Path(getattr(known, "__file__", None) or "").resolve() == (
        path.resolve()
    ):
        return known
    folder = str((FOLDER.parent if ours else path.parent).resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # last: a neighbour must not hide a module of Python
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ModelError(f"'{path}' cannot be imported; expected a Python file")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # where inspect looks for the source of a function
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        raise
    return module


def _choose(module: types.ModuleType, path: Path, function: str) -> Any:
    """Pick the model of a file: the one asked for, MODEL, model, or its only model function."""
    content = vars(module)
    if function:
        if function not in content:
            from workbench.data.formula import absent

            names = [name for name, _ in _functions(module)]
            raise ModelError(f"'{path}' is asked for '{function}', {absent(function, names)}")
        return content[function]
    for name in ("MODEL", "model"):
        if name in content:
            return content[name]
    found = _functions(module)
    sampling = [(name, fn) for name, fn in found if _samples(fn.__code__)]
    chosen = sampling or found
    if len(chosen) == 1:
        return chosen[0][1]
    if not chosen:
        raise ModelError(f"'{path}' holds no function; expected a NumPyro model, or MODEL = ...")
    names = ", ".join(name for name, _ in chosen)
    raise ModelError(
        f"'{path}' holds {len(chosen)} functions that may be the model ({names}); expected one, "
        f"MODEL = Model(...), or a choice as in {path}:{chosen[0][0]}"
    )


def _functions(module: types.ModuleType) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]


def _samples(code: Any) -> bool:
    """Say whether a function, or one inside it, uses the name ``sample``."""
    if "sample" in code.co_names:
        return True
    return any(_samples(c) for c in code.co_consts if isinstance(c, types.CodeType))


def _named(found: Model | Callable[..., Any], path: Path) -> Model:
    """Wrap what was found; a function that is called ``model`` is named after its file."""
    from workbench.model import Model, as_model

    if isinstance(found, Model):
        return found
    model = as_model(found)
    return replace(model, name=path.stem) if model.name == "model" else model


class ModelName(click.ParamType):
    """The MODEL of a command, with completion of names and files."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the models that come along, or files."""
        from click.shell_completion import CompletionItem

        if "/" in incomplete or incomplete.startswith("."):
            return [CompletionItem(incomplete, type="file")]
        cards = [card for card in list_models() if card.name.startswith(incomplete)]
        return [CompletionItem(card.name, help=card.description) for card in cards]
