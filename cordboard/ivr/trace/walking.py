"""The local engine: one call, from the start to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cordboard.errors import BadCall
from cordboard.findings import did_you_mean, near
from cordboard.ivr.topology.fault import quoted
from cordboard.ivr.trace.ending import End, completed, going_round, hung_up, input_missing, no_way_out, too_long
from cordboard.ivr.trace.inputs import Input
from cordboard.ivr.trace.loops import Loop
from cordboard.ivr.trace.program import Program, Station
from cordboard.ivr.trace.recording import Recording
from cordboard.ivr.trace.states import Variables, heard_now, settled
from cordboard.ivr.trace.trace import Trace

Then = Literal["silence", "hangup", "stop"]
Outcomes = Mapping[str, Sequence[Mapping[str, Any]]]

_Mocks = Mapping[Station, Sequence[Mapping[str, Any]]]
_NO_VARIABLES = Variables({})
_NO_MOCKS: _Mocks = {}
_NOT_HEARD = frozenset({"", "hangup"})


def simulate(  # noqa: PLR0913 - what a call depends on
    program: Program,
    inputs: Sequence[Input] = (),
    variables: Mapping[str, Any] | None = None,
    mocks: Outcomes | None = None,
    *,
    max_loops: int = 50,
    then: Then = "silence",
) -> Trace:
    """Makes a call.

    Args:
        program: the call flow.
        inputs: what the caller does, one thing after another.
        variables: their values when the call begins, plain JSON.
        mocks: for ids of nodes what their actions return: the first time, the second time, …; the last one repeats.
        max_loops: how often a node that counts or assigns may be reached while the caller does nothing new.
        then: what the caller does once the inputs have run out: stays silent, hangs up, or nobody knows.

    Raises:
        BadCall: a mock is for a node that is not there.
    """
    given = Variables(dict(variables)) if variables else _NO_VARIABLES
    call = _Call(program, inputs, given, _stations(program, mocks) if mocks else _NO_MOCKS)
    end = call.end = call.run(max_loops, then)
    return Trace(tuple(call.path), call.variables.values, end, call.used, call)


def _stations(program: Program, mocks: Outcomes) -> _Mocks:
    for name in mocks:
        if name not in program.index:
            hint = did_you_mean(near(name, program.index))
            raise BadCall(f"there is no node {quoted(name)} whose action could return something. {hint}".strip())
    return {program.stations[program.index[name]]: outcomes for name, outcomes in mocks.items() if outcomes}


class _Call(Recording):
    """A call that is being made, and afterwards its record."""

    __slots__ = ("_counts", "_mocks", "_reached", "_rounds", "_seen", "_since", "used", "variables")

    def __init__(self, program: Program, inputs: Sequence[Input], variables: Variables, mocks: _Mocks) -> None:
        super().__init__(program, inputs, variables, bool(mocks))
        self.variables, self._mocks = variables, mocks
        self.used = self._counts = 0
        self._since = 0  # the first step whose state can come back
        self._seen: dict[object, int] = {}  # states since something changed for good, and their steps
        self._rounds: dict[Station, int] = {}  # visits since the caller did something
        self._reached: dict[Station, int] = {}

    def run(self, max_loops: int, then: Then) -> End:  # noqa: PLR0912 - the loop in which all the time is spent
        """Goes from node to node until the call ends."""
        stations, mocks, seen = self.program.stations, self._mocks, self._seen
        path, leaps, keyed = self.path, self.leaps, self.single or self.program.assigns
        station, visits = stations[self.program.start], 1
        while True:
            if station.busy or mocks:
                visits = self._arrive(station)
                if self._rounds[station] > max_loops:
                    return too_long(station.node.id, max_loops)
            if station.ends:
                return completed(station.node.id)
            if station.returns:
                state = (station, self.variables.key) if keyed else station
                if state in seen:
                    return self._caught(seen[state])
                seen[state] = len(path) - 1
            branch, key = station.onward, ""
            if branch is None:
                if visits > station.limit:
                    branch = station.gives_up
                else:
                    if station.asks:
                        key = self._hear(station, then)
                        if key in _NOT_HEARD:
                            return hung_up(station.node.id) if key else input_missing(station.node.id)
                    branch = station.way(key, visits, self.variables.values)
                if branch is None:
                    return no_way_out(station, key, visits)
            leaps.append(branch)
            if mocks:
                path.append(branch.names[0])
                station = stations[branch.target]
            else:
                path += branch.names
                station = stations[branch.lands]

    def _arrive(self, station: Station) -> int:
        """Counts the visit and assigns; what changes for good makes earlier states impossible."""
        self._rounds[station] = self._rounds.get(station, 0) + 1
        visits, counter = 1, station.counter
        if counter is not None:
            counts = counter.up(self._counts)
            if counts != self._counts:
                self._counts = counts
                self._seen.clear()
                self._since = len(self.path) - 1
            visits = counter.of(counts)
        if station.node.set or self._mocks:
            variables = settled(station, self.variables, self._outcome(station))
            if variables is not self.variables:
                self.variables = variables
                self.versions.append((len(self.path) - 1, variables))
        return visits

    def _outcome(self, station: Station) -> Mapping[str, Any] | None:
        outcomes = self._mocks.get(station)
        if outcomes is None:
            return None
        reached = self._reached.get(station, 0)
        self._reached[station] = reached + 1
        if reached + 1 < len(outcomes):
            self._seen.clear()
            self._since = len(self.path) - 1
        return outcomes[min(reached, len(outcomes) - 1)]

    def _hear(self, station: Station, then: Then) -> str:
        """What the caller does now; what is done after the last input is no input."""
        given = None
        if not self.pending:
            if self.given == len(self.inputs):
                if then != "silence":
                    return "hangup" if then == "hangup" else ""
                self.heard.append((len(self.path) - 1, "no_input"))
                return "no_input"
            given = self.inputs[self.given]
            self.given += 1
        key, self.pending = heard_now(station, self.pending, given)
        self.used += 1
        self._since = len(self.path)
        self.heard.append((self._since - 1, key))
        self._seen.clear()
        self._rounds.clear()
        return key

    def _caught(self, first: int) -> End:
        """The end of a call in which a state has come back, cut off at the first one that did.

        Where nodes are merely passed nobody looks for loops, so that it can be some steps back.
        """
        path = self.path
        while first > self._since and self._alike(first - 1, len(path) - 2):
            first -= 1
            path.pop()
        self.variables = self._at(len(path) - 1)
        nodes = tuple(path[first:-1])
        self.loops = (Loop(nodes, first, 1),)
        return going_round(self.loops[0], silent=any(step >= first for step, _ in self.heard))

    def _alike(self, first: int, second: int) -> bool:
        """Whether a node is merely passed at two steps, with the same variables."""
        station = self.program.stations[self.program.index[self.path[first]]]
        same = self.path[first] == self.path[second] and station.onward is not None and not station.busy
        return same and self._at(first) == self._at(second)

    def _at(self, step: int) -> Variables:
        return next(variables for since, variables in reversed(self.versions) if since <= step)
