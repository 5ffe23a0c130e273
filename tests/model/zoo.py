"""Models as people write them: plain NumPyro functions in the style of its documentation.

Each case is made by a function of the prior's scale, so that laws can widen the priors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from numpyro import handlers
from numpyro.contrib.control_flow import scan
from numpyro.distributions import constraints

from workbench.model import Model

RNG = np.random.default_rng(20240229)
N = 24
X = RNG.normal(size=(N, 2))
Y = 1.0 + X @ [0.5, -1.0] + 0.7 * RNG.normal(size=N)
TIME = RNG.exponential(2.0, size=N)
CENSORED = TIME > 3.0
SUCCESSES = RNG.binomial(8, 0.4, size=N)
COUNTS = RNG.poisson(np.exp(0.3 + 0.4 * X[:, 0]))
GRADES = np.digitize(X[:, 0] + 0.5 * RNG.normal(size=N), [-0.7, 0.4])
ANGLES = RNG.vonmises(1.0, 3.0, size=N)
PAIRS = RNG.multivariate_normal([0.5, -0.5], [[1.0, 0.6], [0.6, 1.5]], size=30)
GROUPED = np.concatenate([-2.0 + 0.5 * RNG.normal(size=15), 1.5 + 0.5 * RNG.normal(size=20)])
SERIES = np.cumsum(0.4 * RNG.normal(size=20)) + 0.3 * RNG.normal(size=20)
Y_MISSING = np.where(np.arange(N) % 7 == 3, np.nan, Y)
X_MISSING = np.where(np.arange(N) % 6 == 2, np.nan, X[:, 0])
GAPS = np.flatnonzero(np.isnan(X_MISSING))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model of the zoo with what must be read from it.

    ``roles`` gives the name of every latent, observed, factor and prior site; ``labels`` some of
    the labels of z; ``mle`` is ``"proper"``, ``"flat"`` (a likelihood without a unique maximum) or
    the sentence with which it is refused; ``other`` writes the same likelihood in other
    coordinates; ``numpyro`` says whether NumPyro itself evaluates the density (it does not
    transform ``param`` sites).
    """

    id: str
    make: Callable[[float], Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, str]
    labels: tuple[str, ...] = ()
    mle: str = "proper"
    other: Callable[[float], Any] | None = None
    numpyro: bool = True


def roles(
    parameters: str = "", effects: str = "", observed: str = "", factors: str = "", priors: str = ""
) -> dict[str, str]:
    named = {
        "parameter": parameters,
        "random effect": effects,
        "observed": observed,
        "factor": factors,
        "prior": priors,
    }
    return {name: role for role, names in named.items() for name in names.split()}


def linear(s: float) -> Any:
    def model(x, obs=None):
        b0 = numpyro.sample("b0", dist.Normal(0, 10 * s))
        b = numpyro.sample("b", dist.Normal(0, 5 * s).expand([x.shape[1]]).to_event(1))
        sigma = numpyro.sample("sigma", dist.Exponential(1 / s))
        with numpyro.plate("obs", x.shape[0]):
            numpyro.sample("y", dist.Normal(b0 + x @ b, sigma), obs=obs)

    return model


def linear_log_scale(s: float) -> Any:
    def model(x, obs=None):
        b0 = numpyro.sample("b0", dist.Normal(0, 10 * s))
        b = numpyro.sample("b", dist.Laplace(0, 5 * s).expand([x.shape[1]]))
        t = numpyro.sample("log_sigma", dist.ImproperUniform(constraints.real, (), ()))
        sigma = numpyro.deterministic("sigma", jnp.exp(t))
        numpyro.sample("y", dist.Normal(b0 + x @ b, sigma), obs=obs)

    return model


def closure(s: float) -> Any:
    def model():
        mu = numpyro.sample("mu", dist.Cauchy(0, s))
        sigma = numpyro.sample("sigma", dist.HalfCauchy(s))
        numpyro.sample("y", dist.Normal(mu, sigma), obs=Y)

    return model


def closure_precision(s: float) -> Any:
    def model():
        mu = numpyro.sample("mu", dist.Normal(0, 10 * s))
        tau = numpyro.sample("tau", dist.Gamma(2.0, 1 / s))
        sigma = numpyro.deterministic("sigma", 1 / jnp.sqrt(tau))
        numpyro.sample("y", dist.Normal(mu, sigma), obs=Y)

    return model


