"""How a simulated call ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cordboard.ivr.topology.fault import quoted
from cordboard.ivr.trace.inputs import heard_in_words
from cordboard.ivr.trace.loops import Loop, spelt
from cordboard.ivr.trace.program import Station

EndKind = Literal["completed", "hung_up", "no_way_out", "loop", "input_missing", "too_long", "error"]

#: The vendor's word for the last entry of a trace.
STATUS: Mapping[EndKind, str] = {
    "completed": "Completed",
    "hung_up": "Disconnected",
    "input_missing": "Waiting",
    "no_way_out": "Error",
    "loop": "Error",
    "too_long": "Error",
    "error": "Error",
}


@dataclass(frozen=True, slots=True)
class End:
    """How a call ends.

    Attributes:
        kind: `completed` at a node that ends calls; `hung_up` by the caller; `no_way_out` where no way fits; `loop`
            where it would go round for ever; `input_missing` where nobody said what the caller does; `too_long` where
            the bound was met; `error` where the vendor could not go on.
        node: the id of the node at which it ends.
        message: the same in a sentence.
    """

    kind: EndKind
    node: str
    message: str

    @property
    def faulty(self) -> bool:
        """Whether a real caller would have been left in the lurch."""
        return STATUS[self.kind] == "Error"


def visible(text: str) -> str:
    """A text in one line that cannot steer a terminal: what is not to be seen shows as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


@lru_cache(maxsize=4096)
def completed(node: str) -> End:
    """At a node that ends calls."""
    return End("completed", node, f"the call ends at {quoted(node)}")


def hung_up(node: str) -> End:
    """By the caller."""
    return End("hung_up", node, f"the caller hangs up at {quoted(node)}")


def input_missing(node: str) -> End:
    """Where nobody said what the caller does."""
    return End("input_missing", node, f"{quoted(node)} asks the caller, and no input is left")


def no_way_out(station: Station, key: str, visits: int) -> End:
    """Where no way fits what is heard, or there is none."""
    name = quoted(station.node.id)
    if not station.branches:
        reason = f"no way leads out of {name}, and calls do not end there"
    elif station.gives_up_at(visits):
        reason = f"{name} gives up at visit {visits}, and has neither a fallback nor a default"
    elif station.asks:
        reason = f"no way out of {name} fits {heard_in_words(key)}"
    else:
        reason = f"no condition of {name} holds, and it has no default"
    return End("no_way_out", station.node.id, reason)


def going_round(loop: Loop, silent: bool) -> End:
    """Where a state of the call comes back."""
    who = "a caller who stays silent goes" if silent else "the call goes"
    return End("loop", loop.nodes[0], f"{who} round for ever: {spelt((*loop.nodes, loop.nodes[0]))}")


def too_long(node: str, visits: int) -> End:
    """Where the bound is met before a state comes back."""
    message = f"{quoted(node)} is reached {visits} times without the caller doing anything; a higher bound shows more"
    return End("too_long", node, message)
