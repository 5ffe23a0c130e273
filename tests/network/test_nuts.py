"""The sampler of networks: its trees follow from the step size, and its progress counts once."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from models.mlp_regression import mlp_regression
from workbench.errors import UsageError
from workbench.network import fit_network_nuts, read_network
from workbench.network.nuts import tree_depth

NETWORK = read_network(mlp_regression(hidden=(2,)), wb.load_dataset("stackloss"))


@pytest.mark.parametrize("step_size", [0.3, 0.05, 0.021, 0.004])
def test_trajectories_come_two_prior_sds_far_at_most(step_size):
    depth = tree_depth(step_size, 10)
    # 31 steps are the least bound
    assert depth == 5 or 1 < 2**depth * step_size <= 2
    assert tree_depth(step_size, 3) == 3


def test_trees_are_bounded_and_progress_counts_the_warmup_once():
    seen = []
    fit = fit_network_nuts(
        NETWORK, num_warmup=40, num_samples=10, num_chains=2, seed=0, progress=seen.append
    )
    settings = fit.provenance.settings
    assert 5 <= settings["most_doublings"] <= settings["max_tree_depth"]
    assert fit.statistics["n_steps"].max() < 2 ** settings["most_doublings"]
    assert {now.num_steps for now in seen} == {50}
    for chain in range(2):
        steps = [now.step for now in seen if now.chain == chain]
        assert steps == sorted(steps)
        assert steps[-1] == 50
    with pytest.raises(UsageError, match="max_tree_depth expects a positive number; got 0"):
        fit_network_nuts(NETWORK, max_tree_depth=0)


def test_one_seed_gives_the_same_draws():
    one, other = (
        fit_network_nuts(NETWORK, num_warmup=40, num_samples=10, num_chains=2, seed=3)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.draws["W1"], other.draws["W1"])
    np.testing.assert_array_equal(one.draws["W2"], other.draws["W2"])
