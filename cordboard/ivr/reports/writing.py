"""Writes the reports of a run into a folder, each format into a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cordboard.errors import BadCall
from cordboard.findings import did_you_mean, near
from cordboard.ivr.reports.cobertura import cobertura_parts
from cordboard.ivr.reports.document import json_parts
from cordboard.ivr.reports.junit import junit_parts
from cordboard.ivr.reports.lcov import lcov_parts
from cordboard.ivr.reports.markdown import markdown_parts
from cordboard.ivr.reports.names import file_name
from cordboard.ivr.reports.page import html_parts
from cordboard.ivr.reports.qa_yaml import yaml_parts
from cordboard.ivr.reports.report import Report
from cordboard.ivr.reports.storing import opened, put


@dataclass(frozen=True, slots=True)
class Format:
    """One form of a report.

    Attributes:
        ending: of its file's name.
        parts: makes the text, piece by piece, from the run and the paths of all reports of it.
        of_coverage: whether it tells of coverage alone, and so of nothing where nothing is known of the flow.
    """

    ending: str
    parts: Callable[[Report, Sequence[str]], Iterator[str]]
    of_coverage: bool = False


FORMATS: Mapping[str, Format] = {
    "html": Format(".html", lambda report, _: html_parts(report)),
    "markdown": Format(".md", lambda report, _: markdown_parts(report)),
    "yaml": Format(".yaml", lambda report, _: yaml_parts(report)),
    "json": Format(".json", json_parts),
    "junit": Format(".junit.xml", lambda report, _: junit_parts(report)),
    "cobertura": Format(".cobertura.xml", lambda report, _: cobertura_parts(report), of_coverage=True),
    "lcov": Format(".lcov", lambda report, _: lcov_parts(report), of_coverage=True),
}


def write_reports(report: Report, folder: Path, formats: Iterable[str] = tuple(FORMATS)) -> tuple[Path, ...]:
    """Writes reports that only their owner can read; each file is replaced as a whole or stays as it was.

    Args:
        report: the run.
        folder: where to; made where it is missing.
        formats: which; see `FORMATS`.

    Returns:
        The paths of what was written, in the order of the formats; no coverage where nothing is known of the flow.

    Raises:
        BadCall: there is no such format, or a file cannot be written.
    """
    asked = [_format(name) for name in dict.fromkeys(formats)]
    wanted = [each for each in asked if report.flow_known or not each.of_coverage]
    names = [file_name(report, each.ending) for each in wanted]
    paths = tuple(folder / name for name in names)
    with opened(folder) as descriptor:
        for each, name in zip(wanted, names, strict=True):
            put(descriptor, name, each.parts(report, tuple(map(str, paths))))
    return paths


def _format(name: str) -> Format:
    if name not in FORMATS:
        hint = did_you_mean(near(name, FORMATS)) or f"There are {', '.join(FORMATS)}."
        raise BadCall(f"there is no report format {name!r}. {hint}")
    return FORMATS[name]
