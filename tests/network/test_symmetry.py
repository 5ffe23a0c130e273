"""Symmetries of networks: found by trying, undone by alignment, and unseen by the function."""

from __future__ import annotations

from math import factorial

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import workbench as wb
from models.mlp_classifier import mlp_classifier
from models.mlp_regression import mlp_regression
from workbench.errors import ModelError
from workbench.network import Symmetry, align, find_symmetry, read_network
from workbench.network.mixing import FORMS, mixing_of_draws
from workbench.network.symmetry import rearranged

NILE = wb.load_dataset("nile").take(range(0, 100, 8))


@pytest.fixture(scope="module")
def network():
    return read_network(mlp_regression(hidden=(3,)), NILE)


def weight_draws(rng, hidden, num, inputs=1, outputs=1):
    widths = (inputs, *hidden, outputs)
    out = {}
    for layer, (a, b) in enumerate(zip(widths[:-1], widths[1:], strict=True), start=1):
        out |= {f"W{layer}": rng.normal(size=(num, a, b)), f"b{layer}": rng.normal(size=(num, b))}
    return out


def jittered(rng, hidden, num, size=0.05):
    """Draws about one point, each then carried to a random copy of itself."""
    group = Symmetry(hidden=hidden, permutations=(True,) * len(hidden), signs=(True,) * len(hidden))
    centre = {k: v[0] for k, v in weight_draws(rng, hidden, 1, 2, 2).items()}
    draws = [
        {k: v + size * rng.normal(size=v.shape) for k, v in centre.items()} for _ in range(num)
    ]
    copies = [group.random(d, rng) for d in draws]
    stack = [{k: np.stack([d[k] for d in ds]) for k in centre} for ds in (draws, copies)]
    return group, *stack


@pytest.mark.parametrize(
    ("activation", "sign"),
    [("tanh", True), ("relu", False), ("sigmoid", False)],
)
def test_signs_are_free_where_the_activation_is_odd(activation, sign):
    found = find_symmetry(read_network(mlp_regression(hidden=(3,), activation=activation), NILE))
    assert found.permutations == (True,)
    assert found.signs == (sign,)
    assert found.order == factorial(3) * (2**3 if sign else 1)


def test_every_hidden_layer_of_a_classifier_has_its_symmetry():
    network = read_network(mlp_classifier(hidden=(3, 2)), wb.load_dataset("iris"))
    assert network.widths == (4, 3, 2, 2)
    assert find_symmetry(network).order == factorial(3) * 2**3 * factorial(2) * 2**2


def test_a_prior_that_tells_units_apart_leaves_no_exchange():
    def ordered(x, y=None):
        scale = jnp.array([1.0, 2.0, 3.0])
        W1 = numpyro.sample("W1", dist.Normal(0, scale).expand([1, 3]).to_event(2))
        b1 = numpyro.sample("b1", dist.Normal(0, 1).expand([3]).to_event(1))
        W2 = numpyro.sample("W2", dist.Normal(0, 1).expand([3, 1]).to_event(2))
        b2 = numpyro.sample("b2", dist.Normal(0, 1).expand([1]).to_event(1))
        with numpyro.plate("obs", x.shape[0]):
            f = jnp.tanh(x @ W1 + b1) @ W2 + b2
            numpyro.sample("y", dist.Normal(f[:, 0], 0.5), obs=y)

    data = wb.Dataset.from_arrays(inputs={"x": np.ones((4, 1))}, observed={"y": np.arange(4.0)})
    found = find_symmetry(read_network(ordered, data))
    assert (found.permutations, found.signs, found.order) == ((False,), (True,), 2**3)


def test_rearranged_weights_are_the_same_network(network, rng):
    draws = weight_draws(rng, (3,), 6)
    turned = rearranged(draws, 0, np.array([2, 0, 1]), np.array([1.0, -1.0, -1.0]))
    sigma = {"sigma": np.ones(6)}
    here, there = (network.outputs_of_draws({**d, **sigma}, network.rows) for d in (draws, turned))
    assert here.shape == (6, len(NILE.observed["y"]), 2)
    # sums over units run in another order
    np.testing.assert_allclose(there, here, rtol=1e-12)


