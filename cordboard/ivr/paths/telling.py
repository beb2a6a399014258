"""A call as a person would make it, in words, and as a case of a suite."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from cordboard.ivr.conditions import Value
from cordboard.ivr.paths.moves import Move
from cordboard.ivr.paths.world import World
from cordboard.ivr.suite import Case, Expectation
from cordboard.ivr.trace import NO_INPUT, End, Input, Program, State, Then, Trace, simulate

#: One step of a call: the state that is left, the way that is taken, and what the caller does.
Turn: TypeAlias = tuple[State, Move, Input | None]

_LONGEST_NAME = 120
_TIMES = {2: "twice", 3: "three times", 4: "four times"}


def case_of(program: Program, world: World, turns: Sequence[Turn], then: Then, name: str = "") -> Case:
    """A call as a case that expects what happens now.

    Args:
        program: the call flow.
        world: what no caller decides.
        turns: the steps of the call.
        then: what the caller does after the last step.
        name: by default made from what the caller does, so that it is the same whatever else changes in the flow.
    """
    inputs = [given for _, _, given in turns if given is not None]
    variables, mocks = _settings(program, world, turns)
    if simulate(program, inputs, variables, mocks, then="stop").end.kind != "input_missing":
        then = "silence"  # nothing is asked any more
    trace = simulate(program, inputs, variables, mocks, then=then)
    while trace.loops and inputs and inputs[-1] == NO_INPUT:
        inputs.pop()  # the silence after the last input is the same
        trace = simulate(program, inputs, variables, mocks, then=then)
    expect = Expectation(path=trace.path, end=trace.end.kind)
    return Case(name or name_of(inputs, variables, mocks, then), tuple(inputs), variables, mocks, then, expect=expect)


def trace_of(program: Program, case: Case) -> Trace:
    """The call of a case."""
    return simulate(program, case.inputs, case.variables, case.mocks, max_loops=case.max_loops, then=case.then)


def written(case: Case) -> dict[str, Any]:
    """A case as it stands in a suite's file."""
    found: dict[str, Any] = {"name": case.name}
    if case.inputs:
        found["dtmf"] = [given.as_json() for given in case.inputs]
    if case.variables:
        found["variables"] = dict(case.variables)
    if case.mocks:
        found["mocks"] = {node: [dict(outcome) for outcome in outcomes] for node, outcomes in case.mocks.items()}
    if case.then != "silence":
        found["then"] = case.then
    expect: dict[str, Any] = {} if case.expect.path is None else {"path": list(case.expect.path)}
    if case.expect.end is not None:
        expect["end"] = case.expect.end
    return found | ({"expect": expect} if expect else {})


def _settings(
    program: Program, world: World, turns: Sequence[Turn]
) -> tuple[dict[str, Value], dict[str, list[dict[str, Value]]]]:
    """What variables are when the call begins, and what actions return, so that the call goes this way."""
    variables: dict[str, Value] = {
        name: value for name, value in world.variables.items() if isinstance(value, str | int | float)
    }
    mocks: dict[str, list[dict[str, Value]]] = {}
    origin: dict[str, dict[str, Value]] = {}
    for state, move, _ in turns:
        returned = world.returned.get(state.node)
        if returned:
            outcome: dict[str, Value] = {}
            mocks.setdefault(program.name(state.node), []).append(outcome)
            origin.update(dict.fromkeys(returned, outcome))
        for name, value in move.decided:
            origin.get(name, variables)[name] = value
    known: dict[str, Value] = {name: value for name, value in variables.items() if value is not None}
    return known, {node: outcomes for node, outcomes in mocks.items() if any(outcomes)}


