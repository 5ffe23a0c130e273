"""Running a model without its observations, so that the observed sites are drawn.

A NumPyro function whose observed argument is ``None`` draws its observed sites; that is what is
done wherever the function allows it. Where it does not (data held in a closure or conditioned
on, sizes taken from the observations, other sites that vanish), the function runs on its data
and the observed sites forget theirs: every other use of the observations stays, so that for a
series the draws are one step ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from numpyro import handlers, prng_key
from numpyro.primitives import Messenger

from workbench.model.density import Density
from workbench.model.sites import NEEDS_VALUES


def without_observations(
    density: Density, arrays: Mapping[str, Any] | None = None
) -> Callable[[], Any]:
    """The model function at its inputs, with the observed sites left to be drawn.

    Parameters
    ----------
    density : Density
        The model at its data.
    arrays : mapping, optional
        Data in the form of ``density.arrays``.

    Returns
    -------
    callable
        A NumPyro function without arguments.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> y = jnp.array([1.0, 2.0])
    >>> def closure():
    ...     numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, 1)), 1), obs=y)
    >>> model = without_observations(read_density(closure))
    >>> handlers.trace(handlers.seed(model, 0)).get_trace()["y"]["is_observed"]
    False
    """
    kwargs = density.arguments.join(arrays)
    if _takes_none(density):
        return partial(density.model.fn, **_without(density, kwargs))
    return partial(_Forget(density.model.fn, density.names("observed")), **kwargs)


def _without(density: Density, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {**kwargs, **dict.fromkeys(density.observed_arguments)}


@lru_cache(maxsize=64)
def _takes_none(density: Density) -> bool:
    """Whether the model draws every observed site, in its shape, when it is given no data."""
    kwargs = density.arguments.join()
    if any(kwargs[k] is None for k in density.observed_arguments):
        return True
    shapes = {n: density.site(n).shape for n in density.names("observed")}
    if density.observed_arguments:
        try:
            drawn = _drawn(density)
            return all(drawn.get(n) == shape for n, shape in shapes.items())
        except (*NEEDS_VALUES, TypeError, AttributeError, ValueError, IndexError):
            pass  # the function needs its observations: they are forgotten site by site
    return False


def _drawn(density: Density) -> dict[str, tuple[int, ...]]:
    """Shape of every sample site that is drawn, by name; nothing is, the trace is abstract."""
    found: dict[str, tuple[int, ...]] = {}

    def program(z: jax.Array, arrays: Any) -> None:
        kwargs = _without(density, density.arguments.join(arrays))
        placed = handlers.substitute(density.model.fn, data=density.constrain(z, arrays))
        for name, site in handlers.trace(handlers.seed(placed, 0)).get_trace(**kwargs).items():
            if site["type"] == "sample" and not site["is_observed"]:
                found[name] = tuple(jnp.shape(site["value"]))

    jax.eval_shape(program, jax.ShapeDtypeStruct((density.size,), float), density.arrays)
    return found


class _Forget(Messenger):
    """Draw the named observed sites instead, in the shape of their observations."""

    def __init__(self, fn: Callable[..., Any], names: tuple[str, ...]) -> None:
        self.names = names
        super().__init__(fn)

    def process_message(self, msg: Any) -> None:
        """Take the value away; a site without a key asks for one."""
        if msg["type"] != "sample" or msg["name"] not in self.names or not msg["is_observed"]:
            return
        fn, shape = msg["fn"], jnp.shape(msg["value"])
        if tuple(fn.shape()) != shape:
            msg["fn"] = fn.expand(shape[: len(shape) - fn.event_dim])
        msg["value"], msg["is_observed"] = None, False
        if msg["kwargs"]["rng_key"] is None:
            msg["kwargs"]["rng_key"] = prng_key()


def with_observations(density: Density, values: Mapping[str, jax.Array]) -> Density:
    """The same model with other values at its observed sites.

    Parameters
    ----------
    density : Density
        The model at its data.
    values : mapping of str to array
        New value of each observed site, in the shape of the old one.

    Returns
    -------
    Density
        Every other use of the observations stays, so that a series keeps its lagged regressors.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, 1)), 1), obs=y)
    >>> other = with_observations(read_density(normal, {"y": [1.0, 2.0]}), {"y": jnp.zeros(2)})
    >>> other.evaluate(jnp.zeros(1)).observations["y"].tolist()
    [0.0, 0.0]
    """
    fn = _Replace(density.model.fn, values)
    return replace(density, model=replace(density.model, fn=fn))


class _Replace(Messenger):
    """Put other values in the place of the observed ones."""

    def __init__(self, fn: Callable[..., Any], values: Mapping[str, jax.Array]) -> None:
        self.values = values
        super().__init__(fn)

    def process_message(self, msg: Any) -> None:
        """Replace the value; inside a scan, by that of the current step."""
        if msg["type"] != "sample" or msg["name"] not in self.values or not msg["is_observed"]:
            return
        value, step = self.values[msg["name"]], msg["infer"].get("_scan_current_index")
        msg["value"] = value if step is None else value[step]
