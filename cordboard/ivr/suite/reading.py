"""Suites out of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cordboard.documents import Document, read_document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, errors_in
from cordboard.ivr.model import Flow, Place
from cordboard.ivr.reading import load_flow
from cordboard.ivr.suite.expanding import Written, expanded, joined, layered
from cordboard.ivr.suite.faults import MAX_FINDINGS, fault, shape_faults, unknown, warning
from cordboard.ivr.suite.making import case_of
from cordboard.ivr.suite.model import Case, Suite
from cordboard.ivr.suite.names import own_names, repeated_names, unknown_nodes
from cordboard.ivr.suite.shape import FRAGMENT_FIELDS, CaseShape, SuiteShape
from cordboard.ivr.topology.fault import quoted
from cordboard.outline import join_path

#: So many cases are read from one file at the most.
MAX_CASES = 50_000
_FILE_ENDINGS = (".yaml", ".yml", ".json")


def load_suite(path: Path, flow: Flow | None = None) -> Suite:
    """Reads a suite, and the flow whose file it names.

    Args:
        path: the suite's file.
        flow: the flow that its calls go through instead, such as one that has just been edited: it must have the id
            that the suite, or the file that the suite names, states. That file need not be there.

    Raises:
        InvalidDocument: the file cannot be read, or the suite or its flow has faults of form; all of them are listed.
    """
    suite, findings = read_suite(read_document(path, "ivr-suite"), flow)
    if suite is None or errors_in(findings):
        raise InvalidDocument(findings)
    return suite


def read_suite(document: Document, flow: Flow | None = None) -> tuple[Suite | None, tuple[Finding, ...]]:
    """A document as a suite, and everything that can be said about it, in the order of lines.

    Args:
        document: what stands in the file.
        flow: the flow that the calls go through instead of the one that the suite names, see `load_suite`.

    Returns:
        The suite, or None where it has errors, and the findings; those of the flow's file name that file.
    """
    reader = _Reader(document, flow)
    suite = reader.suite()
    findings = [
        finding if finding.file else replace(finding, file=document.file, line=document.line(finding.path))
        for finding in reader.findings[:MAX_FINDINGS]
    ]
    ordered = tuple(sorted(findings, key=lambda finding: (finding.file != document.file, finding.line or 0)))
    return (None if errors_in(ordered) else suite), ordered


class _Reader:
    """Reads one suite, and notes every fault on the way."""

    def __init__(self, document: Document, instead: Flow | None) -> None:
        self._document, self._instead = document, instead
        self.findings: list[Finding] = []

    def suite(self) -> Suite | None:
        """The suite, as far as it can be read."""
        value = self._document.value
        if not isinstance(value, dict):
            self.findings.append(fault("shape", "a suite is an object", "", "Start with `kind: ivr-suite`."))
            return None
        try:
            SuiteShape.model_validate(value)
        except ValidationError as error:
            self.findings += [replace(found, path=joined("", place)) for place, found in shape_faults(error)]
        flow = self._flow(value.get("flow"))
        fragments = value.get("fragments")
        cases = tuple(self._cases(value, fragments if isinstance(fragments, dict) else {}))
        self._note(repeated_names(cases))
        self._note(own_names(cases))
        if flow is not None:
            self._note(unknown_nodes(cases, flow))
        return Suite(
            name=str(value.get("name") or Path(self._document.file).stem),
            flow_id=flow.id if flow is not None else str(value.get("flow", "")),
            cases=tuple(case for _, case in cases),
            flow=flow,
            file=self._document.file,
        )

    def _flow(self, name: Any) -> Flow | None:
        """The flow that calls go through, where it is known."""
        if not isinstance(name, str) or not name:
            return self._instead
        file = self._file(name)
        if self._instead is not None:
            other = tuple(_other_flow(name, file, self._instead))
            self._note(other)
            return None if other else self._instead
        if file is None:
            return None
        try:
            return load_flow(file)
        except InvalidDocument as error:
            self.findings.append(fault("flow", f"the flow `{name}` cannot be used; see its own findings", "flow"))
            self.findings += error.findings
            return None

    def _file(self, name: str) -> Path | None:
        """The file that is named; an id at the vendor has no such ending and is no file beside this one."""
        file = Path(self._document.file).parent / name
        named = name.lower().endswith(_FILE_ENDINGS) or ("/" in name and file.is_file())
        return file if named else None

    def _cases(self, value: Mapping[str, Any], fragments: Mapping[str, Any]) -> Iterator[tuple[Written, Case]]:
        used: set[str] = set()
        listed = value.get("cases")
        count = 0
        for number, case in enumerate(listed if isinstance(listed, list) else ()):
            path = f"cases[{number}]"
            if not isinstance(case, dict):
                self.findings.append(fault("shape", "must be an object", path, "Such as `{name: sales, dtmf: '1'}`."))
                continue
            used.update(self._uses(case, path, fragments))
            for written in expanded(layered(case, path, fragments)):
                if isinstance(written, Finding):
                    self._note([written])
                    continue
                count += 1
                if count > MAX_CASES:
                    self.findings.append(fault("limit", f"there are more than {MAX_CASES} cases", path))
                    return
                found = self._case(written)
                if found is not None:
                    yield written, found
        self.findings += _fragment_faults(fragments, used)

    def _uses(self, case: Mapping[str, Any], path: str, fragments: Mapping[str, Any]) -> Iterator[str]:
        names = case.get("use")
        for number, name in enumerate(names if isinstance(names, list) else ()):
            if not isinstance(name, str):
                continue
            yield name
            if name not in fragments:
                self.findings.append(unknown("fragment", name, list(fragments), f"{path}.use[{number}]"))

    def _case(self, written: Written) -> Case | None:
        try:
            shape = CaseShape.model_validate(written.value)
        except ValidationError as error:
            self._note(replace(found, path=written.path(place)) for place, found in shape_faults(error, CaseShape))
            return None
        if shape.dtmf and shape.speech:
            hint = "Write one list: `dtmf: ['1', {speech: billing}]`."
            message = "`dtmf` and `speech` do not say in which order"
            self._note([fault("said-twice", message, written.path(("speech",)), hint)])
        path = written.row or written.layers[-1].path
        return case_of(shape, Place(path, self._document.line(path)))

    def _note(self, findings: Iterable[Finding]) -> None:
        """Notes faults, each once: the rows of a table often share one, and there may be thousands of rows."""
        for finding in findings:
            if len(self.findings) < MAX_FINDINGS and finding not in self.findings:
                self.findings.append(finding)


def _other_flow(name: str, file: Path | None, flow: Flow) -> Iterator[Finding]:
    """Whether the suite is kept for another flow than the one that its calls shall go through."""
    try:
        stated = name if file is None else load_flow(file).id
    except InvalidDocument:
        return  # what its calls go through is at hand
    if stated != flow.id:
        hint = f"Its calls shall go through {quoted(flow.id)}; take a suite of that flow."
        yield fault("other-flow", f"the suite is of the flow {quoted(stated)}", "flow", hint)


def _fragment_faults(fragments: Mapping[str, Any], used: set[str]) -> Iterator[Finding]:
    for name, fragment in fragments.items():
        path = join_path("fragments", name)
        for field in fragment if isinstance(fragment, dict) else ():
            if field not in FRAGMENT_FIELDS:
                hint = f"A fragment may have: {', '.join(FRAGMENT_FIELDS)}."
                yield fault("unknown-key", "is not a known key of a fragment", join_path(path, field), hint)
        if name not in used:
            yield warning("unused-fragment", "no case uses it", path)
