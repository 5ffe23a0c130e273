"""The three mode fits: maximum likelihood, maximum a posteriori, Laplace."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from workbench.errors import FitError
from workbench.fit.compilation import compiled
from workbench.fit.curvature import Curvature, refusals
from workbench.fit.explanation import is_exact, scales_at_rounding
from workbench.fit.firth import undefined_penalty
from workbench.fit.mode import ModeFit
from workbench.fit.objective import Objective
from workbench.fit.optimiser import Optimum
from workbench.fit.peak import find_peak
from workbench.fit.provenance import provenance, stopwatch
from workbench.fit.starts import StartKind
from workbench.fit.status import Status
from workbench.fit.terms import term_vector
from workbench.model import Density, LogTerms, Model, read_density
from workbench.model.effects import mixed_effects


def fit_mle(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    num_starts: int | None = None,
    max_iterations: int = 500,
    init: np.ndarray | None = None,
    quadrature: int = 1,
    starts: StartKind = "scales",
) -> ModeFit:
    r"""Fit by maximum likelihood: priors are dropped, supports are kept.

    Parameters
    ----------
    model : Model, callable or Density
        A model, any plain NumPyro function, or a density already read.
    data : Dataset or mapping, optional
        Values by argument name (not for a Density).
    seed : int
        Seed of the random starts.
    num_starts : int, optional
        Number of starts; the first is the centre of the unconstrained space. By default 8, and 1
        where ``starts`` is left as it is and the likelihood is known to have one maximum (choices
        and Poisson counts with predictors linear in the parameters on the canonical scale, normal
        regression; see :mod:`workbench.fit.concavity`).
    max_iterations : int
        Bound on the L-BFGS iterations of each start.
    init : numpy.ndarray, optional
        A further start: unconstrained parameters, shape (P,).
    quadrature : int
        Points, 1 to 25, of adaptive Gauss-Hermite quadrature over each group's random effect,
        where it is one-dimensional; 1 is Laplace's method. :func:`laplace_error` tells what more
        points would add.
    starts : str
        Where the others come from: ``scales`` (uniform, in units that move the likelihood's
        parameters by about one), ``latin hypercube`` (the same box, evenly filled) or ``prior``.

    Returns
    -------
    ModeFit
        Declared random effects are integrated out by Laplace's method (exact when Gaussian), or
        by quadrature.

    Raises
    ------
    FitError
        When ``quadrature`` is given without random effects, or when no maximum likelihood
        estimate is defined: a latent site whose prior holds parameters that the likelihood never
        sees (an undeclared random effect), or a latent site hidden in an observation
        (imputation).
    ModelError
        When ``quadrature`` is given and a group has several effects.

    Notes
    -----
    Maximises :math:`\log p(y \mid T(z))`; the estimate moves neither with the priors nor with
    the transforms. Standard errors come from the observed information by automatic
    differentiation. See Pawitan (2001), In All Likelihood, chapters 2 and 9.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> def coin(y=None):
    ...     p = numpyro.sample("p", dist.Beta(5, 1))
    ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
    >>> fit = fit_mle(coin, {"y": [1, 0, 0, 0]})
    >>> round(float(fit.params["p"]), 10)
    0.25
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    reason = undefined_likelihood(density)
    if reason:
        raise FitError(reason)
    objective = Objective(density=density, method="MLE", num_points=quadrature)
    if objective.effects.size:
        objective.check_quadrature()
    elif quadrature != 1:
        raise FitError(
            f"quadrature={quadrature} expects declared random effects; model "
            f"'{density.model.name}' has none"
        )
    return _fit(objective, seed, num_starts, max_iterations, init, starts)


