"""Findings for other programs: SARIF 2.1.0 for code scanning, and GitHub's annotations for a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cordboard import __version__
from cordboard.findings import Finding

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(findings: Iterable[Finding], titles: Mapping[str, str]) -> dict[str, Any]:
    """Findings as a SARIF log of one run.

    Args:
        findings: of any number of files.
        titles: what each rule is about, where it is known.
    """
    found = tuple(findings)
    rules = sorted({finding.rule for finding in found})
    driver = {
        "name": "cordboard",
        "version": __version__,
        "rules": [{"id": rule, "shortDescription": {"text": titles.get(rule, rule)}} for rule in rules],
    }
    results = [_result(finding, rules.index(finding.rule)) for finding in found]
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def to_annotations(findings: Iterable[Finding]) -> str:
    """Findings as workflow commands of GitHub Actions, one line each."""
    return "".join(f"{_annotation(finding)}\n" for finding in findings)


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    where: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.file.replace("\\", "/"))}}
    if finding.line:
        where["region"] = {"startLine": finding.line}
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule,
        "level": str(finding.severity),
        "message": {"text": _sentence(finding)},
        "locations": [{"physicalLocation": where, "logicalLocations": [{"fullyQualifiedName": finding.path}]}],
    }


def _sentence(finding: Finding) -> str:
    way = f"way: {' → '.join(finding.proof)}" if finding.proof else ""
    return "\n".join(filter(None, (finding.message, way, finding.hint)))


def _annotation(finding: Finding) -> str:
    place: Sequence[tuple[str, object]] = (("file", finding.file), ("line", finding.line), ("title", finding.rule))
    named = ",".join(f"{name}={_property(str(value))}" for name, value in place if value)
    return f"::{finding.severity} {named}::{_data(_sentence(finding))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
