"""Proofs: what is true of every call, and the shortest call that shows where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, Severity, did_you_mean, near
from cordboard.ivr.model import NOWHERE, Place
from cordboard.ivr.paths.properties import EVERY_MENU, Never, NeverBefore, Property, in_words
from cordboard.ivr.paths.searches import Suspect, search
from cordboard.ivr.paths.telling import Turn, case_of, sentences
from cordboard.ivr.paths.telling import in_words as inputs_in_words
from cordboard.ivr.paths.trying import FEW_STATES, MOST_STATES, Found, Trials
from cordboard.ivr.paths.world import Outcomes, world_of
from cordboard.ivr.suite import Case
from cordboard.ivr.trace import End, Program, Then, first_state
from cordboard.ivr.trace.loops import spelt

Status = Literal["holds", "violated", "undecided"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is proven about one property.

    Attributes:
        claim: the property.
        status: `holds` of every call, `violated` by the call that is given, or `undecided`.
        message: the same in a sentence.
        inputs: how many inputs the shortest call takes that breaks it.
        case: this call, as a case of a suite that expects what happens now.
        steps: this call in sentences.
        states: how many states of calls were looked at.
    """

    claim: Property
    status: Status
    message: str
    inputs: int | None = None
    case: Case | None = None
    steps: tuple[str, ...] = ()
    states: int = 0

    def finding(self, file: str = "", place: Place = NOWHERE) -> Finding | None:
        """What is to be reported; nothing where the property holds."""
        if self.status == "holds":
            return None
        severity = Severity.ERROR if self.status == "violated" else Severity.WARNING
        proof = self.case.expect.path or () if self.case else ()
        hint = "" if self.status == "violated" else "A higher bound of states, or stated `outcomes`, may decide it."
        return Finding(f"prove/{self.claim.kind}", self.message, place.path, file, place.line, hint, severity, proof)


def prove(  # noqa: PLR0913 - what a proof depends on
    program: Program,
    properties: Sequence[Property],
    *,
    variables: Mapping[str, Any] | None = None,
    outcomes: Outcomes | None = None,
    most_states: int = MOST_STATES,
    few_states: int = FEW_STATES,
) -> tuple[Verdict, ...]:
    """Decides properties of every call, one after another.

    Args:
        program: the call flow.
        properties: what should hold.
        variables: values that are known when a call begins.
        outcomes: what actions return, where that is known; see `world`.
        most_states: so many states of calls are looked at, at the most; where they do not suffice, a property stays
            `undecided`.
        few_states: so many of them with every visit counted, before counts are left out.

    Raises:
        InvalidDocument: a property names a node or a type that the flow does not have.
        BadCall: an outcome is for a node that is not there.
    """
    faults = tuple(unknown_names(program, properties))
    if faults:
        raise InvalidDocument(faults)
    trials = Trials(program, world_of(program, variables, outcomes), most_states, few_states)
    return tuple(_verdict(trials, claim) for claim in properties)


def unknown_names(program: Program, properties: Iterable[Property]) -> list[Finding]:
    """Names of nodes and types in properties that the flow does not have; `path` says where."""
    types = {station.node.type for station in program.stations}
    found = []
    for number, claim in enumerate(properties):
        for field, known, what in (
            ("nodes", program.index, "node"),
            ("node", program.index, "node"),
            ("before", program.index, "node"),
            ("target", program.index, "node"),
            ("sources", program.index, "node"),
            ("types", types, "node of the type"),
        ):
            names = getattr(claim, field, None) or ()
            for name in names if names != [EVERY_MENU] else ():
                if name not in known:
                    path = f"properties[{number}].{'from' if field == 'sources' else field}"
                    hint = did_you_mean(near(name, known))
                    found.append(Finding("prove/unknown-node", f"there is no {what} `{name[:64]}`", path, hint=hint))
    return found


def _verdict(trials: Trials, claim: Property) -> Verdict:
    found = trials.shortest(lambda graph: search(claim, graph))
    what = in_words(claim)
    match found.answer:
        case "none":
            return Verdict(claim, "holds", f"{what}: true of every call", states=found.states)
        case "undecided":
            reason = f"{found.states} states of calls were looked at, and there are more"
            if not trials.world.exact:
                reason = "too many names are compared with each other"
            return Verdict(claim, "undecided", f"{what}: undecided, {reason}", states=found.states)
        case _:
            return _violated(trials, claim, found)


def _violated(trials: Trials, claim: Property, found: Found) -> Verdict:
    suspect, turns = found.suspect, found.turns
    assert suspect is not None
    given = [done for _, _, done in turns[: _last_input(suspect)] if done is not None]
    did = inputs_in_words(given) or "do nothing"
    then: Then = "silence" if suspect.loop else "hangup"
    return Verdict(
        claim=claim,
        status="violated",
        message=f"{in_words(claim)}: not of every call: {did}, and {_consequence(trials.program, claim, found)}",
        inputs=suspect.inputs,
        case=case_of(trials.program, trials.world, turns, then),
        steps=sentences(trials.program, turns),
        states=found.states,
    )


def _last_input(suspect: Suspect) -> int:
    """After how many steps nothing is done any more."""
    left, count = suspect.inputs, 0
    for link, _ in suspect.steps:
        if not left:
            break
        left, count = left - link.cost, count + 1
    return count


def _consequence(program: Program, claim: Property, found: Found) -> str:
    """What comes of a call, in words."""
    suspect, turns = found.suspect, found.turns
    assert suspect is not None
    if suspect.loop:
        return _going_round(program, turns[-len(suspect.loop) :])
    last = turns[-1][1].following if turns else first_state(program)
    if isinstance(last, End):
        return last.message
    name = program.name(last.node)
    if suspect.asked is not None:
        return f"the caller is asked once more at {name}"
    return f"the call {'gets to' if isinstance(claim, Never | NeverBefore) else 'is only at'} {name}"


def _going_round(program: Program, turns: Sequence[Turn]) -> str:
    names = [program.name(state.node) for state, _, _ in turns]
    silent = any(given is not None for _, _, given in turns)
    who = "a caller who then says nothing goes round" if silent else "the call goes round without asking"
    return f"{who} for ever: {spelt([*names, names[0]])}"
