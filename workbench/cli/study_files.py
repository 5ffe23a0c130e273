"""The files of a study in the folder of a run: its finished parts, its table, its picture.

``study-NAME.parts.npz`` is what an interrupted study goes on from, ``study-NAME.json`` holds the
table and what it says, ``study-NAME.svg`` (or ``.png``) the picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import FitError, WorkbenchError

if TYPE_CHECKING:
    from workbench.comparison import Comparison
    from workbench.data import Dataset
    from workbench.model import Model
    from workbench.report import StudySection


def identity(model: Model, data: Dataset) -> dict[str, str]:
    """What tells studies of other models and data apart."""
    from workbench.fit.provenance import model_fingerprint

    return {"model": model_fingerprint(model.fn), "data": data.fingerprint}


def kept_study(
    instrument: str, model: Model, data: Dataset, folder: Path, *, seed: int, quick: bool,
    on_stage: Callable[[str], None],
) -> Any:  # fmt: skip
    """Make a study that keeps its finished parts in a folder and goes on from those it finds."""
    import inspect

    from workbench import study as room
    from workbench.store import StudyParts

    function = getattr(room, instrument)
    settings: dict[str, Any] = {"seed": seed, "quick": quick, "on_stage": on_stage}
    if "keep" in inspect.signature(function).parameters:
        what = {"study": instrument, "seed": seed, "quick": quick, **identity(model, data)}
        settings["keep"] = StudyParts(folder / f"study-{instrument}.parts.npz", what)
    return function(model, data, **settings)


def write_study(section: StudySection, folder: Path, model: Model, data: Dataset) -> Iterator[Path]:
    """Write the table and the picture of a study; name each file when it is there."""
    from workbench.cli.folder import as_json, rows
    from workbench.store import replaced

    stem = f"study-{section.instrument}"
    kind = "png" if section.picture[1:4] == b"PNG" else "svg"
    content = {
        "study": section.instrument, "name": section.name, "table": rows(section.table),
        "sentences": section.sentences, "trusted": section.trusted,
        "picture": f"{stem}.{kind}" if section.picture else "", "of": identity(model, data),
    }  # fmt: skip
    if section.picture:
        with replaced(folder / f"{stem}.{kind}") as place:
            place.write_bytes(section.picture)
        yield folder / f"{stem}.{kind}"
    with replaced(folder / f"{stem}.json") as place:
        place.write_text(as_json(content) + "\n", encoding="utf-8")
    yield folder / f"{stem}.json"


def study_into(
    folder: Path, instrument: str, model: Model, data: Dataset, seed: int,
    on_stage: Callable[[str], None],
) -> Iterator[Path]:  # fmt: skip
    """Make a quick study and write it; one that does not apply says so in its place."""
    from workbench.report import study_section

    try:
        made = kept_study(instrument, model, data, folder, seed=seed, quick=True, on_stage=on_stage)
        section = study_section(made)
    except FitError as error:
        section = _refused(instrument, f"{model.name}-{data.name}", error)
    yield from write_study(section, folder, model, data)


def _refused(instrument: str, name: str, error: FitError) -> StudySection:
    """The section of a study that does not apply."""
    import pandas as pd

    from workbench.report import StudySection

    return StudySection(
        instrument=instrument, name=name, table=pd.DataFrame(), sentences=(f"{error}.",),
        trusted=True, picture=b"",
    )  # fmt: skip


def read_studies(folder: Path, comparison: Comparison) -> list[StudySection]:
    """Sections of the studies in a folder that are of the model and data of a comparison.

    Raises
    ------
    WorkbenchError
        When a file of a study is damaged.
    """
    import pandas as pd

    from workbench.report import StudySection

    made = [f.provenance for f in comparison.fits.values()]
    here = {(p.model_fingerprint, p.data_fingerprint) for p in made}
    found = []
    for path in sorted(folder.glob("study-*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            of = content["of"]
            if (of["model"], of["data"]) not in here:
                continue
            picture = folder / content["picture"] if content["picture"] else None
            found.append(
                StudySection(
                    instrument=content["study"],
                    name=content["name"],
                    table=pd.DataFrame(content["table"]),
                    sentences=tuple(content["sentences"]),
                    trusted=content["trusted"],
                    picture=picture.read_bytes() if picture else b"",
                )
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WorkbenchError(
                f"'{path}' is not the file of a study, or is damaged ({type(error).__name__}): "
                "remove it, or run the study again"
            ) from error
    return found
