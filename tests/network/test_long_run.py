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


@pytest.mark.slow
@pytest.mark.reference
def test_predictive_agrees_with_a_run_of_ten_times_the_draws():
    network = read_network(mlp_regression(hidden=(4,)), wb.load_dataset("nile"))
    some = {k: v[ROWS] for k, v in network.rows.items()}

    def location(num, seed):
        """Mean and mean square of the location at some rows, with Monte Carlo errors."""
        fit = fit_network_nuts(network, num_warmup=1000, num_samples=num, seed=seed)
        assert fit.mixing.table.loc["function at the data", "r_hat"] < 1.01
        assert fit.mixing.table.loc["function at the data", "ess_bulk"] > 400
        flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in fit.draws.items()}
        outputs = network.outputs_of_draws(flat, some)
        values = np.concatenate([outputs[..., 0], outputs[:, :, 0] ** 2], axis=1)
        chains = values.reshape(*fit.log_density.shape, -1)
        tree = az.from_dict({"posterior": {"f": chains}})["posterior"].to_dataset()
        return values.mean(axis=0), az.mcse(tree, method="mean")["f"].to_numpy()

    short, long = location(1000, 0), location(10_000, 1)
    z = (short[0] - long[0]) / np.hypot(short[1], long[1])
    # largest of 24 correlated normal figures: beyond 4 with a probability below 0.0015
    assert np.abs(z).max() < 4
