"""Findings that somebody has looked at and accepts until a day, and what is to be said about these acceptances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from cordboard.findings import did_you_mean, near
from cordboard.ivr.model import Suppression
from cordboard.ivr.topology.fault import Fault, quoted
from cordboard.ivr.topology.rules import RULES


@dataclass(frozen=True, slots=True)
class Acceptances:
    """The suppressions of a flow, on one day."""

    suppressions: tuple[Suppression, ...]
    today: date

    def nodes(self, rule: str) -> frozenset[str]:
        """The nodes for which a rule's findings are accepted today."""
        return frozenset(item.node for item in self._in_force() if item.rule == f"ivr/{rule}" and item.node)

    def left(self, faults: Iterable[Fault]) -> Iterator[Fault]:
        """The faults that are not accepted, and a fault for each suppression that does not do its work."""
        by_rule: dict[str, list[Suppression]] = {}
        for item in self._in_force():
            by_rule.setdefault(item.rule, []).append(item)
        used: set[int] = set()
        for fault in faults:
            matching = [item for item in by_rule.get(f"ivr/{fault.rule}", ()) if item.node in ("", *fault.about)]
            used.update(map(id, matching))
            if not matching:
                yield fault
        yield from self._idle(used)

    def _in_force(self) -> Iterator[Suppression]:
        for item in self.suppressions:
            rule = RULES.get(item.rule)
            if item.until >= self.today and rule is not None and rule.acceptable:
                yield item

    def _idle(self, used: set[int]) -> Iterator[Fault]:
        for item in self.suppressions:
            if item.until < self.today:
                message = f"{_what(item)} was accepted until {item.until.isoformat()}, and counts again"
                hint = "Mend what is found, or look at it once more and move the day."
                yield Fault("suppression-expired", message, place=item.place, hint=hint)
            elif id(item) not in used:
                yield _unused(item)


def _what(item: Suppression) -> str:
    return f"{quoted(item.rule)} at {quoted(item.node)}" if item.node else quoted(item.rule)


def _unused(item: Suppression) -> Fault:
    rule = RULES.get(item.rule)
    if rule is None:
        message, hint = f"{quoted(item.rule)} is no rule that can be accepted", did_you_mean(near(item.rule, RULES))
    elif not rule.acceptable:
        message = f"{quoted(item.rule)} cannot be accepted"
        hint = "The vendor could not read the flow: mend it." if item.rule not in _OF_ITSELF else "Mend what it says."
    else:
        message, hint = f"{_what(item)} is accepted, and nothing of the kind is found", "Take it out."
    return Fault("suppression-unused", message, place=item.place, hint=hint)


_OF_ITSELF = frozenset({"ivr/suppression-expired", "ivr/suppression-unused"})