@pytest.mark.parametrize("hidden", [(5,), (4, 3)], ids=["one layer", "two layers"])
def test_alignment_undoes_every_rearrangement(hidden, rng):
    group, draws, copies = jittered(rng, hidden, 40)
    here, there = align(group, draws), align(group, copies)
    for name in draws:
        # draws near one point come back to one place: spread of the jitter, not of the copies
        assert there[name].std(axis=0).max() < 0.1
        # up to one element of the group for all, which sorting does not see
        np.testing.assert_allclose(
            np.sort(np.abs(here[name]).sum(axis=0).ravel()),
            np.sort(np.abs(there[name]).sum(axis=0).ravel()),
            rtol=1e-12,
        )


def test_alignment_does_not_depend_on_where_the_draws_were(rng):
    """The reference is made canonical: copies of the same draws align to the same array."""
    group = Symmetry(hidden=(5,), permutations=(True,), signs=(True,))
    draws = weight_draws(rng, (5,), 30)
    turned = rearranged(draws, 0, np.array([4, 2, 0, 1, 3]), np.array([1.0, -1, 1, -1, -1]))
    for a, b in zip(align(group, draws).values(), align(group, turned).values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_permuting_a_chain_is_seen_by_the_weights_alone(network, rng):
    """The law of the three forms."""
    group = find_symmetry(network)
    centre = {k: v[0] for k, v in weight_draws(rng, (3,), 1).items()}
    shape = (2, 200)
    draws = {k: v + 0.1 * rng.normal(size=(*shape, *v.shape)) for k, v in centre.items()}
    draws["sigma"] = 100 + rng.normal(size=shape)
    lp = rng.normal(size=shape)
    turned = {k: v.copy() for k, v in draws.items()}
    second = rearranged(
        {k: draws[k][1] for k in centre}, 0, np.array([1, 2, 0]), np.array([1.0, -1.0, 1.0])
    )
    for k, v in second.items():
        turned[k][1] = v
    here, there = (mixing_of_draws(network, d, lp) for d in (draws, turned))
    assert here.symmetry == group
    assert here.table.loc["weights", "r_hat"] < 1.05
    # ranks of two chains that do not overlap: the largest R-hat there is with two is 1.8
    assert there.table.loc["weights", "r_hat"] > 1.5
    for form in FORMS[1:]:
        # aligned weights are the same arrays; functions differ by the order of a sum, which may
        # exchange the ranks of two draws
        columns = ["r_hat", "ess_bulk", "ess_tail"]
        rows = [m.terms.loc[m.terms["form"] == form, columns].to_numpy() for m in (here, there)]
        np.testing.assert_allclose(rows[0], rows[1], rtol=1e-3)
    assert there.num_modes == here.num_modes == 1


def test_chains_in_different_functions_are_in_different_modes(network, rng):
    centres = [{k: v[0] for k, v in weight_draws(rng, (3,), 1).items()} for _ in range(2)]
    draws = {
        k: np.stack([c[k] + 0.05 * rng.normal(size=(100, *c[k].shape)) for c in
                     (centres[0], centres[1], centres[0])])
        for k in centres[0]
    }  # fmt: skip
    draws["sigma"] = 100 + rng.normal(size=(3, 100))
    made = mixing_of_draws(network, draws, rng.normal(size=(3, 100)))
    assert made.num_modes == 2
    assert made.mode_of_chain.tolist() == [0, 1, 0]
    assert made.table.loc["function at the data", "r_hat"] > 1.1


def test_what_is_no_network_is_refused_in_a_sentence():
    from models.linear import MODEL

    with pytest.raises(ModelError, match="'linear' is no network: expected sites W1, b1"):
        read_network(MODEL, wb.load_dataset("kidiq"))

    def closed():
        numpyro.sample("W1", dist.Normal(0, 1).expand([2, 1]).to_event(2))
        b1 = numpyro.sample("b1", dist.Normal(0, 1).expand([1]).to_event(1))
        numpyro.sample("y", dist.Normal(b1[0], 1), obs=jnp.ones(3))

    with pytest.raises(ModelError, match="'closed' expects its observations as an argument"):
        read_network(closed)

    def torn(y=None):
        numpyro.sample("W1", dist.Normal(0, 1).expand([2, 3]).to_event(2))
        numpyro.sample("b1", dist.Normal(0, 1).expand([2]).to_event(1))
        numpyro.sample("y", dist.Normal(0, 1), obs=y)

    with pytest.raises(ModelError, match=r"layer 1 .*got \(2, 3\) and \(2,"):
        read_network(torn, {"y": [1.0]})
