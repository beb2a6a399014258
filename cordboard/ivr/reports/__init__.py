"""What became of a suite, for everyone who asks: people, programs, build servers, coverage tools, pull requests."""

from cordboard.ivr.reports.cobertura import to_cobertura
from cordboard.ivr.reports.document import as_document, to_json
from cordboard.ivr.reports.junit import to_junit
from cordboard.ivr.reports.lcov import to_lcov
from cordboard.ivr.reports.markdown import to_markdown
from cordboard.ivr.reports.page import to_html
from cordboard.ivr.reports.qa_yaml import to_yaml
from cordboard.ivr.reports.report import Report, Share, Totals
from cordboard.ivr.reports.writing import FORMATS, write_reports

__all__ = [
    "FORMATS",
    "Report",
    "Share",
    "Totals",
    "as_document",
    "to_cobertura",
    "to_html",
    "to_json",
    "to_junit",
    "to_lcov",
    "to_markdown",
    "to_yaml",
    "write_reports",
]
