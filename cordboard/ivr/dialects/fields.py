"""Vendor JSON taken apart: the fields that we read, and the rest, kept as it is for the way back.

A field that we know but whose value we cannot read (`"max_visits": "three"`, `"name": null`) belongs to the rest, under
its own name, and so goes back as it came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

from cordboard.findings import Finding, Severity
from cordboard.ivr.model import Place, Transition, TransitionType, assignment_faults

Placer = Callable[[str], Place]
Fits = Mapping[str, Callable[[Any], bool]]
TYPES: tuple[str, ...] = get_args(TransitionType)


def is_text(value: Any) -> bool:
    """Whether a value is text that says something."""
    return isinstance(value, str) and value != ""


def is_count(value: Any) -> bool:
    """Whether a value is a whole number from 1; a truth value is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_version(value: Any) -> bool:
    """Whether a value is a version number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_assignment(value: Any) -> bool:
    """Whether a value is an object of variables with plain values, and not empty."""
    return isinstance(value, dict) and value != {} and not any(assignment_faults(value))


#: Of a node, beside its id; both vendors.
NODE_FIELDS: Fits = {
    "type": is_text,
    "name": is_text,
    "prompt": is_text,
    "max_visits": is_count,
    "set": is_assignment,
}


def split(value: Mapping[str, Any], known: Fits) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that are known and fit, and the rest."""
    fitting: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, item in value.items():
        fits = known.get(name)
        (fitting if fits is not None and fits(item) else rest)[name] = item
    return fitting, rest


def with_rest(
    body: dict[str, Any], rest: Mapping[str, Any], known: Fits, stands: Callable[[str], bool]
) -> dict[str, Any]:
    """A body with what was kept for the way back.

    Args:
        body: what the model says.
        rest: what was kept.
        known: the fields that the model has a say in.
        stands: whether the model still says what it said when the value of such a field was kept; else it was edited
            since, and what was kept is out of date.
    """
    return body | {name: value for name, value in rest.items() if name not in known or stands(name)}


def leads_by_default(condition: str) -> bool:
    """Whether a condition is one of the two words for "where nothing else fits"."""
    return condition.strip() in {"default", "else"}


def stated(part: Any, names: Iterable[str]) -> dict[str, Any]:
    """Those of the fields that say something."""
    found = {name: getattr(part, name) for name in names}
    return {name: value for name, value in found.items() if value not in ("", None, {})}


def by_source(transitions: Iterable[Transition]) -> dict[str, list[Transition]]:
    """The ways out of each node, in order."""
    found: defaultdict[str, list[Transition]] = defaultdict(list)
    for transition in transitions:
        found[transition.source].append(transition)
    return dict(found)


def need_text(value: Mapping[str, Any], names: Iterable[str], path: str) -> Iterator[Finding]:
    """A finding for each field that must be text and is not."""
    for name in names:
        if not is_text(value.get(name)):
            message = "must be text, and not empty" if name in value else "is required"
            yield fault(message, f"{path}.{name}" if path else name)


def fault(message: str, path: str) -> Finding:
    """A finding that says that something is no call flow."""
    return Finding("ivr/shape", message, path)


def oddity(message: str, path: str) -> Finding:
    """A finding about something that can be kept but not understood."""
    return Finding("ivr/vendor-field", message, path, severity=Severity.WARNING)


def refuse(findings: Iterable[Finding], what: str) -> None:
    """Raises where something is no call flow.

    Raises:
        ValueError: one of the findings is an error.
    """
    faults = [f"{finding.path}: {finding.message}" for finding in findings if finding.severity is Severity.ERROR]
    if faults:
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise ValueError(f"this is no {what}: {'; '.join(faults[:5])}{more}")
