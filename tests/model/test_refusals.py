"""What cannot be read as one density, or has no maximum likelihood, says so in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.contrib.control_flow import scan
from numpyro.distributions import constraints

from tests.model.zoo import GAPS, GROUP, TIME, X_MISSING, Y_MISSING, X, Y
from workbench.errors import FitError, ModelError
from workbench.fit import fit_mle
from workbench.model import Model, read_density


def normal(x=None, y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(mu, 1), obs=y)


def discrete(y=None):
    k = numpyro.sample("k", dist.Categorical(jnp.ones(2) / 2))
    numpyro.sample("y", dist.Normal(k, 1), obs=y)


def subsampled(y):
    mu = numpyro.sample("mu", dist.Normal(0, 1))
    with numpyro.plate("row", len(y), subsample_size=5) as rows:
        numpyro.sample("y", dist.Normal(mu, 1), obs=jnp.asarray(y)[rows])


def branching(y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 1))
    sign = 1.0 if mu > 0 else -1.0
    numpyro.sample("y", dist.Normal(sign * mu, 1), obs=y)


def twice(y=None):
    a = numpyro.sample("a", dist.Normal(0, 1))
    a = a + numpyro.sample("a", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(a, 1), obs=y)


def integer_carry(y):
    a = numpyro.sample("a", dist.Normal(0, 1))
    total, _ = scan(lambda c, t: (c + t, None), jnp.zeros((), int), jnp.asarray(y))
    numpyro.sample("y", dist.Normal(a + total, 1), obs=y)


def on_the_sphere(y=None):
    u = numpyro.sample("u", dist.ProjectedNormal(jnp.ones(3)))
    numpyro.sample("y", dist.Normal(u[0], 1), obs=y)


def structured_param(y=None):
    w = numpyro.param("net$params", {"w": jnp.zeros(2), "b": jnp.zeros(())})
    numpyro.sample("y", dist.Normal(w["b"], 1), obs=y)


def required(x, z, y=None):
    normal(x, y)


def positional(x, /, y=None):
    normal(x, y)


def counts(y=None):
    rate = numpyro.sample("rate", dist.Exponential(1.0))
    numpyro.sample("y", dist.Poisson(rate), obs=y)


READ: list[tuple[str, Any, Any, str]] = [
    ("discrete", discrete, {"y": Y}, "site 'k' is a discrete latent variable"),
    ("subsampled", subsampled, {"y": Y}, "plate 'row' takes a random subsample of 5 of 24 rows"),
    ("control-flow", branching, {"y": Y}, "decides on the value of a random quantity"),
    ("two-sites", twice, {"y": Y}, "two sites named 'a'"),
    ("carry", integer_carry, {"y": Y}, "carry changes its type .* JAX_ENABLE_X64=0"),
    ("no-transform", on_the_sphere, {"y": Y}, "'u' has support sphere, which has no transform"),
    ("param-structure", structured_param, {"y": Y}, "'net.params' holds 2 arrays in one structure"),
    ("unobserved", normal, {"x": X}, "no observed site: .* offers x"),
    ("missing-argument", required, {"x": X, "y": Y}, "argument 'z' has no value: .* offers x, y"),
    ("positional-only", positional, {"x": X, "y": Y}, "argument 'x' is positional-only"),
    ("not-a-function", 3, {"y": Y}, "a model is a NumPyro function or a Model; got int"),
    ("not-data", normal, [1.0, 2.0], "data is a Dataset or a mapping .* got list"),
    (
        "outside-support",
        counts,
        {"y": np.array([1, 0, -2, 4])},
        r"'y' expects values in the support of Poisson .* got -2 \(row 2, counted from 0\)",
    ),
    ("unmasked-nan", normal, {"y": Y_MISSING}, r"'y' expects .* Normal \(real\); got nan \(row 3"),
    (
        "unknown-effect",
        Model(name="m", fn=normal, random_effects=("u",)),
        {"y": Y},
        "random effect 'u' is not a latent site of model 'm': its latent sites are mu",
    ),
    (
        "unknown-dims",
        Model(name="m", fn=normal, dims={"y": ("a", "b")}),
        {"y": Y},
        r"dims of site 'y' expect one name for each axis of shape \(24,\)",
    ),
]


@pytest.mark.parametrize(
    ("model", "data", "sentence"), [r[1:] for r in READ], ids=[r[0] for r in READ]
)
def test_unreadable(model: Any, data: Any, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence) as caught:
        read_density(model, data)
    assert "\n" not in str(caught.value)


def computed_effect(group, num_groups, y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfNormal(1))
    raw = numpyro.sample("raw", dist.Normal(0, 1).expand([num_groups]))
    alpha = numpyro.deterministic("alpha", mu + tau * raw)
    numpyro.sample("y", dist.Normal(alpha[group], 1), obs=y)


def test_a_computed_effect_names_the_sites_behind_it() -> None:
    model = Model(name="m", fn=computed_effect, random_effects=("alpha",))
    with pytest.raises(ModelError, match="'alpha' of model 'm' is computed from mu, raw, tau"):
        read_density(model, GROUP)


def hidden_values(x, y=None):
    m = numpyro.sample("m", dist.Normal(0, 1))
    hidden = numpyro.sample("hidden", dist.Normal(m, 1).expand([len(GAPS)]).mask(False))
    x = jnp.asarray(x).at[GAPS].set(hidden)
    numpyro.sample("x", dist.Normal(m, 1), obs=x)
    numpyro.sample("y", dist.Normal(x, 1), obs=y)


def transformed(y):
    power = numpyro.sample("power", dist.Normal(1, 1))
    mu = numpyro.sample("mu", dist.Normal(0, 1))
    numpyro.sample("t", dist.Normal(mu, 1), obs=(y**power - 1) / power)


def horseshoe(x, y=None):
    local = numpyro.sample("local", dist.HalfCauchy(1).expand([2]))
    b = numpyro.sample("b", dist.Normal(0, local))
    numpyro.sample("y", dist.Normal(x @ b, 1), obs=y)


def effects_by_factor(group, num_groups, y=None):
    tau = numpyro.sample("tau", dist.HalfNormal(1))
    u = numpyro.sample("u", dist.ImproperUniform(constraints.real, (num_groups,), ()))
    numpyro.sample("step", dist.Normal(0, tau), obs=u[1:] - u[:-1])
    numpyro.sample("y", dist.Normal(u[group], 1), obs=y)


def fixed_and_random_in_one(group, num_groups, y=None):
    tau = numpyro.sample("tau", dist.HalfNormal(1))
    scale = jnp.concatenate([jnp.full(1, 10.0), jnp.full(num_groups, tau)])
    b = numpyro.sample("b", dist.Normal(0, scale))
    numpyro.sample("y", dist.Normal(b[0] + b[1:][group], 1), obs=y)


MLE: list[tuple[str, Callable[..., Any], Any, str]] = [
    (
        "imputation",
        hidden_values,
        {"x": X_MISSING, "y": Y},
        "value of site 'x' moves with 'hidden'; .* declare it, .*'hidden'",
    ),
    ("no-jacobian", transformed, {"y": TIME}, "'t' moves with 'power'; .* add the log Jacobian"),
    ("shrinkage", horseshoe, {"x": X, "y": Y}, "prior of site 'b' holds 'local'"),
    ("effects-by-factor", effects_by_factor, GROUP, r"'u' \(site 'step'\) holds 'tau'"),
    ("mixed-site", fixed_and_random_in_one, GROUP, "prior of site 'b' holds 'tau'"),
]


@pytest.mark.parametrize(
    ("model", "data", "sentence"), [r[1:] for r in MLE], ids=[r[0] for r in MLE]
)
def test_without_a_maximum_likelihood(model: Any, data: Any, sentence: str) -> None:
    with pytest.raises(FitError, match=sentence) as caught:
        fit_mle(model, data)
    assert "\n" not in str(caught.value)


def test_a_declared_site_that_mixes_fixed_and_random_effects() -> None:
    model = Model(name="m", fn=fixed_and_random_in_one, random_effects=("b",))
    with pytest.raises(FitError, match=r"site 'b' mixes .* b\[0\], .*their own site"):
        fit_mle(model, GROUP)


def test_all_effects_and_no_parameter() -> None:
    model = Model(name="m", fn=normal, random_effects=("mu",))
    with pytest.raises(FitError, match="no parameter to maximise the likelihood over"):
        fit_mle(model, {"y": Y})


def test_an_error_in_the_function_is_the_users_own() -> None:
    def broken(y=None):
        raise IndexError("of my own")

    with pytest.raises(IndexError, match="of my own"):
        read_density(broken, {"y": Y})


def test_jax_errors_do_not_leak_handlers() -> None:
    """A refused model leaves NumPyro's stack of handlers as it was."""
    with pytest.raises(ModelError, match="discrete"):
        read_density(discrete, {"y": Y})
    assert (
        float(handlers.seed(lambda: numpyro.sample("a", dist.Delta(1.0)), jax.random.key(0))())
        == 1.0
    )
