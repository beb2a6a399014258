"""How a node passes a call on.

Two questions decide about loops. Which ways out can a call take without the caller doing anything new (*silent*)? Which
can it take with a caller who never says a useful thing (*driven*)?

    a node that …                    silent ways        driven ways
    ends the call                    none               none
    has `max_visits`                 the one by which it gives up, in the end no other is left
    asks the caller                  none               those that silence or a misunderstanding takes
    does neither                     all that can be taken

A loop goes on only where it can go on after very many visits, so that `visits > 3` counts as true here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cordboard.ivr.conditions import (
    And,
    Comparison,
    Condition,
    Constant,
    Default,
    IsTrue,
    Name,
    Not,
    Operand,
    Or,
    cover,
    overlap,
    reads_caller,
)
from cordboard.ivr.conditions.evaluation import compare
from cordboard.ivr.conditions.tree import all_of, any_of
from cordboard.ivr.model import Flow, Node, Transition
from cordboard.ivr.topology.wiring import Way, Wiring

ASKING_TYPES = frozenset({"menu", "collect", "input", "dtmf", "speech"})
DECISION_TYPE = "decision"

_VISITS = Name("visits")
#: More than any number that a condition can hold.
_VERY_MANY = 10**18
_ANSWERS_NOTHING = Or((IsTrue(Name("no_input")), IsTrue(Name("no_match"))))
_ANSWERS = Not(_ANSWERS_NOTHING)


@dataclass(frozen=True, slots=True)
class Junction:
    """A node with its ways out, in file order.

    Attributes:
        node: the node.
        ends: whether a call ends here.
        transitions: its ways out.
        ways: when each is taken.
        flow: for the platform and its limits.
        order: the numbers of the ways in the order in which they are tried.
    """

    node: Node
    ends: bool
    transitions: Sequence[Transition]
    ways: Sequence[Way]
    flow: Flow
    order: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        order = (*self.of_kind("conditional"), *self.of_kind("default"), *self.of_kind("fallback"))
        object.__setattr__(self, "order", order)

    @property
    def readable(self) -> bool:
        """Whether all conditions can be read."""
        return all(way.error is None for way in self.ways)

    def of_kind(self, kind: str) -> list[int]:
        """The numbers of the ways of one kind."""
        return [number for number, way in enumerate(self.ways) if way.kind == kind]

    def condition(self, number: int) -> Condition:
        """What a way asks; `default` for a default or a fallback."""
        condition = self.ways[number].condition
        return Constant(False) if condition is None else condition


def junction_of(wiring: Wiring, node: int) -> Junction:
    """A node with its ways out, by its number."""
    ways = wiring.codes[wiring.starts[node] : wiring.starts[node + 1]]
    return Junction(
        node=wiring.nodes[node],
        ends=bool(wiring.ends[node]),
        transitions=wiring.transitions(node),
        ways=tuple(wiring.ways[code] for code in ways),
        flow=wiring.flow,
    )


@dataclass(frozen=True, slots=True)
class Passing:
    """How a node passes a call on.

    Attributes:
        asks: whether it waits for the caller.
        silent: numbers of the ways that a call can take, again and again, without the caller doing anything new.
        driven: numbers of the ways that it can take with a caller who never says a useful thing.
    """

    asks: bool
    silent: tuple[int, ...] = ()
    driven: tuple[int, ...] = ()


def passing_of(junction: Junction) -> Passing:
    """How a node passes a call on; nothing is claimed of a node with conditions that cannot be read."""
    waits = asks(junction)
    if junction.ends or not junction.readable:
        return Passing(waits)
    if junction.node.max_visits is not None:
        way = giving_up(junction)
        only = () if way is None else (way,)
        return Passing(waits, only, only)
    if waits:
        return Passing(waits, driven=_taken(junction, _ANSWERS_NOTHING))
    every = _taken(junction, Default())
    return Passing(waits, every, every)


def asks(junction: Junction) -> bool:
    """Whether a node waits for the caller.

    It does where a condition reads what the caller does, where its type says so, or where it is a `decision` that plays
    a prompt and then chooses: a condition, and a default or fallback beside it. A `decision` with a single way out, or
    without a prompt, passes straight on: files often call every node so.
    """
    conditions = [junction.condition(number) for number in junction.of_kind("conditional")]
    if junction.node.type in ASKING_TYPES or any(map(reads_caller, conditions)):
        return True
    chooses = any(not isinstance(condition, Constant) for condition in conditions)
    beside = len(junction.ways) > len(conditions)
    return junction.node.type == DECISION_TYPE and junction.node.prompt != "" and chooses and beside


def giving_up(junction: Junction) -> int | None:
    """The way that a node takes once it has been visited too often: its fallback, else its default.

    A condition `true` that stands last among the conditions is a default in all but name.
    """
    named = [*junction.of_kind("fallback")[:1], *junction.of_kind("default")[:1]]
    last = junction.of_kind("conditional")[-1:]
    unnamed = [number for number in last if junction.condition(number) == Constant(True)]
    return next(iter([*named, *unnamed]), None)


def _taken(junction: Junction, caller: Condition) -> tuple[int, ...]:
    """The ways that can be taken after very many visits, by callers of whom a condition holds."""
    asked = [(number, after_very_many_visits(junction.condition(number))) for number in junction.order]
    if isinstance(caller, Default):
        examples = cover([condition for _, condition in asked]).witness
    else:
        asked = [(number, condition) for number, condition in asked if overlap(condition, caller) is not None]
        examples = cover([_ANSWERS, *(condition for _, condition in asked)]).witness[1:]
    return tuple(sorted(number for (number, _), example in zip(asked, examples, strict=True) if example is not None))


def after_very_many_visits(condition: Condition) -> Condition:
    """What is left to ask once the number of visits is beyond every limit; another variable is taken for a limit."""
    match condition:
        case Not(inner):
            return Not(after_very_many_visits(inner))
        case And(parts):
            return all_of(list(map(after_very_many_visits, parts)))
        case Or(parts):
            return any_of(list(map(after_very_many_visits, parts)))
        case IsTrue(name) if name == _VISITS:
            return Constant(False)
        case Comparison(operator, left, right) if _VISITS in (left, right):
            return Constant(compare(operator, _in_the_end(left), _in_the_end(right)))
        case _:
            return condition


def _in_the_end(operand: Operand) -> str | int | float | bool:
    if isinstance(operand, Name):
        return _VERY_MANY if operand == _VISITS else 0
    return operand.value
