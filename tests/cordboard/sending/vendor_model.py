"""A vendor that keeps the truth: what was asked of it, and what came about, when and by which request."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

KEY_MEMORY = 24 * 3600.0
TIMEOUT = 10.0  # the client's
LAG = 4.0  # an effect comes about at most so long after the client's call ended
INDEX_LAG = 2.0  # a look-up may not find what is younger
OUTCOMES = (
    "accepted", "429", "500 before", "500 after", "dropped before", "dropped after", "html after", "late", "slow",
    "400",
)  # fmt: skip
ANSWERS = ("answers", "503", "lags")


@dataclass
class VendorModel:
    """Instances by reference and by key; the outcome of each request is chosen."""

    loop: Any
    rules: Any
    choices: Any
    log: list[tuple[Any, ...]]
    requests: int = 0
    asked: int = 0
    instances: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)

    def line(self, process: str, world: Any) -> Line:
        """A process's connection."""
        return Line(self, process, world)

    def commit(self, number: int, reference: str, key: str) -> dict[str, Any]:
        """Brings the effect of a request about, unless the vendor knows that it is there."""
        now = self.loop.time()
        known = self.keys.get(key) if key else None
        if known and now - known["at"] < KEY_MEMORY:
            return known
        made = {"id": f"i{len(self.instances) + 1}", "reference": reference, "at": now}
        self.instances.append(made)
        if key:
            self.keys[key] = made
        self.log.append(("commit", number, made["id"]))
        return made


class Line(httpx.AsyncBaseTransport):
    """Takes one process's requests."""

    def __init__(self, vendor: VendorModel, process: str, world: Any) -> None:
        self._vendor, self._process, self._world = vendor, process, world

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._world.pass_by("before it leaves")
        await self._world.take_time("on the way there")
        if request.method == "GET":
            return await self._looked_up(request)
        vendor = self._vendor
        vendor.requests += 1
        number, reference, key = vendor.requests, *_names(request, vendor.rules.safety)
        vendor.log.append(("request", number, self._process))
        first = number <= vendor.rules.faults
        outcome = vendor.choices.pick(f"request {number}", OUTCOMES) if first else "accepted"
        return await self._answered(outcome, number, reference, key)

    async def _answered(self, outcome: str, number: int, reference: str, key: str) -> httpx.Response:
        vendor, made = self._vendor, None
        if outcome == "accepted" or outcome.endswith("after"):
            made = vendor.commit(number, reference, key)
        elif outcome == "slow":
            await self._outlast(number, reference, key)
        elif outcome == "late":
            vendor.loop.call_later(LAG, vendor.commit, number, reference, key)
        await self._world.pass_by("its reply is on the way")
        await self._world.take_time("on the way back")
        if outcome.startswith(("dropped", "late")):
            raise httpx.ReadError("reset by peer")
        if made and outcome == "accepted":
            return httpx.Response(201, json=_shown(made))
        if outcome == "html after":
            return httpx.Response(201, text="<html>")
        return httpx.Response(int(outcome.partition(" ")[0]), json={"message": "priority is no number"})

    async def _outlast(self, number: int, reference: str, key: str) -> None:
        """Answers nothing until the client gives up. A client that died may have left its connection standing."""
        loop, open_for = self._vendor.loop, TIMEOUT
        try:
            await self._world.pass_by("the vendor is slow")
            await loop.create_future()
        except asyncio.CancelledError:
            open_for = 0.0
            raise
        finally:
            loop.call_later(open_for + LAG, self._vendor.commit, number, reference, key)

    async def _looked_up(self, request: httpx.Request) -> httpx.Response:
        vendor = self._vendor
        vendor.asked += 1
        answer = vendor.choices.pick("look-up", ANSWERS) if vendor.asked <= vendor.rules.asked else "lags"
        await self._world.pass_by("the look-up is open")
        if answer == "503":
            return httpx.Response(503)
        age = INDEX_LAG if answer == "lags" else 0.0
        reference = request.url.params["metadata.cordboardReference"]
        seen = [
            each
            for each in vendor.instances
            if each["reference"] == reference and each["at"] <= vendor.loop.time() - age
        ]
        return httpx.Response(200, json={"totalCount": len(seen), "instances": [_shown(each) for each in seen]})


def _shown(made: dict[str, Any]) -> dict[str, Any]:
    metadata = {"cordboardReference": made["reference"]}
    return {"id": made["id"], "status": "running", "workflowId": "w", "metadata": metadata}


def _names(request: httpx.Request, safety: str) -> tuple[str, str]:
    """The reference, and what the vendor knows a repeat by; nothing where it knows none."""
    reference = json.loads(request.content)["metadata"]["cordboardReference"]
    return reference, {"keyed": request.headers.get("idempotency-key", ""), "natural": reference}.get(safety, "")
