"""What no caller takes, and why."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from cordboard.ivr.conditions import Default, cover, show
from cordboard.ivr.model import Transition
from cordboard.ivr.paths.tours import Item
from cordboard.ivr.topology.fault import quoted
from cordboard.ivr.trace import Program, Station


@dataclass(frozen=True, slots=True)
class Untaken:
    """A transition that no call takes, or two of them that none takes one after the other.

    Attributes:
        transitions: the transition; or both.
        reason: why, in a sentence.
    """

    transitions: tuple[Transition, ...]
    reason: str


def untaken_of(program: Program, item: Item, met: Set[int], taken: Set[int | None]) -> Untaken:
    """Why something is not taken.

    Args:
        program: the call flow.
        item: what is not taken.
        met: the numbers of the nodes to which calls get.
        taken: the numbers of the transitions that are taken.
    """
    transitions = transitions_of(program, item)
    if item[0] is not None and set(item) <= taken:
        reason = f"whoever gets to {quoted(transitions[0].target)} this way goes on by another one"
        return Untaken(transitions, reason)
    edge = next(edge for edge in item if edge is not None and edge not in taken)
    number = program.index[program.flow.transitions[edge].source]
    station = program.stations[number]
    place = next(place for place, branch in enumerate(station.branches) if branch.edge == edge)
    return Untaken(transitions, _reason(station, place, number in met))


def transitions_of(program: Program, item: Item) -> tuple[Transition, ...]:
    """What is taken, as it stands in the flow."""
    return tuple(program.flow.transitions[edge] for edge in item if edge is not None)


def _reason(station: Station, place: int, met: bool) -> str:
    """Why a way out of a node is never taken."""
    name = quoted(station.node.id)
    if not met:
        return f"no call gets to {name}"
    if station.ends:
        return f"the call ends at {name}"
    if station.branches[place] is station.gives_up:
        return f"no call gets to {name} more than {station.limit} times"
    found = cover([branch.condition for branch in station.branches])
    if found.impossible[place]:
        return "its condition never holds"
    hider = found.shadowed[place]
    if hider is not None:
        return (
            f"the way to {quoted(station.branches[hider].names[0])} with {_condition(station, hider)} takes everything"
        )
    gives_up = f", or {name} has given up" if station.node.max_visits is not None else ""
    return f"whenever it could be taken, another way out of {name} is{gives_up}"


def _condition(station: Station, place: int) -> str:
    condition = station.branches[place].condition
    return "`default`" if isinstance(condition, Default) else quoted(show(condition))
