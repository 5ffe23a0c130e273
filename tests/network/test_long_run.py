"""The predictive distribution of NUTS does not change when its chains are ten times as long."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from models.mlp_regression import mlp_regression
from workbench import az
from workbench.network import fit_network_nuts, read_network

ROWS = slice(0, 100, 9)


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
