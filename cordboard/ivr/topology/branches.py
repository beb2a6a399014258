"""What can be said about the ways out of one node: whether each can be read, and whether it can ever be taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cordboard.ivr.conditions import Comparison, Condition, Constant, Default, Name, Number, Text, cover, show
from cordboard.ivr.conditions.tree import atoms_of
from cordboard.ivr.model import Transition
from cordboard.ivr.topology.fault import Fault, quoted, where
from cordboard.ivr.topology.passing import Junction

_TEXTS = (Name("dtmf"), Name("speech"))


def unreadable(junction: Junction) -> Iterator[Fault]:
    """Conditions that are none."""
    for transition, way in zip(junction.transitions, junction.ways, strict=True):
        if way.error is not None:
            message = f"{quoted(transition.condition)}, column {way.error.column}: {way.error.message}"
            yield _fault("condition", message, transition, way.error.hint)


def repeated(junction: Junction) -> Iterator[Fault]:
    """Ways that are taken at the same time as an earlier one."""
    first: dict[tuple[str, Condition], Transition] = {}
    for transition, way in zip(junction.transitions, junction.ways, strict=True):
        if way.condition is None:
            continue
        earlier = first.setdefault((way.kind, way.condition), transition)
        if earlier is not transition:
            yield _again(transition, earlier, way.kind, way.condition)


def _again(transition: Transition, earlier: Transition, kind: str, condition: Condition) -> Fault:
    what = quoted(show(condition)) if kind == "conditional" else f"the {kind}"
    node, before = quoted(transition.source), where(earlier.place)
    if transition.target == earlier.target:
        message = f"{what} of {node} leads to {quoted(transition.target)} already {before}"
        return _fault("duplicate-transition", message, transition, "Keep one of the two.")
    message = (
        f"{what} of {node} leads to {quoted(transition.target)} here, and to {quoted(earlier.target)} {before}: "
        "only the first is ever taken"
    )
    hint = "Keep one of the two, or give them conditions that differ."
    return _fault("ambiguous" if kind == "conditional" else "two-defaults", message, transition, hint)


@dataclass(frozen=True, slots=True)
class _Branches:
    """The different ways of a node in the order in which they are tried, each once; a fallback is no part of it."""

    transitions: tuple[Transition, ...]
    conditions: tuple[Condition, ...]


def _branches(junction: Junction) -> _Branches:
    found: dict[Condition, Transition] = {}
    for number in junction.order:
        way = junction.ways[number]
        if way.condition is not None and way.kind != "fallback":
            found.setdefault(way.condition, junction.transitions[number])
    return _Branches(tuple(found.values()), tuple(found))


def never_taken(junction: Junction) -> Iterator[Fault]:
    """Conditions that earlier ones hide, and conditions that never hold."""
    branches = _branches(junction)
    found = cover(branches.conditions)
    for number, condition in enumerate(branches.conditions):
        hider = found.shadowed[number]
        if hider is not None and (not isinstance(condition, Default) or _astray(branches, number, hider)):
            yield _hidden(branches, number, hider)
        elif found.impossible[number] and not any(_mistaken(condition)):
            transition = branches.transitions[number]
            message = f"{quoted(show(condition))} never holds, so that nobody ever gets to {quoted(transition.target)}"
            yield _fault("never-holds", message, transition, "Take the connection out, or mend its condition.")


def _astray(branches: _Branches, default: int, hider: int) -> bool:
    """Whether a default waits behind a condition that always holds and leads elsewhere.

    A default behind conditions that leave nothing over is a precaution, and Genesys asks for it.
    """
    elsewhere = branches.transitions[default].target != branches.transitions[hider].target
    return elsewhere and _alone(branches, default, hider)


def _alone(branches: _Branches, hidden: int, hider: int) -> bool:
    return cover((branches.conditions[hider], branches.conditions[hidden])).shadowed[1] is not None


def _hidden(branches: _Branches, number: int, hider: int) -> Fault:
    transition, earlier = branches.transitions[number], branches.transitions[hider]
    condition, other = (quoted(show(branches.conditions[index])) for index in (number, hider))
    if _alone(branches, number, hider):
        reason = f"{other} {where(earlier.place)} takes every such call first"
    else:
        reason = f"the conditions before it take every such call first, the last of them {other} {where(earlier.place)}"
    message = f"{condition} of {quoted(transition.source)} can never be taken: {reason}"
    if isinstance(branches.conditions[number], Default):
        hint = "Take one of the two out."
    elif branches.conditions[hider] == Constant(True):
        hint = "Make that one the default: `type: default`."
    else:
        hint = "Move it up, or take it out."
    return _fault("shadowed", message, transition, hint)


def text_compared(junction: Junction) -> Iterator[Fault]:
    """Comparisons of what was pressed or said with what is no text, or by size."""
    for number in junction.of_kind("conditional"):
        transition = junction.transitions[number]
        for atom in dict.fromkeys(_mistaken(junction.condition(number))):
            name = next(side.name for side in (atom.left, atom.right) if side in _TEXTS and isinstance(side, Name))
            if atom.operator in {"==", "!="}:
                always = "never" if atom.operator == "==" else "always"
                message = f"{name} is text, so that {quoted(show(atom))} {always} holds"
            else:
                message = f"{name} is text and has no size, so that {quoted(show(atom))} is not what it looks like"
            yield _fault(
                "text-comparison", message, transition, f"Compare it with text: {quoted(_as_text(atom, name))}."
            )


def _as_text(atom: Comparison, name: str) -> str:
    """The comparison as its author may have meant it."""
    numbers = [side.value for side in (atom.left, atom.right) if isinstance(side, Number)]
    return f"{name} {atom.operator if atom.operator in {'==', '!='} else '=='} '{numbers[0] if numbers else 1}'"


def _mistaken(condition: Condition) -> Iterator[Comparison]:
    for atom in atoms_of(condition):
        if isinstance(atom, Comparison) and (atom.left in _TEXTS or atom.right in _TEXTS):
            equality = atom.operator in {"==", "!="}
            if not equality or not all(isinstance(side, Name | Text) for side in (atom.left, atom.right)):
                yield atom


def _fault(rule: str, message: str, transition: Transition, hint: str = "") -> Fault:
    return Fault(rule, message, (transition.source,), transition.place, hint)
