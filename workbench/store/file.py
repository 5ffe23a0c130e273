"""One file holds a comparison: ArviZ's groups on top, and below them what only we have.

============================  ================================================================
``/posterior``, ...           the groups of the NUTS fit, as ArviZ lays them out
``/tables``                   ``table``, ``ledger``, ``scores``
``/fits/<method>``            values, estimates, information, starts, path, provenance
``/predictions/<method>``     predictive distributions at the data, ``/held_out`` at other rows
``/dataset``                  inputs, observations, labels, formula and the card
``/comparison``               names, level, seed, findings, refusals, the model's text
============================  ================================================================

NetCDF by h5netcdf; nothing in it is code, so that opening a file runs nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from workbench.comparison import Comparison, Finding, Severity
from workbench.data import Card, Dataset, Design
from workbench.errors import WorkbenchError
from workbench.fit import DrawsFit, ModeFit, Prediction, Provenance, Status
from workbench.fit.optimiser import History, Starts
from workbench.fit.provenance import model_fingerprint
from workbench.fit.quantities import Groups
from workbench.model import LogTerms, Model, as_model, read_density
from workbench.model.source import ModelSource, model_source
from workbench.store.atomic import replaced
from workbench.store.groups import from_groups, to_groups

FORMAT = "workbench comparison"
VERSION = 1
_OURS = ("tables", "fits", "predictions", "held_out", "dataset", "comparison")
_BIG = 1024  # elements from which an array is checked, and compressed where that is worth it
_SAMPLE = 8192  # elements that tell whether it is
_MAGIC = b"\x89HDF\r\n\x1a\n"


def save(comparison: Comparison, path: str | Path) -> None:
    """Write a comparison to one file.

    Parameters
    ----------
    comparison : Comparison
        What :func:`workbench.compare` gave.
    path : str or Path
        The file, such as ``comparison.nc``. It is replaced whole or not at all.

    Raises
    ------
    WorkbenchError
        When the file cannot be written, or the data hold a value that a file cannot.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> import workbench as wb
    >>> def coin(y=None):
    ...     p = numpyro.sample("p", dist.Beta(2, 2))
    ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
    >>> comparison = wb.compare(coin, {"y": [1, 0, 0, 0]}, num_warmup=100, num_samples=100)
    >>> wb.save(comparison, "comparison.nc")
    >>> wb.load("comparison.nc").table.equals(comparison.table)
    True
    """
    path = Path(path)
    groups, arviz = _comparison_groups(comparison)
    header = xr.Dataset(attrs={"format": FORMAT, "format_version": VERSION, "arviz_groups": arviz})
    tree = xr.DataTree.from_dict({"/": header, **groups})
    encoding = {f"/{name}": _encoding(dataset) for name, dataset in groups.items()}
    with replaced(path) as place:
        tree.to_netcdf(place, engine="h5netcdf", encoding=encoding)


def load(path: str | Path, model: Model | Callable[..., Any] | None = None) -> Comparison:
    """Read a comparison back.

    Parameters
    ----------
    path : str or Path
        A file that :func:`save` wrote.
    model : Model or callable, optional
        The model, without which the fits can be read but not predict: a file holds no code.

    Returns
    -------
    Comparison
        Equal to the one that was saved.

    Raises
    ------
    WorkbenchError
        When there is no such file, it is damaged or of another kind, or the model is not the one
        that was fitted.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.load("nowhere.nc")
    Traceback (most recent call last):
    workbench.errors.WorkbenchError: there is no file 'nowhere.nc'
    """
    tree = _open(Path(path))
    content = from_groups(tree.children["comparison"])
    tables = from_groups(tree.children["tables"])
    stored = from_groups(tree.children["fits"])
    groups = {name: tree.children[name].to_dataset() for name in _arviz_names(tree)}
    comparison = Comparison(
        **{k: content[k] for k in ("model_name", "data_name", "refused", "level", "seed")},
        **tables,
        findings=tuple(_finding(f) for f in content["findings"]),
        fits={method: _fit(fit, groups) for method, fit in stored.items()},
        predictions=_predictions(from_groups(tree.children["predictions"])),
        held_out=_predictions(from_groups(tree.children["held_out"])),
        data=_dataset(from_groups(tree.children["dataset"])),
    )
    return comparison if model is None else _with_model(comparison, as_model(model), path)


def read_source(path: str | Path) -> ModelSource:
    """Read from a file which model was fitted: its name, file, documentation and code.

    Parameters
    ----------
    path : str or Path
        A file that :func:`save` wrote.

    Returns
    -------
    ModelSource
    """
    return ModelSource(**from_groups(_open(Path(path)).children["comparison"])["model"])


# -- writing -----------------------------------------------------------------------------------


def _comparison_groups(c: Comparison) -> tuple[dict[str, xr.Dataset], list[str]]:
    draws = c.fits.get("NUTS")
    arviz = {}
    if isinstance(draws, DrawsFit):
        arviz = {str(k): _without_objects(v.to_dataset()) for k, v in draws.datatree.items()}
    taken = sorted(set(arviz) & set(_OURS))
    if taken:
        raise WorkbenchError(f"the draws have a group '{taken[0]}', a name this file keeps")
    source = next((f.density.model for f in c.fits.values() if f.density is not None), None)
    text = model_source(source) if source else _no_source(c.model_name)
    content = {
        **{k: getattr(c, k) for k in ("model_name", "data_name", "level", "seed")},
        "refused": dict(c.refused),
        "findings": [_finding_record(f) for f in c.findings],
        "model": vars(text),
    }
    groups = {
        **arviz,
        **to_groups("tables", {k: getattr(c, k) for k in ("table", "ledger", "scores")}),
        **to_groups("fits", {method: _fit_record(fit) for method, fit in c.fits.items()}),
        **to_groups("predictions", {m: vars(p) for m, p in c.predictions.items()}),
        **to_groups("held_out", {m: vars(p) for m, p in c.held_out.items()}),
        **to_groups("dataset", _dataset_record(c.data)),
        **to_groups("comparison", content),
    }
    return groups, list(arviz)


def _no_source(name: str) -> ModelSource:
    return ModelSource(name=name, function="", file="", documentation="", code="")


def _encoding(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Give the blocks of big arrays a checksum, and compress those that it makes much smaller.

    No fill value is written anywhere.
    """
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        plain = variable.dtype.kind in "biuf"
        encoding[str(name)] = {"_FillValue": None} if variable.dtype.kind == "f" else {}
        if plain and variable.size >= _BIG:
            encoding[str(name)] |= {"fletcher32": True}
            if _shrinks(variable.to_numpy()):
                encoding[str(name)] |= {"zlib": True, "complevel": 4, "shuffle": True}
    return encoding


