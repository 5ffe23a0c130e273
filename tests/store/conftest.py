"""Small comparisons to save: a formula with a factor, and labelled arrays without an MLE."""

from __future__ import annotations

import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest

from models.linear import MODEL as LINEAR
from workbench.comparison import Comparison, compare
from workbench.data import Dataset
from workbench.model import Model

DRAWS = {"num_warmup": 100, "num_samples": 100, "num_chains": 2}


def table_of_trees() -> pd.DataFrame:
    """Forty made-up trees of two kinds; a height is 3 + 2 age + noise."""
    rng = np.random.default_rng(5)
    age = rng.uniform(1, 10, 40)
    height = 3 + 2 * age + rng.normal(0, 1, 40)
    return pd.DataFrame({"height": height, "age": age, "kind": ["oak", "elm"] * 20})


@pytest.fixture(scope="session")
def trees() -> Comparison:
    data = Dataset.from_frame(table_of_trees(), formula="height ~ age + kind", name="trees")
    train, test = data.split(0.75, seed=1)
    return compare(LINEAR, train, held_out=test, seed=3, **DRAWS)


def labs(error, y=None):
    """The same quantity by several labs; the MLE is refused, since tau acts through mu only."""
    tau = numpyro.sample("tau", dist.HalfNormal(1))
    mu = numpyro.sample("mu", dist.Normal(0, tau))
    with numpyro.plate("lab", 3):
        numpyro.sample("y", dist.Normal(mu, error), obs=y)


LABS = Model(name="labs", fn=labs)


@pytest.fixture(scope="session")
def few() -> Comparison:
    data = Dataset.from_arrays(
        "three", inputs={"error": [1.0, 2.0, 1.0], "note": ("static", {"n": 3})},
        observed={"y": [1.5, 0.5, 2.0]}, coords={"lab": ["A", "B", "C"]},
        dims={"y": ("lab",), "error": ("lab",)}, units={"y": "mg"}, truth={"mu": np.ones(2)},
    )  # fmt: skip
    return compare(LABS, data, seed=3, **DRAWS)


@pytest.fixture(scope="session", params=["trees", "few"])
def comparison(request: pytest.FixtureRequest) -> Comparison:
    return request.getfixturevalue(request.param)


@pytest.fixture
def model(comparison: Comparison) -> Model:
    return {"linear": LINEAR, "labs": LABS}[comparison.model_name]
