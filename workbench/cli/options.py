"""Options that commands share, and the model and data that they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.inputs import DataName
from workbench.cli.models import ModelName
from workbench.cli.shell import DEBUG
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.data import Dataset
    from workbench.model import Model

_REGRESSION = "workbench.regression"


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[DEBUG] = value


def _options(*made: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(made):
            function = option(function)
        return function

    return decorate


debug = click.option(
    "--debug", is_flag=True, is_eager=True, expose_value=False, callback=_set_debug,
    help="Show where an error came from.",
)  # fmt: skip


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        ctx.meta.setdefault(_REGRESSION, {})[param.name] = value


regression = _options(
    click.option("--family", metavar="NAME[(LINK)]", expose_value=False, callback=_keep,
                 help="Family of a formula's response, such as poisson(log) [gaussian]."),
    click.option("--prior", metavar="TERM=PRIOR", multiple=True, expose_value=False, callback=_keep,
                 help="Prior of a formula's term, such as \"x1=Normal(0, 1)\"."),
    click.option("--offset", metavar="COLUMN", expose_value=False, callback=_keep,
                 help="Added to the linear predictor, such as np.log(exposure)."),
    click.option("--weights", metavar="COLUMN", expose_value=False, callback=_keep,
                 help="Case weights of the log-likelihood."),
    click.option("--trials", metavar="COLUMN", expose_value=False, callback=_keep,
                 help="Numbers of trials of binomial counts."),
)  # fmt: skip


def _goal(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> Any:
    goal = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            goal[name] = float(value)
        except ValueError:
            raise UsageError(f"--until expects NAME=VALUE, such as ess=400; got '{word}'") from None
    return goal or None


def _keeper(ctx: click.Context, _: click.Parameter, path: Path | None) -> Any:
    if path is None:
        return None
    from workbench.store import Checkpoint

    return Checkpoint(path)


as_json = click.option("--json", "json_", is_flag=True, help="Print one JSON object.")
quiet = click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
fitting = _options(
    click.argument("model", type=ModelName()),
    click.option("--data", metavar="NAME|FILE", type=DataName(),
                 help="A built-in data set, or a CSV, TSV or Parquet file."),
    click.option("--formula", metavar="TEXT", help="Such as \"y ~ x1 * x2 + C(g) + (1|h)\"."),
    click.option("--level", type=click.FloatRange(0, 1, min_open=True, max_open=True),
                 default=0.95, show_default=True, help="Level of the intervals."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
                 help="Seed of everything random."),
)  # fmt: skip
sampling = _options(
    click.option("--num-warmup", type=click.IntRange(1),
                 help="Warm-up steps of a chain [1000; 100 where whitened]."),
    click.option("--num-samples", type=click.IntRange(1), help="Draws kept of a chain [1000]."),
    click.option("--num-chains", type=click.IntRange(1), help="Number of chains [4]."),
    click.option("--chain-method", type=click.Choice(["parallel", "sequential", "vectorized"]),
                 help="How the chains run [parallel on a CPU]."),
    click.option("--target-accept-prob", metavar="FLOAT",
                 type=click.FloatRange(0, 1, min_open=True, max_open=True),
                 help="Acceptance that the step size is adapted to [0.8; 0.7 where whitened]."),
    click.option("--until", metavar="NAME=VALUE", multiple=True, callback=_goal,
                 help="Draw until every term has it: ess=400, rhat=1.01; may be given twice."),
    click.option("--max-samples", type=click.IntRange(1),
                 help="With --until, the most draws of a chain [20000]."),
    click.option("--checkpoint", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
                 callback=_keeper,
                 help="Save the draws there as they are made; go on from there if it is there."),
)  # fmt: skip
shared = _options(as_json, quiet, debug)


def model_and_data(
    ctx: click.Context, reference: str, data: str | None, formula: str | None
) -> tuple[Model, Dataset]:
    """Load both; a model that runs as a script comes as the context's object."""
    from workbench.cli.inputs import find_data, find_regression
    from workbench.cli.models import find_model

    given = ctx.meta.get(_REGRESSION, {})
    if ctx.obj is None and "~" in reference:
        if formula is not None:
            raise UsageError(f"the model '{reference}' is a formula; got --formula '{formula}' too")
        made = find_regression(reference, data, given)
        if not ctx.params["quiet"]:
            from workbench.cli.output import print_priors

            print_priors(made)
        return made.model, made.data
    if given:
        raise UsageError(
            f"--{next(iter(given))} is for a formula in place of a model, such as 'y ~ x'; got "
            f"model '{reference}'"
        )
    model = ctx.obj if ctx.obj is not None else find_model(reference)
    return model, find_data(data, formula, model)