def _shrinks(values: np.ndarray) -> bool:
    """Whether compression takes a third off an array, read off its first elements.

    Draws of a continuous quantity have random digits, which take longest to compress and hardly
    shrink.
    """
    sample = values.flat[:_SAMPLE]
    in_order = sample.view(np.uint8).reshape(sample.size, -1).T
    return len(zlib.compress(in_order.tobytes(), 1)) < sample.nbytes * 2 / 3


def _without_objects(dataset: xr.Dataset) -> xr.Dataset:
    """Labels of mixed types become text, which a file can hold; ``dataset`` keeps the originals."""
    mixed = [name for name, v in dataset.variables.items() if v.dtype == object]
    return dataset.assign_coords({n: dataset[n].astype(str) for n in mixed})


def _fit_record(fit: ModeFit | DrawsFit) -> dict[str, Any]:
    left = {"density", "samples", "sample_stats", "complete", "status", "provenance"}
    record: dict[str, Any] = {
        f.name: getattr(fit, f.name) for f in fields(fit) if f.name not in left
    }
    record |= {"status": fit.status.name, "provenance": fit.provenance.record()}
    if isinstance(fit, DrawsFit):
        return {**record, "absent": dict(fit.absent)}
    terms = {k: float(v) for k, v in fit.log_terms._asdict().items()}
    values = {k: np.asarray(v) for k, v in fit.values.items()}
    paths = {"starts": vars(fit.starts), "history": vars(fit.history)}
    return {**record, **paths, "log_terms": terms, "values": values}


def _finding_record(finding: Finding) -> dict[str, Any]:
    return {**vars(finding), "severity": finding.severity.value, "evidence": dict(finding.evidence)}


