"""Names of report files: whatever a suite is called, its reports lie side by side in one folder."""

from __future__ import annotations

import re
import unicodedata

from cordboard.ivr.reports.lines import file_of
from cordboard.ivr.reports.report import Report
from cordboard.jsontext import digest

_LONGEST = 40
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")


def file_name(report: Report, ending: str) -> str:
    """The name of a report's file, such as `hospital-main-3f1c0a2b9d4e.html`.

    The words are for people: small letters, digits and dashes only. What tells reports apart is the hash, of the names
    of suite, flow, the flow's file and engine; so the next run of the same suite replaces the reports of this one.
    """
    parts = (report.suite, report.flow.id, file_of(report.flow), report.engine)
    known = digest([ascii(part) for part in parts])[:12]
    return f"{_words(report.suite)}-{known}{ending}"


def _words(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name[: 4 * _LONGEST]).encode("ascii", "ignore").decode("ascii")
    return _NOT_PLAIN.sub("-", plain.lower()).strip("-")[:_LONGEST].rstrip("-") or "suite"
