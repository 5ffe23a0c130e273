"""Laws that every model of the zoo keeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density, potential_energy

from tests.model.zoo import CASES, Case
from workbench.model import Density, read_density

by_id: Callable[..., Any] = pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)


@cache
def density_of(case_id: str) -> Density:
    case = next(c for c in CASES if c.id == case_id)
    return read_density(case.make(1.0), case.data)


def point_of(density: Density) -> jax.Array:
    """A point where every density of the zoo is finite (a scale that may be negative is not)."""
    return jnp.asarray(0.1 + 0.2 * np.random.default_rng(1).uniform(size=density.size))


@cache
def at_point(case_id: str) -> dict[str, Any]:
    """Everything the laws look at, from one compiled program."""
    density = density_of(case_id)
    fn, kwargs = density.model.fn, density.arguments.join()

    def program(z: jax.Array) -> dict[str, Any]:
        found = density.evaluate(z)
        latent = {x.name: found.values[x.name] for x in density.latents}

        def log_joint_z(z: jax.Array) -> jax.Array:
            here = density.evaluate(z)
            terms = density.sum_by_role(here.log_probs)
            return terms.log_joint + sum(here.log_jacobian.values())

        seeded = handlers.seed(fn, 0)
        return {
            "terms": density.log_terms(z),
            "pointwise": density.pointwise_log_likelihood(z),
            "factors": [jnp.sum(found.log_probs[n]) for n in density.names("factor")],
            "log_joint_z": log_joint_z(z),
            "gradient": jax.grad(log_joint_z)(z),
            "numpyro": log_density(seeded, (), kwargs, latent)[0],
            "potential": potential_energy(seeded, (), kwargs, density.unflatten(z)),
            "values": found.values,
            "estimands": density.estimands(found.values),
        }

    return jax.tree_util.tree_map(np.asarray, jax.jit(program)(point_of(density)))


@by_id
def test_every_site_has_its_role(case: Case) -> None:
    found = {s.name: s.role for s in density_of(case.id).sites if s.role != "deterministic"}
    assert found == dict(case.roles)


@by_id
def test_coordinates_are_labelled_once(case: Case) -> None:
    density = density_of(case.id)
    labels = density.z_labels
    assert len(labels) == len(set(labels)) == density.size
    assert tuple(labels[: len(case.labels)]) == case.labels


@by_id
def test_the_split_sums_to_numpyros_log_density(case: Case) -> None:
    found = at_point(case.id)
    # the same sums in another order: rounding only
    np.testing.assert_allclose(found["terms"].log_joint, found["numpyro"], rtol=1e-10)


@by_id
def test_the_density_of_z_is_numpyros_potential(case: Case) -> None:
    found = at_point(case.id)
    if case.numpyro:
        np.testing.assert_allclose(found["log_joint_z"], -found["potential"], rtol=1e-10)
    else:
        # NumPyro leaves a param at its constrained value; here it has a coordinate like any other
        assert np.isfinite(found["log_joint_z"])


@by_id
def test_pointwise_terms_sum_to_the_log_likelihood(case: Case) -> None:
    found = at_point(case.id)
    pointwise = sum(np.sum(x) for x in found["pointwise"].values())
    total = pointwise + sum(found["factors"])
    np.testing.assert_allclose(total, found["terms"].log_likelihood, rtol=1e-12)


@by_id
def test_gradient_is_finite(case: Case) -> None:
    assert np.isfinite(at_point(case.id)["gradient"]).all()


@by_id
def test_every_estimand_has_a_label(case: Case) -> None:
    estimands = at_point(case.id)["estimands"]
    labels = density_of(case.id).estimand_labels({k: v.shape for k, v in estimands.items()})
    assert {k: len(v) for k, v in labels.items()} == {k: v.size for k, v in estimands.items()}
    flat = [t for names in labels.values() for t in names]
    assert len(flat) == len(set(flat))


@by_id
def test_values_have_the_shapes_of_their_sites(case: Case) -> None:
    density = density_of(case.id)
    for name, value in at_point(case.id)["values"].items():
        assert value.shape == density.site(name).shape
        assert len(density.site(name).dims) == value.ndim
        assert len(set(density.site(name).dims)) == value.ndim
