"""What the command does with call flows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cordboard.documents import Document
from cordboard.errors import BadCall, InvalidDocument, InvalidJson
from cordboard.findings import Finding, errors_in
from cordboard.ivr.model import Flow
from cordboard.ivr.reading import load_flow, read_flow
from cordboard.ivr.topology import RULES, check_flow
from cordboard.jsontext import parse_json

if TYPE_CHECKING:
    from cordboard.ivr.trace import Input


def examine(kind: str, document: Document) -> tuple[tuple[Finding, ...], str]:
    """The findings about a call flow or a suite of calls, and its size in words."""
    return _examine_suite(document) if kind == "ivr-suite" else _examine_flow(document)


def _examine_suite(document: Document) -> tuple[tuple[Finding, ...], str]:
    """Findings of its form, and then those for which no call of its flow could be made."""
    from cordboard.ivr.suite import read_suite  # noqa: PLC0415  only where there is one
    from cordboard.ivr.trace import compile_flow  # noqa: PLC0415

    suite, findings = read_suite(document)
    if suite is None:
        return findings, ""
    if suite.flow is not None:
        try:
            compile_flow(suite.flow)
        except InvalidDocument as error:
            findings = (*findings, *error.findings)
    count = len(suite.cases)
    return findings, f"suite {suite.name}, {count} call{'' if count == 1 else 's'}"


def _examine_flow(document: Document) -> tuple[tuple[Finding, ...], str]:
    """Findings of its form, and then of its topology."""
    flow, findings = read_flow(document)
    if flow is None:
        return findings, ""
    found = sorted((*findings, *_checked(flow)), key=lambda finding: finding.line or 0)
    nodes, ways = len(flow.nodes), len(flow.transitions)
    size = f"{nodes} node{'' if nodes == 1 else 's'} and {ways} connection{'' if ways == 1 else 's'}"
    return tuple(found), f"call flow {flow.id}, {size}"


def graph(document: Document, form: str) -> str:
    """The call flow as a picture, its findings marked; one with faults of topology is drawn too.

    Raises:
        InvalidDocument: the document is no call flow.
    """
    from cordboard.ivr.draw import to_dot, to_html, to_mermaid, to_svg  # noqa: PLC0415  not on the way of a check

    if isinstance(document.value, dict) and document.value.get("kind") == "ivr-suite":
        raise BadCall(f"{document.file} is a suite: draw the call flow that it names")
    flow, findings = read_flow(document)
    if flow is None or errors_in(findings):
        raise InvalidDocument(findings)
    forms = {"mermaid": to_mermaid, "dot": to_dot, "svg": to_svg, "html": to_html}
    return forms[form](flow, _checked(flow))


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a call flow or a suite."""
    from cordboard.ivr import shape  # noqa: PLC0415
    from cordboard.ivr.suite import shape as suite_shape  # noqa: PLC0415

    return suite_shape.json_schema() if kind == "ivr-suite" else shape.json_schema()


def titles() -> Mapping[str, str]:
    """What each rule is about, by its id."""
    return {name: rule.title for name, rule in RULES.items()}


def diff(before: Path, after: Path, as_document: bool) -> int:
    """Prints what changed between two flows: 0 nothing, 1 something.

    Raises:
        InvalidDocument: a file is no call flow.
    """
    from cordboard.ivr.diff import as_json, differences, in_words  # noqa: PLC0415

    found = differences(load_flow(before), load_flow(after))
    if as_document:
        print(json.dumps({"same": not found, "changes": as_json(found)}, ensure_ascii=False, indent=2))
    else:
        print(in_words(found), end="")
    return 1 if found else 0


def trace(file: Path, inputs: Sequence[str], variables: Sequence[str], as_document: bool) -> int:
    """Makes one call and prints its way: 0 where it came to its end or the caller hung up, else 1.

    Raises:
        InvalidDocument: the file is no call flow whose calls could be made.
        BadCall: an input is none.
    """
    from cordboard.ivr.trace import compile_flow, simulate, visible  # noqa: PLC0415

    made = simulate(compile_flow(load_flow(file)), [_input(text) for text in inputs], _variables(variables))
    if as_document:
        print(json.dumps(made.as_json(), ensure_ascii=False, indent=2))
    else:
        for entry in made.entries:
            heard = f"  ← {entry.input}" if entry.input else ""
            changed = f"  {json.dumps(dict(entry.after), ensure_ascii=False)}" if entry.changes else ""
            print(visible(f"{entry.timestamp_ms:>6} ms  {entry.node}{heard}{changed}"))
        print(visible(f"{made.end.kind}: {made.end.message}" if made.end.message else str(made.end.kind)))
        if made.unused:
            print(visible(f"not asked for: {', '.join(map(_written, made.unused))}"))
    return 0 if made.end.kind in {"completed", "hung_up"} else 1


def _input(text: str) -> Input:
    from cordboard.ivr.trace import HANGUP, NO_INPUT, NO_MATCH, digits, speech  # noqa: PLC0415

    words = {"no_input": NO_INPUT, "no_match": NO_MATCH, "hangup": HANGUP}
    return words.get(text) or (speech(text[4:]) if text.startswith("say:") else digits(text))


def _written(given: Input) -> str:
    """The opposite of `_input`."""
    return f"say:{given.text}" if given.kind == "speech" else given.text or given.kind


def _variables(pairs: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE`: a JSON literal where it is a number or a truth value, else text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise BadCall(f"--var takes NAME=VALUE, and not {pair!r}")
        try:
            value = parse_json(text)
        except InvalidJson:
            value = text
        found[name] = value if isinstance(value, bool | int | float) else text
    return found


def _checked(flow: Flow) -> tuple[Finding, ...]:
    return check_flow(flow, today=datetime.now(UTC).date())
