"""Reading a NumPyro function: the roles of its sites, and what cannot be read.

A first abstract trace (:mod:`workbench.model.sites`) gives the sites; following labels through
the traced density (:mod:`workbench.model.provenance`) tells which site depends on which, and which
on the data. Neither needs a draw from the prior nor a compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.infer.util import compute_log_probs

from workbench.data import Dataset
from workbench.errors import ModelError
from workbench.model.binding import Arguments, Form, as_dataset, call_arguments
from workbench.model.density import Density, Latent
from workbench.model.model import Model, Role, Site, as_model
from workbench.model.provenance import CONSTANT, Labels, reach
from workbench.model.readings import read_before, remember
from workbench.model.sites import NEEDS_VALUES, TracedSite, first_line, trace_at_centre

_RESERVED_DIMS = ("group", "chain", "draw")
# names that numpyro.infer.reparam gives to the site that stands for a reparameterised one
_REPARAMETERISED = ("_decentered", "_base", "_normal", "_unwrapped")


def read_density(model: Model | Callable[..., Any], data: Any = None) -> Density:
    """Read a model at its data: sites and roles from one trace, and the density split by role.

    Parameters
    ----------
    model : Model or callable
        A :class:`~workbench.model.Model` or any plain NumPyro function (or handler, partial,
        bound method).
    data : Dataset or mapping, optional
        Values by argument name; may offer more than the function takes.

    Returns
    -------
    Density
        The log density over unconstrained z. What was decided on the way is in its ``notes``.

    Raises
    ------
    ModelError
        In one sentence, when the model cannot be read as one fixed density: no observed site, a
        discrete latent site, a subsampled plate, control flow on latent values, an observation
        outside its support, a declared random effect that is not there.

    References
    ----------
    Phan, Pradhan and Jankowiak (2019), "Composable effects for flexible and accelerated
    probabilistic programming in NumPyro", arXiv:1912.11554.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     sigma = numpyro.sample("sigma", dist.HalfNormal(5))
    ...     numpyro.sample("y", dist.Normal(mu, sigma), obs=y)
    >>> [(s.name, s.role) for s in read_density(normal, {"y": [1.0, 2.0]}).sites]
    [('mu', 'parameter'), ('sigma', 'parameter'), ('y', 'observed')]
    """
    dataset = as_dataset(data)
    density = read_before(model, data, dataset)
    if density is None:
        density = _read(as_model(model), dataset)
        remember(model, data, density)
    return density


def _read(model: Model, dataset: Dataset) -> Density:
    kwargs = call_arguments(model.fn, dataset)
    arguments, traced = _trace(model, kwargs)
    flow = _follow(model, arguments, traced)
    effects = _effect_names(model, traced, flow)
    roles = _roles(traced, effects, flow, arguments)
    if not any(role in ("observed", "factor") for role in roles.values()):
        offers = ", ".join({**dataset.inputs, **dataset.observed}) or "nothing"
        raise ModelError(
            f"model '{model.name}' has no observed site: pass the observed argument (data "
            f"'{dataset.name}' offers {offers}) or condition a site on data"
        )
    taken = {s.name for s in traced} | set(kwargs)
    sites = tuple(
        Site(
            name=s.name,
            role=roles[s.name],
            shape=s.shape,
            support=s.support,
            depends_on=tuple(sorted(flow.sites_behind(s) - {s.name})),
            dims=_dims(s, model, dataset, taken),
            moved_by=tuple(sorted(flow.moved_by(s))) if s.kind == "observed" else (),
        )
        for s in traced
    )
    layout = _layout([s for s in traced if s.latent])
    density = Density(
        model=model,
        data=dataset,
        arguments=arguments,
        observed_arguments=_observed_arguments(model, dataset, arguments, traced, flow),
        sites=sites,
        latents=layout,
        notes=tuple(_notes(arguments, sites, layout)),
    )
    forms: tuple[Form, ...] = ("jax constant", "numpy constant")
    # estimands may ask for values of the data, for a label or a number of rows
    for form in () if arguments.static else forms:
        if _estimands_can_be_traced(density):
            break
        arguments = Arguments.split(kwargs, form, known=arguments.arrays)
        notes = tuple(_notes(arguments, sites, layout))
        density = replace(density, arguments=arguments, notes=notes)
    return density


def _estimands_can_be_traced(density: Density) -> bool:
    def estimands(z: jax.Array, arrays: Any) -> dict[str, Any]:
        return density.estimands(density.constrain(z, arrays), arrays)

    if density.model.estimands is None:
        return True
    try:
        jax.eval_shape(estimands, jnp.zeros(density.size), density.arrays)
    except (*NEEDS_VALUES, TypeError, AttributeError):
        return False
    return True


def _trace(model: Model, kwargs: Mapping[str, Any]) -> tuple[Arguments, list[TracedSite]]:
    """Trace with constant data (JAX's, or NumPy's where it must be), then see if they can vary."""
    constant = Arguments.split(kwargs, "jax constant")
    try:
        sites = trace_at_centre(model.name, model.fn, constant.join, {})
    except (*NEEDS_VALUES, TypeError, AttributeError) as first:
        # np.unique(x + 1), int(x.max()), x[rows] = 0: only NumPy's arrays do these while traced
        constant = constant.formed("numpy constant")
        try:
            return constant, trace_at_centre(model.name, model.fn, constant.join, {})
        except NEEDS_VALUES as second:
            if not isinstance(first, NEEDS_VALUES):
                raise first from None
            raise ModelError(
                f"model '{model.name}' decides on the value of a random quantity while it is "
                f"traced ({first_line(second)}): control flow over sites needs "
                "numpyro.contrib.control_flow"
            ) from second
    measured = Arguments.split(kwargs, floats=True, known=constant.arrays)
    for arguments in [measured, constant.formed("traced")] if measured.floats else [measured]:
        try:
            trace_at_centre(model.name, model.fn, arguments.join, arguments.arrays)
        except (*NEEDS_VALUES, TypeError, AttributeError):
            continue
        return arguments, sites
    return constant, sites


@dataclass(frozen=True, kw_only=True)
class _Flow:
    """What reaches each site's log density, and each site's value.

    Labels are ``site:NAME`` for latent sites, ``data:NAME`` for arrays, ``constant`` for arrays
    that the function holds itself.
    """

    density: Mapping[str, Labels]
    value: Mapping[str, Labels]

    def of(self, site: TracedSite) -> Labels:
        """What the site depends on: its value if deterministic, else its log density."""
        source = self.value if site.kind == "deterministic" else self.density
        return source.get(site.name, frozenset())

    def sites_behind(self, site: TracedSite) -> set[str]:
        """Names of the latent sites that the site depends on."""
        return _latent_names(self.of(site))

    def moved_by(self, site: TracedSite) -> set[str]:
        """Names of the latent sites that the value of an observed site depends on."""
        return _latent_names(self.value.get(site.name, frozenset()))


def _latent_names(labels: Labels) -> set[str]:
    return {x.removeprefix("site:") for x in labels if x.startswith("site:")}


def _follow(model: Model, arguments: Arguments, traced: list[TracedSite]) -> _Flow:
    inputs: dict[str, Any] = {
        f"site:{s.name}": jax.ShapeDtypeStruct(s.shape, float) for s in traced if s.latent
    }
    if not arguments.static:
        # a number that scales a prior does not make data of it
        measured = set(arguments.arrays) - set(arguments.floats)
        inputs |= {f"data:{k}": arguments.arrays[k] for k in measured}
    names = [s.name for s in traced if s.kind in ("deterministic", "observed")]

    def program(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        data = {k.removeprefix("data:"): v for k, v in inputs.items() if k.startswith("data:")}
        latent = {k.removeprefix("site:"): v for k, v in inputs.items() if k.startswith("site:")}
        fn = handlers.seed(model.fn, 0)
        given = arguments.join({**arguments.arrays, **data})
        log_probs, trace = compute_log_probs(fn, (), given, latent)
        return log_probs, {n: trace[n]["value"] for n in names}

    density, value = reach(program, inputs)
    return _Flow(density=density, value=value)


def _effect_names(model: Model, traced: list[TracedSite], flow: _Flow) -> set[str]:
    """Latent sites behind the declared random effects; a reparameterised one is renamed."""
    latent = {s.name for s in traced if s.latent}
    computed = {s.name: s for s in traced if s.kind == "deterministic"}
    found = set()
    for name in model.random_effects:
        renamed = {f"{name}{end}" for end in _REPARAMETERISED} & latent
        if name in latent:
            found.add(name)
        elif name in computed and renamed:
            found |= renamed
        elif name in computed:
            behind = ", ".join(sorted(flow.sites_behind(computed[name]))) or "no latent site"
            raise ModelError(
                f"random effect '{name}' of model '{model.name}' is computed from {behind}: "
                "declare the latent site that varies between groups"
            )
        else:
            raise ModelError(
                f"random effect '{name}' is not a latent site of model '{model.name}': its latent "
                f"sites are {', '.join(sorted(latent))}"
            )
    return found


def _roles(
    traced: list[TracedSite], effects: set[str], flow: _Flow, arguments: Arguments
) -> dict[str, Role]:
    roles: dict[str, Role] = {}
    # with arrays among the arguments those are the data; without, the arrays the function holds
    measured = set(arguments.arrays) - set(arguments.floats)
    data_arguments = bool(measured) and not arguments.static
    for s in traced:
        labels = flow.value.get(s.name, frozenset())
        sees = _sees_data(flow.of(s), constants=not data_arguments)
        if s.latent:
            roles[s.name] = "random effect" if s.name in effects else "parameter"
        elif s.kind == "factor":
            roles[s.name] = "factor" if sees else "prior"
        elif s.kind == "observed":
            # obs=another_latent puts a density on a latent: a prior, not an observation
            own = not _latent_names(labels) or _sees_data(labels, constants=True)
            roles[s.name] = "observed" if own else "prior"
        else:
            roles[s.name] = "deterministic"
    if not any(role in ("observed", "factor") for role in roles.values()):
        # data as plain Python numbers leave no mark: the factors are all the likelihood there is
        roles |= {s.name: "factor" for s in traced if s.kind == "factor"}
    return roles


def _sees_data(labels: Labels, *, constants: bool) -> bool:
    return any(x.startswith("data:") or (constants and x == CONSTANT) for x in labels)


def _dims(site: TracedSite, model: Model, data: Dataset, taken: set[str]) -> tuple[str, ...]:
    """Dimension names: declared, those of the data, those of the plates, or numbered."""
    if site.name in model.dims:
        declared = tuple(model.dims[site.name])
        if len(declared) != len(site.shape):
            raise ModelError(
                f"dims of site '{site.name}' expect one name for each axis of shape {site.shape}; "
                f"got {declared}"
            )
        return declared
    of_data = tuple(data.dims.get(site.name, ()))
    dims = [f"{site.name}_dim_{i}" for i in range(len(site.shape))]
    named = of_data != tuple(dims)  # numbered axes of plain arrays yield to the plates' names
    if site.kind == "observed" and of_data and named and len(of_data) == len(site.shape):
        return of_data
    for name, (position, size) in site.plates.items():
        axis = len(site.shape) - site.event_dim + position
        if 0 <= axis < len(dims) and site.shape[axis] == size:
            # a dimension may not bear the name of an array
            dims[axis] = f"{name}_plate" if name in taken or name in _RESERVED_DIMS else name
    return tuple(dims)


def _observed_arguments(
    model: Model, data: Dataset, arguments: Arguments, traced: list[TracedSite], flow: _Flow
) -> tuple[str, ...]:
    """Arguments that carry the observations: declared, held as observed, or traced to them."""
    kwargs = arguments.join()
    if model.observed:
        return tuple(k for k in model.observed if k in kwargs)
    held = tuple(k for k in kwargs if k in data.observed)
    if held:
        return held
    found: set[str] = set()
    for s in traced:
        if s.kind != "observed":
            continue
        labels = flow.value[s.name]
        found |= {
            arguments.key_of(x.removeprefix("data:")) for x in labels if x.startswith("data:")
        }
        if arguments.static and s.value is not None:
            found |= set(arguments.keys_holding(s.value))
    return tuple(k for k in kwargs if k in found)


def _layout(latent: list[TracedSite]) -> tuple[Latent, ...]:
    layout, start = [], 0
    for s in latent:
        stop = start + int(np.prod(s.unconstrained, dtype=int))
        layout.append(
            Latent(
                name=s.name,
                shape=s.unconstrained,
                start=start,
                stop=stop,
                scale=s.scale,
                improper=s.kind == "param",
            )
        )
        start = stop
    return tuple(layout)


def _notes(arguments: Arguments, sites: tuple[Site, ...], layout: tuple[Latent, ...]) -> list[str]:
    """What was decided while reading, in sentences."""
    notes = []
    if arguments.static:
        notes.append(
            "the model uses the values of its data while it is traced, so they are compiled in "
            "and other data of the same shape compile anew"
        )
    flat = [x.name for x in layout if x.improper]
    if flat:
        notes.append(
            f"numpyro.param site {_quoted(flat)} is a parameter with a flat prior on its "
            "constrained scale"
        )
    factors = [s.name for s in sites if s.role == "factor"]
    if factors:
        notes.append(
            f"factor {_quoted(factors)} is counted in the log-likelihood; it has no separate "
            "observations, so leave-one-out scores and the number of observations do not cover it"
        )
    for s in sites:
        if s.role == "observed" and s.moved_by:
            notes.append(
                f"the observed value of site '{s.name}' moves with {_quoted(s.moved_by)}: its "
                "density is one of the data only with the log Jacobian of that change as a factor"
            )
    return notes


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{n}'" for n in names)