def conditioned(s: float) -> Any:
    def model(x):
        rate = jnp.exp(numpyro.sample("b", dist.Normal(0, s).expand([2])) @ x.T)
        with numpyro.plate("row", x.shape[0]):
            numpyro.sample("t", dist.Exponential(rate))

    return handlers.condition(model, data={"t": jnp.asarray(TIME)})


def binomial_partial(s: float) -> Any:
    def model(x, total, *, y=None):
        b = numpyro.sample("b", dist.StudentT(4, 0, s), sample_shape=(2,))
        numpyro.sample("y", dist.Binomial(total, logits=x @ b - 0.5), obs=y)

    return functools.partial(model, X, 8)


class PoissonModel:
    """A model that is a method."""

    def __init__(self, prior: float) -> None:
        self.prior = prior

    def likelihood(self, x, y=None):
        a = numpyro.sample("α|β, γ", dist.Normal(0, self.prior))
        b = numpyro.sample("β", dist.Normal(0, self.prior))
        with numpyro.plate("N", len(x)):
            numpyro.sample("y", dist.Poisson(jnp.exp(a + b * x)), obs=y)


def _groups(s: float) -> Callable[..., Any]:
    def model(group, num_groups, y=None):
        mu = numpyro.sample("mu", dist.Normal(0, 5 * s))
        tau = numpyro.sample("tau", dist.HalfNormal(s))
        sigma = numpyro.sample("sigma", dist.HalfNormal(s))
        with numpyro.plate("school", num_groups):
            alpha = numpyro.sample("alpha", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(alpha[group], sigma), obs=y)

    return model


GROUP = {"group": np.arange(N) % 6, "num_groups": 6, "y": Y + np.tile([0, 1, 0, -1, 2, 0.5], 4)}


def centred(s: float) -> Any:
    return Model(name="centred", fn=_groups(s), random_effects=("alpha",))


def decentred(s: float) -> Any:
    reparam = numpyro.infer.reparam.LocScaleReparam(0)
    return Model(
        name="decentred",
        fn=handlers.reparam(_groups(s), config={"alpha": reparam}),
        random_effects=("alpha",),
    )


def scoped(s: float) -> Any:
    return Model(
        name="scoped",
        fn=handlers.scope(_groups(s), prefix="a", divider="."),
        random_effects=("a.alpha",),
    )


def factor_only(s: float) -> Any:
    def model(time, censored):
        rate = numpyro.sample("rate", dist.Gamma(2, 1 / s))
        numpyro.factor("survival", jnp.sum(jnp.where(censored, 0.0, jnp.log(rate)) - rate * time))

    return model


def factor_in_part(s: float) -> Any:
    def model(time, censored):
        shape = numpyro.sample("shape", dist.LogNormal(0, s))
        scale = numpyro.sample("scale", dist.LogNormal(0, s))
        f = dist.Weibull(scale, shape)
        with handlers.mask(mask=~censored):
            numpyro.sample("time", f, obs=time)
        log_survival = -((time / scale) ** shape)
        numpyro.factor("tail", jnp.sum(jnp.where(censored, log_survival, 0.0)))

    return model


def soft_constraint(s: float) -> Any:
    def model(group, num_groups, y=None):
        with numpyro.plate("groups", num_groups):
            u = numpyro.sample("u", dist.Normal(0, 2 * s))
        numpyro.factor("sum_to_zero", dist.Normal(0, 0.01 * s).log_prob(jnp.sum(u)))
        numpyro.sample("y", dist.Normal(u[group], 1.0), obs=y)

    return model


def observed_latent(s: float) -> Any:
    def model(y=None):
        rate = numpyro.sample("rate", dist.ImproperUniform(constraints.positive, (), ()))
        numpyro.sample("log_prior", dist.Normal(0, s), obs=jnp.log(rate))
        numpyro.sample("y", dist.Exponential(rate), obs=y)

    return model


