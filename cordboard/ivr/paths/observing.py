"""What a caller notices of a call, and what not.

    noticed                             not noticed
    the prompts that are heard          ids, and what is no prompt, no place and no end
    the places to which one is put      in which order conditions stand, and how they are written
    through: queues, transfers, agents  variables, and visits, as long as nothing comes of them
    being asked, and how a call ends

A place goes by its name, by its id where it has none. What has neither a type nor a prompt is a place where its id says
so (`node_queue_03`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cordboard.ivr.trace import Station

#: Words in a node's type, and in the id of a node of no certain type, that make it a place.
PLACE_WORDS = frozenset({"agent", "callback", "operator", "queue", "transfer", "voicemail"})
_VAGUE_TYPES = frozenset({"", "decision", "route"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LONGEST, _LONGER = 60, 1000

StopKind: TypeAlias = Literal["asks", "ends", "nowhere", "for ever"]


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that a caller notices.

    Attributes:
        kind: a prompt that is heard, or a place that is reached.
        text: the prompt, or the place's name.
        node: the id of the node; no part of equality, because nobody notices it.
    """

    kind: Literal["hears", "reaches"]
    text: str
    node: str


def noticed_at(station: Station) -> list[Noticed]:
    """What a caller notices when a call gets to a node."""
    node = station.node
    found = [Noticed("hears", " ".join(node.prompt.split()), node.id)] if node.prompt.strip() else []
    label = place_of(station)
    return [*found, Noticed("reaches", label, node.id)] if label else found


def for_ever(noticed: Sequence[Noticed], begun: int) -> tuple[tuple[Noticed, ...], tuple[Noticed, ...]]:
    """What is noticed of a call that goes round: once, and then again and again; one form for what sounds the same.

    Args:
        noticed: everything up to the end of the first round.
        begun: how much of it came before that round.
    """
    before, again = list(noticed[:begun]), list(noticed[begun:])
    sounds = [(it.kind, it.text) for it in again]
    size = next((n for n in range(1, len(again)) if not len(again) % n and sounds == sounds[:n] * (len(again) // n)), 0)
    again = again[: size or len(again)]
    while before and again and (before[-1].kind, before[-1].text) == (again[-1].kind, again[-1].text):
        again = [before.pop(), *again[:-1]]
    return tuple(before), tuple(again)


def place_of(station: Station) -> str:
    """The name of the place that a node is; empty where it is none."""
    node = station.node
    words = _words(node.type)
    if not station.asks and node.type in _VAGUE_TYPES and not node.prompt and len(station.branches) == 1:
        words |= _words(node.id)
    if words & PLACE_WORDS:
        return node.name or node.id
    return node.name if station.ends else ""


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def told(noticed: Sequence[Noticed], stop: StopKind, prompt: str, past: bool, longest: int) -> str:
    """What comes of something that a caller does, in words.

    Args:
        noticed: what is told of what is noticed on the way.
        stop: how it ends for the moment.
        prompt: what is asked, where the caller is asked.
        past: whether it was so before.
        longest: how much of a prompt is told.
    """
    verbs = _PAST if past else _PRESENT
    found, last = list[str](), ""
    for it in noticed:
        what = it.text if it.kind == "reaches" else _quoted(it.text, longest)
        found.append(what if it.kind == last else f"{verbs[it.kind]} {what}")
        last = it.kind
    if stop == "asks":
        found.append(f"{verbs['asks']} {_quoted(prompt, longest)}" if prompt else verbs["asks something"])
    elif stop != "ends" or last != "reaches":
        found.append(verbs[stop])
    return ", then ".join(found)


def told_apart(
    before: tuple[Sequence[Noticed], StopKind, str], after: tuple[Sequence[Noticed], StopKind, str]
) -> tuple[str, str]:
    """What came of something and what comes of it now, with as few words as tell the two apart.

    Args:
        before: what was noticed, how it ended, and what was asked.
        after: the same of now.
    """
    both = (before, after)
    first = next(
        (n for n, (old, new) in enumerate(zip(before[0], after[0], strict=False)) if old.text != new.text), None
    )
    same = min(len(before[0]), len(after[0])) if first is None else first
    places = [[it for it in noticed if it.kind == "reaches"] for noticed, _, _ in both]
    heard = [[it for it in noticed[same:] if it.text != prompt] for noticed, _, prompt in both]
    for chosen, longest in ((places, _LONGEST), (heard, _LONGEST), (heard, _LONGER)):
        parts = [(noticed, stop, prompt) for noticed, (_, stop, prompt) in zip(chosen, both, strict=True)]
        if told(*parts[0], past=True, longest=longest) != told(*parts[1], past=True, longest=longest):
            break
    return told(*parts[0], past=True, longest=longest), told(*parts[1], past=False, longest=longest)


_PAST = {
    "hears": "played",
    "reaches": "reached",
    "asks": "asked",
    "asks something": "asked something",
    "ends": "ended the call",
    "nowhere": "led nowhere",
    "for ever": "went round for ever",
}
_PRESENT = {
    "hears": "plays",
    "reaches": "reaches",
    "asks": "asks",
    "asks something": "asks something",
    "ends": "ends the call",
    "nowhere": "leads nowhere",
    "for ever": "goes round for ever",
}


def _quoted(text: str, longest: int) -> str:
    return f'"{text if len(text) <= longest else text[: longest - 1] + "…"}"'
