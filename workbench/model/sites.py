"""One abstract trace of a NumPyro function: every site's kind, shape, support and transform.

Nothing is drawn and nothing computed: each latent site stands at the centre T(0) of its
unconstrained space, inside ``jax.eval_shape``. So a model can be read whose prior is improper or
has invalid draws (a normal prior on a scale).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.errors import (
    ConcretizationTypeError,
    NonConcreteBooleanIndexError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
)
from numpyro import handlers
from numpyro.distributions import biject_to, constraints

from workbench.errors import ModelError

NEEDS_VALUES = (
    ConcretizationTypeError,
    NonConcreteBooleanIndexError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
)
_WRAPPERS = ("ExpandedDistribution", "Independent", "MaskedDistribution")
_SCALES = {"IdentityTransform": "", "ExpTransform": "log", "SigmoidTransform": "logit"}


@dataclass(frozen=True, kw_only=True)
class TracedSite:
    """What one abstract trace tells of a site.

    Attributes
    ----------
    name : str
        Name of the site.
    kind : str
        ``latent``, ``param`` (a latent site of ``numpyro.param``), ``observed``, ``factor`` or
        ``deterministic``.
    shape : tuple of int
        Shape of the value.
    unconstrained : tuple of int
        Shape of its unconstrained coordinates (latent sites).
    support : str
        The support in words.
    scale : str
        How a coordinate is read: ``""`` (the value itself), ``log``, ``logit``, or ``z`` for a
        transform without a short name.
    plates : dict of str to (int, int)
        Position, counted from the last batch axis (-1), and length of each plate.
    event_dim : int
        Number of axes of one event.
    value : numpy.ndarray or None
        The observed value, where it is known without running the model.
    misfit : str
        Which observed value lies outside its distribution's support ("" if none is known to).
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    unconstrained: tuple[int, ...] = ()
    support: str = "real"
    scale: str = ""
    plates: Mapping[str, tuple[int, int]]
    event_dim: int = 0
    value: np.ndarray | None = None
    misfit: str = ""

    @property
    def latent(self) -> bool:
        """Whether the site has coordinates in z."""
        return self.kind in ("latent", "param")


def bare(fn: Any) -> Any:
    """A distribution without expansion, reinterpreted axes and masks.

    Examples
    --------
    >>> import numpyro.distributions as dist
    >>> type(bare(dist.Normal(0, 1).expand([3]).to_event(1).mask(True))).__name__
    'Normal'
    """
    while type(fn).__name__ in _WRAPPERS:
        fn = fn.base_dist
    return fn


def support_name(support: Any) -> str:
    """A support in words, such as ``positive`` or ``corr_cholesky``.

    Examples
    --------
    >>> support_name(constraints.independent(constraints.softplus_positive, 1))
    'softplus_positive'
    """
    if support is None:
        return "unknown"
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    name = type(support).__name__.lstrip("_")
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    return words.strip("_")


def trace_at_centre(
    name: str,
    fn: Callable[..., Any],
    arguments: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    arrays: Mapping[str, Any],
) -> list[TracedSite]:
    """Trace a function abstractly, each latent site at the centre of its space.

    Parameters
    ----------
    name : str
        Name of the model, for the sentences of errors.
    fn : callable
        The NumPyro function.
    arguments : callable
        Gives the function's keyword arguments from ``arrays``.
    arrays : mapping
        The arrays that are abstract; those that stand in the arguments anyway have values.

    Returns
    -------
    list of TracedSite
        In the order of the trace.

    Raises
    ------
    ModelError
        For a discrete latent site, a subsampled plate, two sites of one name, a support or
        parameter that has no transform, or an observed value outside its support.
    """
    found: list[TracedSite] = []

    def program(arrays: Mapping[str, Any]) -> None:
        found.extend(_read(fn, arguments(arrays)))

    try:
        jax.eval_shape(program, dict(arrays))
    except AssertionError as err:
        if "unique names" not in str(err):
            raise
        twice = str(err).split("`")[1]
        raise ModelError(f"model '{name}' has two sites named '{twice}'") from err
    except TypeError as err:
        if "carry" not in str(err) or "scan" not in str(err):
            raise
        raise ModelError(
            f"model '{name}' has a scan whose carry changes its type ({first_line(err)}): "
            "workbench runs in float64, so make the first carry a float, or set "
            "JAX_ENABLE_X64=0 before Python starts, to run in float32"
        ) from err
    for site in found:
        if site.misfit:
            raise ModelError(site.misfit)
    return found


def first_line(err: Exception) -> str:
    """The first line of an error's message."""
    return str(err).strip().split("\n")[0].rstrip(".:")


