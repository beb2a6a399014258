"""The call flows that a vendor has, whatever their form, and those that it had."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from random import Random
from threading import RLock
from typing import Any

from cordboard.jsontext import digest
from cordboard.sandbox.alteration import altered
from cordboard.sandbox.call import Call
from cordboard.sandbox.flow_rules import with_defaults
from cordboard.sandbox.genesys_rules import is_genesys

VERSIONS_KEPT = 1000

Flow = dict[str, Any]


class StoredFlows(MutableMapping[str, Flow]):
    """The flows as the vendor has them, by id.

    Reading gives the stored document itself, so a test can change it behind everybody's back. Setting is a save, as
    somebody makes it in the vendor's console: a copy is stored, and its version is one more than before.

    Args:
        definitions: flows that exist from the start.
        seed: what a fault stores in place of a flow is drawn from it.
        clock: seconds since the epoch, for the dates of a flow.

    Attributes:
        lock: held from a look at the current version to the storage of the next, as tests save in threads of their own.
    """

    def __init__(self, definitions: Mapping[str, Flow], seed: int, clock: Callable[[], float]) -> None:
        self._seed, self._clock = seed, clock
        self._flows: dict[str, Flow] = {}
        self._versions: dict[str, dict[int, Flow]] = {}
        self.lock = RLock()
        for flow_id, flow in definitions.items():
            whole = flow if is_genesys(flow) else with_defaults(flow)
            self._keep({**self.next_of(flow_id, whole), "version": flow.get("version", 1)})

    def __getitem__(self, flow_id: str) -> Flow:
        return self._flows[flow_id]

    def __setitem__(self, flow_id: str, flow: Flow) -> None:
        with self.lock:
            self._keep(self.next_of(flow_id, flow))

    def __delitem__(self, flow_id: str) -> None:
        with self.lock:
            del self._flows[flow_id], self._versions[flow_id]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._flows))

    def __len__(self) -> int:
        return len(self._flows)

    def version(self, flow_id: str, number: int) -> Flow | None:
        """A flow as it was; None where there is no such version, or it is none of the last thousand."""
        return self._versions.get(flow_id, {}).get(number)

    def next_of(self, flow_id: str, flow: Flow) -> Flow:
        """A copy of the flow with the fields that the vendor sets itself, for its next version."""
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        created, updated = ("dateCreated", "dateModified") if is_genesys(flow) else ("createdAt", "updatedAt")
        old = self._flows.get(flow_id, {"version": 0})
        own = {"version": old["version"] + 1, created: old.get(created, now), updated: now}
        return {**copy.deepcopy(flow), "id": flow_id, **own}

    def accept(self, call: Call, saved: Flow) -> None:
        """Stores a flow as it was accepted, unless a fault of the call stores something else."""
        if call.stores is None:
            self._keep(saved)
            return
        draw = Random(f"{self._seed}:{call.stores}:{saved['version']}:{digest(call.json)}")  # noqa: S311
        self._keep(altered(saved, call.stores, draw))

    def _keep(self, flow: Flow) -> None:
        self._flows[flow["id"]] = flow
        versions = self._versions.setdefault(flow["id"], {})
        versions[flow["version"]] = flow
        if len(versions) > VERSIONS_KEPT:
            del versions[next(iter(versions))]
