"""`cordboard prove`, `cover` and `diff --behaviour`: what is true of every call, all ways, what callers notice."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from cordboard.documents import Document, read_document
from cordboard.errors import BadCall, InvalidDocument
from cordboard.findings import Finding
from cordboard.ivr.model import Transition
from cordboard.ivr.paths.behaviour import behaviour_changes
from cordboard.ivr.paths.covering import Generated, generate
from cordboard.ivr.paths.properties import EveryCallEnds, json_schema
from cordboard.ivr.paths.proving import Verdict, prove, unknown_names
from cordboard.ivr.paths.reading import Claims, load_claims, read_claims
from cordboard.ivr.paths.telling import written
from cordboard.ivr.reading import load_flow
from cordboard.ivr.suite import Case, load_suite
from cordboard.ivr.trace import compile_flow


def examine(_kind: str, document: Document) -> tuple[tuple[Finding, ...], str]:
    """The findings about a file of properties, and its size in words."""
    claims, findings = read_claims(document)
    if claims is None:
        return findings, ""
    unknown = _unknown(claims)
    count = len(claims.properties)
    return (*findings, *unknown), f"{count} propert{'y' if count == 1 else 'ies'} of {claims.flow.id}"


def schema(_kind: str) -> dict[str, Any]:
    """The JSON Schema of a file of properties."""
    return json_schema()


def graph(document: Document, _form: str) -> str:
    """Nothing that could be drawn.

    Raises:
        BadCall: always.
    """
    raise BadCall(f"{document.file} holds properties: draw the call flow that it names")


def run_prove(file: Path) -> int:
    """Proves properties and prints the verdicts: 0 where all hold, else 1.

    Args:
        file: a file of properties, or a call flow: then every call must end.

    Raises:
        InvalidDocument: the file is neither.
    """
    document = read_document(file, "ivr-properties", "ivr-flow")
    if isinstance(document.value, dict) and document.value.get("kind") == "ivr-properties":
        claims = load_claims(file)
        if unknown := _unknown(claims):
            raise InvalidDocument(unknown)
        program = compile_flow(claims.flow)
        verdicts = prove(program, claims.properties, variables=claims.variables, outcomes=claims.outcomes)
    else:
        verdicts = prove(compile_flow(load_flow(file)), [EveryCallEnds(kind="every-call-ends")])
    for verdict in verdicts:
        _show(verdict)
    return 0 if all(verdict.status == "holds" for verdict in verdicts) else 1


def run_cover(file: Path, suite: Path | None, pairs: bool) -> int:
    """Prints cases that take what no case takes yet, as YAML; what cannot be taken goes to standard error.

    Raises:
        InvalidDocument: a file has faults.
    """
    flow = load_flow(file)
    existing: Sequence[Case] = load_suite(suite, flow).cases if suite else ()
    made = generate(compile_flow(flow), existing, pairs)
    cases = [written(case) for case in made.cases]
    whole: Any = (
        cases if suite else {"kind": "ivr-suite", "name": flow.name or flow.id, "flow": file.name, "cases": cases}
    )
    if cases:
        print(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=110), end="")
    _tell(made, "pairs of connections" if pairs else "connections")
    return 1 if made.undecided else 0


def _tell(made: Generated, what: str) -> None:
    more = f"{len(made.cases)} new case{'' if len(made.cases) == 1 else 's'}"
    print(
        f"{made.takeable} {what} can be taken, {made.before} were; {more}, {made.lower_bound} at least", file=sys.stderr
    )
    for kind, left in (("no caller takes", made.impossible), ("not decided", made.undecided)):
        for each in left:
            ways = ", then ".join(map(_way, each.transitions))
            print(f"{kind} {ways}: {each.reason}", file=sys.stderr)


def _way(way: Transition) -> str:
    """A connection, and when it is taken."""
    return f"{way.source} → {way.target} ({way.condition if way.type == 'conditional' else way.type})"


def _show(verdict: Verdict) -> None:
    print(f"{verdict.status}: {verdict.message}")
    for step in verdict.steps:
        print(f"  {step}")
    if verdict.case is not None:
        print("  as a case of a suite:")
        text = yaml.safe_dump([written(verdict.case)], sort_keys=False, allow_unicode=True, width=110)
        print("".join(f"    {line}\n" for line in text.splitlines()), end="")


def run_behaviour(before: Path, after: Path, as_document: bool) -> int:
    """Prints what changes for callers: 0 nothing, 1 something.

    Raises:
        InvalidDocument: a file is no call flow whose calls could be made.
    """
    found = behaviour_changes(compile_flow(load_flow(before)), compile_flow(load_flow(after)))
    if as_document:
        changes = [change.as_json() for change in found]
        print(json.dumps({"same": not found, "changes": changes}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(change.sentence for change in found) or "no caller notices a difference")
    return 1 if found else 0


def _unknown(claims: Claims) -> tuple[Finding, ...]:
    """Names in properties that the flow does not have, each at the property that has it."""
    found = unknown_names(compile_flow(claims.flow), claims.properties)
    document = read_document(Path(claims.file))
    return tuple(replace(each, file=document.file, line=document.line(each.path)) for each in found)
