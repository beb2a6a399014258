"""What changes for callers between two versions of a flow.

Both flows take the same call at once. As long as the caller notices no difference they go on together; where they part
is a change. Whatever nobody knows beforehand is the same in both: the variables of the platform, and what the first
action returns, the second, and so on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cordboard.ivr.conditions import Value
from cordboard.ivr.paths.moves import Move, Moves
from cordboard.ivr.paths.observing import Noticed, StopKind, for_ever, noticed_at, told_apart
from cordboard.ivr.paths.telling import doing, shown
from cordboard.ivr.paths.world import Unknown, World, worlds_of
from cordboard.ivr.trace import End, Input, Program, State, Variables

MOST_PAIRS = 30_000
#: The outcomes of so many actions in one call are told apart.
_MOST_ACTIONS = 3
_MOST_STEPS = 10_000
#: So many moves are tried for each comparison, on the average.
_MOST_TRIED = 30
_MOST_VARIANTS = 4

_Table = Mapping[tuple[str, int], Value]
#: States of a call since the caller last did something, and how much was noticed before each.
_Passed = Mapping[State, int]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was.

    Attributes:
        kind: a call goes another way, only a wording is another, or not every call was compared.
        sentence: what changes, for people.
        inputs: the shortest call that shows it.
        variables: values with which it shows.
        before: what came of it.
        after: what comes of it now.
    """

    kind: Literal["route", "wording", "unfinished"]
    sentence: str
    inputs: tuple[Input, ...] = ()
    variables: Mapping[str, Value] = field(default_factory=dict)
    before: str = ""
    after: str = ""

    def as_json(self) -> dict[str, Any]:
        """The change as a JSON object."""
        return {
            "kind": self.kind,
            "sentence": self.sentence,
            "inputs": [given.as_json() for given in self.inputs],
            "variables": dict(self.variables),
            "before": self.before,
            "after": self.after,
        }


def behaviour_changes(
    old: Program, new: Program, limit: int = 50, *, most_pairs: int = MOST_PAIRS
) -> tuple[Change, ...]:
    """What changes for callers, the shortest calls first; nothing where no caller notices anything.

    Args:
        old: the flow as it was.
        new: the flow as it is now.
        limit: how many changes are told.
        most_pairs: how often what comes of both is compared; where they do not suffice, the last change says so.
    """
    worlds = worlds_of(old, new)
    comparison = _Comparison(_Side(old, worlds[0]), _Side(new, worlds[1]))
    complete = comparison.run(most_pairs)
    found = comparison.changes()[:limit]
    if complete and all(world.exact for world in worlds):
        return tuple(found)
    more = "Not every call was compared: there are too many, and calls of more inputs may differ."
    return (*found, Change("unfinished", more))


