"""Fit one model both ways, and set the answers side by side."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from workbench.comparison.comparison import METHODS, Comparison
from workbench.comparison.findings import find
from workbench.comparison.ledger import build_ledger
from workbench.comparison.scores import scores_table
from workbench.comparison.table import estimates_table
from workbench.errors import FitError, UsageError
from workbench.fit import DrawsFit, ModeFit, Prediction, fit_laplace, fit_map, fit_mle, fit_nuts
from workbench.fit.checkpoint import Keeper
from workbench.fit.sampler import ChainMethod, Progress
from workbench.model import Density, Model, read_density


def compare(
    model: Model | Callable[..., Any],
    data: Any = None,
    *,
    seed: int = 0,
    level: float = 0.95,
    terms: Sequence[str] | None = None,
    held_out: Any = None,
    fits: Mapping[str, ModeFit | DrawsFit] | None = None,
    num_starts: int | None = None,
    num_warmup: int | None = None,
    num_samples: int | None = None,
    num_chains: int = 4,
    chain_method: ChainMethod | None = None,
    target_accept_prob: float | None = None,
    until: Mapping[str, float] | None = None,
    max_samples: int = 20_000,
    checkpoint: Keeper | None = None,
    progress: Callable[[Progress], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Comparison:
    """Fit a model by maximum likelihood and by NUTS, and account for the difference.

    Parameters
    ----------
    model : Model or callable
        A :class:`~workbench.model.Model` or any plain NumPyro function.
    data : Dataset or mapping, optional
        Values by argument name.
    seed : int
        One seed, split per stage.
    level : float
        Level of every interval, between 0 and 1.
    terms : sequence of str, optional
        Terms to report, or sites (``"beta"`` for all of its elements); all by default.
    held_out : Dataset, optional
        Rows not used for fitting, for held-out scores.
    fits : mapping, optional
        Fits already made, by method; only the missing ones are fitted.
    num_starts : int, optional
        Starts of each mode fit, by default as in :func:`~workbench.fit.fit_mle`.
    num_warmup, num_samples, num_chains, chain_method, target_accept_prob, until, max_samples, \
    checkpoint
        As in :func:`~workbench.fit.fit_nuts`.
    progress, on_stage : callable, optional
        Called with the sampler's progress, and with the name of each stage as it begins.

    Returns
    -------
    Comparison
        Table, ledger, scores and findings. A method that refuses (an MLE that is not defined)
        is named in ``refused`` with its reason.

    Raises
    ------
    ModelError
        When the model cannot be read.
    UsageError
        When a level or a term is out of range or unknown.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.comparison import compare
    >>> def coin(y=None):
    ...     p = numpyro.sample("p", dist.Beta(2, 2))
    ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
    >>> result = compare(coin, {"y": [1, 0, 0, 0]}, num_samples=300)
    >>> result.rows("p").loc["MLE", "estimate"].round(9)
    np.float64(0.25)
    """
    if not 0 < level < 1:
        raise UsageError(f"level expects a number between 0 and 1; got {level}")
    density = read_density(model, data)
    stage = on_stage or _silent
    made, refused = _mode_fits(density, dict(fits or {}), seed, num_starts, stage)
    if "NUTS" not in made:
        stage("NUTS")
        laplace = made.get("Laplace")
        made["NUTS"] = fit_nuts(
            density,
            seed=seed,
            num_warmup=num_warmup,
            num_samples=num_samples,
            num_chains=num_chains,
            chain_method=chain_method,
            target_accept_prob=target_accept_prob,
            until=until,
            max_samples=max_samples,
            checkpoint=checkpoint,
            laplace=laplace if isinstance(laplace, ModeFit) else None,
            progress=progress,
        )
    stage("scores")
    made = {m: made[m] for m in METHODS if m in made}
    chosen = choose_terms(made, terms)
    table = estimates_table(made, level, chosen)
    ledger = build_ledger(made, chosen, refused)
    key = jax.random.key(seed)
    predictions = _predictions(density, made, None, key, level)
    outside = _predictions(density, made, held_out, key, level) if held_out is not None else {}
    effects = bool(density.names("random effect"))
    scores = scores_table(made, predictions, outside, effects)
    return Comparison(
        model_name=density.model.name,
        data_name=density.data.name,
        table=table,
        ledger=ledger,
        scores=scores,
        findings=find(made, ledger, scores, refused, density),
        fits=made,
        refused=refused,
        predictions=predictions,
        held_out=outside,
        data=density.data,
        level=level,
        seed=seed,
    )


def _silent(_: str) -> None:
    """Take no notice of a stage."""


def _mode_fits(
    density: Density,
    made: dict[str, ModeFit | DrawsFit],
    seed: int,
    num_starts: int | None,
    stage: Callable[[str], None],
) -> tuple[dict[str, ModeFit | DrawsFit], dict[str, str]]:
    """Fit the missing modes; each posterior mode also starts from the mode before it."""
    refused: dict[str, str] = {}
    init = None
    free = density.coordinates("parameter")
    for method, fit in (("MLE", fit_mle), ("MAP", fit_map), ("Laplace", fit_laplace)):
        if method not in made:
            stage(method)
            try:
                made[method] = fit(density, seed=seed, num_starts=num_starts, init=init)
            except FitError as err:
                refused[method] = str(err)
                continue
        found = made[method]
        if isinstance(found, ModeFit) and found.status.ok:
            init = found.z[free]
    return made, refused


def choose_terms(fits: Mapping[str, ModeFit | DrawsFit], terms: Sequence[str] | None) -> list[str]:
    """Terms to report: names of scalars, or of arrays for all of their elements."""
    known = list(dict.fromkeys(t for f in fits.values() for t in f.summary()["term"]))
    if terms is None:
        return known
    chosen = []
    for name in terms:
        found = [t for t in known if t == name or t.startswith(f"{name}[")]
        if not found:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise UsageError(f"term '{name}' is not in the model, which has {known[:8]}{hint}")
        chosen += found
    return list(dict.fromkeys(chosen))


def _predictions(
    density: Density,
    fits: Mapping[str, ModeFit | DrawsFit],
    rows: Any,
    key: jax.Array,
    level: float,
) -> dict[str, Prediction]:
    """Predictive distributions of both halves, where the model has an observed site."""
    if not density.names("observed"):
        return {}
    draws = fits.get("NUTS")
    if isinstance(draws, DrawsFit) and "posterior_predictive" in draws.absent:
        return {}
    return {m: fits[m].predict(rows, key=key, level=level) for m in ("MLE", "NUTS") if m in fits}
