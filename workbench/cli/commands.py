"""The commands of `workbench`; what each needs is imported when it runs, so that help is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.models import ModelName
from workbench.cli.options import (
    as_json,
    debug,
    fitting,
    model_and_data,
    regression,
    sampling,
    shared,
)
from workbench.cli.shell import DISTRUST, DONE, INTERRUPTED, KEPT, Shell
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.comparison import Comparison
    from workbench.model import Model

HELP = """\
Fit one NumPyro model by maximum likelihood and by NUTS, and say how the answers differ.

\b
  workbench compare linear --data diabetes
  workbench compare poisson --data my.csv --formula "visits ~ age + (1|town)"
  workbench compare "y ~ x + (1|g)" --data my.csv --family "negative_binomial(log)"
  workbench compare ./my_model.py --data my.csv
"""
COMPLETION = """\
Completion of commands, models and data sets, for bash (zsh and fish alike):

    eval "$(_WORKBENCH_COMPLETE=bash_source workbench)"
"""
EXIT_CODES = """\
\b
Exit codes: 0 done, 1 error, 2 usage, 3 done but a diagnostic says that the
result should not be trusted, 130 interrupted.
"""
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"workbench {version('probabilistic-workbench')}")
        ctx.exit(DONE)


@click.group(
    cls=Shell, context_settings=_SETTINGS, help=HELP,
    epilog=f"{EXIT_CODES}\n\n\b\n{COMPLETION}",
)  # fmt: skip
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Show the version and exit.",
)  # fmt: skip
def main() -> None:
    """Run the command line."""


@main.command("list")
@click.argument("what", type=click.Choice(["models", "data"]), required=False)
@as_json
@debug
def list_(what: str | None, json_: bool) -> int:
    """List the models and the data sets that come along."""
    from workbench.cli import output
    from workbench.cli.folder import as_json as dump
    from workbench.cli.models import list_models

    found: dict[str, Any] = {}
    if what in (None, "models"):
        found["models"] = [vars(card) for card in list_models()]
    if what in (None, "data"):
        from workbench.data import list_datasets

        found["data"] = [
            {"name": c.name, "title": c.title, "rows": c.rows, "formula": c.formula or ""}
            for c in list_datasets()
        ]
    if json_:
        click.echo(dump(found))
        return DONE
    heads = {
        "models": [("model", "left"), ("", "left"), ("shown on", "left")],
        "data": [("data", "left"), ("", "left"), ("rows", "right"), ("formula", "left")],
    }
    for number, (kind, cards) in enumerate(found.items()):
        if number:
            click.echo()
        output.print_table(heads[kind], [[str(v) for v in card.values()] for card in cards])
    return DONE


@main.command()
@fitting
@regression
@click.option("--method", default="mle",
              type=click.Choice(["mle", "reml", "firth", "map", "laplace", "nuts"]),
              show_default=True, help="How to fit.")  # fmt: skip
@sampling
@shared
@click.pass_context
def fit(
    ctx: click.Context, model: str, data: str | None, formula: str | None, method: str,
    level: float, seed: int, json_: bool, quiet: bool, **options: Any,
) -> int:  # fmt: skip
    """Fit MODEL by one method and print its estimates."""
    from workbench.cli.folder import as_json as dump
    from workbench.cli.folder import rows
    from workbench.cli.progress import watching

    given = {k: v for k, v in options.items() if v is not None}
    if method != "nuts" and given:
        name = next(iter(given)).replace("_", "-")
        raise UsageError(f"--{name} is for --method nuts; got --method {method}")
    with watching(quiet) as watch:
        found, dataset = model_and_data(ctx, model, data, formula)
        import workbench as wb

        titles = {"laplace": "Laplace", "firth": "Firth"}
        watch.stage(titles.get(method, method.upper()))
        if method == "nuts":
            given = {**_settings(found, wb.fit_nuts, given), **given}
            result = wb.fit_nuts(found, dataset, seed=seed, progress=watch.chain, **given)
        else:
            fits = {
                "mle": wb.fit_mle, "reml": wb.fit_reml, "firth": wb.fit_firth,
                "map": wb.fit_map, "laplace": wb.fit_laplace,
            }  # fmt: skip
            result = fits[method](found, dataset, seed=seed)
    table = result.summary(level)
    said = result.detail or result.status.value
    if json_:
        content = {
            "model": found.name, "data": dataset.name, "method": result.method,
            "status": result.status.name.lower().replace("_", " "), "detail": said,
            "level": level, "table": rows(table), "provenance": result.provenance.record(),
        }  # fmt: skip
        click.echo(dump(content))
    else:
        from workbench.cli.output import digits, print_table

        columns = [(c, "left" if c in ("term", "reason") else "right") for c in table.columns]
        lines = [
            [v if isinstance(v, str) else digits(float(v)) for v in row]
            for row in table.itertuples(index=False)
        ]
        print_table(columns, lines, title=f"{found.name}-{dataset.name}, {result.method}: {said}")
    return DONE if result.status.ok else DISTRUST


@main.command()
@fitting
@regression
@click.option("--held-out", metavar="FRACTION",
              type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Share of the rows that is not fitted but predicted.")  # fmt: skip
@click.option("--terms", multiple=True, metavar="TERM",
              help="A term or site to report; may be given several times [all].")  # fmt: skip
@click.option(
    "--num-starts",
    type=click.IntRange(1),
    help="Starts of each mode fit [8; 1 where one maximum is known to be all].",
)
@sampling
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the results [runs/<model>-<data>].")  # fmt: skip
@shared
@click.pass_context
def compare(
    ctx: click.Context, model: str, data: str | None, formula: str | None, level: float,
    seed: int, held_out: float | None, terms: tuple[str, ...], out: Path | None, json_: bool,
    quiet: bool, **options: Any,
) -> int:  # fmt: skip
    """Fit MODEL by maximum likelihood and by NUTS, and account for the difference.

    MODEL is a name of `workbench list models`, a formula such as "y ~ x + (1|g)" with a --family,
    a Python file that holds a NumPyro model, or FILE.py:FUNCTION. A table reaches it by a formula,
    or column by column under the names of the function's arguments; the argument that defaults to
    None is observed.
    """
    from workbench.cli import folder as run
    from workbench.cli.progress import watching

    with watching(quiet) as watch:
        found, dataset = model_and_data(ctx, model, data, formula)
        train, test = dataset, None
        if held_out is not None:
            train, test = dataset.split(1 - held_out, seed=seed)
        from workbench.comparison import compare as compare_fits

        given = _given(options)
        given = {**_settings(found, compare_fits, given), **given}
        comparison = compare_fits(
            found, train, seed=seed, level=level, terms=terms or None, held_out=test,
            progress=watch.chain, on_stage=watch.stage, **given,
        )  # fmt: skip
        watch.stage("writing the report")
        folder = run.run_folder(comparison, out)
        for path in run.write_run(comparison, folder):
            ctx.meta[KEPT].append(path)
    if not quiet:
        click.echo(f"wrote {folder}/ ({run.FILE}, {run.SUMMARY}, {run.REPORT})", err=True)
    return _print(comparison, json_)


@main.command()
@fitting
@click.option("--terms", multiple=True, metavar="TERM",
              help="A term or site to report; may be given several times [all].")  # fmt: skip
@click.option("--kind", "kinds", multiple=True, metavar="KIND",
              help="Such as Wald or profile; may be given several times [all].")  # fmt: skip
@click.option("--num", type=click.IntRange(2), default=1000, show_default=True,
              help="Number of bootstrap replicates.")  # fmt: skip
@click.option("--bootstrap", "bootstrap_kind", type=click.Choice(["cases", "parametric"]),
              default="cases", show_default=True, help="How replicates are made.")  # fmt: skip
@click.option("--posterior", is_flag=True, help="Sample too, for the credible intervals.")
@shared
@click.pass_context
def intervals(
    ctx: click.Context, model: str, data: str | None, formula: str | None, level: float,
    seed: int, terms: tuple[str, ...], kinds: tuple[str, ...], num: int, bootstrap_kind: Any,
    posterior: bool, json_: bool, quiet: bool,
) -> int:  # fmt: skip
    """Print every interval of MODEL's terms: Wald, profile likelihood, bootstrap, credible."""
    from workbench.cli.folder import as_json as dump
    from workbench.cli.folder import rows
    from workbench.cli.progress import watching

    with watching(quiet) as watch:
        found, dataset = model_and_data(ctx, model, data, formula)
        import workbench as wb

        if posterior:
            given = _settings(found, wb.compare, {})
            source = wb.compare(
                found, dataset, seed=seed, level=level, progress=watch.chain,
                on_stage=watch.stage, **given,
            )  # fmt: skip
            trusted = source.trustworthy
        else:
            watch.stage("MLE")
            source = wb.fit_mle(found, dataset, seed=seed)
            trusted = source.status.ok
        watch.stage("intervals")
        made = wb.intervals(
            source, level=level, kinds=kinds or None, terms=terms or None, num=num,
            bootstrap_kind=bootstrap_kind, seed=seed,
        )  # fmt: skip
    if json_:
        findings = [{"code": f.code, "terms": f.terms, "sentence": f.sentence, "advice": f.advice}
                    for f in made.findings]  # fmt: skip
        name = f"{found.name}-{dataset.name}"
        click.echo(dump({"name": name, "intervals": rows(made.table), "findings": findings}))
    else:
        from workbench.cli.output import print_intervals

        print_intervals(made, f"{found.name}-{dataset.name}")
    return DONE if trusted else DISTRUST


