"""`workbench study`: the instruments of the mathematics of learning, on a model and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.cli.commands import main
from workbench.cli.inputs import DataName
from workbench.cli.instruments import GALLERIES, INSTRUMENTS
from workbench.cli.models import ModelName
from workbench.cli.options import model_and_data, regression, shared
from workbench.cli.shell import DISTRUST, DONE, KEPT
from workbench.errors import UsageError

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
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Keep the study there as it is made, and go on from what is there; in the "
              "folder of a run, show it in its report [methods: runs/<model>-<data>].")  # fmt: skip
@click.option("--plot", "picture", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Draw the study too, as PNG or SVG.")  # fmt: skip
@shared
@click.pass_context
def study(
    ctx: click.Context, instrument: str | None, model: str | None, data: str | None,
    formula: str | None, quick: bool, seed: int, out: Path | None, picture: Path | None,
    json_: bool, quiet: bool,
) -> int:  # fmt: skip
    """Study MODEL at its data by an INSTRUMENT; without one, list the instruments."""
    from workbench.cli.folder import RUNS, as_json, rows
    from workbench.cli.progress import watching

    if instrument is None:
        _list(json_)
        return DONE
    if model is None:
        raise UsageError(f"study {instrument} expects a model, such as 'linear'; got none")
    if picture is not None and picture.suffix not in _KINDS:
        raise UsageError(f"--plot expects a file of kind {', '.join(_KINDS)}; got '{picture}'")
    with watching(quiet) as watch:
        found, dataset = model_and_data(ctx, model, data, formula)
        from workbench import study as room
        from workbench.cli.study_files import kept_study, write_study
        from workbench.report import study_section

        watch.stage(instrument)
        drawn: list[dict[str, str]] = []
        if out is None and instrument in GALLERIES:
            out = RUNS / f"{found.name}-{dataset.name}"
        given: Any = {"seed": seed, "quick": quick, "on_stage": watch.stage}
        if out is None:
            made = getattr(room, instrument)(found, dataset, **given)
        else:
            made = kept_study(instrument, found, dataset, out, **given)
            watch.stage("writing")
            for path in write_study(study_section(made), out, found, dataset):
                ctx.meta[KEPT].append(path)
            _update_report(out, instrument, ctx.meta[KEPT])
            if instrument in GALLERIES:
                drawn = _draw_all(instrument, made, out, ctx.meta[KEPT])
        if picture is not None:
            watch.stage("drawing")
            _draw(instrument, made, picture)
            ctx.meta[KEPT].append(picture)
    if out is not None and not quiet:
        click.echo(f"wrote {', '.join(str(p) for p in ctx.meta[KEPT])}", err=True)
    if json_:
        table = made.table.reset_index(drop=made.table.index.name is None)
        content = {"name": made.name, "study": instrument, "table": rows(table),
                   "sentences": made.sentences, "trusted": made.trusted}  # fmt: skip
        click.echo(as_json({**content, "pictures": drawn} if drawn else content))
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


def _update_report(folder: Path, instrument: str, kept: list[Path]) -> None:
    """Write the report of the comparison in a folder once more, with the studies there."""
    from workbench.cli.folder import FILE, REPORT
    from workbench.cli.study_files import read_studies
    from workbench.report import write_report
    from workbench.store import load, read_source

    path = folder / FILE
    if path.is_file():
        comparison = load(path)
        studies = read_studies(folder, comparison)
        write_report(comparison, folder / REPORT, source=read_source(path), studies=studies)
        kept.append(folder / REPORT)
        if instrument not in {s.instrument for s in studies}:
            click.echo(
                f"the comparison in {folder} is of another model, or of other rows (--held-out): "
                f"its report does not show the {instrument}",
                err=True,
            )


def _draw(instrument: str, made: Any, place: Path) -> None:
    """Draw a study into a file, which is either whole or not there."""
    from workbench import plot
    from workbench.plot.image import finished

    _write(place, finished(getattr(plot, instrument)(made), place.suffix[1:]))


def _draw_all(instrument: str, made: Any, folder: Path, kept: list[Path]) -> list[dict[str, str]]:
    """Draw every picture of a study, its caption below it; give their files and captions."""
    from workbench import plot
    from workbench.plot.image import finished

    drawn = []
    for drawing in getattr(plot, GALLERIES[instrument])(made):
        place = folder / f"study-{instrument}-{drawing.name}.png"
        _write(place, finished(drawing.draw(), "png", drawing.caption))
        kept.append(place)
        drawn.append({"file": place.name, "caption": drawing.caption})
    return drawn


def _write(place: Path, content: bytes) -> None:
    from workbench.store import replaced

    with replaced(place) as path:
        path.write_bytes(content)
