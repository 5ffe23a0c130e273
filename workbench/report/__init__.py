"""The report: a comparison as one HTML page that needs nothing else."""

from workbench.report.page import render, write_report

__all__ = ["render", "write_report"]
