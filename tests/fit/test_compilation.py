"""Programs made once for all data of one structure: they are right, and they are kept."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from workbench.fit.compilation import WHOLE_LOOPS, WIDE, lean_options
from workbench.fit.concavity import has_concave_posterior, has_one_maximum
from workbench.fit.objective import Objective
from workbench.model import read_density
from workbench.model.affine import Form, forms

UNIT = 1.0


def scaled(y: Any = None) -> None:
    """A mean in units that stand outside of the function."""
    m = numpyro.sample("m", dist.Normal(0, 10))
    numpyro.sample("y", dist.Normal(UNIT * m, 1), obs=y)


def levelled(y: Any = None) -> None:
    """A mean that reads nothing around it."""
    m = numpyro.sample("m", dist.Normal(0, 10))
    numpyro.sample("y", dist.Normal(m, 1), obs=y)


def levels(g: Any, y: Any = None) -> None:
    """Needs the values of g while it is traced."""
    m = numpyro.sample("m", dist.Normal(0, 10).expand([len(np.unique(g))]))
    numpyro.sample("y", dist.Normal(m[g], 1), obs=y)


def test_other_data_of_the_same_shapes_use_the_same_programs() -> None:
    one, other, longer = (read_density(scaled, {"y": y}) for y in (
        [1.0, 2.0], [3.0, 5.0], [1.0, 2.0, 3.0]
    ))  # fmt: skip
    assert one.twin is other.twin is one.twin.twin
    assert one.twin is not longer.twin
    programs = [Objective(density=d, method="MLE").derivatives_in for d in (one, other)]
    assert programs[0] is programs[1]
    # the mean, of each
    assert wb.fit_mle(one).params["m"] == pytest.approx(1.5, abs=1e-12)
    assert wb.fit_mle(other).params["m"] == pytest.approx(4.0, abs=1e-12)


@pytest.mark.parametrize("name", ["derivatives_in", "twin"])
def test_two_posterior_modes_share_their_programs(name: str) -> None:
    density = read_density(scaled, {"y": [1.0, 2.0]})
    mle, mode, laplace = (Objective(density=density, method=m) for m in ("MLE", "MAP", "Laplace"))
    assert getattr(mode, name) is getattr(laplace, name)
    assert getattr(mode, name) is not getattr(mle, name)


def test_programs_that_are_shared_tell_two_posteriors_apart() -> None:
    def rate(y: Any = None) -> None:
        numpyro.sample("y", dist.Poisson(numpyro.sample("r", dist.Gamma(3.0, 2.0))), obs=y)

    # Gamma(a, b) and the sum s of n counts: mode (a + s - 1) / (b + n), or (a + s) / (b + n) of
    # its logarithm (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6)
    density = read_density(rate, {"y": np.array([4, 1, 2])})
    for method, fit, truth in (("MAP", wb.fit_map, 9 / 5), ("Laplace", wb.fit_laplace, 10 / 5)):
        found = fit(density)
        assert found.params["r"] == pytest.approx(truth, abs=1e-8)
        objective = Objective(density=density, method=method)
        assert float(objective(jnp.asarray(found.z))) == pytest.approx(found.log_objective)


def test_a_variable_that_a_function_reads_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = wb.fit_mle(scaled, {"y": [1.0, 3.0]})
    monkeypatch.setitem(globals(), "UNIT", 4.0)
    assert first.params["m"] == pytest.approx(2.0, abs=1e-12)
    assert wb.fit_mle(scaled, {"y": [1.0, 3.0]}).params["m"] == pytest.approx(0.5, abs=1e-12)


def test_a_variable_that_estimands_read_is_part_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_units(values: Any, inputs: Any) -> dict[str, Any]:
        return {"t": UNIT * values["m"]}

    model = wb.Model(name="levelled", fn=levelled, observed=("y",), estimands=in_units)
    data = {"y": [1.0, 3.0]}
    assert wb.fit_mle(model, data).params["t"] == pytest.approx(2.0, abs=1e-12)
    monkeypatch.setitem(globals(), "UNIT", 4.0)
    assert wb.fit_mle(model, data).params["t"] == pytest.approx(8.0, abs=1e-12)


def test_data_that_are_compiled_in_are_part_of_the_program() -> None:
    y = np.array([1.0, 3.0, 5.0])
    for g, truth in (([0, 0, 1], [2.0, 5.0]), ([0, 1, 1], [1.0, 4.0])):
        fit = wb.fit_mle(levels, {"g": np.array(g), "y": y}, num_starts=1)
        assert fit.params.tolist() == pytest.approx(truth, abs=1e-12)


def test_a_float_is_data_unless_the_function_decides_on_it() -> None:
    def free(s, y=None):
        m = numpyro.sample("m", dist.Normal(0, s))
        numpyro.sample("y", dist.Normal(m, s), obs=y)

    def deciding(s, y=None):
        free(s if s > 1.0 else 1.0, y)

    y = np.array([1.0, 2.0])
    assert read_density(free, {"s": 2.0, "y": y}).arrays.keys() == {"s", "y"}
    assert read_density(deciding, {"s": 2.0, "y": y}).arrays.keys() == {"y"}


def sites(scale_of: str = "own", family: str = "normal") -> Any:
    """A regression of one family, its scale a coordinate of its own or one with the means."""

    def model(x, y=None):
        b = numpyro.sample("b", dist.Normal(0, 1).expand([x.shape[1]]))
        eta = x @ b
        s = numpyro.sample("s", dist.HalfNormal(1)) if family in ("normal", "student") else 1.0
        numpyro.sample("y", {
            "normal": lambda: dist.Normal(eta, s if scale_of == "own" else jnp.exp(eta)),
            "student": lambda: dist.StudentT(4.0, eta, s),
            "logit": lambda: dist.Bernoulli(logits=eta),
            "squared": lambda: dist.Bernoulli(logits=eta**2),
            "poisson": lambda: dist.Poisson(3.0 * jnp.exp(eta)),
            "sum": lambda: dist.Poisson(jnp.exp(eta) + jnp.exp(-eta)),
            "choices": lambda: dist.Categorical(logits=eta[:, None] * jnp.arange(3.0)),
        }[family](), obs=y)  # fmt: skip

    return model


@pytest.mark.parametrize(
    ("model", "known"),
    [
        (sites(), True),
        (sites(scale_of="means"), False),  # sd exp(eta): several maxima are possible
        (sites(family="student"), False),  # famously several
        (sites(family="logit"), True),
        (sites(family="squared"), False),  # the sign of b is free
        (sites(family="poisson"), True),
        (sites(family="sum"), False),
        (sites(family="choices"), True),
    ],
)
def test_which_likelihoods_are_known_to_have_one_maximum(model: Any, known: bool) -> None:
    data = {"x": np.ones((4, 2)), "y": np.array([0, 1, 1, 0])}
    assert has_one_maximum(read_density(model, data)) is known


@pytest.mark.parametrize(
    ("prior", "family", "known"),
    [
        (dist.Normal(0, 1), "logit", True),
        (dist.Laplace(0, 1), "poisson", True),
        (dist.Normal(0, 1), "normal", True),
        (dist.Cauchy(0, 1), "logit", False),  # a far prior and the data can each have a mode
        (dist.HalfNormal(1), "logit", False),  # a transform bends the predictor
        (dist.Normal(0, 1), "student", False),
    ],
)
def test_which_posteriors_are_known_to_be_concave(prior: Any, family: str, known: bool) -> None:
    def model(y=None):
        b = numpyro.sample("b", prior)
        numpyro.sample("y", {
            "logit": lambda: dist.Bernoulli(logits=b),
            "poisson": lambda: dist.Poisson(jnp.exp(b)),
            "normal": lambda: dist.Normal(b, 2.0),
            "student": lambda: dist.StudentT(4.0, b, 2.0),
        }[family](), obs=y)  # fmt: skip

    density = read_density(model, {"y": np.array([0, 1, 1, 0])})
    assert has_concave_posterior(density) is known


def test_a_scale_or_a_hierarchy_keeps_a_posterior_from_being_known() -> None:
    def hierarchy(y=None):
        m = numpyro.sample("m", dist.Normal(0, 1))
        b = numpyro.sample("b", dist.Normal(m, jnp.exp(m)))
        numpyro.sample("y", dist.Bernoulli(logits=b), obs=y)

    data = {"x": np.ones((4, 2)), "y": np.array([0, 1, 1, 0])}
    assert not has_concave_posterior(read_density(sites(), data))
    assert not has_concave_posterior(read_density(hierarchy, {"y": data["y"]}))


def test_forms_of_programs() -> None:
    def program(z, x):
        return {
            "affine": 2.0 - (x @ z)[:2] / 3.0 + jnp.where(x[:2, 0] > 0, z[0], 1.0),
            "exponential": 2.0 * jnp.exp(z[:1]),
            "constant": jnp.exp(x),
            "product": z[0] * z[1],
            "quotient": 1.0 / z,
            "sum of exponentials": jnp.sum(jnp.exp(z)),
        }

    found = forms(program, jnp.ones(2), jnp.ones((3, 2)))
    assert found == {
        "affine": Form.AFFINE,
        "exponential": Form.EXPONENTIAL,
        "constant": Form.CONSTANT,
        "product": Form.QUADRATIC,
        "quotient": Form.OTHER,
        "sum of exponentials": Form.OTHER,
    }


def of_estimands(estimands: Any) -> list[Any]:
    """Densities of one model at two data sets of one shape, the second with a number beside."""
    model = wb.Model(name="levelled", fn=levelled, observed=("y",), estimands=estimands)
    return [
        read_density(model, wb.Dataset.from_arrays(inputs={"unit": unit}, observed={"y": y}))
        for unit, y in ((2.0, [1.0, 3.0]), (4.0, [2.0, 6.0]))
    ]


def test_data_beside_the_arguments_count_only_where_estimands_read_them() -> None:
    one, other = of_estimands(lambda values, inputs: {"t": 2.0 * values["m"]})
    assert one.twin is other.twin
    fits = [
        wb.fit_mle(density)
        for density in of_estimands(lambda values, inputs: {"t": inputs["unit"] * values["m"]})
    ]
    assert [f.params["t"] for f in fits] == pytest.approx([4.0, 16.0], abs=1e-12)
    # a number that is left out where it is missing is read all the same
    fits = [
        wb.fit_mle(density)
        for density in of_estimands(
            lambda values, inputs: {"t": inputs.get("unit", 1.0) * values["m"]}
        )
    ]
    assert [f.params["t"] for f in fits] == pytest.approx([4.0, 16.0], abs=1e-12)


def test_estimands_that_are_called_by_values_of_the_data_get_them() -> None:
    one, other = of_estimands(lambda values, inputs: {f"at {inputs['y'].max():.0f}": values["m"]})
    assert one.arguments.static
    assert one.twin is not other.twin
    assert list(wb.fit_mle(one).params.index) == ["at 3"]
    assert list(wb.fit_mle(other).params.index) == ["at 6"]


def test_options_of_the_compiler_are_known_to_it_and_change_no_value() -> None:
    x = jnp.linspace(-3, 3, 1001)
    program = jax.jit(lambda x: jnp.log1p(jnp.exp(x)).sum()).lower(x)
    plain = float(program.compile()(x))
    for options in (WIDE, WHOLE_LOOPS, lean_options()):
        assert float(program.compile(options)(x)) == pytest.approx(plain, rel=1e-13)
