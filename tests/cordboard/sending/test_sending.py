"""One effect while the ledger or the caller fails around it: an answer is not lost, a doubt is not forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from cordboard.errors import LedgerUnavailable
from cordboard.records.effects import Effect, EffectState, Entry, Message
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import claim_due
from cordboard.records.run import RunHandle
from cordboard.sending import Order, Sent, Unsettled, send_once
from cordboard.vendors.cxone import execute_data_action
from cordboard.vendors.session import SessionLimits, VendorSession
from cordboard.vendors.token import TokenSource

DONE, FAILED, UNKNOWN, READY = EffectState.DONE, EffectState.FAILED, EffectState.UNKNOWN, EffectState.READY
Step = int | Callable[[], Coroutine[Any, Any, None]]


@dataclass
class Vendor:
    """Answers each request with the next step: a status, or something that waits and is answered with 200."""

    steps: list[Step] = field(default_factory=list)
    requests: int = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": f"token-{self.requests}", "expires_in": 3600})
        self.requests += 1
        step = self.steps[self.requests - 1] if len(self.steps) >= self.requests else 200
        if not isinstance(step, int):
            await step()
            step = 200
        headers = {"retry-after": "30"} if step == 429 else {}
        return httpx.Response(step, headers=headers, json={"id": "e", "output": {"n": 7}})


class Flaky:
    """The run's handle, with a ledger that fails as it is told."""

    def __init__(self, run: RunHandle, *, conclude: int = 0, after_writing: bool = False, intend: int = 0) -> None:
        self._run, self._after = run, after_writing
        self.left = {"conclude": conclude, "intend": intend}

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._run, name)
        if name not in self.left:
            return real

        async def perhaps(*args: Any, **kwargs: Any) -> Any:
            if not self.left[name]:
                return await real(*args, **kwargs)
            self.left[name] -= 1
            if self._after:
                self._after = False
                await real(*args, **kwargs)
            raise LedgerUnavailable("the disk is full")

        return perhaps


class Bench:
    """One effect, one vendor, one ledger."""

    def __init__(self, ledger: Ledger, run: RunHandle, vendor: Vendor) -> None:
        self.ledger, self.run, self.vendor = ledger, run, vendor
        self.unsettled: Unsettled = {}

    async def send(
        self, run: Any = None, *, idempotent: bool = False, sleep: Any = asyncio.sleep, **changed: Any
    ) -> Sent:
        request = execute_data_action("def", {"n": 7}, idempotent=idempotent)
        effect = Effect("acme", request.operation.name, "order-7", "0" * 64, "write", request.operation.safety)
        order = Order(effect, request, timeout_seconds=20, known=await self.stands(), **changed)
        tokens = TokenSource("https://vendor.test/token", "id", "secret")
        async with VendorSession(
            "https://vendor.test",
            tokens,
            SessionLimits(backoff_seconds=0),
            transport=httpx.MockTransport(self.vendor),
            sleep=sleep,
        ) as session:
            return await send_once(run or self.run, session, order, self.unsettled)

    async def cut_off(self, waits_for: asyncio.Event, **given: Any) -> None:
        """Cancels a send once the event has come."""
        task = asyncio.create_task(self.send(**given))
        await waits_for.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def stands(self) -> Entry | None:
        return (await self.run.entries(["order-7"])).get("order-7")

    async def state(self) -> EffectState | None:
        found = await self.stands()
        return found and found.state


@pytest.fixture
def on_bench(tmp_path: Path) -> Callable[..., Any]:
    """Runs `test(bench)` with a ledger of its own and a vendor that answers with these steps."""

    def start(test: Callable[[Bench], Coroutine[Any, Any, Any]], *steps: Step) -> Any:
        async def main() -> Any:
            async with (
                await Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger,
                await ledger.claim_run("acme", "monday") as run,
            ):
                return await test(Bench(ledger, run, Vendor(steps=list(steps))))

        return asyncio.run(main())

    return start


@pytest.mark.parametrize("after_writing", [False, True], ids=["not written", "written, though it seemed to fail"])
def test_an_answer_waits_for_a_ledger_that_fails_for_a_moment(on_bench: Any, after_writing: bool) -> None:
    async def test(bench: Bench) -> None:
        sent = await bench.send(Flaky(bench.run, conclude=1, after_writing=after_writing))
        assert (sent.state, sent.output, await bench.state()) == (DONE, {"n": 7}, DONE)
        assert (bench.vendor.requests, bench.unsettled) == (1, {})

    on_bench(test)


