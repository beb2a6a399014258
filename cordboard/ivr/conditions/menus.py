"""The short way for the usual menu, where each branch is a few keys or words, silence, `true`, `default` or the like.

It says exactly what trying everything would say, in a fraction of the time: flows have up to a million nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cordboard.ivr.conditions.keypad import MISUNDERSTOOD, SILENCE, can_be_pressed, inputs_of, keypad, rank, spoken
from cordboard.ivr.conditions.situation import CallerInput, Cover, Situation
from cordboard.ivr.conditions.tree import Comparison, Condition, Constant, Default, IsTrue, Name, Or, Text

_Inputs = frozenset[CallerInput]


@lru_cache(maxsize=65536)
def taken_by(condition: Condition) -> _Inputs | None:  # noqa: PLR0911 - one for each kind of condition
    """The inputs that a condition takes, where these decide alone and can be listed; else None."""
    match condition:
        case Constant(False):
            return frozenset()
        case Comparison("==", Name("dtmf"), Text(keys)) if can_be_pressed(keys):
            return frozenset({CallerInput(dtmf=keys)})
        case Comparison("==", Name("speech"), Text(words)) if words:
            return frozenset({CallerInput(speech=words)})
        case IsTrue(Name("no_input")):
            return frozenset({SILENCE})
        case IsTrue(Name("no_match")):
            return frozenset({MISUNDERSTOOD})
        case Or(parts):
            return _taken_together(parts)
        case _:
            return None


def _taken_together(parts: tuple[Condition, ...]) -> _Inputs | None:
    found: set[CallerInput] = set()
    for part in parts:
        inputs = taken_by(part)
        if inputs is None:
            return None
        found |= inputs
    return frozenset(found)


def takes_all(condition: Condition) -> bool:
    """Whether it is `true` or `default`."""
    return isinstance(condition, Default) or (isinstance(condition, Constant) and condition.value)


def cover_menu(conditions: Sequence[Condition], order: Sequence[int]) -> Cover | None:
    """What `cover` says, where every condition is of the usual kind; else None.

    Args:
        conditions: the conditions.
        order: their indices in the order in which they are tried.
    """
    branches = [taken_by(condition) for condition in conditions]
    if any(branch is None and not takes_all(it) for branch, it in zip(branches, conditions, strict=True)):
        return None
    listed = frozenset[CallerInput]().union(*(branch for branch in branches if branch is not None))
    universe = _universe(listed)
    witness: list[Situation | None] = [None] * len(branches)
    shadowed: list[int | None] = [None] * len(branches)
    taken: dict[CallerInput, int] = {}
    tried: list[int] = []
    for index in order:
        branch = branches[index]
        new = (universe if branch is None else branch).difference(taken)
        if new:
            witness[index] = _example(_sorted(new)[0]) if listed else Situation()
            taken |= dict.fromkeys(new, index)
        elif branch is None or branch:
            shadowed[index] = _hider(index, branches, tried, taken)
        tried.append(index)
    gaps = tuple(map(_example, _sorted(universe.difference(taken))))
    return Cover(tuple(shadowed), tuple(witness), tuple(branch == frozenset() for branch in branches), gaps)


def _hider(index: int, branches: Sequence[_Inputs | None], tried: Sequence[int], taken: dict[CallerInput, int]) -> int:
    """The first that alone takes everything of a branch, else the last of those that do so together."""
    wanted = branches[index]
    takers = {taken[caller] for caller in wanted or ()}
    if len(takers) == 1:
        return takers.pop()  # it was the first for each of them
    for other in tried:
        inputs = branches[other]
        if inputs is None or (wanted is not None and wanted <= inputs):
            return other
    return max(takers)


def _universe(listed: _Inputs) -> _Inputs:
    """What stands for all that callers can do, where a menu tells these inputs apart."""
    unusual = (caller for caller in listed if caller.speech or len(caller.dtmf) > 1 or caller.dtmf.isalpha())
    return _all_inputs(frozenset(unusual))


@lru_cache(maxsize=4096)
def _all_inputs(unusual: _Inputs) -> _Inputs:
    return frozenset(inputs_of(keypad(it.dtmf for it in unusual), spoken(it.speech for it in unusual)))


@lru_cache(maxsize=4096)
def _sorted(inputs: _Inputs) -> tuple[CallerInput, ...]:
    return tuple(sorted(inputs, key=rank))


@lru_cache(maxsize=4096)
def _example(caller: CallerInput) -> Situation:
    return Situation(caller)
