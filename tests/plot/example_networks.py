"""A small comparison of methods of fitting a network, with numbers that are easy to follow."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.network import Contest, NormalMixture, Surface
from workbench.study import Methods
from workbench.study.network_predictions import Curve, Plane

X = np.linspace(0, 1, 4)
AXIS = np.linspace(-1.0, 1.0, 9)
BOWL = pd.DataFrame(AXIS[:, None] ** 2 + 0.5 * AXIS**2, index=AXIS, columns=AXIS)
SURFACE = Surface(
    eigenvalues=np.array([40.0, 2.0, 0.1, -0.2]),
    gauss_newton=np.array([39.0, 1.5, 0.01, 0.0]),
    plane=BOWL,
    flat=BOWL,
    line=pd.DataFrame(
        {"as found": [0.0, 2.0, 0.1], "units matched": [0.0, 0.2, 0.1]}, index=[0.0, 0.5, 1.0]
    ),
    num_rows=10,
)
MADE = {
    "NUTS": NormalMixture(loc=np.stack([X, X + 1]), scale=np.ones((2, 4))),
    "ensemble": NormalMixture(loc=X[None], scale=np.full((1, 4), 0.5)),
}


def plane_of(num_classes):
    """The first class's probability falls along x, the others share the rest."""
    first = np.linspace(0.05, 0.95, 30)[:, None] * np.ones(20)
    rest = np.stack([(1 - first) / (num_classes - 1)] * (num_classes - 1), axis=-1)
    return Plane(
        x=np.linspace(0.0, 3.0, 30),
        y=np.linspace(0.0, 2.0, 20),
        labels=("length (cm)", "width (cm)"),
        probabilities={"MAP": np.concatenate([first[..., None], rest], axis=-1)},
        observed=(np.arange(3.0), np.ones(3), np.array([0, 1, 1])),
        classes=("no", "yes", "perhaps")[:num_classes],
    )


def fitted_methods():
    """Two methods, a gap, three classes."""
    table = pd.DataFrame(
        {"log_score": [-1.0, -0.8], "apart": [0.0, 0.2], "paired_se": [0.0, 0.05],
         "gap_coverage_95": [0.5, 0.9], "seconds": [1.0, 90.0]},
        index=pd.Index(["NUTS", "ensemble"], name="method"),
    )  # fmt: skip
    curve = Curve(
        x=X, label="temperature (°C)", response="flow (10⁸ m³)", predictions=MADE, gap=(0.3, 0.7),
        observed=(X, X), prior=np.arange(9.0)[:, None] * np.ones(4),
    )  # fmt: skip
    return Methods(
        name="m-d", table=table, findings={}, surface=SURFACE, curve=curve, plane=plane_of(3),
        contest=Contest(answers={}, by_split=pd.DataFrame(
            {"split": [0, 0, 1, 1], "method": ["NUTS", "ensemble"] * 2,
             "log_score": [-1.1, -0.95, -0.9, -0.65]})),
        reliability={"MAP": pd.DataFrame(
            {"confidence": [0.6], "accuracy": [0.5], "num_rows": [10]})},
    )  # fmt: skip
