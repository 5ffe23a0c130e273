"""A small comparison whose names must be escaped, and one without an MLE."""

from __future__ import annotations

import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest

from models.linear import MODEL as LINEAR
from workbench.comparison import Comparison, compare
from workbench.data import Card, Column, Dataset

DRAWS = {"num_warmup": 100, "num_samples": 100, "num_chains": 2}
CARD = Card(
    name="trees", title="Trees & <b>heights</b>", origin="made up", licence="none",
    citation="nobody (2024)", rows=40, question='Is "tall" < old?', formula="height ~ age",
    columns={"age": Column(description="age <script>alert(1)</script>", unit="year"),
             "height": Column(description="height", unit="m")},
)  # fmt: skip


@pytest.fixture(scope="session")
def trees() -> Comparison:
    rng = np.random.default_rng(5)
    age = rng.uniform(1, 10, 40)
    frame = pd.DataFrame({"height": 3 + 2 * age + rng.normal(0, 1, 40), "age": age})
    frame["kind"] = ["<i>oak</i>", "elm & ash"] * 20
    data = Dataset.from_frame(frame, formula="height ~ age + kind", name="trees", card=CARD)
    train, test = data.split(0.75, seed=1)
    return compare(LINEAR, train, held_out=test, seed=3, **DRAWS)


def labs(error, y=None):
    """The same quantity by labs that err: ``y ~ Normal(mu, error)``."""
    tau = numpyro.sample("tau", dist.HalfNormal(1))
    mu = numpyro.sample("mu", dist.Normal(0, tau))
    numpyro.sample("y", dist.Normal(mu, error), obs=y)


@pytest.fixture(scope="session")
def no_mle() -> Comparison:
    data = {"error": np.array([1.0, 2.0, 1.0]), "y": np.array([1.5, 0.5, 2.0])}
    return compare(labs, data, seed=3, **DRAWS)