def _dataset_record(data: Dataset) -> dict[str, Any]:
    record = {f.name: getattr(data, f.name) for f in fields(data)}
    card = None if data.card is None else {"name": data.card.name, **data.card.to_dict()}
    design = None
    if data.design is not None:
        design = {f.name: getattr(data.design, f.name) for f in fields(data.design)}
    return {**record, "card": card, "design": design}


# -- reading -----------------------------------------------------------------------------------


def _open(path: Path) -> xr.DataTree:
    """Read a whole file into memory, or say in a sentence what is wrong with it."""
    if path.is_dir():
        raise WorkbenchError(f"'{path}' is a folder; expected a file such as comparison.nc")
    if not path.exists():
        raise WorkbenchError(f"there is no file '{path}'")
    try:
        with path.open("rb") as file:
            found = file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise WorkbenchError(f"'{path}' cannot be read: {error.strerror}") from error
    expected = "expected a comparison written by workbench.save"
    if not found:
        raise WorkbenchError(f"'{path}' is not a NetCDF file; {expected}")
    try:
        with xr.open_datatree(path, engine="h5netcdf", decode_times=False) as tree:
            tree.load()
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise WorkbenchError(
            f"'{path}' is damaged ({type(error).__name__}); {expected}, whole"
        ) from error
    if tree.attrs.get("format") != FORMAT:
        raise WorkbenchError(f"'{path}' is a NetCDF file of another kind; {expected}")
    version = int(tree.attrs["format_version"])
    if version != VERSION:
        raise WorkbenchError(
            f"'{path}' has format version {version}; this version of the workbench reads {VERSION}"
        )
    lost = [name for name in _OURS if name not in tree.children]
    if lost:
        raise WorkbenchError(f"'{path}' is damaged: it lacks the group '{lost[0]}'")
    return tree


def _arviz_names(tree: xr.DataTree) -> list[str]:
    names = tree.attrs["arviz_groups"]
    return [names] if isinstance(names, str) else [str(n) for n in names]


def _fit(record: Mapping[str, Any], groups: Mapping[str, xr.Dataset]) -> ModeFit | DrawsFit:
    common: dict[str, Any] = {
        **record,
        "status": Status[record["status"]],
        "provenance": Provenance.from_record(record["provenance"]),
        "density": None,
    }
    if record["method"] == "NUTS":
        stored = Groups(datatree=xr.DataTree.from_dict(dict(groups)), absent=common.pop("absent"))
        return DrawsFit(
            **common,
            samples=_arrays(stored.datatree["posterior"]),
            sample_stats=_arrays(stored.datatree["sample_stats"]),
            complete=lambda: stored,
        )
    paths = {"starts": Starts(**record["starts"]), "history": History(**record["history"])}
    return ModeFit(**{**common, **paths, "log_terms": LogTerms(**record["log_terms"])})


def _arrays(group: xr.DataTree) -> dict[str, np.ndarray]:
    return {str(k): v.to_numpy() for k, v in group.data_vars.items()}


def _finding(record: Mapping[str, Any]) -> Finding:
    return Finding(**{**record, "severity": Severity(record["severity"])})


def _predictions(stored: Mapping[str, Any]) -> dict[str, Prediction]:
    return {method: Prediction(**record) for method, record in stored.items()}


def _dataset(record: Mapping[str, Any]) -> Dataset:
    card, design = record["card"], record["design"]
    if card is not None:
        columns = {k: v for k, v in card.items() if k != "name"}
        card = Card.from_dict(card["name"], columns)
    return Dataset(**{**record, "card": card, "design": Design(**design) if design else None})


def _with_model(comparison: Comparison, model: Model, path: str | Path) -> Comparison:
    """Give the fits their model back, if it is the one that was fitted."""
    prints = {f.provenance.model_fingerprint for f in comparison.fits.values()}
    if model_fingerprint(model.fn) not in prints:
        raise WorkbenchError(
            f"model '{model.name}' is not the one in '{path}': expected the source that was "
            f"fitted as '{comparison.model_name}'; compare again"
        )
    density = read_density(model, comparison.data)
    fits = {m: replace(f, density=density) for m, f in comparison.fits.items()}
    return replace(comparison, fits=fits)
