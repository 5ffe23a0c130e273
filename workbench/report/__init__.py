"""The report: a comparison as one HTML page that needs nothing else."""

from workbench.report.page import render, write_report
from workbench.report.studies import StudySection, study_section

__all__ = ["StudySection", "render", "study_section", "write_report"]
