"""An overview as text for people: what needs somebody first, in sentences that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cordboard.recovery.holding import HeldRun
from cordboard.recovery.opened import OpenEffect, OpenEffects
from cordboard.recovery.overview import SHOWN, Overview
from cordboard.recovery.waiting import LongRunning, Queue, Waiter

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def told(found: Overview) -> str:
    """The overview, one thing a line."""
    lines = [
        *_effects(found.effects),
        *_held(found.held),
        *(_waiter(each) for each in found.waiting.waiters),
        *(_queue(each, "to", "dead: given up, kept to be seen") for each in found.waiting.outbox),
        *(_queue(each, "from", "unfit: cannot be applied") for each in found.waiting.inbox),
        *(_long(each) for each in found.waiting.instances),
    ]
    return "".join(f"{shown(line)}\n" for line in lines or ["Nothing is open, nothing waits, nothing is unknown."])


def effect_lines(effect: OpenEffect) -> Iterator[str]:
    """One open effect, and why it is open."""
    state = "unknown" if effect.state == "unknown" else "interrupted"
    yield f"  {effect.key[:12]}  {state:<11}  {age(effect.age_seconds):>7}  {effect.subject}  {effect.operation}"
    yield f"                of {effect.run_key}: {effect.why}"


def age(seconds: float) -> str:
    """A span of time in the largest unit that fits twice or so.

    >>> age(30), age(5400), age(200000)
    ('30 s', '90 min', '56 h')
    """
    if seconds < 2 * _MINUTE:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 3 * _DAY else f"{seconds / _DAY:.0f} days"


def _effects(found: OpenEffects) -> Iterator[str]:
    total = found.unknown + found.interrupted
    if total:
        yield f"Effects of which nobody knows: {found.unknown} unknown, {found.interrupted} interrupted"
        yield from (line for effect in found.shown for line in effect_lines(effect))
        if total > len(found.shown):
            counts = ", ".join(f"{count} of {name}" for name, count in found.by_operation.items())
            yield f"  … and {total - len(found.shown)} more; all of them: {counts}"
        yield "  Look at the vendor, then: cordboard resolve KEY --as done|failed --evidence TEXT"
    if found.in_flight:
        yield f"Effects in flight, of runs that live: {found.in_flight}"


def _held(held: Sequence[HeldRun]) -> Iterator[str]:
    dead = [run for run in held if not run.is_alive]
    for run in [*dead[:SHOWN], *(run for run in held if run.is_alive)][: 2 * SHOWN]:
        who = f"process {run.holder.pid} on {run.holder.host}"
        if run.is_alive:
            yield f"Runs: {run.run_key} ({run.kind}), by {who} since {run.since}"
        else:
            yield f"Died: {run.run_key} ({run.kind}), held by {who} since {run.since}; run it again"
    if len(held) > 2 * SHOWN:
        yield f"Runs that are held, in all: {len(held)}, {len(dead)} of them by processes that died"


def _waiter(each: Waiter) -> str:
    counted = "not counted yet" if each.counted is None else f"{each.counted} counted"
    return (
        f"Waits: {each.wants} starts of {each.workflow_id}, batch {each.batch}, for {each.reason or 'a place'}"
        f" ({counted}, limit {each.limit})"
    )


def _queue(each: Queue, way: str, stuck: str) -> str:
    parts = []
    if each.waiting:
        since = f", due for {age(each.overdue_seconds)}" if each.overdue_seconds else ""
        parts.append(f"{each.waiting} wait{since}")
    if each.stuck:
        parts.append(f"{each.stuck} {stuck}")
    trouble = f" ({each.trouble})" if each.trouble else ""
    return f"Messages {way} {each.endpoint}: {', '.join(parts)}{trouble}"


def _long(each: LongRunning) -> str:
    return (
        f"Instances: {each.count} of {each.workflow_id} report no end; {each.oldest_id} runs for"
        f" {age(each.oldest_seconds)}"
    )


def shown(line: str) -> str:
    """The line without characters that would move the cursor or hide text: much of it comes from others."""
    return "".join(char if char.isprintable() else "�" for char in line)