def name_of(inputs: Sequence[Input], variables: Mapping[str, Any], mocks: Mapping[str, Any], then: Then) -> str:
    """A name that says what is done in a call; two calls that differ have different names."""
    did = in_words(inputs) or "do nothing"
    words = did if then == "silence" or not inputs else f"{did}, {'hang up' if then == 'hangup' else 'stop'}"
    known = [f"{name} {shown(value)}" for name, value in sorted(variables.items())]
    known += [f"{node} returns {_outcomes(outcomes)}" for node, outcomes in sorted(mocks.items())]
    name = f"{words}, with {' and '.join(known)}" if known else words
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 11]}… {hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _outcomes(outcomes: Sequence[Mapping[str, Any]]) -> str:
    return ", then ".join(
        ", ".join(f"{name} {shown(value)}" for name, value in outcome.items()) or "nothing" for outcome in outcomes
    )


def shown(value: Value) -> str:
    """A value of a variable, as a sentence has it."""
    if value is None:
        return "missing"
    return f"= {str(value).lower()}" if isinstance(value, bool) else f"= {value!r}"


def in_words(inputs: Iterable[Input]) -> str:
    """What a caller does: `press 1, say nothing twice, press 9`."""
    return ", ".join(_repeated(inputs))


def doing(inputs: Sequence[Input], others: Sequence[Input] = ()) -> str:
    """What a caller does, as the subject of a sentence: `pressing 2 then 1`, `staying silent three times`.

    Args:
        inputs: what is done.
        others: what can be done instead of the last of them.
    """
    parts: list[list[str]] = []
    for given in inputs[:-1]:
        verb, text = _subject(given)
        if parts and parts[-1][0] == verb:
            parts[-1].append(text)
        else:
            parts.append([verb, text])
    if inputs:
        parts += _last_part([inputs[-1], *(it for it in others if it != inputs[-1])], parts)
    return ", then ".join(f"{verb} {_in_order(texts)}".strip() for verb, *texts in parts)


def _last_part(options: Sequence[Input], parts: list[list[str]]) -> list[list[str]]:
    """The last thing that is done, with all that does the same; joined to what was done just before if it is alike."""
    by_verb: dict[str, list[str]] = {}
    for option in options:
        verb, text = _subject(option)
        by_verb.setdefault(verb, []).append(text)
    if len(by_verb) == 1 and parts and parts[-1][0] in by_verb:
        parts[-1].append(_one_of(by_verb[parts[-1][0]]))
        return []
    return [["", " or ".join(f"{verb} {_one_of(texts)}".strip() for verb, texts in by_verb.items())]]


def _subject(given: Input) -> tuple[str, str]:
    if given.kind in {"digits", "keys"}:
        return "pressing", given.text
    if given.kind == "speech":
        return "saying", "anything else" if given.text.startswith("something else") else str(given)
    return {"no_input": "staying silent", "no_match": "not being understood", "hangup": "hanging up"}[given.kind], ""


def _in_order(texts: Sequence[str]) -> str:
    runs = [(text, len(list(run))) for text, run in groupby(texts)]
    times = ["" if many == 1 else _TIMES.get(many, f"{many} times") for _, many in runs]
    return " then ".join(" ".join(filter(None, (text, often))) for (text, _), often in zip(runs, times, strict=True))


def _one_of(texts: Sequence[str]) -> str:
    """Some of several keys or words; keys in a row as `3 to 8`."""
    runs: list[list[str]] = []
    for text in texts:
        follows = runs and len(text) == 1 and text.isdigit() and runs[-1][-1] == str(int(text) - 1)
        runs[-1].append(text) if follows else runs.append([text])
    shown = [part for run in runs for part in (run if len(run) < 3 else [f"{run[0]} to {run[-1]}"])]
    return " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _repeated(inputs: Iterable[Input]) -> Iterator[str]:
    last, times = "", 0
    for words in [*map(_deed, inputs), ""]:
        if words == last:
            times += 1
            continue
        if last:
            yield last if times == 1 else f"{last} {_TIMES.get(times, f'{times} times')}"
        last, times = words, 1


def _deed(given: Input) -> str:
    if given.kind in {"digits", "keys"}:
        return f"press {given.text}"
    if given.kind == "speech":
        return f"say {given}"
    return {"no_input": "say nothing", "no_match": "say something unclear", "hangup": "hang up"}[given.kind]


def sentences(program: Program, turns: Sequence[Turn]) -> tuple[str, ...]:
    """A call, step by step: what decides, and where it leads."""
    return tuple(_sentence(program, *turn) for turn in turns if turn[2] is not None or turn[1].decided)


def _sentence(program: Program, state: State, move: Move, given: Input | None) -> str:
    here = program.name(state.node)
    known = " and ".join(f"{name} {shown(value)}" for name, value in move.decided)
    following = move.following
    there = f"the call is over: {following.message}" if isinstance(following, End) else program.name(following.node)
    did = _deed(given) if given is not None else ""
    what = " with ".join(filter(None, (did, known)))
    return f"at {here}: {what} → {there}"