def _read(fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> list[TracedSite]:
    shapes: dict[str, tuple[int, ...]] = {}
    in_scan: set[str] = set()

    def centre(site: dict[str, Any]) -> Any:
        """Value at T(0); inside a scan the site is that of one step."""
        if site["type"] == "param":
            shape = _initial_shape(site)
        elif site["type"] == "sample" and not site["is_observed"] and not _fixed(site["fn"]):
            _check_latent(site)
            shape = site["fn"].shape(site["kwargs"].get("sample_shape", ()))
            if "_scan_current_index" in site["infer"]:
                in_scan.add(site["name"])
        else:
            return None
        transform = transform_of(site)
        shapes[site["name"]] = tuple(transform.inverse_shape(tuple(shape)))
        return transform(jnp.zeros(shapes[site["name"]]))

    run = handlers.substitute(handlers.seed(fn, 0), substitute_fn=centre)
    trace = handlers.trace(run).get_trace(**kwargs)
    sites = []
    for name, site in trace.items():
        if site["type"] == "plate":
            _check_plate(name, site)
        elif site["type"] in ("sample", "param", "deterministic"):
            unconstrained = shapes.get(name)
            if name in in_scan and unconstrained is not None:
                unconstrained = (*jnp.shape(site["value"])[:1], *unconstrained)
            sites.append(_describe(name, site, unconstrained))
    return sites


def _fixed(fn: Any) -> bool:
    """Whether a latent site has one possible value, so that it is no unknown."""
    return type(bare(fn)).__name__ == "Delta"


def _initial_shape(site: Mapping[str, Any]) -> tuple[int, ...]:
    value: Any = site["args"][0]
    if callable(value):
        value = value(jax.random.key(0))
    leaves = jax.tree_util.tree_leaves(value)
    if len(leaves) != 1 or leaves[0] is not value:
        raise ModelError(
            f"numpyro.param site '{site['name']}' holds {len(leaves)} arrays in one structure (a "
            "network module): write its weights as sample sites or as one param each"
        )
    return tuple(jnp.shape(value))


def _check_latent(site: Mapping[str, Any]) -> None:
    name, fn = site["name"], site["fn"]
    if fn.support is not None and fn.support.is_discrete:
        raise ModelError(
            f"site '{name}' is a discrete latent variable ({type(bare(fn)).__name__}), which "
            "neither a gradient nor NUTS can move: sum it out, for instance with "
            "numpyro.distributions.MixtureSameFamily"
        )


def transform_of(site: Mapping[str, Any]) -> Any:
    """NumPyro's transform from unconstrained space to the support of a latent site.

    Raises
    ------
    ModelError
        When the support has no such transform.
    """
    support = support_of(site)
    try:
        return biject_to(support)
    except NotImplementedError as err:
        raise ModelError(
            f"latent site '{site['name']}' has support {support_name(support)}, which has no "
            "transform from unconstrained space: reparameterise it (numpyro.infer.reparam)"
        ) from err


def support_of(site: Mapping[str, Any]) -> Any:
    """The support of a latent site."""
    if site["type"] == "param":
        return site["kwargs"].get("constraint", constraints.real)
    return site["fn"].support


def _check_plate(name: str, site: Mapping[str, Any]) -> None:
    size, subsample = site["args"]
    if subsample is not None and size != subsample:
        raise ModelError(
            f"plate '{name}' takes a random subsample of {subsample} of {size} rows, so the "
            "likelihood is random: give it the whole data"
        )


def _describe(
    name: str, site: Mapping[str, Any], unconstrained: tuple[int, ...] | None
) -> TracedSite:
    """One site of the trace; a latent site is one that was placed at its centre."""
    shape = tuple(jnp.shape(site["value"]))
    if site["type"] == "deterministic":
        return TracedSite(name=name, kind="deterministic", shape=shape, plates={})
    plates, event_dim = {}, 0
    if site["type"] == "sample":
        plates = {f.name: (f.dim, f.size) for f in site["cond_indep_stack"]}
        event_dim = site["fn"].event_dim
    if unconstrained is not None:
        kind = "param" if site["type"] == "param" else "latent"
        transform = transform_of(site)
        while type(transform).__name__ == "IndependentTransform":
            transform = transform.base_transform
        return TracedSite(
            name=name,
            kind=kind,
            shape=shape,
            unconstrained=unconstrained,
            support=support_name(support_of(site)),
            scale=_SCALES.get(type(transform).__name__, "z"),
            plates=plates,
            event_dim=event_dim,
        )
    if type(bare(site["fn"])).__name__ == "Unit":
        return TracedSite(name=name, kind="factor", shape=shape, plates=plates)
    if not site["is_observed"]:
        return TracedSite(name=name, kind="deterministic", shape=shape, plates=plates)
    known = not isinstance(site["value"], Tracer)
    return TracedSite(
        name=name,
        kind="observed",
        shape=shape,
        support=support_name(site["fn"].support),
        plates=plates,
        event_dim=event_dim,
        value=np.asarray(site["value"]) if known else None,
        misfit=_misfit(name, site) if known else "",
    )


def _misfit(name: str, site: Mapping[str, Any]) -> str:
    """Name the first observed value outside its support, where that can be known."""
    value, fn = site["value"], site["fn"]
    parts = jax.tree_util.tree_leaves(fn.support)
    if any(isinstance(x, Tracer) for x in parts) or _may_hold_anything(fn):
        return ""
    with jax.ensure_compile_time_eval():
        inside = np.asarray(fn.support(np.asarray(value)))
    if inside.all():
        return ""
    at = tuple(int(i) for i in np.argwhere(~inside)[0])
    got = np.asarray(value)[at] if at else np.asarray(value)
    where = f" (row {at[0]}, counted from 0)" if at else ""
    return (
        f"observed site '{name}' expects values in the support of {type(bare(fn)).__name__} "
        f"({support_name(fn.support)}); got {np.asarray(got).tolist()}{where}"
    )


def _may_hold_anything(fn: Any) -> bool:
    """Whether some observed values may lie outside the support (masked, or a point mass)."""
    while type(fn).__name__ in _WRAPPERS:
        if type(fn).__name__ == "MaskedDistribution":
            return True
        fn = fn.base_dist
    return type(fn).__name__ == "Delta"
