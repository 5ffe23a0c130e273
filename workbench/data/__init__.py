"""What was observed: data sets with labels, tables from files, formulas, and built-in examples."""

from workbench.data.card import Card, Column
from workbench.data.catalogue import (
    list_datasets,
    list_splits,
    load_dataset,
    load_frame,
    load_splits,
)
from workbench.data.dataset import Dataset
from workbench.data.design import Design
from workbench.data.table import read_table

__all__ = [
    "Card",
    "Column",
    "Dataset",
    "Design",
    "list_datasets",
    "load_dataset",
    "load_frame",
    "list_splits",
    "load_splits",
    "read_table",
]
