"""NUTS on networks of one covariate: its chains agree about the function, and longer ones too."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from models.mlp_regression import mlp_regression
from tests.benchmarks import network_sampling
from workbench import az
from workbench.network import fit_network_nuts, read_network

ROWS = slice(0, 100, 9)
EXAMPLES = {
    "nile": (mlp_regression(hidden=(4,)), lambda: wb.load_dataset("nile")),
    "engel": (mlp_regression(hidden=(5,), prior_scale=1.0), lambda: wb.load_dataset("engel")),
    "sine": (mlp_regression(hidden=(16,)), network_sampling.data),
}


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("name", EXAMPLES)
def test_chains_agree_about_the_function(name):
    model, data = EXAMPLES[name]
    table = fit_network_nuts(model, data()).mixing.table.filter(like="function", axis=0)
    assert (table["r_hat"] < 1.01).all()
    assert (table[["ess_bulk", "ess_tail"]] > 400).all(axis=None)


def location(network, draws, shape):
    """Mean and mean square of the location at some rows, with Monte Carlo errors."""
    some = {k: v[ROWS] for k, v in network.rows.items()}
    flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in draws.items()}
    outputs = network.outputs_of_draws(flat, some)[..., 0]
    values = np.concatenate([outputs, outputs**2], axis=1).reshape(*shape, -1)
    tree = az.from_dict({"posterior": {"f": values}})["posterior"].to_dataset()
    return values.mean(axis=(0, 1)), az.mcse(tree, method="mean")["f"].to_numpy()


@pytest.mark.slow
@pytest.mark.reference
def test_function_agrees_with_ten_times_the_draws_and_with_the_plain_path():
    model, data = mlp_regression(hidden=(4,)), wb.load_dataset("nile")
    network = read_network(model, data)

    def collapsed(num, seed):
        fit = fit_network_nuts(network, num_samples=num, seed=seed)
        assert fit.mixing.table.loc["function at the data", "r_hat"] < 1.01
        assert fit.mixing.table.loc["function at the data", "ess_bulk"] > 400
        return location(network, fit.draws, fit.log_density.shape)

    # every weight by NUTS, none integrated out, metric learnt
    plain = wb.fit_nuts(model, data, num_samples=10_000, seed=2)
    samples = {x.name: plain.samples[x.name] for x in network.density.latents}
    others = [collapsed(10_000, 1), location(network, samples, samples["sigma"].shape)]
    short = collapsed(1000, 0)
    for other in others:
        z = (short[0] - other[0]) / np.hypot(short[1], other[1])
        # largest of 24 correlated normal figures: beyond 4 with a probability below 0.0015
        assert np.abs(z).max() < 4
