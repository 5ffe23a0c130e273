"""Small real comparisons that the pictures are drawn from."""

from __future__ import annotations

import importlib
from dataclasses import replace

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from workbench.comparison import Comparison, compare
from workbench.data import Dataset, load_dataset

SHORT = {"num_warmup": 150, "num_samples": 100, "num_chains": 2, "num_starts": 2}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def _on_builtin(model: str, data: str) -> Comparison:
    return compare(importlib.import_module(f"models.{model}").MODEL, load_dataset(data), **SHORT)


@pytest.fixture(scope="session")
def line() -> Comparison:
    """One covariate and its unit: the flow of the Nile."""
    return _on_builtin("linear", "nile")


@pytest.fixture(scope="session")
def choice() -> Comparison:
    """A yes or no with several covariates."""
    return _on_builtin("logistic", "spector")


@pytest.fixture(scope="session")
def schools() -> Comparison:
    """An MLE at the boundary: estimates without standard errors."""
    return _on_builtin("eight_schools", "eight_schools")


@pytest.fixture(scope="session")
def counts() -> Comparison:
    """Counts without covariates; the closed form of the MLE is the mean."""

    def model(y=None):
        rate = numpyro.sample("rate", dist.Gamma(1.0, 0.1))
        with numpyro.plate("obs", 40):
            numpyro.sample("y", dist.Poisson(rate), obs=y)

    y = np.random.default_rng(3).poisson(4.0, 40)
    return compare(model, {"y": y}, **SHORT)


@pytest.fixture(scope="session")
def categories() -> Comparison:
    """Three named categories."""

    def model(y=None):
        p = numpyro.sample("p", dist.Dirichlet(jnp.ones(3)))
        with numpyro.plate("obs", 30):
            numpyro.sample("y", dist.Categorical(p), obs=y)

    data = Dataset.from_arrays(
        "flowers",
        observed={"y": np.repeat([0, 1, 2], 10)},
        coords={"response_level": ["setosa", "versicolor", "virginica"]},
    )
    return compare(model, data, **SHORT)


def renamed(comparison: Comparison, names: dict[str, str]) -> Comparison:
    """The same numbers under other terms."""
    return replace(
        comparison,
        table=comparison.table.assign(term=comparison.table["term"].replace(names)),
        ledger=comparison.ledger.assign(term=comparison.ledger["term"].replace(names)),
    )


def many_terms(comparison: Comparison, term: str, number: int) -> Comparison:
    """One term's rows, repeated under ``number`` long names."""
    import pandas as pd

    names = [f"beta[a_rather_long_name_of_a_covariate_number_{i}]" for i in range(number)]

    def repeat(table):
        rows = table[table["term"] == term]
        return pd.concat([rows.assign(term=n) for n in names], ignore_index=True)

    return replace(comparison, table=repeat(comparison.table), ledger=repeat(comparison.ledger))
