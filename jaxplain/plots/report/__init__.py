"""The report on a store: one self-contained page, and its figures as PNG files."""

from jaxplain.plots.report.content import ReportContent
from jaxplain.plots.report.page import render
from jaxplain.plots.report.reading import report_content
from jaxplain.plots.report.writing import write_report

__all__ = ["ReportContent", "render", "report_content", "write_report"]
