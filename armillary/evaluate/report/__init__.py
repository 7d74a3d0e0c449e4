"""The report folder: table, plots, side-by-side video, and one page that shows all of it without a network."""

from armillary.evaluate.report.run_info import RunInfo
from armillary.evaluate.report.write import write_report

__all__ = ["RunInfo", "write_report"]
