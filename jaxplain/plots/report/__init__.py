"""The report on a store: one self-contained page, and its figures as PNG files."""

from jaxplain.plots.report.content import ReportContent
from jaxplain.plots.report.page import render

__all__ = ["ReportContent", "render"]
