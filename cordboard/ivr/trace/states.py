"""One moment of a call, and the one step from it to the next.

Whoever explores calls (`simulate`, proofs, coverage) goes from state to state by `step`; two calls in the same state,
with the same things still to come, go on alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cordboard.ivr.trace.ending import End, completed, hung_up, input_missing, no_way_out
from cordboard.ivr.trace.inputs import Input
from cordboard.ivr.trace.program import Program, Station


class Variables:
    """The variables of a call; equal where every value is the same and of the same type.

    Attributes:
        values: by name.
    """

    __slots__ = ("_key", "values")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self._key: str | None = None

    @property
    def key(self) -> str:
        """All of them as one text: to Python 1 equals true, to a condition it does not."""
        if self._key is None:
            self._key = repr(sorted(self.values.items()))  # names differ, so that values are never compared
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Variables) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Variables({dict(self.values)!r})"

    def having(self, changes: Mapping[str, Any]) -> Variables:
        """These variables after some of them are assigned; the same object where nothing is."""
        return Variables({**self.values, **changes}) if changes else self


@dataclass(frozen=True, slots=True)
class State:
    """One moment of a call: it has just got to a node, and nothing of the node has happened yet.

    Attributes:
        node: the number of the node.
        counts: how often nodes have been reached, this visit included, as far as it matters; see `counting`.
        variables: before the node assigns its own.
        pending: what is left of the keys that the caller pressed in a row.
    """

    node: int
    counts: int
    variables: Variables
    pending: str = ""


def first_state(program: Program, variables: Mapping[str, Any] | None = None) -> State:
    """The state in which a call begins."""
    return _arrived(program, program.start, 0, Variables(dict(variables or {})), "")


def step(
    program: Program, state: State, given: Input | None = None, outcome: Mapping[str, Any] | None = None
) -> State | End:
    """What follows on a state.

    Args:
        program: the call flow.
        state: where the call is.
        given: what the caller does, where `waits` says that the node waits for it; else it is not looked at.
        outcome: variables that the node's action returns; they are assigned after those that the node sets.

    Returns:
        The state at the next node, or how the call ends here.
    """
    station = program.stations[state.node]
    if station.ends:
        return completed(station.node.id)
    variables = settled(station, state.variables, outcome)
    visits, pending = _visits(station, state), state.pending
    if station.gives_up_at(visits):
        branch, key = station.gives_up, ""
    else:
        key = ""
        if station.asks:
            if given is None and not pending:
                return input_missing(station.node.id)
            key, pending = heard_now(station, pending, given)
            if key == "hangup":
                return hung_up(station.node.id)
        branch = station.way(key, visits, variables.values)
    if branch is None:
        return no_way_out(station, key, visits)
    return _arrived(program, branch.target, state.counts, variables, pending)


def waits(program: Program, state: State) -> bool:
    """Whether the node waits for the caller to do something new."""
    station = program.stations[state.node]
    return station.asks and not state.pending and not station.gives_up_at(_visits(station, state))


def settled(station: Station, variables: Variables, outcome: Mapping[str, Any] | None = None) -> Variables:
    """The variables once a node has assigned its own, and its action has returned."""
    changes = {**station.node.set, **outcome} if outcome else station.node.set
    return variables.having(changes)


def heard_now(station: Station, pending: str, given: Input | None) -> tuple[str, str]:
    """What a node hears, and what is left of keys that are pressed in a row; what is left over comes first."""
    if not pending:
        if given is None or given.kind != "digits":
            return ("" if given is None else given.key), ""
        pending = given.text
    taken = len(pending) if station.collects is None else station.collects
    return pending[:taken], pending[taken:]


def _visits(station: Station, state: State) -> int:
    return station.counter.of(state.counts) if station.counter else 1


def _arrived(program: Program, node: int, counts: int, variables: Variables, pending: str) -> State:
    counter = program.stations[node].counter
    return State(node, counter.up(counts) if counter else counts, variables, pending)
