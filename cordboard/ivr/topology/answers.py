"""What can be said about a node as a whole: whether every caller gets on from it, and whether the vendor takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from cordboard.ivr.conditions import CallerInput, Cover, Situation, cover, reads
from cordboard.ivr.conditions.keypad import KEYS
from cordboard.ivr.model import Limits, Place
from cordboard.ivr.topology.branches import never_taken, repeated, text_compared, unreadable
from cordboard.ivr.topology.fault import Fault, in_a_row, quoted
from cordboard.ivr.topology.passing import Junction, asks, giving_up

_NOBODY = CallerInput()


def faults_at(junction: Junction) -> Iterator[Fault]:
    """Every fault of one node and its ways out, as far as other nodes play no part in it."""
    for rule in _AT_AN_END if junction.ends else _ON_THE_WAY:
        yield from rule(junction)


def _too_many_ways(junction: Junction) -> Iterator[Fault]:
    limit, ways = junction.flow.limits.max_connections_per_node, len(junction.ways)
    if ways > limit and (junction.flow.platform == "cxone" or limit != Limits().max_connections_per_node):
        message = f"{ways} connections leave {quoted(junction.node.id)}, {limit} are allowed"
        hint = "Split the node in two, or raise `limits.max_connections_per_node` where the vendor takes more."
        yield _fault(junction, "node-limit", message, hint, junction.transitions[limit].place)


def _ways_out_of_an_end(junction: Junction) -> Iterator[Fault]:
    if junction.ways:
        message = f"the call ends at {quoted(junction.node.id)}, so that its ways out are never taken"
        hint = "Take them out, or give the node another type."
        yield _fault(junction, "terminal-ways", message, hint, junction.transitions[0].place)


def _no_give_up(junction: Junction) -> Iterator[Fault]:
    limit = junction.node.max_visits
    if limit is not None and junction.ways and giving_up(junction) is None:
        message = f"{quoted(junction.node.id)} gives up after {_visits(limit)}, and has no way for that"
        yield _fault(junction, "no-give-up", message, "Add a connection of type `fallback`.")


def _visits(limit: int) -> str:
    return "1 visit" if limit == 1 else f"{limit} visits"


def _unused_fallback(junction: Junction) -> Iterator[Fault]:
    fallbacks = junction.of_kind("fallback")[:1]
    if not fallbacks or junction.node.max_visits is not None or not junction.readable:
        return
    before = [number for number in junction.order if junction.ways[number].kind != "fallback"]
    if _leave_nothing_over(junction, before):
        transition, name = junction.transitions[fallbacks[0]], quoted(junction.node.id)
        message = f"the fallback of {name} is never taken: its other ways leave nothing over"
        yield _fault(junction, "unused-fallback", message, "State `max_visits`, or take it out.", transition.place)


def _leave_nothing_over(junction: Junction, numbers: Sequence[int]) -> bool:
    if any(junction.ways[number].kind == "default" for number in numbers):
        return True
    found = _cover(junction, numbers)
    return found.exact and not found.gaps


def _left_over(junction: Junction) -> Iterator[Fault]:
    """Callers of whom no way out takes care."""
    name = quoted(junction.node.id)
    if junction.flow.platform == "genesys" and junction.ways and not junction.of_kind("default"):
        hint = "Add a transition with the condition `default`."
        yield _fault(junction, "missing-default", f"{name} has no `default`, and Genesys refuses it", hint)
    elif junction.ways and junction.readable:
        found = _cover(junction, junction.order)
        waits = asks(junction)
        yield from _unanswered(junction, found) if waits else _undecided(junction, found.gaps)


def _unanswered(junction: Junction, found: Cover) -> Iterator[Fault]:
    name = quoted(junction.node.id)
    silences = {gap.caller.no_input for gap in found.gaps if gap.caller.no_input or gap.caller.no_match}
    if silences:
        words = {True: "silence", False: "what is not understood"}
        what = " and ".join(words[silence] for silence in sorted(silences, reverse=True))
        hint = "Add a default, or connections for `no_input` and `no_match`."
        message = f"{what} {'leads' if len(silences) == 1 else 'lead'} nowhere from {name}"
        yield _fault(junction, "unhandled-silence", message, hint)
    others = [*_other_keys(junction, found), *_other_words(junction, found)]
    if others:
        leads = "leads" if len(others) == 1 and " to " not in others[0] else "lead"
        message = f"{in_a_row(others)} {leads} nowhere from {name}"
        yield _fault(junction, "unhandled-input", message, "Add a default that says so and asks again.")


def _other_keys(junction: Junction, found: Cover) -> list[str]:
    """What can be pressed and is not answered, in words; nothing where the node does not ask for keys."""
    pressed = [gap.caller.dtmf for gap in found.gaps if gap.caller.dtmf]
    if not pressed or not _reads(junction, "dtmf"):
        return []
    if not _is_a_menu(junction, found):
        return ["any other number"]
    return _spans([keys for keys in pressed if len(keys) == 1 and keys in KEYS])


def _other_words(junction: Junction, found: Cover) -> list[str]:
    said = any(gap.caller.speech for gap in found.gaps)
    return ["anything else that is said"] if said and _reads(junction, "speech") else []


def _reads(junction: Junction, name: str) -> bool:
    return any(name in reads(junction.condition(number)) for number in junction.order)


def _is_a_menu(junction: Junction, found: Cover) -> bool:
    """Whether single keys mean something; where a number is asked for, one key is not a choice."""
    return any(
        example is not None and len(example.caller.dtmf) == 1 and "dtmf" in reads(junction.condition(number))
        for number, example in zip(junction.order, found.witness, strict=True)
    )


def _spans(keys: Sequence[str]) -> list[str]:
    """Keys in words, such as `0`, `3 to 9`, `*` and `#`."""
    runs: list[str] = []
    for key in keys:
        if runs and key.isdigit() and runs[-1][-1].isdigit() and int(key) == int(runs[-1][-1]) + 1:
            runs[-1] = f"{runs[-1][0]}{key}"
        else:
            runs.append(key)
    return [run if len(run) == 1 else f"{run[0]} to {run[1]}" for run in runs]


def _undecided(junction: Junction, gaps: Sequence[Situation]) -> Iterator[Fault]:
    if gaps:
        example = str(Situation(_NOBODY, gaps[0].settings)) if any(value for _, value in gaps[0].settings) else ""
        case = f", such as with {example}" if example else ""
        message = f"where no condition of {quoted(junction.node.id)} holds, the call goes nowhere{case}"
        yield _fault(junction, "open-decision", message, "Add a default.")


def _cover(junction: Junction, numbers: Iterable[int]) -> Cover:
    return cover([junction.condition(number) for number in numbers])


def _fault(junction: Junction, rule: str, message: str, hint: str, place: Place | None = None) -> Fault:
    return Fault(rule, message, (junction.node.id,), place or junction.node.place, hint)


_Rule = Callable[[Junction], Iterator[Fault]]
_AT_AN_END: tuple[_Rule, ...] = (unreadable, _too_many_ways, _ways_out_of_an_end)
_ON_THE_WAY: tuple[_Rule, ...] = (
    unreadable,
    repeated,
    never_taken,
    text_compared,
    _too_many_ways,
    _no_give_up,
    _unused_fallback,
    _left_over,
)
