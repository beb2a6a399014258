"""What no caller decides, and nobody knows beforehand: variables of the platform, and what actions return.

    a variable that conditions read …                  has, when a call begins, …
    and for which a value is given                     this value
    that a node `set`s                                 no value
    any other                                          any value that conditions can tell apart, the whole call long

An action is a node whose type says so (`data_action`, `lookup`). It may return every variable that conditions read, so
that nothing is called proven that hangs on what an action does not do; who knows better states its outcomes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cordboard.errors import BadCall
from cordboard.findings import did_you_mean, near
from cordboard.ivr.conditions import Boolean, Comparison, Condition, IsTrue, Name, Number, Operand, Text, Value, reads
from cordboard.ivr.conditions.candidates import Group, groups_of, pressed_in, said_in, values_in
from cordboard.ivr.conditions.evaluation import kind_of
from cordboard.ivr.conditions.keypad import inputs_of
from cordboard.ivr.conditions.tree import BUILT_IN_NAMES, atoms_of
from cordboard.ivr.model import Node
from cordboard.ivr.topology.fault import quoted
from cordboard.ivr.trace import Input, Program, Station, input_of

#: For the id of a node the variables that its action returns, and the values that each of them may have.
Outcomes: TypeAlias = Mapping[str, Mapping[str, Sequence[Value]]]

ACTION_WORDS = frozenset({"action", "api", "function", "integration", "lookup", "script"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True, slots=True)
class Unknown:
    """The value of a variable on which nothing has depended yet.

    Attributes:
        values: one of them it is; None stands for a variable that is missing.
        key: what tells it apart from other unknown values, where two flows are compared: its variable, and how many
            actions had been asked before it came about; None where an action has just returned it.
    """

    values: tuple[Value, ...]
    key: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What no caller decides.

    Attributes:
        variables: when a call begins; of some the value is `Unknown`.
        returned: for the numbers of some nodes the variables that an action assigns.
        groups: which names are compared with each other, and with what, anywhere in the flow.
        exact: whether the values that stand for all others are all that are needed.
    """

    variables: Mapping[str, Any]
    returned: Mapping[int, Mapping[str, Unknown]]
    groups: Mapping[str, Group] = field(repr=False)
    exact: bool

    def callers(self, station: Station) -> tuple[Input, ...]:
        """Inputs that stand for everything that a caller can do at a node; simple ones first."""
        groups = groups_of(comparisons_in(branch.condition for branch in station.branches))
        if any(groups[name].joined for name in groups.keys() & {"dtmf", "speech"}):
            groups = dict(self.groups)
        callers = inputs_of(pressed_in(groups.get("dtmf")), said_in(groups.get("speech")))
        most = station.collects
        return tuple(input_of(caller) for caller in callers if most is None or len(caller.dtmf) <= most)


def world_of(program: Program, variables: Mapping[str, Any] | None = None, outcomes: Outcomes | None = None) -> World:
    """What no caller decides in the calls of a flow.

    Args:
        program: the call flow.
        variables: values that are known when a call begins.
        outcomes: what actions return, where that is known; an action that is not among them may return everything.

    Raises:
        BadCall: an outcome is for a node that is not there.
    """
    given, stated = dict(variables or {}), outcomes or {}
    conditions = [branch.condition for station in program.stations for branch in station.branches]
    names = sorted(frozenset[str]().union(*map(reads, conditions)) - BUILT_IN_NAMES)
    groups = groups_of([*comparisons_in(conditions), *_assignments(program, given, stated)])
    unknown = {name: Unknown(values_in(groups[name])) for name in names}
    assigned = {name for station in program.stations for name in station.node.set}
    free = {name: value for name, value in unknown.items() if name not in assigned}
    return World(
        variables={**free, **given},
        returned=_returned(program, unknown, stated),
        groups=groups,
        exact=all(group.whole for group in groups.values()),
    )


def worlds_of(first: Program, second: Program) -> tuple[World, World]:
    """What no caller decides in the calls of two flows that are compared: the same values in both."""
    both = (first, second)
    conditions = [branch.condition for it in both for station in it.stations for branch in station.branches]
    names = sorted(frozenset[str]().union(*map(reads, conditions)) - BUILT_IN_NAMES)
    assignments = [found for it in both for found in _assignments(it, {}, {})]
    groups = groups_of([*comparisons_in(conditions), *assignments])
    assigned = [{name for station in it.stations for name in station.node.set} for it in both]
    free = [name for name in names if not all(name in found for found in assigned)]
    start = {name: Unknown(values_in(groups[name]), (name, 0)) for name in free}
    unknown = {name: Unknown(values_in(groups[name])) for name in names}
    exact = all(group.whole for group in groups.values())
    mine, other = (World(start, _returned(it, unknown, {}), groups, exact) for it in both)
    return mine, other


def is_action(node: Node) -> bool:
    """Whether a node's type says that it asks another system."""
    return any(word.lower() in ACTION_WORDS for word in _WORD.findall(node.type))


def comparisons_in(conditions: Iterable[Condition]) -> list[Comparison]:
    """Everything that conditions compare; a bare name is compared with true."""
    atoms = (atom for condition in conditions for atom in atoms_of(condition))
    compared = (_equals(atom.name.name, True) if isinstance(atom, IsTrue) else atom for atom in atoms)
    return [atom for atom in compared if isinstance(atom, Comparison)]


def _assignments(program: Program, given: Mapping[str, Any], stated: Outcomes) -> Iterator[Comparison]:
    """Assigned values as comparisons: a variable may have to equal one of them."""
    settings = [given, *(station.node.set for station in program.stations)]
    settings += [{name: value} for returns in stated.values() for name in returns for value in returns[name]]
    for setting in settings:
        yield from (_equals(name, value) for name, value in setting.items() if kind_of(value) != "missing")


def _equals(name: str, value: str | int | float | bool) -> Comparison:
    text: Operand = Text(value) if isinstance(value, str) else Number(value)
    return Comparison("==", Name(name), Boolean(value) if isinstance(value, bool) else text)


def _returned(program: Program, unknown: Mapping[str, Unknown], stated: Outcomes) -> dict[int, Mapping[str, Unknown]]:
    for name in stated:
        if name not in program.index:
            hint = did_you_mean(near(name, program.index))
            raise BadCall(f"there is no node {quoted(name)} whose action could return something. {hint}".strip())
    everything = {number: unknown for number, station in enumerate(program.stations) if is_action(station.node)}
    known = {
        program.index[node]: {name: Unknown(tuple(values)) for name, values in returns.items()}
        for node, returns in stated.items()
    }
    return {number: returns for number, returns in {**everything, **known}.items() if returns}
