"""What really happened in a sandbox. Nothing of it can be reached over HTTP, so a client cannot mark its own work."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from cordboard.sandbox.call import Call

Kind = Literal["request", "effect", "edit", "token", "webhook", "callback", "erp"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        seq: 1 for the first entry, and so on.
        at: when, in seconds since the epoch.
        kind: `request` an API request was decided on, `effect` an execution, a registration, a save or a start
            changed something, `edit` somebody else saved a flow before a request was looked at, `token` a token was
            asked for, `webhook` a webhook arrived, `callback` the sandbox reported the end of an instance, `erp` a
            record reached the ERP.
        request_id: joins the effect with its request, and a callback with that which started its instance.
        method: HTTP method.
        path: path of the request; of a callback, where it went.
        client: OAuth client, where the request showed a token or id that is known.
        definition_id: the data action.
        inputs: its inputs; for a webhook, a callback, a record, a start and the registration, save or simulation of a
            flow, the JSON body; for an edit, its merge patch.
        idempotency_key: from the header.
        if_match: from the header.
        traceparent: from the header.
        status: status of the reply, for a callback that of the receiver; None where there was none, and on effects.
        fault: the injected fault, such as `lost_reply`; of a callback, the share that it belongs to.
        execution_id: id of the execution that had the effect.
        headers: a webhook's `webhook-*` headers.
        body: a webhook's body as it arrived, for checking its signature; of a registration or save, on its request.
        flow_id: the call flow that was written, simulated or read.
        version: the flow's version that the effect or edit made.
        workflow_id: the workflow that was started, or whose instance ended.
        instance_id: the instance.
        reference: what its metadata have as `cordboardReference`.
        ends_at: when the instance ends, settled at its start; it runs from `at` up to then.
        ends_as: `completed` or `failed`.
        running: how many instances of the workflow ran with it just after its start.
        message_id: the id of a callback, the same for all attempts.
        attempt: 1 for the first sending of a callback; None where it is lost on purpose.
        external_id: of a record of the ERP.
        outcome: whether the record was `created`, `repeated`, or another was there (`conflict`).
    """

    seq: int
    at: float
    kind: Kind
    request_id: str
    method: str
    path: str
    client: str | None = None
    definition_id: str | None = None
    inputs: Any = None
    idempotency_key: str | None = None
    if_match: str | None = None
    traceparent: str | None = None
    status: int | None = None
    fault: str | None = None
    execution_id: str | None = None
    headers: Mapping[str, str] | None = None
    body: str | None = None
    flow_id: str | None = None
    version: int | None = None
    workflow_id: str | None = None
    instance_id: str | None = None
    reference: str | None = None
    ends_at: float | None = None
    ends_as: str | None = None
    running: int | None = None
    message_id: str | None = None
    attempt: int | None = None
    external_id: str | None = None
    outcome: str | None = None


_NAMES = tuple(field.name for field in fields(Entry))


class Truth:
    """An append-only log in memory and, where a file is named, as JSON lines that survive a kill of the process.

    Attributes:
        in_flight: requests that are open now.
        max_in_flight: the most that were open at once.
    """

    def __init__(self, file: Path | None = None, *, clock: Callable[[], float]) -> None:
        self._entries: list[Entry] = []
        self._file = file.open("a", encoding="utf-8", buffering=1) if file else None
        self._clock = clock
        self.in_flight = 0
        self.max_in_flight = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything, in order."""
        return tuple(self._entries)

    @property
    def requests(self) -> tuple[Entry, ...]:
        """API requests, answered or not."""
        return self._of("request")

    @property
    def effects(self) -> tuple[Entry, ...]:
        """Executions, registrations, saves and starts that changed something."""
        return self._of("effect")

    @property
    def edits(self) -> tuple[Entry, ...]:
        """Saves of flows by somebody else."""
        return self._of("edit")

    @property
    def tokens(self) -> tuple[Entry, ...]:
        """Requests for tokens."""
        return self._of("token")

    @property
    def webhooks(self) -> tuple[Entry, ...]:
        """Webhooks that arrived."""
        return self._of("webhook")

    @property
    def instances(self) -> tuple[Entry, ...]:
        """The starts that took effect, one for each instance."""
        return tuple(entry for entry in self.effects if entry.instance_id is not None)

    @property
    def callbacks(self) -> tuple[Entry, ...]:
        """Every attempt to report the end of an instance, and what was lost on purpose."""
        return self._of("callback")

    @property
    def erp(self) -> tuple[Entry, ...]:
        """Records that reached the ERP, whether or not they were new."""
        return self._of("erp")

    def duplicates(self) -> dict[str, int]:
        """References that more than one instance has, each with how many."""
        counted = Counter(entry.reference for entry in self.instances if entry.reference is not None)
        return {reference: count for reference, count in counted.items() if count > 1}

    def most_running(self, workflow_id: str) -> int:
        """The most instances of a workflow that ever ran at once; it can only have grown at a start."""
        return max((entry.running or 0 for entry in self.instances if entry.workflow_id == workflow_id), default=0)

    def effects_of(self, definition_id: str) -> tuple[Entry, ...]:
        """The effects of one data action."""
        return tuple(entry for entry in self.effects if entry.definition_id == definition_id)

    def requests_for(self, definition_id: str) -> tuple[Entry, ...]:
        """The requests for one data action."""
        return tuple(entry for entry in self.requests if entry.definition_id == definition_id)

    def effects_on(self, flow_id: str) -> tuple[Entry, ...]:
        """The registrations and saves that changed one call flow."""
        return tuple(entry for entry in self.effects if entry.flow_id == flow_id)

    def posts(self, path: str) -> tuple[Entry, ...]:
        """The POST requests to a path, answered or not."""
        return tuple(entry for entry in self.requests if (entry.method, entry.path) == ("POST", path))

    def saves_of(self, flow_id: str) -> tuple[Entry, ...]:
        """The requests to save one call flow, answered or not."""
        return tuple(entry for entry in self.requests if (entry.method, entry.flow_id) == ("PUT", flow_id))

    def record(self, kind: Kind, call: Call, **facts: Any) -> None:
        """Appends an entry about a request; the file has it before this returns."""
        shown = {
            "idempotency_key": call.headers.get("idempotency-key"),
            "if_match": call.headers.get("if-match"),
            "traceparent": call.headers.get("traceparent"),
            "definition_id": call.definition_id,
            "flow_id": call.flow_id,
            "inputs": call.inputs,
        }
        self.note(kind, call.request_id, call.method, call.path, **{**shown, **facts})

    def note(self, kind: Kind, request_id: str, method: str, path: str, **facts: Any) -> None:
        """Appends an entry; the file has it before this returns."""
        first = {"at": self._clock(), "kind": kind, "request_id": request_id, "method": method, "path": path}
        entry = Entry(seq=len(self._entries) + 1, **{**first, **facts})
        self._entries.append(entry)
        if self._file:
            values = ((name, getattr(entry, name)) for name in _NAMES)
            self._file.write(json.dumps({name: value for name, value in values if value is not None}) + "\n")

    @contextmanager
    def open_request(self) -> Iterator[None]:
        """Counts a request as open while the block runs."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1

    def close(self) -> None:
        """Closes the file."""
        if self._file:
            self._file.close()

    def _of(self, kind: Kind) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.kind == kind)
