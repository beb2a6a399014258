"""Whether a call was as it is expected, in sentences that say what was got and where the two part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from cordboard.ivr.suite.model import Expectation
from cordboard.ivr.topology.fault import quoted
from cordboard.ivr.trace import Program, Trace
from cordboard.jsontext import dump_json

#: Paths beyond this are compared up to where they part; to find where they meet again would take too long.
_MOST_ALIGNED = 1000
_MOST_SHOWN = 5


def judge(expect: Expectation, trace: Trace, program: Program | None = None) -> tuple[str, ...]:
    """Every way in which a call is not as it is expected.

    Args:
        expect: what the call must be like.
        trace: what happened, whichever engine made it.
        program: the call flow, for what the caller hears.
    """
    return tuple(_mismatches(expect, trace, program))


def _mismatches(expect: Expectation, trace: Trace, program: Program | None) -> Iterator[str]:
    yield from _end(expect, trace)
    if expect.path is not None and expect.path != trace.path:
        yield f"path: {'; '.join(path_differences(expect.path, trace.path))}"
    yield from _in_order("visits", expect.visits, trace.path)
    yield from _places(expect, trace)
    yield from _variables(expect, trace)
    yield from _prompts(expect, trace, program)
    if expect.inputs is not None and expect.inputs != trace.inputs_used:
        yield f"inputs: {trace.inputs_used} used, expected {expect.inputs}"
    if expect.duration_max is not None and trace.duration_ms > expect.duration_max:
        yield f"duration: {trace.duration_ms} ms, expected at most {expect.duration_max} ms"


def _end(expect: Expectation, trace: Trace) -> Iterator[str]:
    end = trace.end
    if expect.end is not None and expect.end != end.kind:
        yield f"end: {end.kind}, expected {expect.end}: {end.message}"
    elif expect.end is None and (end.faulty or end.kind == "input_missing"):
        yield f"end: {end.kind} at step {len(trace.path)}: {end.message}"
    if expect.exit is not None and expect.exit != trace.exit:
        got = quoted(trace.exit) if trace.exit is not None else f"none ({end.message})"
        yield f"exit: {got}, expected {quoted(expect.exit)}"


def path_differences(expected: Sequence[str], got: Sequence[str]) -> Iterator[str]:
    """How a path differs from the one that is expected: where they part, and where they meet again.

    Steps are those of the call, counted from 1.
    """
    same = next((step for step, pair in enumerate(zip(expected, got, strict=False)) if pair[0] != pair[1]), None)
    start = min(len(expected), len(got)) if same is None else same
    ours, theirs = expected[start:], got[start:]
    after = f", after {quoted(got[start - 1])}" if start else ""
    if not theirs:
        yield f"the call ends at step {start}{after}; {_row(ours)} expected"
    elif not ours:
        yield f"the call goes on at step {start + 1}{after}, to {_row(theirs)}; nothing more expected"
    elif max(len(ours), len(theirs)) > _MOST_ALIGNED:
        yield f"step {start + 1}{after}: got {quoted(theirs[0])}, expected {quoted(ours[0])}"
    else:
        yield from _aligned(ours, theirs, start, after)


def _aligned(ours: Sequence[str], theirs: Sequence[str], start: int, after: str) -> Iterator[str]:
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    for tag, left, left_end, right, right_end in matcher.get_opcodes():
        step = start + right + 1
        if tag == "replace":
            yield f"step {step}{after}: got {_row(theirs[right:right_end])}, expected {_row(ours[left:left_end])}"
        elif tag == "insert":
            yield f"step {step}{after}: got {_row(theirs[right:right_end])}, not expected"
        elif tag == "delete":
            where = f"step {step}" if right < len(theirs) else "the end"
            yield f"before {where}{after}: {_row(ours[left:left_end])} expected, not got"
        else:
            yield f"the same again from step {step}, {quoted(theirs[right])}"
        after = ""


def _row(names: Sequence[str]) -> str:
    shown = " → ".join(map(quoted, names[:_MOST_SHOWN]))
    more = len(names) - _MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _in_order(what: str, wanted: Sequence[str], got: Sequence[str]) -> Iterator[str]:
    """The first of some things that does not come after those before it."""
    rest, before = iter(got), ""
    for part in wanted:
        if not any(part in text if what == "prompts" else part == text for text in rest):
            after = f" after {quoted(before)}" if before else ""
            never = "is never heard" if what == "prompts" else "the call does not get there"
            yield f"{what}: {quoted(part)} expected{after}, {never}"
            return
        before = part


def _places(expect: Expectation, trace: Trace) -> Iterator[str]:
    reached = set(trace.path)
    for name in expect.visited:
        if name not in reached:
            yield f"visited: the call never gets to {quoted(name)}"
    for name in expect.never:
        if name in reached:
            yield f"never: the call gets to {quoted(name)} at step {trace.path.index(name) + 1}"


def _variables(expect: Expectation, trace: Trace) -> Iterator[str]:
    for name, wanted in expect.variables.items():
        got = trace.variables.get(name)
        if not same_value(wanted, got):
            was = _shown(got) if name in trace.variables else "missing"
            yield f"variables: {quoted(name)} is {was}, expected {_shown(wanted)}"


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are one number, 1 and true are two values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_value(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_value, one, other))
    numbers = _is_number(one) and _is_number(other)
    return bool(one == other) and (numbers or type(one) is type(other))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return dump_json(value)


def _prompts(expect: Expectation, trace: Trace, program: Program | None) -> Iterator[str]:
    if not expect.prompts:
        return
    if program is None:
        yield "prompts: what the caller hears is not known without the flow's file"
        return
    numbers = map(program.index.get, trace.path)
    heard = [program.stations[number].node.prompt for number in numbers if number is not None]
    yield from _in_order("prompts", expect.prompts, heard)
