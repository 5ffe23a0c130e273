"""`workbench study`: the instruments of the mathematics of learning, on a model and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.cli.commands import main
from workbench.cli.inputs import DataName
from workbench.cli.models import ModelName
from workbench.cli.options import model_and_data, regression, shared
from workbench.cli.shell import DISTRUST, DONE, KEPT
from workbench.errors import UsageError

# by the name that each has in workbench.study and in workbench.plot; read without importing them
INSTRUMENTS = {
    "evidence": "How probable are the data: fit less Occam factor, by estimators that agree?",
    "spectrum": "Which directions do the data decide, and which the prior?",
    "optimisers": "How fast do six optimisers climb, and how fast should they?",
    "limits": "Do both answers meet with more data, a wider prior, a lower temperature?",
    "penalties": "What does a prior of another width do, and which width does each score pick?",
    "bayes": "Likelihood times prior over evidence: at a point, on an axis, batch by batch.",
    "methods": "Which way of fitting a network predicts best, how sure is it, at what cost?",
}
# instruments of several pictures, which they leave in a folder: by their gallery in workbench.plot
GALLERIES = {"methods": "network_pictures"}
_KINDS = (".png", ".svg")


@main.command()
@click.argument("instrument", type=click.Choice(list(INSTRUMENTS)), required=False)
@click.argument("model", type=ModelName(), required=False)
@click.option("--data", metavar="NAME|FILE", type=DataName(),
              help="A built-in data set, or a CSV, TSV or Parquet file.")  # fmt: skip
@click.option("--formula", metavar="TEXT", help='Such as "y ~ x1 * x2 + C(g) + (1|h)".')
@regression
@click.option("--quick", is_flag=True, help="A smaller study: under a minute on two cores.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Seed of everything random.")  # fmt: skip
@click.option("--plot", "picture", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Draw the study too, as PNG or SVG.")  # fmt: skip
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the results of methods [runs/<model>-<data>].")  # fmt: skip
@shared
@click.pass_context
def study(
    ctx: click.Context, instrument: str | None, model: str | None, data: str | None,
    formula: str | None, quick: bool, seed: int, picture: Path | None, out: Path | None,
    json_: bool, quiet: bool,
) -> int:  # fmt: skip
    """Study MODEL at its data by an INSTRUMENT; without one, list the instruments."""
    from workbench.cli.folder import RUNS, as_json
    from workbench.cli.progress import watching

    if instrument is None:
        _list(json_)
        return DONE
    if model is None:
        raise UsageError(f"study {instrument} expects a model, such as 'linear'; got none")
    if out is not None and instrument not in GALLERIES:
        raise UsageError(f"--out is for {', '.join(GALLERIES)}; got {instrument}: try --plot FILE")
    if picture is not None and picture.suffix not in _KINDS:
        raise UsageError(f"--plot expects a file of kind {', '.join(_KINDS)}; got '{picture}'")
    with watching(quiet) as watch:
        found, dataset = model_and_data(ctx, model, data, formula)
        from workbench import study as room

        watch.stage(instrument)
        made = getattr(room, instrument)(
            found, dataset, seed=seed, quick=quick, on_stage=watch.stage
        )
        if picture is not None:
            watch.stage("drawing")
            _draw(instrument, made, picture)
            ctx.meta[KEPT].append(picture)
        content = _content(made, instrument)
        if instrument in GALLERIES:
            watch.stage("drawing")
            folder = out or RUNS / made.name
            content["pictures"] = _draw_all(ctx, instrument, made, folder)
            _write(folder / f"{instrument}.json", (as_json(content) + "\n").encode())
            ctx.meta[KEPT].append(folder / f"{instrument}.json")
            if not quiet:
                names = ", ".join(p["file"] for p in content["pictures"])
                click.echo(f"wrote {folder}/ ({instrument}.json, {names})", err=True)
    if json_:
        click.echo(as_json(content))
    else:
        from workbench.cli.output import print_study

        print_study(made, instrument)
    return DONE if made.trusted else DISTRUST


def _list(json_: bool) -> None:
    """Print the instruments, one line each."""
    if json_:
        from workbench.cli.folder import as_json

        click.echo(as_json({"instruments": INSTRUMENTS}))
        return
    from workbench.cli.output import print_table

    print_table([("instrument", "left"), ("", "left")], [list(x) for x in INSTRUMENTS.items()])


def _content(made: Any, instrument: str) -> dict[str, Any]:
    """A study as plain values."""
    from workbench.cli.folder import rows

    table = made.table.reset_index(drop=made.table.index.name is None)
    return {"name": made.name, "study": instrument, "table": rows(table),
            "sentences": made.sentences, "trusted": made.trusted}  # fmt: skip


def _draw(instrument: str, made: Any, place: Path) -> None:
    """Draw a study into a file."""
    from workbench import plot
    from workbench.plot.image import finished

    _write(place, finished(getattr(plot, instrument)(made), place.suffix[1:]))


def _draw_all(ctx: click.Context, instrument: str, made: Any, folder: Path) -> list[dict[str, str]]:
    """Draw every picture of a study, its caption below it, and give their names and captions."""
    from workbench import plot
    from workbench.plot.image import finished

    drawn = []
    for drawing in getattr(plot, GALLERIES[instrument])(made):
        place = folder / f"{drawing.name}.png"
        _write(place, finished(drawing.draw(), "png", drawing.caption))
        ctx.meta[KEPT].append(place)
        drawn.append({"file": place.name, "caption": drawing.caption})
    return drawn


def _write(place: Path, content: bytes) -> None:
    """Write a file, which is either whole or not there."""
    from workbench.store import replaced

    with replaced(place) as path:
        path.write_bytes(content)
