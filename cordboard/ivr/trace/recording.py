"""The record of a call that the local engine made, from which its steps can be told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from cordboard.ivr.model import START_TYPE
from cordboard.ivr.trace.ending import STATUS, End
from cordboard.ivr.trace.inputs import Input, caller_of
from cordboard.ivr.trace.loops import Loop
from cordboard.ivr.trace.program import Branch, Program, Station
from cordboard.ivr.trace.states import Variables
from cordboard.ivr.trace.trace import Entry

#: Types of nodes that only send a call on.
_ROUTING = frozenset({"queue", "route", "decision", ""})


class Recording:
    """A call that was made; its steps are worked out when somebody asks for them, because most calls are only counted.

    Attributes:
        program: the call flow.
        inputs: what the caller was to do.
        given: how many of them were.
        pending: what was left of keys pressed in a row.
        path: ids of the nodes.
        leaps: the ways that were taken.
        single: whether each of them was followed to the next node only.
        heard: numbers of steps, and what was heard there.
        versions: numbers of steps, and the variables from there on.
        end: how the call ended.
        loops: the loop in which the call was caught.
    """

    __slots__ = (
        "end", "given", "heard", "inputs", "leaps", "loops", "path", "pending", "program", "single", "versions",
    )  # fmt: skip

    def __init__(self, program: Program, inputs: Sequence[Input], variables: Variables, single: bool) -> None:
        self.program, self.inputs, self.single = program, tuple(inputs), single
        self.given = 0
        self.pending = ""
        self.path = [program.stations[program.start].node.id]
        self.leaps: list[Branch] = []
        self.heard: list[tuple[int, str]] = []
        self.versions = [(0, variables)]
        self.end: End | None = None
        self.loops: tuple[Loop, ...] = ()

    @property
    def duration_ms(self) -> int:
        """Virtual milliseconds."""
        return sum(station.cost_ms for station in self._stations())

    @property
    def edges(self) -> tuple[int, ...]:
        """The numbers of the transitions that were taken, in the flow."""
        return tuple(branch.edge for branch in self._taken())

    @property
    def unused(self) -> tuple[Input, ...]:
        """Inputs that no node asked for."""
        left = (Input("digits", self.pending),) if self.pending else ()
        return (*left, *self.inputs[self.given :])

    def __iter__(self) -> Iterator[Entry]:
        stations, heard, after = self._stations(), dict(self.heard), dict(self.versions[1:])
        last, clock, variables = len(stations) - 1, 0, self.versions[0][1]
        for step, station in enumerate(stations):
            before, variables = variables, after.get(step, variables)
            end = self.end if step == last else None
            yield Entry(
                node=station.node.id,
                type=word_for(station),
                timestamp_ms=clock,
                input=as_text(heard[step]) if step in heard else None,
                target=_target(station, stations[step + 1] if step < last else None),
                before=before.values,
                after=variables.values,
                status=STATUS[end.kind] if end else "",
                exception=end.message if end and end.faulty else "",
            )
            clock += station.cost_ms

    def _stations(self) -> list[Station]:
        stations = self.program.stations
        return [stations[self.program.start], *(stations[branch.target] for branch in self._taken())]

    def _taken(self) -> Iterator[Branch]:
        """Each way that was taken; a call that is caught in a loop may have been followed too far."""
        return islice(self._followed(), len(self.path) - 1)

    def _followed(self) -> Iterator[Branch]:
        for leap in self.leaps:
            branch = leap
            yield branch
            for _ in () if self.single else leap.names[1:]:
                following = self.program.stations[branch.target].onward
                assert following is not None
                branch = following
                yield branch


def word_for(station: Station) -> str:
    """The vendor's word for what a node does in a call."""
    if station.node.type == START_TYPE:
        return "Start"
    if station.ends:
        return "Exit"
    if station.asks:
        return "GatherInput"
    return "Route" if station.node.type in _ROUTING else station.node.type


def as_text(key: str) -> str:
    """What a node heard, as the vendor writes it."""
    caller = caller_of(key)
    return caller.dtmf or caller.speech or key


def _target(station: Station, following: Station | None) -> str | None:
    """Where a node routes a call: what its vendor's field says, else the next node."""
    if word_for(station) != "Route":
        return None
    stated = station.node.extra.get("target")
    if isinstance(stated, str) and stated:
        return stated
    return None if following is None else following.node.id