def autoregression(s: float) -> Any:
    def model(y):
        phi = numpyro.sample("phi", dist.Uniform(-1, 1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(s))

        def step(last, now):
            numpyro.sample("y", dist.Normal(phi * last, sigma), obs=now)
            return now, None

        scan(step, y[0], y[1:])

    return model


def local_level(s: float) -> Any:
    def model(T, y=None):
        q = numpyro.sample("q", dist.HalfNormal(s))
        r = numpyro.sample("r", dist.HalfNormal(s))

        def step(last, now):
            level = numpyro.sample("level", dist.Normal(last, q))
            numpyro.sample("y", dist.Normal(level, r), obs=now)
            return level, None

        scan(step, 0.0, y, length=T)

    return Model(name="local_level", fn=model, random_effects=("level",))


def random_walk(s: float) -> Any:
    def model(y=None):
        q = numpyro.sample("q", dist.HalfNormal(s))
        r = numpyro.sample("r", dist.HalfNormal(s))
        level = numpyro.sample("level", dist.GaussianRandomWalk(q, len(SERIES)))
        numpyro.sample("y", dist.Normal(level, r), obs=y)

    return Model(name="random_walk", fn=model, random_effects=("level",))


def gaussian_process(s: float) -> Any:
    def model(x, y=None):
        length = numpyro.sample("length", dist.LogNormal(0, s))
        size = numpyro.sample("size", dist.HalfNormal(s))
        gap = (x[:, None] - x[None, :]) / length
        kernel = size**2 * jnp.exp(-0.5 * gap**2) + 1e-6 * jnp.eye(len(x))
        f = numpyro.sample("f", dist.MultivariateNormal(0.0, covariance_matrix=kernel))
        numpyro.sample("y", dist.Poisson(jnp.exp(f)), obs=y)

    return Model(name="gaussian_process", fn=model, random_effects=("f",))


def crossed(s: float) -> Any:
    def model(rows, columns, y=None):
        mu = numpyro.sample("mu", dist.Normal(0, 5 * s))
        tau = numpyro.sample("tau", dist.HalfNormal(s).expand([2]))
        with numpyro.plate("row", 6):
            a = numpyro.sample("a", dist.Normal(0, tau[0]))
        with numpyro.plate("column", 4):
            b = numpyro.sample("b", dist.Normal(0, tau[1]))
        sigma = numpyro.sample("sigma", dist.HalfNormal(s))
        numpyro.sample("y", dist.Normal(mu + a[rows] + b[columns], sigma), obs=y)

    return Model(name="crossed", fn=model, random_effects=("a", "b"))


def mixture(s: float) -> Any:
    def model(y=None):
        weight = numpyro.sample("weight", dist.Dirichlet(s * jnp.ones(2)))
        order = dist.transforms.OrderedTransform()
        base = dist.Normal(0, 5 * s).expand([2]).to_event(1)
        mean = numpyro.sample("mean", dist.TransformedDistribution(base, order))
        sd = numpyro.sample("sd", dist.LogNormal(0, s))
        parts = dist.MixtureSameFamily(dist.Categorical(weight), dist.Normal(mean, sd))
        with numpyro.plate("N", 35):
            numpyro.sample("y", parts, obs=y)

    return model


def correlated(s: float) -> Any:
    def model(y=None):
        mu = numpyro.sample("mu", dist.Normal(0, 5 * s).expand([2]).to_event(1))
        sd = numpyro.sample("sd", dist.HalfCauchy(s).expand([2]).to_event(1))
        root = numpyro.sample("root", dist.LKJCholesky(2, 1.0 / s))
        scale_tril = numpyro.deterministic("tril", sd[:, None] * root)
        with numpyro.plate("pair", len(PAIRS)):
            numpyro.sample("y", dist.MultivariateNormal(mu, scale_tril=scale_tril), obs=y)

    return model


def correlation_matrix(s: float) -> Any:
    def model(y=None):
        mu = numpyro.sample("mu", dist.Normal(0, 5 * s).expand([2]).to_event(1))
        sd = numpyro.sample("sd", dist.HalfCauchy(s).expand([2]).to_event(1))
        corr = numpyro.sample("corr", dist.LKJ(2, 1.0 / s))
        tril = numpyro.deterministic("tril", sd[:, None] * jnp.linalg.cholesky(corr))
        numpyro.sample("y", dist.MultivariateNormal(mu, scale_tril=tril), obs=y)

    return model


def covariance_matrix(s: float) -> Any:
    def model(y=None):
        mu = numpyro.sample("mu", dist.Normal(0, 5 * s).expand([2]))
        cov = numpyro.sample("cov", dist.Wishart(4.0, scale_matrix=s * jnp.eye(2)))
        tril = numpyro.deterministic("tril", jnp.linalg.cholesky(cov))
        numpyro.sample("y", dist.MultivariateNormal(mu, scale_tril=tril), obs=y)

    return model


def ordinal(s: float) -> Any:
    def model(x, grade=None):
        b = numpyro.sample("b", dist.Normal(0, 2 * s))
        cuts = numpyro.sample("cuts", dist.ImproperUniform(constraints.ordered_vector, (), (2,)))
        with numpyro.plate("student", len(x)):
            numpyro.sample("grade", dist.OrderedLogistic(b * x, cuts), obs=grade)

    return model


def multinomial(s: float) -> Any:
    def model(counts=None):
        p = numpyro.sample("p", dist.Dirichlet(s * jnp.ones(4)))
        numpyro.sample("counts", dist.Multinomial(30, probs=p), obs=counts)

    return model


def masked_missing(s: float) -> Any:
    def model(x, y):
        b = numpyro.sample("b", dist.Normal(0, 5 * s).expand([2]))
        sigma = numpyro.sample("sigma", dist.HalfNormal(s))
        seen = ~np.isnan(y)
        numpyro.sample("y", dist.Normal(b[0] + b[1] * x[:, 0], sigma).mask(seen), obs=y)

    return model


def imputed(s: float) -> Any:
    def model(x, y=None):
        m = numpyro.sample("m", dist.Normal(0, s))
        d = numpyro.sample("d", dist.HalfNormal(s))
        hidden = numpyro.sample("hidden", dist.Normal(m, d).expand([len(GAPS)]).mask(False))
        x = jnp.asarray(x).at[GAPS].set(hidden)
        numpyro.sample("x", dist.Normal(m, d), obs=x)
        b = numpyro.sample("b", dist.Normal(0, 5 * s).expand([2]))
        sigma = numpyro.sample("sigma", dist.HalfNormal(s))
        numpyro.sample("y", dist.Normal(b[0] + b[1] * x, sigma), obs=y)

    return Model(name="imputed", fn=model, random_effects=("hidden",))


def box_cox(s: float) -> Any:
    def model(y):
        power = numpyro.sample("power", dist.Normal(0.5, s))
        mu = numpyro.sample("mu", dist.Normal(0, 5 * s))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2 * s))
        numpyro.sample("t", dist.Normal(mu, sigma), obs=(y**power - 1) / power)
        numpyro.factor("jacobian", jnp.sum((power - 1) * jnp.log(y)))

    return model