@pytest.mark.parametrize("after_writing", [False, True], ids=["not written", "written, though it seemed to fail"])
@pytest.mark.parametrize("status", [200, 422], ids=["accepted", "refused"])
def test_an_answer_outlives_a_ledger_that_fails_for_longer(on_bench: Any, status: int, after_writing: bool) -> None:
    """The next try of the same run writes it and sends nothing: without this it would be unknown for ever."""

    async def test(bench: Bench) -> None:
        with pytest.raises(LedgerUnavailable):
            await bench.send(Flaky(bench.run, conclude=6, after_writing=after_writing))
        sent = await bench.send()
        assert sent.state is await bench.state() is (DONE if status == 200 else FAILED)
        assert bench.vendor.requests == 1

    on_bench(test, status)


def test_an_intent_that_may_be_recorded_and_never_left_is_sent_by_the_next_try(on_bench: Any) -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(LedgerUnavailable):
            await bench.send(Flaky(bench.run, intend=1, after_writing=True))
        assert (await bench.state(), bench.vendor.requests) == (EffectState.SENT, 0)
        assert (await bench.send()).state is DONE
        assert bench.vendor.requests == 1

    on_bench(test)


def test_a_run_that_is_stopped_between_two_refused_attempts_leaves_nothing_in_doubt(on_bench: Any) -> None:
    async def test(bench: Bench) -> None:
        refused, real = asyncio.Event(), bench.run.refused

        async def tell(*args: Any) -> None:
            await real(*args)
            refused.set()

        bench.run.refused = tell  # type: ignore[method-assign]
        await bench.cut_off(refused)
        assert (await bench.state(), bench.vendor.requests) == (READY, 1)

    on_bench(test, 429)


@pytest.mark.parametrize("later", [429, 401, 422], ids=["rate limited", "token refused", "refused for good"])
def test_a_doubt_stays_whatever_a_later_attempt_of_the_same_call_is_told(on_bench: Any, later: int) -> None:
    """503 may have come after the commit. What the next attempt is told says nothing about the first."""

    async def test(bench: Bench) -> None:
        hanging = asyncio.Event()

        async def hang() -> None:
            hanging.set()
            await asyncio.Event().wait()

        bench.vendor.steps = [503, later, hang]

        async def wait(seconds: float) -> None:
            if seconds >= 30:  # what the 429 asks for
                await hang()

        if later == 422:
            await bench.send(idempotent=True)
        else:
            await bench.cut_off(hanging, idempotent=True, sleep=wait)
        assert await bench.state() is UNKNOWN
        assert (await bench.send()).state is UNKNOWN
        assert bench.vendor.requests == (3 if later == 401 else 2)

    on_bench(test)


def test_a_call_that_is_stopped_while_it_is_open_is_unknown_and_its_webhook_leaves(on_bench: Any) -> None:
    async def test(bench: Bench) -> None:
        hanging = asyncio.Event()

        async def hang() -> None:
            hanging.set()
            await asyncio.Event().wait()

        bench.vendor.steps = [hang]
        told = Message("crm", "action.failed", {"status": "failed"})
        await bench.cut_off(hanging, ended=lambda _: [told])
        assert await bench.state() is UNKNOWN
        (message,) = await claim_due(bench.ledger, "crm")
        assert message.kind == "action.failed"

    on_bench(test)


def test_a_doubt_stays_where_the_next_token_is_refused(on_bench: Any) -> None:
    async def test(bench: Bench) -> None:
        vendor, tokens = bench.vendor, [httpx.Response(200, json={"access_token": "t", "expires_in": 0})]

        async def refusing(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/token"):
                return tokens.pop() if tokens else httpx.Response(401, json={"error": "invalid_client"})
            return await vendor(request)

        bench.vendor = refusing  # type: ignore[assignment]
        assert (await bench.send(idempotent=True)).state is await bench.state() is UNKNOWN
        bench.vendor = vendor
        assert (await bench.send()).state is UNKNOWN and vendor.requests == 1

    on_bench(test, 503)


def test_a_ledger_that_fails_too_does_not_take_the_place_of_the_cancellation(on_bench: Any) -> None:
    async def test(bench: Bench) -> None:
        hanging = asyncio.Event()

        async def hang() -> None:
            hanging.set()
            await asyncio.Event().wait()

        bench.vendor.steps = [hang]
        await bench.cut_off(hanging, run=Flaky(bench.run, conclude=1))
        assert await bench.state() is EffectState.SENT

    on_bench(test)
