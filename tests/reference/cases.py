"""Certified cases: what is known, and the data it is known of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = Path(__file__).parent


def load_case(group: str, name: str) -> dict[str, Any]:
    """The facts of one case: origin, licence, model, certified or reference values."""
    return json.loads((FOLDER / group / name / "case.json").read_text(encoding="utf-8"))


def load_frame(group: str, name: str) -> pd.DataFrame:
    """The table of one case; posteriordb's posteriors share tables by data set."""
    if group == "posteriordb":
        return pd.read_csv(FOLDER / group / "data" / load_case(group, name)["data"])
    if name.startswith("randhie"):
        # 20,190 rows that statsmodels carries already
        from statsmodels.datasets import randhie

        return randhie.load_pandas().data
    return pd.read_csv(FOLDER / group / name / "data.csv")


def names(group: str) -> list[str]:
    """The cases of a group."""
    return sorted(path.parent.name for path in (FOLDER / group).glob("*/case.json"))
