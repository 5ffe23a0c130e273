"""Reading plain functions: where the data live, what reaches what, and how models are re-run."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax.experimental.ode import odeint
from numpyro import handlers

from tests.model.zoo import CASES, GROUP, SERIES, Y_MISSING, X, Y
from workbench.data import Dataset
from workbench.errors import ModelError
from workbench.model import Model, as_model, read_density
from workbench.model.binding import Arguments
from workbench.model.labels import scalar_labels
from workbench.model.provenance import CONSTANT, reach
from workbench.model.simulation import without_observations

BY_ID = {case.id: case for case in CASES}


def read(case_id: str) -> Any:
    case = BY_ID[case_id]
    return read_density(case.make(1.0), case.data)


# -- where the data live ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("case_id", "form"),
    [
        ("linear", "traced"),
        ("closure", "traced"),
        ("autoregression", "traced"),
        ("masked-missing", "jax constant"),  # np.isnan of a given array
        ("levels-in-the-model", "numpy constant"),  # int(x.max()) needs NumPy's own arrays
    ],
)
def test_data_are_constant_only_where_they_must_be(case_id: str, form: str) -> None:
    density = read(case_id)
    assert density.arguments.form == form
    assert any("compiled in" in note for note in density.notes) == (form != "traced")


@pytest.mark.parametrize(
    ("case_id", "names"),
    [
        ("linear", ("obs",)),
        ("closure", ()),
        ("conditioned", ()),
        ("binomial-partial", ("y",)),
        ("masked-missing", ("y",)),
        ("levels-in-the-model", ("y",)),
        ("settings-in-a-dict", ("y",)),
        ("imputed", ("x", "y")),
        ("factor-only", ()),
    ],
)
def test_observed_arguments_are_found(case_id: str, names: tuple[str, ...]) -> None:
    assert read(case_id).observed_arguments == names


def test_an_argument_whose_name_begins_like_an_observed_one_is_no_observation() -> None:
    def model(y, y_scale):
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(mu, y_scale), obs=y)

    assert read_density(model, {"y": Y, "y_scale": np.ones(len(Y))}).observed_arguments == ("y",)


def test_arrays_inside_a_dict_are_arguments_of_the_program() -> None:
    given = {"config": {"scale": np.ones(3), "n": 3, "kind": "log"}, "y": np.zeros(2)}
    arguments = Arguments.split(given)
    assert set(arguments.arrays) == {"config['scale']", "y"}
    joined = arguments.join({"config['scale']": 2 * np.ones(3), "y": np.ones(2)})
    assert joined["config"]["n"] == 3
    assert joined["config"]["kind"] == "log"
    np.testing.assert_array_equal(joined["config"]["scale"], 2 * np.ones(3))
    assert arguments.key_of("config['scale']") == "config"


def test_names_of_models_are_those_of_their_functions() -> None:
    names = {case.id: as_model(case.make(1.0)).name for case in CASES}
    assert names["conditioned"] == names["binomial-partial"] == "model"
    assert names["poisson-method"] == "likelihood"


# -- roles and dimensions --------------------------------------------------------------------
def test_a_plate_that_bears_the_name_of_an_array_is_renamed() -> None:
    density = read("linear")  # its plate and its argument are both called obs
    assert density.site("y").dims == ("obs_plate",)


def test_plates_and_declared_dims_label_the_coordinates() -> None:
    data = Dataset.from_arrays(
        inputs={"group": GROUP["group"], "num_groups": 6},
        observed={"y": GROUP["y"]},
        coords={"school": list("ABCDEF")},
    )
    density = read_density(BY_ID["centred"].make(1.0), data)
    assert density.site("alpha").dims == ("school",)
    assert density.z_labels[3:5] == ("alpha[A]", "alpha[B]")


def test_labels_that_repeat_are_numbered() -> None:
    assert scalar_labels("a", (2,), ("d",), {"d": ["x", "x"]}) == ["a[0]", "a[1]"]


def test_a_density_over_effects_belongs_to_them() -> None:
    """A prior site that holds a declared effect stays in the marginal likelihood."""

    def model(y=None):
        tau = numpyro.sample("tau", dist.HalfNormal(1))
        u = numpyro.sample("u", dist.Normal(0, 1).expand([3]).mask(False))
        numpyro.sample("walk", dist.Normal(0, tau), obs=u[1:] - u[:-1])
        numpyro.sample("y", dist.Normal(u, 1), obs=y)

    declared = read_density(Model(name="m", fn=model, random_effects=("u",)), {"y": np.ones(3)})
    z = jnp.array([0.2, 1.0, 0.5, -0.3])
    walk = dist.Normal(0, np.exp(0.2)).log_prob(jnp.array([-0.5, -0.8])).sum()
    np.testing.assert_allclose(declared.log_terms(z).log_random_effects, walk, rtol=1e-14)
    plain = read_density(model, {"y": np.ones(3)})
    prior = dist.HalfNormal(1).log_prob(np.exp(0.2))
    np.testing.assert_allclose(plain.log_terms(z).log_prior, walk + prior, rtol=1e-14)


def test_observations_that_move_with_a_parameter_are_noted() -> None:
    density = read("box-cox")
    assert density.site("t").moved_by == ("power",)
    assert any("'t' moves with 'power'" in note for note in density.notes)


def test_masked_observations_are_not_counted() -> None:
    assert read("masked-missing").num_observations == np.isfinite(Y_MISSING).sum()
    assert read("factor-only").num_observations == 0
    assert read("correlated").num_observations == 30  # pairs, not numbers


def test_an_unknown_site_is_named() -> None:
    with pytest.raises(ModelError, match="no site 'sigm': its sites are b0, b, sigma, y"):
        read("linear").site("sigm")


# -- what reaches what -----------------------------------------------------------------------
def test_labels_flow_through_loops_and_branches() -> None:
    held = np.arange(3.0)

    def program(x: Any) -> Any:
        def step(carry: Any, t: Any) -> Any:
            a, b = carry
            return (a * x["s"] + t, b + 1), a

        (a, b), path = jax.lax.scan(step, (x["a"], x["b"]), x["t"])
        return {
            "a": a,
            "b": b,
            "path": path,
            "branch": jax.lax.cond(x["a"] > 0, lambda: x["b"], lambda: 0.0),
            "loop": jax.lax.while_loop(lambda c: c < x["s"], lambda c: 2 * c, x["b"]),
            "held": jnp.sum(held * x["a"]),
            "relu": jax.nn.relu(x["a"]),
            "size": 0.0 * x["t"].size,
        }

    found = reach(program, {"a": 1.0, "b": 2.0, "s": 3.0, "t": jnp.ones(4)})
    assert {k: sorted(v) for k, v in found.items()} == {
        "a": ["a", "s", "t"],
        "b": ["b"],
        "path": ["a", "s", "t"],
        "branch": ["a", "b"],
        "loop": ["b", "s"],
        "held": ["a", CONSTANT],
        "relu": ["a"],
        "size": [],
    }


def test_inside_a_scan_the_likelihood_sees_its_own_parameters_only() -> None:
    density = read("local-level")
    assert density.site("level").depends_on == ("q",)
    assert density.site("y").depends_on == ("level", "r")


# -- running without the observations --------------------------------------------------------
def draws_of(density: Any, num: int) -> dict[str, np.ndarray]:
    """Draws of the observed sites at one point, shape (num, ...)."""

    def one(key: jax.Array) -> dict[str, jax.Array]:
        values = density.constrain(jnp.full(density.size, 0.1))
        model = handlers.seed(without_observations(density), key)
        trace = handlers.trace(handlers.substitute(model, data=values)).get_trace()
        assert not any(trace[n]["is_observed"] for n in density.names("observed"))
        return {n: trace[n]["value"] for n in density.names("observed")}

    draws = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), num))
    return {k: np.asarray(v) for k, v in draws.items()}


@pytest.mark.parametrize(
    "case_id",
    [
        "linear",
        "closure",  # holds its data
        "conditioned",  # is conditioned on its data
        "masked-missing",  # takes its shape from the data
        "observed-latent",  # draws one value for many when it is given None
        "only-when-predicting",
        "levels-in-the-model",
        "local-level",
        "imputed",
    ],
)
def test_observed_sites_are_drawn_in_their_shape(case_id: str) -> None:
    density = read(case_id)
    for name, draws in draws_of(density, 2).items():
        assert draws.shape == (2, *density.site(name).shape)
        assert not np.array_equal(draws[0], draws[1])


def test_a_series_that_needs_its_observations_is_drawn_one_step_ahead() -> None:
    density = read("autoregression")
    values = density.constrain(jnp.full(density.size, 0.1))
    mean = np.asarray(values["phi"] * SERIES[:-1])
    draws = draws_of(density, 400)["y"]
    # means of 400 draws: within five standard errors at each of the 19 steps
    np.testing.assert_array_less(
        np.abs(draws.mean(axis=0) - mean), 5 * float(values["sigma"]) / np.sqrt(400)
    )


# -- derivatives -----------------------------------------------------------------------------
def decay(t, y=None):
    rate = numpyro.sample("rate", dist.LogNormal(0, 1))
    path = odeint(lambda level, _, k: -k * level, 2.0, t, rate)
    numpyro.sample("y", dist.Normal(path, 0.1), obs=y)


DECAY_TIMES = np.linspace(0, 1, 5)
DECAY = {"t": DECAY_TIMES, "y": 2 * np.exp(-0.7 * DECAY_TIMES) + 0.05}


def test_a_solver_of_differential_equations_has_no_forward_derivative() -> None:
    density = read_density(decay, DECAY)
    assert not density.forward_mode
    assert density.jacobian is jax.jacrev


@pytest.mark.slow
def test_a_solver_of_differential_equations_has_a_reverse_hessian() -> None:
    density = read_density(decay, DECAY)

    def log_likelihood(z):
        return density.log_terms(z).log_likelihood

    def truth(z):  # the solution of the equation, 2 exp(-k t)
        path = 2.0 * jnp.exp(-jnp.exp(z[0]) * DECAY_TIMES)
        return jnp.sum(dist.Normal(path, 0.1).log_prob(DECAY["y"]))

    z = jnp.array([-0.3])
    found = jax.jit(density.jacobian(jax.grad(log_likelihood)))(z)
    # the solver's tolerance is 1.4e-8 on the path, amplified by the noise's precision of 100
    np.testing.assert_allclose(found, jax.hessian(truth)(z), rtol=1e-4)


def test_plain_models_are_differentiated_forward() -> None:
    density = read("local-level")
    assert density.forward_mode
    assert density.jacobian is jax.jacfwd


def test_sites_of_a_series_are_its_steps() -> None:
    density = read("local-level")
    assert density.site("level").shape == (len(SERIES),)
    assert density.size == 2 + len(SERIES)
    assert read("linear").site("b").shape == (X.shape[1],)
