r"""What a model is: a NumPyro function, the roles of its sites, and the split of its log density.

For parameters :math:`\theta`, random effects :math:`u` and observations :math:`y`

.. math:: \log p(y, u, \theta) =
          \underbrace{\log p(y \mid u, \theta)}_{\text{log-likelihood}}
          + \underbrace{\log p(u \mid \theta)}_{\text{random effects}}
          + \underbrace{\log p(\theta)}_{\text{prior}} .
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import jax

from workbench.errors import ModelError
from workbench.model.binding import innermost

Role = Literal["parameter", "random effect", "observed", "factor", "prior", "deterministic"]


class ModelFunction(Protocol):
    """A NumPyro function: its arguments are data, its observed arguments default to ``None``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Declare the sites of the model."""
        ...


@dataclass(frozen=True, kw_only=True)
class Site:
    """One named site of a model, as read from a trace.

    Attributes
    ----------
    name : str
        Name of the site.
    role : str
        ``parameter``, ``random effect``, ``observed``, ``factor`` (part of the likelihood),
        ``prior`` (a density over latent sites that carries no data: a factor, or a site observed
        at the value of another one) or ``deterministic``.
    shape : tuple of int
        Shape of the value, in constrained space.
    support : str
        The support, in words (``real``, ``positive``, ``simplex``, ...).
    depends_on : tuple of str
        The latent sites its density (or, if deterministic, its value) depends on directly.
    dims : tuple of str
        One dimension name for each axis of ``shape``.
    moved_by : tuple of str
        The latent sites that the *value* of an observed site depends on (imputed or transformed
        data).

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
    >>> site = read_density(normal, {"y": [1.0, 2.0]}).site("y")
    >>> site.role, site.shape, site.depends_on
    ('observed', (2,), ('mu',))
    """

    name: str
    role: Role
    shape: tuple[int, ...]
    support: str
    depends_on: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()
    moved_by: tuple[str, ...] = ()


class LogTerms(NamedTuple):
    """The three parts of a log joint density, in nats (scalars).

    Attributes
    ----------
    log_likelihood : jax.Array
        Log density of the observed sites and of the factors that see the data.
    log_random_effects : jax.Array
        Log density of the declared random effects given the parameters, and of every ``prior``
        site that holds them.
    log_prior : jax.Array
        Log density of the parameters, and of ``prior`` sites that hold no random effect.
    """

    log_likelihood: jax.Array
    log_random_effects: jax.Array
    log_prior: jax.Array

    @property
    def log_joint(self) -> jax.Array:
        """The sum of the three: NumPyro's own ``log_density``."""
        return self.log_likelihood + self.log_random_effects + self.log_prior


@dataclass(frozen=True, kw_only=True)
class Model:
    """A NumPyro function with what its trace cannot tell.

    Parameters
    ----------
    name : str
        Short name, used in file names and at the shell.
    fn : callable
        Plain NumPyro function whose observed arguments default to ``None``.
    observed : tuple of str, optional
        Names of the observed *arguments*; read from the trace when empty.
    random_effects : tuple of str, optional
        Latent sites that ``fit_mle`` and ``fit_map`` integrate out.
    dims : mapping, optional
        Dimension names of sites; labels come from the data's ``coords``.
    estimands : callable, optional
        ``estimands(values, inputs) -> dict`` of arrays that replace the parameters in every
        table (for networks: predictions, since their weights are not identified).
    estimand_dims : mapping, optional
        Dimension names of the estimands.
    defaults : mapping, optional
        ``{"data": NAME}``: the built-in data set the model is shown on, and keyword arguments
        of ``compare``.
    recipe : mapping, optional
        ``family`` and ``priors`` of a model that was made from a formula
        (:func:`~workbench.model.formula_model`), with which it can be made again.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import Model
    >>> def coin(y=None):
    ...     p = numpyro.sample("p", dist.Beta(1, 1))
    ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
    >>> Model(name="coin", fn=coin).name
    'coin'
    """

    name: str
    fn: Callable[..., Any]
    observed: tuple[str, ...] = ()
    random_effects: tuple[str, ...] = ()
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    estimands: Callable[..., Mapping[str, Any]] | None = None
    estimand_dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """First line of the function's docstring (empty when it has none)."""
        return (inspect.getdoc(self.fn) or "").strip().split("\n")[0]


def as_model(model: Model | Callable[..., Any]) -> Model:
    """Wrap a plain NumPyro function (or handler, partial, bound method) as a :class:`Model`.

    Parameters
    ----------
    model : Model or callable
        Returned unchanged when it is a :class:`Model`.

    Returns
    -------
    Model
        A model named after the function.

    Raises
    ------
    ModelError
        When ``model`` cannot be called.

    Examples
    --------
    >>> from workbench.model import as_model
    >>> def coin(y=None): ...
    >>> as_model(coin).name
    'coin'
    """
    if isinstance(model, Model):
        return model
    if not callable(model):
        raise ModelError(f"a model is a NumPyro function or a Model; got {type(model).__name__}")
    inner = innermost(model)
    name = getattr(inner, "__name__", None) or type(inner).__name__
    return Model(name=name.strip("<>"), fn=model)