def invalid_draws(s: float) -> Any:
    def model(y=None):
        mu = numpyro.sample("mu", dist.Normal(0, 5 * s))
        sigma = numpyro.sample("sigma", dist.Normal(0, s))
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    return model


def levels_in_the_model(s: float) -> Any:
    def model(g, x, y=None):
        names = np.unique(g)
        size = int(x.max() > 100) + len(names)
        effect = numpyro.sample("effect", dist.Normal(0, 5 * s).expand([size]))
        which = np.searchsorted(names, g)
        sigma = numpyro.sample("sigma", dist.HalfNormal(s))
        rows = x[:, 0] > -10
        numpyro.sample("y", dist.Normal(effect[which[rows]], sigma), obs=y)

    return model


def settings_in_a_dict(s: float) -> Any:
    def model(config, frame, link, y=None):
        b = numpyro.sample("b", dist.Normal(0, s).expand([config["P"]]))
        eta = jnp.asarray(frame[["u", "v"]].to_numpy()) @ b + config["offset"]
        mean = jnp.exp(eta) if link == "log" else eta
        numpyro.sample("y", dist.Poisson(mean), obs=y)

    return model


def with_param(s: float) -> Any:
    def model(x, y=None):
        b = numpyro.sample("b", dist.Normal(0, 5 * s))
        sigma = numpyro.param("sigma", 1.0, constraint=constraints.positive)
        numpyro.sample("y", dist.Normal(b * x, sigma), obs=y)

    return model


def bound_by_another(s: float) -> Any:
    def model(time=None):
        width = numpyro.sample("width", dist.Exponential(1 / s))
        low = numpyro.sample("low", dist.Uniform(0.0, width))
        numpyro.sample("time", dist.Gamma(1 + low, width), obs=time)

    return model


def circular(s: float) -> Any:
    def model(angle=None):
        mean = numpyro.sample("mean", dist.VonMises(0.0, 1.0 / s))
        strength = numpyro.sample("strength", dist.HalfNormal(10 * s))
        numpyro.sample("angle", dist.VonMises(mean, strength), obs=angle)

    return model


