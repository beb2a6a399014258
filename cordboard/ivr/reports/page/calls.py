"""The calls as the page's script reads them: short rows of JSON, a line for each case, safe inside a page.

    a case    [name, status, mismatches, steps, edges, begin, how it ended, milliseconds, left]
    a step    [node, type, millisecond, input, target, said, changes]; a number instead: so many steps are left out

Nodes and types are numbers in lists that stand after the cases. `edges` has the transition that leaves each step, or
is 0 where that is not known. `begin` are the variables when the call begins, `changes` those that a step has changed,
with null for one that is gone; values are their JSON as people may read it. `left` says what no node asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from cordboard.ivr.diff.wording import visible
from cordboard.ivr.reports.left import not_asked_for
from cordboard.ivr.reports.page.picture import Picture
from cordboard.ivr.reports.report import Report
from cordboard.ivr.suite import CaseResult
from cordboard.ivr.trace import Entry, Trace

_STATUS = {"passed": 0, "failed": 1, "error": 2}
#: Steps that a page can hold: of one call, and of all together. Those of calls that went wrong come first.
_MOST_OF_A_CALL, _LAST_OF_A_CALL, _MOST_STEPS = 500, 100, 100_000
_LONGEST_NAME, _LONGEST_VALUE, _MOST_SENTENCES = 300, 400, 50
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: What could end the block in which the data stands, or begin a comment in it.
_NOT_IN_MARKUP = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def data_parts(report: Report, picture: Picture) -> Iterator[str]:
    """The block of data, piece by piece.

    Args:
        report: the run.
        picture: the flow as it is drawn.
    """
    numbers = {box.id: number for number, box in enumerate(picture.scene.boxes)}
    rows = _Rows(numbers, {}, _room(report))
    yield '{"cases":['
    for number, case in enumerate(report.cases):
        yield f"{',' if number else ''}\n{_text(rows.case(case))}"
    titles = [[box.title, visible(box.id), _short(box.prompt)] for box in picture.scene.boxes]
    titles += [[_short(name), _short(name), ""] for name in islice(numbers, len(titles), None)]
    ways = [
        [arrow.source, arrow.target, arrow.label, way.line or 0, way.times, pieces]
        for arrow, way, pieces in zip(picture.scene.arrows, report.coverage.transitions, picture.pieces, strict=True)
    ]
    yield f'],\n"nodes":{_text(titles)},\n"types":{_text(list(rows.types))},\n"ways":{_text(ways)}}}'


def _text(value: Any) -> str:
    return _ENCODE(value).translate(_NOT_IN_MARKUP)


def _room(report: Report) -> int:
    """How many steps of calls that passed the page has room for."""
    wrong = (case for case in report.cases if case.status != "passed" and case.trace is not None)
    return _MOST_STEPS - sum(min(_MOST_OF_A_CALL, len(case.trace.path)) for case in wrong if case.trace)


class _Rows:
    """Makes rows of cases; remembers which numbers stand for what.

    Args:
        nodes: numbers of nodes; those that only a vendor knows are added.
        types: numbers of types.
        room: how many steps of calls that passed there is room for.
    """

    def __init__(self, nodes: dict[str, int], types: dict[str, int], room: int) -> None:
        self.nodes, self.types, self._room = nodes, types, room

    def case(self, case: CaseResult) -> list[Any]:
        sentences = [_short(sentence) for sentence in case.mismatches[:_MOST_SENTENCES]]
        head = [_short(case.name), _STATUS[case.status], sentences]
        trace = case.trace
        if trace is None:
            return [*head, [], 0, {}, "", 0, ""]
        entries = trace.entries or tuple(map(Entry, trace.path))
        left = _short(not_asked_for(case), _LONGEST_VALUE)
        return [*head, *self._call(case, trace, entries), _short(trace.end.message), trace.duration_ms, left]

    def _call(
        self, case: CaseResult, trace: Trace, entries: Sequence[Entry]
    ) -> tuple[list[Any], Any, Mapping[str, str]]:
        if case.status == "passed":
            self._room -= min(len(entries), _MOST_OF_A_CALL)
            if self._room < 0:
                return [len(entries)], 0, {}
        begin = _values(entries[0].before) if entries else {}
        known = len(trace.edges) == len(entries) - 1 < _MOST_OF_A_CALL
        edges = trace.edges if known else 0
        return list(self._steps(entries)), edges, begin

    def _steps(self, entries: Sequence[Entry]) -> Iterator[Any]:
        left_out = max(0, len(entries) - _MOST_OF_A_CALL)
        first = len(entries) - _LAST_OF_A_CALL if left_out else len(entries)
        for entry in entries[: first - left_out]:
            yield self._step(entry, entry.before)
        if left_out:
            yield left_out
            yield self._step(entries[first], entries[first - left_out].before)
        for entry in entries[first + 1 :]:
            yield self._step(entry, entry.before)

    def _step(self, entry: Entry, before: Mapping[str, Any]) -> list[Any]:
        return [
            self.nodes.setdefault(entry.node, len(self.nodes)),
            self.types.setdefault(_short(entry.type), len(self.types)),
            entry.timestamp_ms,
            0 if entry.input is None else _short(entry.input),
            0 if entry.target is None else _short(entry.target),
            _short(entry.exception or entry.status) or 0,
            _changes(before, entry.after) if before is not entry.after else 0,
        ]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    old, new = _written(before), _written(after)
    changed: dict[str, str | None] = {
        _short(name): _short(value, _LONGEST_VALUE) for name, value in new.items() if old.get(name) != value
    }
    changed |= {_short(name): None for name in old if name not in new}
    return changed or 0


def _values(values: Mapping[str, Any]) -> dict[str, str]:
    return {_short(name): _short(value, _LONGEST_VALUE) for name, value in _written(values).items()}


def _written(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}


def _short(words: str, longest: int = _LONGEST_NAME) -> str:
    """A text as it can be shown, in one line; of a long one the beginning."""
    shown = visible(words[: longest + 1])
    return shown if len(words) <= longest else f"{shown[:longest]}… ({len(words):,} characters)"
