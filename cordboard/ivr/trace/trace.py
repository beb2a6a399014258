"""What happened in a call, in one form whichever engine made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cordboard.ivr.trace.ending import End
from cordboard.ivr.trace.inputs import Input
from cordboard.ivr.trace.loops import Loop


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of a call.

    Attributes:
        node: the node's id.
        type: the vendor's word for what the node did: `Start`, `GatherInput`, `Route`, `Exit`, or the node's own type.
        timestamp_ms: milliseconds from the beginning of the call.
        input: what the caller did here: keys, words, `no_input` or `no_match`; None where nobody was asked.
        target: where the node routes the call, where it does; a queue, or the next node.
        before: variables when the call got here.
        after: variables when it went on.
        status: of the last step how the call ended, else empty.
        exception: why the call could not go on, else empty.
    """

    node: str
    type: str = ""
    timestamp_ms: int = 0
    input: str | None = None
    target: str | None = None
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    exception: str = ""

    @property
    def changes(self) -> bool:
        """Whether variables are other than before."""
        return self.before is not self.after and repr(self.before) != repr(self.after)

    def as_json(self) -> dict[str, Any]:
        """The step as the vendor writes it; variables where they changed."""
        found: dict[str, Any] = {"nodeId": self.node, "type": self.type, "timestamp": self.timestamp_ms}
        if self.input is not None:
            found["input"] = self.input
        if self.target is not None:
            found["target"] = self.target
        if self.changes:
            found["variables"] = dict(self.after)
        return found | {name: text for name in ("status", "exception") if (text := getattr(self, name))}


class Record(Protocol):
    """What can tell more about a call than most ask for."""

    @property
    def duration_ms(self) -> int:
        """Milliseconds; of the local engine virtual ones."""

    @property
    def edges(self) -> tuple[int, ...]:
        """The numbers of the transitions that were taken, in the flow."""

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loop in which the call was caught, if any."""

    @property
    def unused(self) -> tuple[Input, ...]:
        """Inputs that no node asked for."""

    def __iter__(self) -> Iterator[Entry]:
        """The steps."""


@dataclass(frozen=True, slots=True)
class Told:
    """A record that somebody else has written."""

    steps: tuple[Entry, ...] = ()
    edges: tuple[int, ...] = ()
    loops: tuple[Loop, ...] = ()
    unused: tuple[Input, ...] = ()
    duration_ms: int = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.steps)


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened in a call.

    Attributes:
        path: ids of the nodes, in order.
        variables: in the end.
        end: how it ended.
        inputs_used: how many times a node took something that the caller did; silence after the last input is nothing.
        record: tells more when somebody asks.
    """

    path: tuple[str, ...]
    variables: Mapping[str, Any]
    end: End
    inputs_used: int = 0
    record: Record = field(default=Told(), repr=False, compare=False)

    @property
    def exit(self) -> str | None:
        """The id of the node at which the call came to its end; None where it did not."""
        return self.end.node if self.end.kind == "completed" else None

    @property
    def duration_ms(self) -> int:
        """Milliseconds; of the local engine virtual ones."""
        return self.record.duration_ms

    @property
    def edges(self) -> tuple[int, ...]:
        """The numbers of the transitions that were taken, in the flow."""
        return self.record.edges

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loop in which the call was caught, if any."""
        return self.record.loops

    @property
    def unused(self) -> tuple[Input, ...]:
        """Inputs that no node asked for."""
        return self.record.unused

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Each step of the call."""
        return tuple(self.record)

    def as_json(self) -> dict[str, Any]:
        """The call as the vendor's reply has it."""
        return {
            "path": list(self.path),
            "variables": dict(self.variables),
            "exitNode": self.exit,
            "duration": self.duration_ms,
            "trace": [entry.as_json() for entry in self.record],
        }