@dataclass(frozen=True, slots=True)
class _Moment:
    """Where one of the two calls is: its state, and how many actions were asked."""

    state: State
    actions: int


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What comes of something that the caller does, until the caller is asked again or the call is over."""

    noticed: tuple[Noticed, ...]
    stop: StopKind
    moment: _Moment | None
    prompt: str = ""
    again: tuple[Noticed, ...] = ()

    @property
    def felt(self) -> tuple[object, ...]:
        """What the caller notices of it."""
        return self.stop, *(tuple((it.kind, it.text) for it in part) for part in (self.noticed, self.again))


class _Side:
    """The calls of one of the two flows."""

    def __init__(self, program: Program, world: World) -> None:
        self.program, self.world = program, world
        self.moves = Moves(program, world)
        self.tried = 0
        self._asked: dict[State, list[Move]] = {}
        self._heard = [tuple(noticed_at(station)) for station in program.stations]

    def first(self) -> _Moment:
        """The moment at which a call begins."""
        return self._counted(self.moves.first(), 0)

    def asked(self, moment: _Moment) -> list[Move]:
        """The moves of a call that waits for the caller."""
        state = moment.state
        if state not in self._asked:
            self._asked[state] = list(self.moves.of(state))
        return self._asked[state]

    def outcomes(self, moment: _Moment, table: _Table, given: Input | None) -> Iterator[tuple[_Outcome, _Table]]:
        """What can come of an input, for all that nobody knows; where nothing is given, of the beginning of a call."""
        todo: list[tuple[_Moment, _Table, tuple[Noticed, ...], _Passed]] = []
        if given is None:
            todo.append((moment, table, self._noticed(moment), {}))
        else:
            for move in self.asked(moment):
                if given in move.inputs:
                    yield from self._after(move, moment, table, (), {}, todo)
        steps = 0
        while todo and steps < _MOST_STEPS:
            steps += 1
            here, known, noticed, passed = todo.pop()
            if here.state in passed:
                before, again = for_ever(noticed[: -len(self._noticed(here)) or None], passed[here.state])
                yield _Outcome(before, "for ever", None, again=again), known
                continue
            station = self.program.stations[here.state.node]
            if station.ends:
                yield _Outcome(noticed, "ends", None), known
                continue
            moves = self.asked(here)
            if any(move.inputs for move in moves):
                prompt = noticed[-1].text if noticed and station.node.prompt else ""
                yield _Outcome(noticed, "asks", here, prompt), known
                continue
            for move in moves:
                yield from self._after(
                    move, here, known, noticed, {**passed, here.state: len(noticed) - len(self._noticed(here))}, todo
                )

    def _after(  # noqa: PLR0913, PLR0917 - all that is known at one moment of a call
        self,
        move: Move,
        moment: _Moment,
        table: _Table,
        noticed: tuple[Noticed, ...],
        passed: _Passed,
        todo: list[Any],
    ) -> Iterator[tuple[_Outcome, _Table]]:
        """Goes on by one move, where that agrees with what is known of this call."""
        self.tried += 1
        known = self._agreeing(move, moment, table)
        if known is None:
            return
        if isinstance(move.following, End):
            yield _Outcome(noticed, "nowhere", None), known
            return
        following = self._counted(move.following, moment.actions)
        todo.append((following, known, (*noticed, *self._noticed(following)), passed))

    def _agreeing(self, move: Move, moment: _Moment, table: _Table) -> _Table | None:
        """What is known of this call after a move decides something; None where it is known to be otherwise."""
        found = dict(table)
        for name, value in move.decided:
            key = self._key(name, moment)
            if repr(found.setdefault(key, value)) != repr(value):
                return None
        return found

    def _key(self, name: str, moment: _Moment) -> tuple[str, int]:
        if name in self.world.returned.get(moment.state.node, {}):
            return name, moment.actions
        unknown = moment.state.variables.values[name]
        assert isinstance(unknown, Unknown)
        return unknown.key or (name, moment.actions)

    def _counted(self, state: State, actions: int) -> _Moment:
        """A moment with its actions counted, and with what the last one returned told apart from other outcomes."""
        values = state.variables.values
        fresh = {
            name: Unknown(it.values, (name, actions))
            for name, it in values.items()
            if isinstance(it, Unknown) and it.key is None
        }
        if fresh:
            state = State(state.node, state.counts, Variables({**values, **fresh}), state.pending)
        if state.node in self.world.returned:
            actions = min(actions + 1, _MOST_ACTIONS)
        return _Moment(state, actions)

    def _noticed(self, moment: _Moment) -> tuple[Noticed, ...]:
        return self._heard[moment.state.node]


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Both calls, as long as they are alike."""

    old: _Moment
    new: _Moment
    table: _Table
    inputs: tuple[Input, ...]

    @property
    def key(self) -> tuple[object, ...]:
        return self.old, self.new, repr(sorted(self.table.items(), key=lambda item: item[0]))


@dataclass(frozen=True, slots=True)
class _Parting:
    """Where the two calls part."""

    before: str
    after: str
    inputs: tuple[Input, ...]
    table: _Table

    @property
    def common(self) -> tuple[object, ...]:
        """What other inputs at the same place must have in common with it to be told in one sentence."""
        return self.before, self.after, self.inputs[:-1], repr(self.table)