def fit_map(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    num_starts: int | None = None,
    max_iterations: int = 500,
    init: np.ndarray | None = None,
    starts: StartKind = "scales",
) -> ModeFit:
    """Fit the posterior mode in *constrained* space: likelihood plus log prior, no Jacobian.

    Parameters
    ----------
    model, data, seed, num_starts, max_iterations, init, starts
        As in :func:`fit_mle`.

    Returns
    -------
    ModeFit
        Its ``space`` is ``constrained``; an exponential(1) prior alone has its mode at 0 here,
        and at 1 in the space of its logarithm (see :func:`fit_laplace`).

    Examples
    --------
    A Beta(2, 2) prior and one success in four: the mode of Beta(3, 5) is 1/3.

    >>> import numpyro, numpyro.distributions as dist
    >>> def coin(y=None):
    ...     p = numpyro.sample("p", dist.Beta(2, 2))
    ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
    >>> round(float(fit_map(coin, {"y": [1, 0, 0, 0]}).params["p"]), 10)
    0.3333333333
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    objective = Objective(density=density, method="MAP")
    return _fit(objective, seed, num_starts, max_iterations, init, starts)


def fit_laplace(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    num_starts: int | None = None,
    max_iterations: int = 500,
    init: np.ndarray | None = None,
    starts: StartKind = "scales",
) -> ModeFit:
    """Fit a normal approximation to the posterior at its mode in *unconstrained* space.

    Parameters
    ----------
    model, data, seed, num_starts, max_iterations, init, starts
        As in :func:`fit_mle`.

    Returns
    -------
    ModeFit
        The mode of the density of z (Jacobian included); declared random effects are integrated
        out first, so that the mode is that of the parameters' marginal posterior.

    References
    ----------
    Tierney and Kadane (1986), doi:10.1080/01621459.1986.10478240.

    Examples
    --------
    With a Beta(2, 2) prior and one success in four, the density of logit p has its mode where
    p is 3/8, the posterior mean.

    >>> import numpyro, numpyro.distributions as dist
    >>> def coin(y=None):
    ...     p = numpyro.sample("p", dist.Beta(2, 2))
    ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
    >>> round(float(fit_laplace(coin, {"y": [1, 0, 0, 0]}).params["p"]), 10)
    0.375
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    objective = Objective(density=density, method="Laplace")
    return _fit(objective, seed, num_starts, max_iterations, init, starts)


def fit_firth(
    model: Model | Callable[..., Any] | Density,
    data: Any = None,
    *,
    seed: int = 0,
    num_starts: int | None = None,
    max_iterations: int = 500,
    init: np.ndarray | None = None,
    starts: StartKind = "scales",
) -> ModeFit:
    r"""Fit by Firth's penalised likelihood, which is finite for separated data.

    Parameters
    ----------
    model, data, seed, num_starts, max_iterations, init, starts
        As in :func:`fit_mle`.

    Returns
    -------
    ModeFit
        Its ``method`` is ``Firth``; ``llf`` is the likelihood without the penalty, and
        ``log_objective`` has it. Standard errors are those of :math:`I(\theta)^{-1}`.

    Raises
    ------
    FitError
        Unless every observation is a count or choice whose canonical predictor is linear in every
        parameter, of full rank and without random effects.

    Notes
    -----
    Maximises :math:`\log p(y \mid \theta) + \tfrac12 \log\det I(\theta)`; see
    :mod:`workbench.fit.firth`. Priors are dropped: the penalty is Jeffreys' prior.

    References
    ----------
    Firth (1993), doi:10.1093/biomet/80.1.27; Heinze and Schemper (2002), doi:10.1002/sim.1047.

    Examples
    --------
    No success in four: the maximum likelihood estimate of the log-odds is minus infinity, Firth's
    adds half a success and half a failure.

    >>> import numpyro, numpyro.distributions as dist
    >>> def coin(y=None):
    ...     logit = numpyro.sample("logit", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Bernoulli(logits=logit), obs=y)
    >>> fit = fit_firth(coin, {"y": [0, 0, 0, 0]})
    >>> round(float(fit.params["logit"]), 6), round(float(np.log(0.5 / 4.5)), 6)
    (-2.197225, -2.197225)
    """
    density = model if isinstance(model, Density) else read_density(model, data)
    reason = undefined_likelihood(density) or undefined_penalty(density)
    if reason:
        raise FitError(reason)
    objective = Objective(density=density, method="Firth")
    return _fit(objective, seed, num_starts, max_iterations, init, starts)