@main.command()
@click.argument("run", metavar="RUN|MODEL")
@click.option("--data", metavar="FILE", required=True, help="Rows to predict.")
@click.option("--level", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Level of the intervals [as compared].")  # fmt: skip
@click.option("--num", type=click.IntRange(2), default=1000, show_default=True,
              help="Number of predictive draws.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed.")
@click.option("--model", metavar="MODEL", type=ModelName(),
              help="Where the model is now, if not where it was.")  # fmt: skip
@shared
def predict(
    run: str, data: str, level: float | None, num: int, seed: int, model: str | None,
    json_: bool, quiet: bool,
) -> int:  # fmt: skip
    """Predict new rows by MLE and by NUTS, from the folder of a comparison; CSV on stdout."""
    from workbench.cli.folder import as_json as dump
    from workbench.cli.folder import find_run, rows
    from workbench.cli.predictions import predictions_table
    from workbench.cli.progress import watching

    with watching(quiet) as watch:
        path = find_run(run)
        from workbench.cli.inputs import new_rows
        from workbench.cli.models import find_model, recorded_model
        from workbench.store import load, read_source

        data_then = load(path).data
        found = find_model(model) if model else recorded_model(read_source(path), data_then)
        comparison = load(path, found)
        watch.stage("predicting")
        table = predictions_table(
            comparison, new_rows(data, comparison.data, found),
            seed=seed, num=num, level=level or comparison.level,
        )  # fmt: skip
    if json_:
        click.echo(dump({"name": comparison.name, "predictions": rows(table)}))
    else:
        click.echo(table.to_csv(index=False), nl=False)
    return DONE


@main.command()
@click.argument("run", metavar="RUN")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to write it [report.html in the folder of the run].")  # fmt: skip
@shared
def report(run: str, out: Path | None, json_: bool, quiet: bool) -> int:
    """Write the report of a comparison once more, as one HTML page."""
    from workbench.cli.folder import REPORT, find_run
    from workbench.cli.folder import as_json as dump
    from workbench.cli.progress import watching

    with watching(quiet) as watch:
        path = find_run(run)
        watch.stage("writing the report")
        from workbench.report import write_report
        from workbench.store import load, read_source

        place = out or path.with_name(REPORT)
        write_report(load(path), place, source=read_source(path))
    click.echo(dump({"report": str(place)}) if json_ else str(place))
    return DONE


@main.command()
@click.argument("run", metavar="RUN")
@click.option("--part", type=click.Choice(["summary", "methods", "ledger", "scores", "findings"]),
              default="summary", show_default=True, help="What of it to print.")  # fmt: skip
@shared
def show(run: str, part: str, json_: bool, quiet: bool) -> int:
    """Print a comparison once more, or a part of it."""
    from workbench.cli.folder import find_run
    from workbench.cli.progress import watching

    with watching(quiet):
        path = find_run(run)
        from workbench.store import load

        comparison = load(path)
    if part == "summary" or json_:
        return _print(comparison, json_)
    from workbench.cli import output

    printers = {
        "methods": output.print_methods, "ledger": output.print_ledger,
        "scores": output.print_scores, "findings": output.print_findings,
    }  # fmt: skip
    printers[part](comparison)
    return DONE if comparison.trustworthy else DISTRUST


# -- helpers -----------------------------------------------------------------------------------


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if v is not None}


def _settings(model: Model, function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """Settings that a model recommends for itself, of those that a function takes."""
    import inspect

    left = {"data", *(["num_samples"] if "until" in given else [])}
    taken = set(inspect.signature(function).parameters) - left
    return {k: v for k, v in model.defaults.items() if k in taken}


def _print(comparison: Comparison, json_: bool) -> int:
    """Print a comparison, and give its exit code."""
    if json_:
        from workbench.cli.folder import as_json as dump
        from workbench.cli.folder import summary

        click.echo(dump(summary(comparison)))
    else:
        from workbench.cli.output import print_comparison

        print_comparison(comparison)
    draws = comparison.fits.get("NUTS")
    if draws is not None and draws.provenance.settings.get("interrupted"):
        kept = draws.provenance.settings["num_samples"]
        click.echo(f"interrupted: kept the {kept} draws that every chain had", err=True)
        sys.stdout.flush()
        return INTERRUPTED
    return DONE if comparison.trustworthy else DISTRUST