class _Comparison:
    """Makes every call in both flows at once."""

    def __init__(self, old: _Side, new: _Side) -> None:
        self._old, self._new = old, new
        self._partings: dict[tuple[tuple[str, ...], Input | None], list[_Parting]] = {}
        self._reworded: dict[tuple[str, str], tuple[Input, ...]] = {}
        self._most = self._compared = 0

    def run(self, most: int) -> bool:
        """Compares calls, those with few inputs first; whether all of them were compared."""
        self._most = most
        first = _Pair(self._old.first(), self._new.first(), {}, ())
        todo = deque(self._together(first, None, [], ("start",)))
        seen = {pair.key for pair in todo}
        while todo:
            pair = todo.popleft()
            for inputs in self._kinds(pair):
                place = self._old.program.name(pair.old.state.node), self._new.program.name(pair.new.state.node)
                for following in self._together(pair, inputs[0], inputs, place):
                    if following.key not in seen:
                        seen.add(following.key)
                        todo.append(following)
                if self._is_over():
                    return False
        return not (self._is_over() or self._old.moves.cut or self._new.moves.cut)

    def _is_over(self) -> bool:
        """Whether enough has been compared, or tried in vain."""
        tried = self._old.tried + self._new.tried
        return self._compared > self._most or tried > _MOST_TRIED * self._most

    def _kinds(self, pair: _Pair) -> list[list[Input]]:
        """Inputs that stand for all, put together where they do the same in both flows."""
        sides = ((self._old, pair.old), (self._new, pair.new))
        moves = [move for side, moment in sides for move in side.asked(moment)]
        known = dict.fromkeys(
            given for side, moment in sides for given in side.world.callers(side.program.stations[moment.state.node])
        )
        kinds: dict[tuple[int, ...], list[Input]] = {}
        for given in known:
            does = tuple(number for number, move in enumerate(moves) if given in move.inputs)
            kinds.setdefault(does, []).append(given)
        return list(kinds.values())

    def _together(
        self, pair: _Pair, given: Input | None, alike: Sequence[Input], place: tuple[str, ...]
    ) -> Iterator[_Pair]:
        """Both calls after one thing that the caller does, as long as they go on alike."""
        inputs = pair.inputs if given is None else (*pair.inputs, given)
        for before, known in self._old.outcomes(pair.old, pair.table, given):
            for after, table in self._new.outcomes(pair.new, known, given):
                self._compared += 1
                if self._is_over():
                    return
                alike_enough = before.felt == after.felt or _only_reworded(before, after)
                if not alike_enough:
                    self._part(before, after, table, inputs, alike, place)
                elif before.felt != after.felt:
                    self._reword(before, after, inputs)
                if before.moment and after.moment and alike_enough:
                    yield _Pair(before.moment, after.moment, self._needed(table, before, after), inputs)

    def _needed(self, table: _Table, before: _Outcome, after: _Outcome) -> _Table:
        """What must be remembered of a call: what is known, and can still be asked."""
        moments = [moment for moment in (before.moment, after.moment) if moment]
        unknown = {
            value.key for it in moments for value in it.state.variables.values.values() if isinstance(value, Unknown)
        }
        fewest = min(moment.actions for moment in moments)
        acts = bool(self._old.world.returned or self._new.world.returned)
        return {key: value for key, value in table.items() if key in unknown or (acts and key[1] >= max(1, fewest))}

    def _part(  # noqa: PLR0913, PLR0917 - all that is known where two calls part
        self,
        before: _Outcome,
        after: _Outcome,
        table: _Table,
        inputs: tuple[Input, ...],
        alike: Sequence[Input],
        place: tuple[str, ...],
    ) -> None:
        """Notes where the two calls part; of what is done at one place only the shortest calls are of interest."""
        was, now = told_apart(*(((*it.noticed, *it.again), it.stop, it.prompt) for it in (before, after)))
        for given in alike or (None,):
            known = self._partings.setdefault((place, given), [])
            found = _Parting(was, now, inputs if given is None else (*inputs[:-1], given), table)
            if not known or (len(known[0].inputs) == len(inputs) and found.common not in [it.common for it in known]):
                known.append(found)

    def _reword(self, before: _Outcome, after: _Outcome, inputs: tuple[Input, ...]) -> None:
        for old, new in zip(before.noticed, after.noticed, strict=True):
            if old.text != new.text:
                self._reworded.setdefault((old.text, new.text), inputs)

    def changes(self) -> list[Change]:
        """What was found, the shortest calls first."""
        together: dict[tuple[object, ...], list[list[_Parting]]] = {}
        for (place, _), partings in self._partings.items():
            together.setdefault((place, tuple(it.common for it in partings)), []).append(partings)
        routes = [_routed(found) for found in together.values()]
        words = [_reworded(old, new, inputs) for (old, new), inputs in self._reworded.items()]
        return sorted([*routes, *words], key=lambda it: len(it.inputs))


def _only_reworded(before: _Outcome, after: _Outcome) -> bool:
    """Whether the same nodes say something else."""
    sides = [[(it.kind, it.node if it.kind == "hears" else it.text) for it in side.noticed] for side in (before, after)]
    return before.stop == after.stop and sides[0] == sides[1] and before.again == after.again == ()


def _routed(found: Sequence[Sequence[_Parting]]) -> Change:
    """One sentence about all that does the same at one place, and about all that it depends on."""
    variants = found[0]
    first = variants[0]
    did = doing(first.inputs, [partings[0].inputs[-1] for partings in found if partings[0].inputs]) or "every call"
    clauses = [f"{did} {first.before}; it now {first.after}{_settings(first.table, ' (with {})')}"]
    clauses += [f"{_settings(it.table, 'with {} ')}it {it.before}, and now {it.after}" for it in variants[1:]]
    sentence = "; ".join(clauses[:_MOST_VARIANTS] + ["…"] * (len(clauses) > _MOST_VARIANTS))
    variables = {name: value for (name, asked), value in first.table.items() if not asked and value is not None}
    return Change("route", sentence, first.inputs, variables, first.before, first.after)


def _settings(table: _Table, form: str) -> str:
    known = [f"{name} {shown(value)}{' returned' if asked else ''}" for (name, asked), value in sorted(table.items())]
    return form.format(" and ".join(known)) if known else ""


def _reworded(old: str, new: str, inputs: tuple[Input, ...]) -> Change:
    return Change("wording", f'callers who heard "{old}" now hear "{new}"', inputs, {}, old, new)
