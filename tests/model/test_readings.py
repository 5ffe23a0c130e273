"""A model is read anew exactly where its function or its data have changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist

from workbench.model import Model, read_density

around = {"scale": 1.0, "name": "mu"}


def normal(y: Any = None, label: str = "a") -> None:
    mu = numpyro.sample(around["name"], dist.Normal(0.0, around["scale"]))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def test_equal_data_are_read_once() -> None:
    first = read_density(normal, {"y": [1.0, 3.0]})
    assert read_density(normal, {"y": [1.0, 3.0]}) is first
    assert read_density(normal, {"y": [1.0, 2.0]}) is not first
    assert read_density(normal, {"y": [1.0, 3.0], "label": "b"}) is not first
    assert read_density(normal, {"y": np.array([1, 2])}) is not first


def test_values_changed_in_place_are_read_anew() -> None:
    y = np.array([1.0, 2.0])
    first = read_density(normal, {"y": y})
    y[0] = 5.0
    again = read_density(normal, {"y": y})
    assert again.data.inputs["y"].tolist() == [5.0, 2.0]
    assert first.data.inputs["y"].tolist() == [1.0, 2.0]


def test_what_a_function_reads_around_it_counts(monkeypatch: Any) -> None:
    at = np.array([1.0])
    narrow = float(read_density(normal, {"y": [1.0]}).log_density(at))
    monkeypatch.setitem(around, "scale", 2.0)
    wide = float(read_density(normal, {"y": [1.0]}).log_density(at))
    # log N(1; 0, 2) - log N(1; 0, 1) = 3/8 - log 2
    np.testing.assert_allclose(wide - narrow, 3 / 8 - np.log(2), rtol=1e-12)
    monkeypatch.setitem(around, "name", "theta")
    renamed = read_density(normal, {"y": [1.0]})
    assert renamed.names("parameter") == ("theta",)


def test_declared_effects_are_those_of_the_model_given() -> None:
    plain = read_density(normal, {"y": [1.0]})
    declared = read_density(Model(name="m", fn=normal, random_effects=("mu",)), {"y": [1.0]})
    assert plain.names("random effect") == ()
    assert declared.names("random effect") == ("mu",)