def undefined_likelihood(density: Density) -> str:
    """Say why maximising over every latent site would not be maximum likelihood ("" if it is).

    Notes
    -----
    A site whose prior depends on a parameter that the likelihood does not see directly is a
    random effect: maximising over both drives the spread of the effects to zero. It must be
    declared, so that it can be integrated out. So must a latent value that stands in for a
    missing observation. A parameter that transforms the observations (Box-Cox) is one of the
    likelihood only together with a factor that holds the log Jacobian of the transformation.
    """
    name = density.model.name
    parameters = set(density.names("parameter"))
    if not parameters:
        return f"model '{name}' has no parameter to maximise the likelihood over"
    likelihood = [density.site(n) for n in density.names("observed", "factor")]
    seen = {x for site in likelihood for x in site.depends_on}
    for site in density.sites:
        held = set(site.depends_on) & parameters
        if site.role == "parameter":
            hidden, effects = held - seen - {site.name}, {site.name}
        elif site.role == "prior":
            hidden, effects = held - seen, held & seen
        else:
            continue
        if hidden and effects:
            effect = min(effects)
            where = "" if site.role == "parameter" else f" (site '{site.name}')"
            return (
                f"model '{name}' has no maximum likelihood estimate as written: the prior of site "
                f"'{effect}'{where} holds '{min(hidden)}', which the likelihood sees only through "
                f"it; declare it, Model(random_effects=('{effect}',)), to integrate it out"
            )
    jacobians = {x for n in density.names("factor") for x in density.site(n).depends_on}
    for site in likelihood:
        moved = sorted((set(site.moved_by) & parameters) - jacobians)
        if moved:
            return (
                f"model '{name}' has no maximum likelihood estimate as written: the observed value "
                f"of site '{site.name}' moves with '{moved[0]}'; if that stands for missing "
                f"values, declare it, Model(random_effects=('{moved[0]}',)), and if it transforms "
                "the data, add the log Jacobian of the transformation as a numpyro.factor"
            )
    for site, label in mixed_effects(density).items():
        return (
            f"model '{name}' has no maximum likelihood estimate as written: random effects site "
            f"'{site}' mixes effects whose prior holds parameters with others, such as {label}, "
            "whose prior holds none: give fixed effects their own site"
        )
    return ""


def _fit(
    objective: Objective,
    seed: int,
    num_starts: int | None,
    max_iterations: int,
    init: Any,
    starts: StartKind,
) -> ModeFit:
    density = objective.density
    with stopwatch() as seconds:
        peak = find_peak(
            objective,
            seed=seed,
            num_starts=num_starts,
            max_iterations=max_iterations,
            init=init,
            starts=starts,
        )
        optimum, curvature = peak.optimum, peak.curvature
        parts = _carry_to_estimands(objective, optimum, curvature)
        status, detail = peak.explained
        exact = scales_at_rounding(density, parts["values"])
        if status is Status.AT_BOUNDARY and not is_exact(density, optimum.value):
            exact = []  # a spread of effects at 0 is another matter
        if exact and objective.method == "MLE":
            status, detail = (
                Status.UNBOUNDED,
                (
                    f"unbounded: the model fits observations exactly, so {exact[0]} is at their "
                    "rounding level and the likelihood rises without end as it falls"
                ),
            )
            rows = parts["estimates"].index.isin(exact)
            parts["estimates"].loc[rows, "std_error"] = np.nan
            parts["estimates"].loc[rows, "reason"] = detail
        elapsed = seconds()
    labels = [density.z_labels[i] for i in objective.free]
    directions = np.concatenate([curvature.null, curvature.runaway], axis=1).T
    return ModeFit(
        method=objective.method,
        space="unconstrained" if objective.method == "Laplace" else "constrained",
        values=parts["values"],
        estimates=parts["estimates"],
        z=parts["z"],
        z_labels=density.z_labels,
        log_objective=optimum.value,
        log_terms=parts["log_terms"],
        information=curvature.information,
        covariance=parts["covariance"],
        null_directions=tuple(
            dict(zip(labels, (float(w) for w in d / np.abs(d).max()), strict=True))
            for d in directions
        ),
        eigenvalues=curvature.eigenvalues,
        condition_number=curvature.condition_number,
        num_parameters=objective.free.size,
        num_observations=density.num_observations,
        status=status,
        detail=detail,
        starts=optimum.starts,
        history=optimum.history,
        provenance=provenance(
            density,
            seed=seed,
            seconds=elapsed,
            settings={
                "num_starts": peak.num_starts,
                "max_iterations": max_iterations,
                "starts": starts,
                **({"quadrature": objective.num_points} if objective.effects.size else {}),
            },
        ),
        density=density,
    )


