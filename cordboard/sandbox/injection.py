"""What each kind of fault does to a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from cordboard.sandbox.call import Call, Reply
from cordboard.sandbox.channel import Channel
from cordboard.sandbox.faults import Drip, Fault, Hang, LateCommit, RateLimited, Stage, Truncate, WrongType


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request together with everything that a fault may do about it.

    Attributes:
        call: the request.
        channel: the way back.
        work: does what was asked, with its effect, and returns the reply.
        note: records that the request was decided on, with the status that is sent, or None for no reply.
        spawn: runs something that outlives the request.
    """

    call: Call
    channel: Channel
    work: Callable[[], Awaitable[Reply]]
    note: Callable[[int | None], None]
    spawn: Callable[[Coroutine[Any, Any, None]], object]

    async def send(self, reply: Reply) -> None:
        """Records and sends a whole reply."""
        self.note(reply.status)
        await self.channel.send(reply)

    async def cut(self) -> None:
        """Records and drops the connection without a byte."""
        self.note(None)
        await self.channel.cut()


async def inject(fault: Fault, exchange: Exchange) -> None:
    """Lets the fault befall the request."""
    await _INJECTORS[fault.kind](fault.setting, exchange)


async def _status(fault: Fault, exchange: Exchange) -> None:
    if fault.after_commit:
        await exchange.work()
    status = fault.status or 500
    default = {"message": "A fault was injected.", "code": "injected_fault", "status": status}
    body = default if fault.body is None else fault.body
    body = "" if status in (204, 304) else body  # HTTP gives these no body
    reply = Reply(status, {}, body.encode()) if isinstance(body, str) else Reply.of(body, status)
    await exchange.send(reply.with_headers(fault.headers))


async def _lost_reply(stage: Stage, exchange: Exchange) -> None:
    if stage == "after_commit":
        await exchange.work()
    await exchange.cut()


async def _hang(hang: Hang, exchange: Exchange) -> None:
    if hang.at == "after_commit":
        reply = await exchange.work()
        exchange.note(reply.status)
        if not await exchange.channel.client_gone(hang.seconds):
            await exchange.channel.send(reply)
    elif await exchange.channel.client_gone(hang.seconds):
        exchange.note(None)
    else:
        await exchange.send(await exchange.work())


async def _drip(drip: Drip, exchange: Exchange) -> None:
    size = max(1, int(drip.bytes_per_second / 20))  # at most some twenty pieces a second, whatever the rate
    reply = await exchange.work()
    exchange.note(reply.status)
    await exchange.channel.start(reply)
    for start in range(0, len(reply.body), size):
        if await exchange.channel.client_gone(size / drip.bytes_per_second):
            return
        await exchange.channel.send_part(reply.body[start : start + size])
    await exchange.channel.finish()


async def _truncate(truncate: Truncate, exchange: Exchange) -> None:
    reply = await exchange.work()
    exchange.note(reply.status)
    end = int(truncate.at if truncate.at >= 1 else len(reply.body) * truncate.at)
    await exchange.channel.start(reply)
    await exchange.channel.send_part(reply.body[:end])
    await exchange.channel.cut(flush=True)


async def _wrong_type(kind: WrongType, exchange: Exchange) -> None:
    reply = await exchange.work()
    await exchange.send(_of_wrong_type(reply, kind))


def _of_wrong_type(reply: Reply, kind: WrongType) -> Reply:
    if kind == "html":
        return Reply(reply.status, {"content-type": "text/html"}, b"<!doctype html><title>Please sign in</title>")
    if kind == "text":
        return Reply(reply.status, {"content-type": "text/plain"}, b"OK")
    if kind == "empty":
        return Reply(reply.status)
    value = json.loads(reply.body)
    return Reply.of([value] if kind == "array" else {**value, _main_part(value): None}, reply.status)


def _main_part(value: dict[str, Any]) -> str:
    """What a reply is about."""
    part = next((name for name in ("connections", "trace", "nodes", "totalCount") if name in value), "output")
    return "id" if part == "output" and "workflowId" in value else part


async def _late_commit(late: LateCommit, exchange: Exchange) -> None:
    async def commit() -> None:
        await asyncio.sleep(late.seconds)
        await exchange.work()

    if late.connection == "cut":
        exchange.spawn(commit())
        await exchange.cut()
        return
    exchange.note(None)
    try:
        await exchange.channel.client_gone(None)
    finally:  # a client in this process cancels the request where another would hang up
        exchange.spawn(commit())


async def _rate_limited(limited: RateLimited, exchange: Exchange) -> None:
    headers = {} if limited.retry_after is None else {"retry-after": limited.retry_after}
    body = {"message": "Too many requests.", "code": "rate_limit_exceeded", "status": 429}
    await exchange.send(Reply.of(body, 429, headers))


async def _answer(_setting: Any, exchange: Exchange) -> None:
    await exchange.send(await exchange.work())  # what goes wrong happens elsewhere: before it, or as it is stored


async def _redirect(url: str, exchange: Exchange) -> None:
    await exchange.send(Reply(307, {"location": url}))


async def _echo_secrets(_on: bool, exchange: Exchange) -> None:
    call = exchange.call
    message = f"Bad request: {dict(call.headers)} {call.body.decode('utf-8', 'replace')}"
    await exchange.send(Reply.of({"message": message, "code": "bad_request", "status": 400}, 400))


_INJECTORS: Mapping[str, Callable[[Any, Exchange], Awaitable[None]]] = {
    "status": _status,
    "lost_reply": _lost_reply,
    "hang": _hang,
    "drip": _drip,
    "truncate": _truncate,
    "wrong_type": _wrong_type,
    "late_commit": _late_commit,
    "rate_limited": _rate_limited,
    "redirect": _redirect,
    "echo_secrets": _echo_secrets,
    "stores": _answer,
    "other_editor": _answer,
}
