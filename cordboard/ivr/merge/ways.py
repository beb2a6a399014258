"""The ways out of one node, merged: each by its condition, and their order where it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias

from cordboard.ivr.canonical import way
from cordboard.ivr.conditions import ConditionError, overlap, parse
from cordboard.ivr.merge.conflict import ORDER
from cordboard.ivr.merge.sequence import woven_strictly
from cordboard.ivr.merge.values import ABSENT, EXTRA, Clash, merge_values, plain, same
from cordboard.ivr.model import Node, Transition

Ways: TypeAlias = tuple[Transition, ...]
#: What tells one way out of a node from the others: its condition in its normal spelling, its type, and a number where
#: both stand more than once.
Key: TypeAlias = tuple[str, str, int]


class Conditions:
    """What the conditions of some flows mean, each of them parsed once."""

    def __init__(self) -> None:
        self._normal: dict[tuple[str, str], tuple[str, str]] = {}
        self._may_both_hold = cache(_may_both_hold)

    def normal(self, transition: Transition) -> tuple[str, str]:
        """The condition of a transition in its normal spelling, and its type."""
        written = (transition.condition, transition.type)
        if written not in self._normal:
            self._normal[written] = way(transition)
        return self._normal[written]

    def by_condition(self, ways: Iterable[Transition]) -> dict[tuple[str, str], Ways]:
        """The ways out of one node with each condition, nearly always one."""
        found: dict[tuple[str, str], Ways] = {}
        for transition in ways:
            normal = self.normal(transition)
            found[normal] = (*found.get(normal, ()), transition)
        return found

    def keys(self, ways: Iterable[Transition]) -> list[Key]:
        """What tells the ways out of one node apart, in order."""
        seen: Counter[tuple[str, str]] = Counter()
        found = []
        for normal in map(self.normal, ways):
            found.append((*normal, seen[normal]))
            seen[normal] += 1
        return found

    def order_counts(self, one: Key, other: Key) -> bool:
        """Whether a call may take either, so that it takes the one that is tried first."""
        if one[1] != other[1]:
            return False
        return one[1] != "conditional" or self._may_both_hold(one[0], other[0])


def merge_ways(ways: Sequence[Ways], conditions: Conditions) -> tuple[Ways, list[Clash]]:
    """The ways out of a node with the edits of both sides, and what they disagree on.

    Args:
        ways: those from which both started, ours and theirs.
        conditions: what is known of conditions.
    """
    base, ours, theirs = ways
    if ways_alike(ours, theirs) or ways_alike(theirs, base):
        return ours, []
    if ways_alike(ours, base):
        return theirs, []
    sides = [conditions.by_condition(side) for side in ways]
    clashes: list[Clash] = []
    merged: dict[Key, Transition] = {}
    for normal in sorted(set().union(*sides)):
        groups = [side.get(normal, ()) for side in sides]
        merged |= {(*normal, number): each for number, each in enumerate(_merge_group(normal, groups, clashes))}
    keys = [conditions.keys(side) for side in ways]
    order = woven_strictly(keys, merged.keys(), conditions.order_counts)
    if order is None:
        clashes.append(Clash(ORDER, *([named_shortly(*key[:2]) for key in side] for side in keys)))
    return tuple(merged[key] for key in order or ()), clashes


def ways_alike(ours: Ways, theirs: Ways) -> bool:
    """Whether ways are the same, whatever their places; 1 is not true."""
    return ours == theirs and all(map(same_extra, ours, theirs))


def same_extra(one: Node | Transition, other: Node | Transition) -> bool:
    """Whether what we do not interpret is the same."""
    return not (one.extra or other.extra) or same(dict(one.extra), dict(other.extra))


def _merge_group(normal: tuple[str, str], groups: Sequence[Ways], clashes: list[Clash]) -> Ways:
    """The ways with one condition; where it stands twice, nobody can tell which is which, so they are one value."""
    base, ours, theirs = groups
    if ways_alike(ours, theirs) or ways_alike(theirs, base):
        return ours
    if ways_alike(ours, base):
        return theirs
    known = len(clashes)
    bodies = [[way_body(normal, transition) for transition in group] for group in groups]
    path = f"transitions[{named_shortly(*normal)}]"
    if max(map(len, groups)) > 1:
        lists = [list(map(plain, body)) for body in bodies]
        chosen = merge_values(path, lists, clashes)
        if len(clashes) > known:
            return ()
        return min((it for it, each in zip(groups[1:], lists[1:], strict=True) if same(each, chosen)), key=_spelling)
    body = merge_values(path, [body[0] if body else ABSENT for body in bodies], clashes)
    gone = body is ABSENT or any(clash.path == path for clash in clashes[known:])
    return () if gone else (_transition(body, [group[0] if group else None for group in groups]),)


def _spelling(ways: Ways) -> list[tuple[str, str]]:
    return [(each.condition, each.id) for each in ways]


def named_shortly(condition: str, kind: str) -> str:
    """A way out of a node by its condition, or by the word that stands for its type."""
    return condition if kind == "conditional" else kind if condition == "true" else f"{kind} {condition}"


def way_body(normal: tuple[str, str], transition: Transition) -> dict[str, Any]:
    """What a way out of a node says."""
    return {"when": named_shortly(*normal), "to": transition.target, EXTRA: dict(transition.extra)}


def _transition(body: Mapping[str, Any], sides: Sequence[Transition | None]) -> Transition:
    either = next(side for side in (*sides[1:], *sides) if side is not None)
    condition = _said([side.condition if side else "" for side in sides])
    name = _said([side.id if side else "" for side in sides])
    return replace(either, target=body["to"], extra=body[EXTRA], condition=condition, id=name)


def _said(texts: Sequence[str]) -> str:
    """One of several spellings of the same: that of the side that changed it; of two new ones the first by letter."""
    before, ours, theirs = texts
    changed = sorted({text for text in (ours, theirs) if text not in {"", before}})
    return changed[0] if changed else before or ours or theirs


def _may_both_hold(one: str, other: str) -> bool:
    try:
        return overlap(parse(one), parse(other)) is not None
    except ConditionError:
        return True  # nobody can say, so the order counts