def _carry_to_estimands(
    objective: Objective, optimum: Optimum, curvature: Curvature
) -> dict[str, Any]:
    """Values, delta-method standard errors and refusals for every estimand, from one program."""
    density, free, effects = objective.density, objective.free, objective.effects
    # without effects the objective has no part in it, and one program serves all methods
    reported = objective if effects.size else Objective(density=density, method="MLE")
    program, order = _estimands(reported)
    got = jax.tree_util.tree_map(np.asarray, program(optimum.theta, reported.arrays))
    response = got.get("response", np.eye(density.size)[:, free])
    covariance = response @ curvature.covariance @ response.T
    terms = got["log_terms"]
    if effects.size:
        # prediction variance of the effects: given the parameters, plus the parameters' own
        for block, given in zip(
            objective.marginal.blocks, np.linalg.inv(got["effect_information"]), strict=True
        ):
            n = np.count_nonzero(block < effects.size)
            at = effects[block[:n]]
            covariance[np.ix_(at, at)] += given[:n, :n]
        marginal = optimum.value
        if objective.method in ("MAP", "Laplace"):
            likelihood = Objective(density=density, method="MLE")
            marginal = float(likelihood(jnp.asarray(optimum.theta)))
        terms = LogTerms(jnp.asarray(marginal), jnp.zeros(()), terms.log_prior)
    jacobian = got["jacobian"]
    variance = np.sum((jacobian @ covariance) * jacobian, axis=1)
    labels = [density.z_labels[i] for i in free]
    reasons = refusals(jacobian @ response, curvature, labels)
    found = {name: got["estimands"][name] for name in order}
    shapes = {name: v.shape for name, v in found.items()}
    names = density.estimand_labels(shapes)
    lower, upper, roles = [], [], []
    for name, shape in shapes.items():
        known = name in got["bounds"] and density.model.estimands is None
        a, b = got["bounds"][name] if known else (np.full(shape, -np.inf), np.full(shape, np.inf))
        lower.append(np.ravel(a))
        upper.append(np.ravel(b))
        role = density.site(name).role if density.model.estimands is None else "estimand"
        roles += [role] * int(np.prod(shape, dtype=int))
    refused = np.array([bool(r) for r in reasons])
    with np.errstate(invalid="ignore"):
        error = np.where(refused, np.nan, np.sqrt(variance))
    if not np.isfinite(curvature.information).all():
        reasons = ["the objective or its curvature is not finite at the last point"] * len(reasons)
        error = np.full(len(reasons), np.nan)
    estimates = pd.DataFrame(
        {
            "estimate": np.concatenate([np.ravel(v) for v in found.values()]),
            "std_error": error,
            "support_lower": np.concatenate(lower),
            "support_upper": np.concatenate(upper),
            "role": roles,
            "reason": reasons,
        },
        index=pd.Index([t for name in shapes for t in names[name]], name="term"),
    )
    return {
        "z": got["z"],
        "values": got["values"],
        "log_terms": terms,
        "covariance": covariance,
        "estimates": estimates,
    }


@compiled
def _estimands(objective: Objective) -> tuple[Callable[..., dict[str, Any]], tuple[str, ...]]:
    """Program for all that is reported at a mode, and the names of the estimands in order."""
    density, effects = objective.density, objective.effects
    order: list[str] = []  # a compiled program returns its dicts sorted by key

    def names(z: jax.Array, arrays: Any) -> jax.Array:
        order[:] = list(density.estimands(density.constrain(z, arrays), arrays))
        return z

    def program(theta: jax.Array, arrays: Any) -> dict[str, Any]:
        z = objective.complete(theta, arrays)
        found = density.point(z, arrays)
        out: dict[str, Any] = {
            "z": z,
            "values": found.values,
            "log_terms": density.sum_by_role(found.log_probs),
            "estimands": density.estimands(found.values, arrays),
            "jacobian": density.jacobian(partial(term_vector, density))(z, arrays),
            "bounds": density.bounds(z, arrays),
        }
        if effects.size:
            out["response"] = jax.jacfwd(lambda t: objective.complete(t, arrays))(theta)
            out["effect_information"] = objective.marginal.information(theta, z[effects], arrays)
        return out

    jax.eval_shape(names, jax.ShapeDtypeStruct((density.size,), float), density.arrays)
    return jax.jit(program), tuple(order)
