"""What a check has to say: a rule, a severity, a place and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice
from typing import Any


class Severity(StrEnum):
    """How bad a finding is; only errors stop a run."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a document.

    Attributes:
        rule: stable id of the rule, such as `chain/cycle`.
        message: what is wrong, in one sentence.
        path: dotted path inside the document, such as `actions.enrich.inputs.id`.
        file: the file's path as the caller named it.
        line: 1-based line, or None where the place has no line of its own.
        hint: how to mend it.
        severity: error or warning.
        proof: ids of nodes on the way that proves it, in order; empty where no way is needed.
    """

    rule: str
    message: str
    path: str = ""
    file: str = ""
    line: int | None = None
    hint: str = ""
    severity: Severity = Severity.ERROR
    proof: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part)
        where = f"{place}: " if place else ""
        inside = f"{self.path}: " if self.path else ""
        way = f"\n    way: {' → '.join(_shortened(self.proof))}" if self.proof else ""
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{where}{self.severity} [{self.rule}] {inside}{self.message}{way}{hint}"

    def as_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self)


def _shortened(proof: tuple[str, ...]) -> tuple[str, ...]:
    """A way that a person can read and a terminal can show; the JSON form has all of it."""
    way = proof if len(proof) <= 20 else (*proof[:10], f"… {len(proof) - 20} more …", *proof[-10:])
    return tuple(name if name.isprintable() else repr(name) for name in way)


def errors_in(findings: list[Finding] | tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings that stop a run."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Known names that are spelled like this one, best first, at most three; only such as are safe to print."""
    candidates = [other for other in islice(known, 1000) if len(other) <= 64 and other.isprintable()]
    return tuple(get_close_matches(name[:64], candidates, n=3, cutoff=0.6))


def did_you_mean(names: tuple[str, ...]) -> str:
    """A hint that offers the near names; empty where there are none."""
    return f"Did you mean {' or '.join(names)}?" if names else ""