def only_when_predicting(s: float) -> Any:
    def model(x, y=None):
        b = numpyro.sample("b", dist.Normal(0, s).expand([2]))
        mean = jax.nn.sigmoid(x @ b)
        if y is None:
            numpyro.deterministic("chance", mean)
            numpyro.sample("noise", dist.Normal(0, 1))
        numpyro.sample("y", dist.Bernoulli(mean), obs=y)

    return model


def matrix_of_weights(s: float) -> Any:
    def model(x, y=None):
        w = numpyro.sample("w", dist.MatrixNormal(jnp.zeros((2, 2)), s * jnp.eye(2), jnp.eye(2)))
        logits = jnp.concatenate([x @ w, jnp.zeros((len(x), 1))], axis=1)
        numpyro.sample("y", dist.Categorical(logits=logits), obs=y)

    return model


def zero_sum(s: float) -> Any:
    def model(group, num_groups, y=None):
        mu = numpyro.sample("mu", dist.Normal(0, 5 * s))
        u = numpyro.sample("u", dist.ZeroSumNormal(2 * s, event_shape=(num_groups,)))
        sigma = numpyro.sample("sigma", dist.HalfNormal(s))
        numpyro.sample("y", dist.Normal(mu + u[group], sigma), obs=y)

    return model


FRAME = pd.DataFrame({"u": X[:, 0], "v": X[:, 1], "name": ["a", "b"] * (N // 2)})
XY = {"x": X, "y": Y}
CASES = [
    Case(
        id="linear",
        make=linear,
        data={"x": X, "obs": Y},
        roles=roles("b0 b sigma", observed="y"),
        labels=("b0", "b[0]", "b[1]", "log(sigma)"),
        other=linear_log_scale,
    ),
    Case(
        id="closure",
        make=closure,
        roles=roles("mu sigma", observed="y"),
        labels=("mu", "log(sigma)"),
        other=closure_precision,
    ),
    Case(id="conditioned", make=conditioned, data={"x": X}, roles=roles("b", observed="t")),
    Case(
        id="binomial-partial",
        make=binomial_partial,
        data={"y": SUCCESSES},
        roles=roles("b", observed="y"),
    ),
    Case(
        id="poisson-method",
        make=lambda s: PoissonModel(s).likelihood,
        data={"x": X[:, 0], "y": COUNTS},
        roles={"α|β, γ": "parameter", "β": "parameter", "y": "observed"},
        labels=("α|β, γ", "β"),
    ),
    Case(
        id="centred",
        make=centred,
        data=GROUP,
        roles=roles("mu tau sigma", "alpha", "y"),
        labels=("mu", "log(tau)", "log(sigma)", "alpha[0]"),
        other=decentred,
    ),
    Case(
        id="decentred",
        make=decentred,
        data=GROUP,
        roles=roles("mu tau sigma", "alpha_decentered", "y"),
    ),
    Case(
        id="scoped",
        make=scoped,
        data=GROUP,
        roles=roles("a.mu a.tau a.sigma", "a.alpha", "a.y"),
    ),
    Case(
        id="undeclared-effects",
        make=_groups,
        data=GROUP,
        roles=roles("mu tau sigma alpha", observed="y"),
        mle="prior of site 'alpha' holds 'mu'",
    ),
    Case(
        id="factor-only",
        make=factor_only,
        data={"time": TIME, "censored": CENSORED},
        roles=roles("rate", factors="survival"),
    ),
    Case(
        id="factor-in-part",
        make=factor_in_part,
        data={"time": TIME, "censored": CENSORED},
        roles=roles("shape scale", observed="time", factors="tail"),
    ),
    Case(
        id="soft-constraint",
        make=soft_constraint,
        data=GROUP,
        roles=roles("u", observed="y", priors="sum_to_zero"),
    ),
    Case(
        id="observed-latent",
        make=observed_latent,
        data={"y": TIME},
        roles=roles("rate", observed="y", priors="log_prior"),
    ),
    Case(
        id="autoregression",
        make=autoregression,
        data={"y": SERIES},
        roles=roles("phi sigma", observed="y"),
        labels=("z:phi", "log(sigma)"),
    ),
    Case(
        id="local-level",
        make=local_level,
        data={"T": 20, "y": SERIES},
        roles=roles("q r", "level", "y"),
        labels=("log(q)", "log(r)", "level[0]"),
    ),
    Case(
        id="random-walk",
        make=random_walk,
        data={"y": SERIES},
        roles=roles("q r", "level", "y"),
    ),
    Case(
        id="gaussian-process",
        make=gaussian_process,
        data={"x": np.linspace(0, 5, 12), "y": COUNTS[:12]},
        roles=roles("length size", "f", "y"),
        mle="flat",
    ),
    Case(
        id="crossed",
        make=crossed,
        data={"rows": np.arange(N) % 6, "columns": np.arange(N) // 6, "y": GROUP["y"]},
        roles=roles("mu tau sigma", "a b", "y"),
        mle="flat",
    ),
    Case(
        id="mixture",
        make=mixture,
        data={"y": GROUPED},
        roles=roles("weight mean sd", observed="y"),
        labels=("z:weight[0]", "z:mean[0]", "z:mean[1]", "log(sd)"),
    ),
    Case(
        id="correlated",
        make=correlated,
        data={"y": PAIRS},
        roles=roles("mu sd root", observed="y"),
        labels=("mu[0]", "mu[1]", "log(sd[0])", "log(sd[1])", "z:root[0]"),
        other=covariance_matrix,
    ),
    Case(
        id="correlation-matrix",
        make=correlation_matrix,
        data={"y": PAIRS},
        roles=roles("mu sd corr", observed="y"),
        other=correlated,
    ),
    Case(
        id="covariance-matrix",
        make=covariance_matrix,
        data={"y": PAIRS},
        roles=roles("mu cov", observed="y"),
    ),
    Case(
        id="ordinal",
        make=ordinal,
        data={"x": X[:, 0], "grade": GRADES},
        roles=roles("b cuts", observed="grade"),
    ),
    Case(
        id="multinomial",
        make=multinomial,
        data={"counts": np.array([4, 9, 11, 6])},
        roles=roles("p", observed="counts"),
    ),
    Case(
        id="masked-missing",
        make=masked_missing,
        data={"x": X, "y": Y_MISSING},
        roles=roles("b sigma", observed="y"),
    ),
    Case(
        id="imputed",
        make=imputed,
        data={"x": X_MISSING, "y": Y},
        roles=roles("m d b sigma", "hidden", "x y"),
    ),
    Case(
        id="box-cox",
        make=box_cox,
        data={"y": TIME},
        roles=roles("power mu sigma", observed="t", factors="jacobian"),
    ),
    Case(
        id="invalid-draws",
        make=invalid_draws,
        data={"y": Y},
        roles=roles("mu sigma", observed="y"),
        labels=("mu", "sigma"),
    ),
    Case(
        id="levels-in-the-model",
        make=levels_in_the_model,
        data={"g": np.array(["u", "v", "w"] * 8), "x": X, "y": Y},
        roles=roles("effect sigma", observed="y"),
    ),
    Case(
        id="settings-in-a-dict",
        make=settings_in_a_dict,
        data={"config": {"P": 2, "offset": 0.1}, "frame": FRAME, "link": "log", "y": COUNTS},
        roles=roles("b", observed="y"),
    ),
    Case(
        id="with-param",
        make=with_param,
        data={"x": X[:, 0], "y": Y},
        roles=roles("b sigma", observed="y"),
        labels=("b", "log(sigma)"),
        numpyro=False,
    ),
    Case(
        id="bound-by-another",
        make=bound_by_another,
        data={"time": TIME},
        roles=roles("width low", observed="time"),
    ),
    Case(
        id="circular",
        make=circular,
        data={"angle": ANGLES},
        roles=roles("mean strength", observed="angle"),
    ),
    Case(
        id="only-when-predicting",
        make=only_when_predicting,
        data={"x": X, "y": (Y > 0).astype(int)},
        roles=roles("b", observed="y"),
    ),
    Case(
        id="matrix-of-weights",
        make=matrix_of_weights,
        data={"x": X, "y": GRADES},
        roles=roles("w", observed="y"),
        labels=("w[0, 0]", "w[0, 1]", "w[1, 0]", "w[1, 1]"),
    ),
    Case(
        id="zero-sum",
        make=zero_sum,
        data=GROUP,
        roles=roles("mu u sigma", observed="y"),
        labels=("mu", *(f"z:u[{i}]" for i in range(5)), "log(sigma)"),
    ),
]
