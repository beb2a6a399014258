"""What changed about the ways out of one node, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

from cordboard.ivr.conditions import And, Condition, ConditionError, parse, show
from cordboard.ivr.diff.difference import Difference, Kind
from cordboard.ivr.diff.matching import Match, Way, Ways, match_ways
from cordboard.ivr.diff.wording import (
    ALWAYS,
    ANYTHING_ELSE,
    Names,
    condition_in_words,
    excerpts,
    listed,
    rest_of,
    visible,
)

_EVERY_CALL = "every call"
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Ends:
    """The ways out of one node before and after, and how everything is called.

    Attributes:
        node: id of the node.
        before: the ways before, with ids as they are now.
        after: the ways now.
        old: how nodes were called.
        new: how they are called.
    """

    node: str
    before: Ways
    after: Ways
    old: Names
    new: Names

    @property
    def at(self) -> str:
        """The beginning of a sentence about the node."""
        return f"at {self.new.short(self.node)}"

    def tell(self) -> Iterator[Difference]:
        """What changed about the ways out."""
        match = match_ways(self.before, self.after)
        for index in sorted(range(len(self.after)), key=self._reading_order):
            old = match.origin[index]
            yield from self._added(index, match) if old is None else self._changed(self.before[old], index, match)
        for old in match.gone:
            way = self.before[old]
            sentence = f"{self.at}, {_subject(way, self.before)} is gone: it led to {self.old.full(way.to)}"
            yield Difference(Kind.WAY_GONE, self.node, sentence, way.as_json(), None)
        if match.swapped:
            yield self._reordered(match)

    def _reading_order(self, index: int) -> tuple[bool, str]:
        """Digits one after the other, what happens otherwise last; the canonical order goes by targets."""
        return self.after[index].kind != "conditional", self.after[index].when

    def _added(self, index: int, match: Match) -> Iterator[Difference]:
        way = self.after[index]
        leads = f"{_subject(way, self.after)} is new: it leads to {self.new.full(way.to)}"
        sentence = f"{self.at}, {leads}{self._place(index, match)}"
        after: dict[str, Any] = {**way.as_json(), "extra": way.extra} if way.extra != "{}" else way.as_json()
        yield Difference(Kind.WAY_ADDED, self.node, sentence, None, after)

    def _changed(self, old: Way, index: int, match: Match) -> Iterator[Difference]:
        way = self.after[index]
        place = self._place(index, match)
        if way.to != old.to:
            subject = _subject(way, self.after)
            leads = f"{subject} now leads to {self.new.full(way.to)}, it led to {self.old.full(old.to)}"
            yield self._difference(Kind.REROUTED, f"{leads}{place}", old, way)
        elif (way.when, way.kind) != (old.when, old.kind):
            yield self._difference(Kind.CONDITION, f"{self._conditions(old, way)}{place}", old, way)
        elif place:
            yield self._difference(Kind.ORDER, f"{_subject(way, self.after)} has moved{place}", old, way)
        if way.extra != old.extra:
            sentence = f"the connection for {_words(way)} to {self.new.full(way.to)} has other details, now "
            shown = ", before ".join(map(visible, excerpts(way.extra, old.extra)))
            yield Difference(Kind.WAY, self.node, f"{self.at}, {sentence}{shown}", old.extra, way.extra)

    def _conditions(self, old: Way, way: Way) -> str:
        target = self.new.full(way.to)
        if way.kind == old.kind == "conditional":
            if more := _more(old.when, way.when):
                return f"{_words(old)} now leads to {target} only when {show(more)}"
            if less := _more(way.when, old.when):
                return f"{_words(way)} now leads to {target} whether or not {show(less)}"
        return f"{target} is now reached by {_words(way)}, it was by {_words(old)}"

    def _place(self, index: int, match: Match) -> str:
        """Which other ways this one now has to stand before or behind."""
        behind = [self.after[other] for other in match.newly_after.get(index, ())]
        ahead = [self.after[other] for other in match.newly_before.get(index, ())]
        return "".join(
            f"; it is tried {word} {_several([_words(way) for way in ways])}"
            for word, ways in (("after", behind), ("before", ahead))
            if ways
        )

    def _reordered(self, match: Match) -> Difference:
        involved = sorted({index for pair in match.swapped for index in pair})
        before = sorted(involved, key=lambda index: match.origin[index] or 0)
        now, was = ([_words(self.after[index]) for index in order] for order in (involved, before))
        sentence = _one_moved(match.swapped, self.after) or f"the order is now {_then(now)}; it was {_then(was)}"
        ways = ([self.after[index].as_json() for index in order] for order in (before, involved))
        return Difference(Kind.ORDER, self.node, f"{self.at}, {sentence}", *ways)

    def _difference(self, kind: Kind, sentence: str, old: Way, way: Way) -> Difference:
        return Difference(kind, self.node, f"{self.at}, {sentence}", old.as_json(), way.as_json())


def _words(way: Way) -> str:
    return condition_in_words(way.when, way.kind)


def _subject(way: Way, ways: Ways) -> str:
    """The condition as the subject of a sentence; where there is nothing to choose, it is every call."""
    words = _words(way)
    return _EVERY_CALL if words == ALWAYS or (words == ANYTHING_ELSE and len(ways) == 1) else words


def _more(one: str, other: str) -> Condition | None:
    """What the other condition asks beyond the first."""
    try:
        less, more = parse(one), parse(other)
    except ConditionError:
        return None
    parts = less.parts if isinstance(less, And) else (less,)
    if not isinstance(more, And) or more.parts[: len(parts)] != parts or len(more.parts) == len(parts):
        return None
    rest = more.parts[len(parts) - 1 :]
    return rest_of(rest)


def _one_moved(swapped: tuple[tuple[int, int], ...], ways: Ways) -> str:
    """The change of order in words where a single way has moved up or down; empty where more is to be said."""
    firsts, seconds = ({pair[end] for pair in swapped} for end in (0, 1))
    if len(firsts) == 1:
        mover, others, word, was = firsts, seconds, "before", "after"
    elif len(seconds) == 1:
        mover, others, word, was = seconds, firsts, "after", "before"
    else:
        return ""
    them = "it" if len(others) == 1 else "them"
    return (
        f"{_words(ways[min(mover)])} is now tried {word} {_several(_in_order(others, ways))}, it was tried {was} {them}"
    )


def _in_order(indexes: Set[int], ways: Ways) -> list[str]:
    return [_words(ways[index]) for index in sorted(indexes)]


def _several(words: list[str]) -> str:
    return listed(_first(words), "and")


def _then(words: list[str]) -> str:
    return ", then ".join(_first(words))


def _first(words: list[str]) -> list[str]:
    return words[:_SHOWN] + ([f"{len(words) - _SHOWN} more"] if len(words) > _SHOWN else [])
