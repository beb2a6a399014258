"""The receiver as a vendor, a stranger and a flood meet it: a real process, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.completion.applying import drain
from cordboard.completion.receiving import Reception, inbox_endpoint
from cordboard.completion.verification import Keys
from cordboard.errors import BadCall, LedgerUnavailable
from cordboard.records.inbox import inbox_id_of, oldest_waiting, receive
from cordboard.records.ledger import Ledger
from cordboard.settings import Settings
from cordboard.vendors.webhook import Endpoint, WebhookSender
from deployments.completion_events import Announcer, remind
from deployments.receiver import Receiver
from deployments.receiver_api import openapi
from deployments.receiver_server import listener_at
from tests.deployments.receiving import SECRET, SHARED, completion, place, plain, receiver, signed
from tests.thorough import count


class Place:
    """A receiver that runs, and what it keeps."""

    def __init__(self, url: str, ledger: Path, process: subprocess.Popen[str]) -> None:
        self.url, self.ledger, self.process = url, ledger, process
        self.http = httpx.Client(base_url=url, timeout=20, trust_env=False)

    def post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return self.http.post("/completions", content=body, headers=headers)

    def kept(self, message_id: str) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT state, body FROM inbox WHERE message_id = ?", [message_id])
            return [(str(state), str(body)) for state, body in found]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    ledger = tmp_path_factory.mktemp("receiver") / "ledger.db"
    with receiver(f"sqlite:///{ledger}") as (process, url):
        place = Place(url, ledger, process)
        with place.http:
            yield place


def test_a_completion_is_stored_and_then_answered_and_the_same_again_is_only_answered(here: Place) -> None:
    body = completion(1, secretOfTheVendor="kept out")
    first, again = (here.post(body, signed(body, "msg_first")) for _ in range(2))
    assert (first.status_code, first.json()) == (202, {"status": "accepted"})
    assert (again.status_code, again.json()) == (200, {"status": "repeated"})
    ((state, kept),) = here.kept("msg_first")
    assert state == "new"
    assert json.loads(kept).keys() == {"instanceId", "workflowId", "status", "context"}


def test_a_vendor_that_cannot_sign_is_known_by_a_secret(here: Place) -> None:
    body = completion(2)
    assert [here.post(body, plain()).status_code for _ in range(2)] == [202, 200]
    assert here.post(body, plain() | {"x-cordboard-secret": SHARED[:-1]}).status_code == 401


TEMPLATE = completion(3, a={"__prefect_kind": "x"})
#: Signed as each test begins: what was signed as all of them were collected is too old for the last ones.
REFUSED: dict[str, tuple[bytes, Callable[[], dict[str, str]], int]] = {
    "no proof": (completion(3), lambda: {"content-type": "application/json"}, 401),
    "of yesterday": (completion(3), lambda: signed(completion(3), "msg_r", time.time() - 86_400), 401),
    "another body": (completion(4), lambda: signed(completion(3), "msg_r"), 401),
    "no json": (b"{", lambda: signed(b"{", "msg_r"), 400),
    "nan": (b'{"a": NaN}', lambda: signed(b'{"a": NaN}', "msg_r"), 400),
    "no completion": (b"{}", lambda: signed(b"{}", "msg_r"), 422),
    "a template": (TEMPLATE, lambda: signed(TEMPLATE, "msg_r"), 422),
    "encoded": (completion(3), lambda: signed(completion(3), "msg_r") | {"content-encoding": "gzip"}, 415),
    "a form": (completion(3), lambda: signed(completion(3), "msg_r") | {"content-type": "text/plain"}, 415),
    "large": (b" " * 65_537, lambda: signed(b" " * 65_537, "msg_r"), 413),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_not_taken_is_answered_with_a_reason_and_not_kept(here: Place, why: str) -> None:
    body, headers, status = REFUSED[why]
    answer = here.post(body, headers())
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert here.kept("msg_r") == []
    assert not any(secret in answer.text for secret in (SECRET, SHARED))


def test_an_answer_waits_for_nothing_but_the_ledger(here: Place) -> None:
    """Not for a packet that the other side is in no hurry to acknowledge, which would be 40 ms."""
    took = []
    for number in range(20):
        began = time.perf_counter()
        assert here.post(completion(number), signed(completion(number), f"msg_quick_{number}")).status_code == 202
        took.append(time.perf_counter() - began)
    assert min(took) < 0.03


def test_other_paths_and_methods_are_answered_in_json(here: Place) -> None:
    """None is led elsewhere: what was sent over TLS would be sent again without."""
    http = here.http
    answers = [http.get("/completions"), http.post("/nowhere"), http.delete("/healthz"), http.post("/completions/")]
    assert [each.status_code for each in answers] == [405, 404, 405, 404]
    assert all(list(each.json()) == ["error"] for each in answers)
    assert here.http.get("/healthz").json() == {"status": "ok"}


def test_the_document_of_the_api_is_served_and_is_closed(here: Place) -> None:
    document = here.http.get("/openapi.json").json()
    assert document == openapi()
    assert set(document["paths"]["/completions"]["post"]["responses"]) == {
        "200", "202", "400", "401", "408", "413", "415", "422", "503",
    }  # fmt: skip


@settings(max_examples=count(40, 2000), deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"POST /completions HTTP/1.1\r\nhost: x\r\n", b"GET / HTTP/1"]))
def test_garbage_on_the_wire_ends_nothing_but_its_connection(here: Place, garbage: bytes, before: bytes) -> None:
    with socket.create_connection(place(here.url), timeout=10) as wire:
        wire.sendall(before + garbage)
        wire.shutdown(socket.SHUT_WR)
        answered = wire.recv(4096)
    assert not answered.startswith(b"HTTP/1.1 5")
    assert here.process.poll() is None


def test_a_body_without_end_and_a_head_without_end_are_refused_early(here: Place) -> None:
    """Chunked, without a length: as soon as it is too large. Nobody reads on."""

    sent = []

    def endless() -> Iterator[bytes]:
        for number in range(10_000):
            sent.append(number)
            yield b" " * 8192

    with contextlib.suppress(httpx.TransportError):  # it may hang up while we still send
        assert here.http.post("/completions", content=endless(), headers=plain()).status_code == 413
    assert len(sent) < 5_000
    with contextlib.suppress(httpx.TransportError):
        assert here.http.get("/healthz", headers={"x": "y" * 1_000_000}).status_code == 400
    assert here.http.get("/healthz").status_code == 200


@pytest.mark.slow
def test_two_hundred_slow_clients_hold_no_good_one_up_and_are_hung_up_on(here: Place) -> None:
    """Half of them dawdle in the head, half in the body; each is gone within six seconds."""
    body = completion(5)

    async def slow(number: int) -> float:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(*place(here.url))
        head = b"POST /completions HTTP/1.1\r\nhost: x\r\n"
        writer.write(head if number % 2 else head + b"content-length: 500\r\n\r\n{")
        await writer.drain()
        await reader.read()
        writer.close()
        return time.monotonic() - began

    async def good(client: httpx.AsyncClient, number: int) -> float:
        began = time.monotonic()
        answer = await client.post(f"{here.url}/completions", content=body, headers=signed(body, f"msg_good_{number}"))
        assert answer.status_code == 202
        return time.monotonic() - began

    async def run() -> tuple[list[float], list[float]]:
        dawdlers = [asyncio.create_task(slow(number)) for number in range(200)]
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            await good(client, -1)
            took = [await good(client, number) for number in range(100)]
        return took, await asyncio.gather(*dawdlers)

    took, lasted = asyncio.run(run())
    assert sorted(took)[-2] <= 0.25
    assert max(lasted) < 8


def test_it_does_not_start_without_a_secret_or_where_the_port_is_taken(here: Place, tmp_path: Path) -> None:
    environment = {**os.environ, "CORDBOARD_TENANT": "acme", "CORDBOARD_HOME": str(tmp_path)}
    taken = str(place(here.url)[1])
    for more, said in (
        ({}, "no secret to know senders by"),
        ({"CORDBOARD_COMPLETION_SECRETS": SECRET}, "cannot listen"),
    ):
        command = [sys.executable, "-m", "deployments.receiver", "--port", taken]
        done = subprocess.run(command, env=environment | more, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 65_536), ("no.such.host.invalid", 0), ("192.0.2.1", 0)])
def test_an_address_that_cannot_be_had_is_named(host: str, port: int) -> None:
    with pytest.raises(BadCall, match=f"cannot listen at {host} port {port}"):
        listener_at(host, port)


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with receiver(f"sqlite:///{tmp_path}/ledger.db") as (process, url):
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


# --- telling Prefect --------------------------------------------------------------------------------------------------


def test_prefect_is_told_of_a_message_once_and_by_our_id_alone(tmp_path: Path) -> None:
    """Not of a repeat, and not of what was refused."""

    async def run() -> None:
        told: list[str] = []
        body, bad = completion(1), b"{}"
        async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
            keys = Keys.from_settings(Settings(completion_secrets=SECRET))
            app = Receiver(Reception(ledger, "acme", keys), told.append).app()
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
                for each, message_id in ((body, "msg_1"), (body, "msg_1"), (bad, "msg_2"), (body, "msg_3")):
                    await client.post("/completions", content=each, headers=signed(each, message_id))
        assert told == [inbox_id_of(inbox_endpoint("acme"), message_id) for message_id in ("msg_1", "msg_3")]

    asyncio.run(run())


def test_a_ledger_that_another_keeps_locked_is_answered_with_a_503(tmp_path: Path) -> None:
    """So is one that cannot be read, by /healthz, for a proxy that then sends nobody here. Nobody is told anything."""

    async def run() -> None:
        body, told = completion(1), []
        async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db?timeout=0.05") as ledger:
            keys = Keys.from_settings(Settings(completion_secrets=SECRET))
            app = Receiver(Reception(ledger, "acme", keys), told.append, read_seconds=0.2).app()
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
                with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
                    other.execute("BEGIN IMMEDIATE")
                    locked = await client.post("/completions", content=body, headers=signed(body, "msg_1"))
                free = await client.post("/completions", content=body, headers=signed(body, "msg_1"))
                ledger.read = unreadable  # type: ignore[method-assign]
                health = await client.get("/healthz")
                ledger.read = silent  # type: ignore[method-assign]
                hung = await client.get("/healthz")
        assert [each.status_code for each in (locked, free, health, hung)] == [503, 202, 503, 503]
        assert told == [inbox_id_of(inbox_endpoint("acme"), "msg_1")]

    async def unreadable(_: Any) -> Any:
        raise LedgerUnavailable("its disk is full")

    async def silent(_: Any) -> Any:
        await asyncio.Event().wait()

    asyncio.run(run())


def test_many_completions_are_one_event_and_a_prefect_that_is_down_costs_nothing() -> None:
    """`tell` never waits; what comes while an event leaves is one more event."""

    async def run() -> None:
        told: list[str] = []
        went_well: list[bool] = []
        gate = asyncio.Event()

        async def post(inbox_id: str) -> bool:
            told.append(inbox_id)
            await gate.wait()
            if len(told) == 1:
                raise ConnectionError("no server")
            return True

        announcer = Announcer(post, pause_seconds=0, note=went_well.append)
        telling = asyncio.create_task(announcer.run())
        announcer.tell("a")
        await until(lambda: told == ["a"])
        for name in "bcdefg":
            announcer.tell(name)
        gate.set()
        await until(lambda: told == ["a", "g"] and went_well == [False, True])
        telling.cancel()
        await asyncio.wait([telling])

    asyncio.run(run())


def test_what_waits_is_told_again_at_the_start_and_as_long_as_it_waits(tmp_path: Path) -> None:
    async def run() -> None:
        now, told, looks = [1_700_000_000.0], [], []

        def clock() -> float:
            looks.append(now[0])
            return now[0]

        async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db", clock=clock) as ledger:
            old = await receive(ledger, inbox_endpoint("acme"), "msg_1", "{}")
            reminding = asyncio.create_task(remind(ledger, "acme", told.append, every=0.01))
            await until(lambda: told == [old.inbox_id])  # at the start, however young
            looked = len(looks)
            await until(lambda: len(looks) > looked + 5)
            assert len(told) == 1  # and then not before it has waited that long
            real, ledger.read, looked = ledger.read, broken, len(looks)  # type: ignore[method-assign]
            await until(lambda: len(looks) > looked + 5)  # nothing that the ledger does ends it
            ledger.read = real  # type: ignore[method-assign]
            now[0] += 1
            await until(lambda: len(told) > 3)
            assert set(told) == {old.inbox_id}
            reminding.cancel()
            await asyncio.wait([reminding])

    async def broken(_: Any) -> Any:
        raise ValueError("none of ours")

    asyncio.run(run())


def test_records_that_the_erp_refused_are_told_of_when_they_are_due_again(tmp_path: Path) -> None:
    """Nobody else would: no completion waits, so that no event came, and the schedule may be off."""

    async def run() -> None:
        now, told, looks, erp = [1_700_000_000.0], [], [], "erp/acme"

        def clock() -> float:
            looks.append(now[0])
            return now[0]

        async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db", clock=clock) as ledger:
            kept = await receive(ledger, inbox_endpoint("acme"), "msg_1", completion(1).decode())
            down = Endpoint(erp, f"http://127.0.0.1:{free_port()}/", SECRET)
            async with WebhookSender(down) as sender:
                drained = await drain(ledger, "acme", sender)
            assert drained.erp is not None and drained.erp.pending == 1
            reminding = asyncio.create_task(remind(ledger, "acme", told.append, every=0.01, erp=erp))
            without = asyncio.create_task(remind(ledger, "acme", lambda _: told.append("no ERP"), every=0.01))
            looked = len(looks)
            await until(lambda: len(looks) > looked + 10)
            assert told == []
            now[0] += 5
            await until(lambda: told != [])
            assert set(told) == {kept.inbox_id}
            reminding.cancel()
            without.cancel()
            await asyncio.wait([reminding, without])

    asyncio.run(run())


def test_what_came_before_the_clock_was_set_back_is_told_of_all_the_same(tmp_path: Path) -> None:
    """By the clock it came tomorrow; nobody waits until then."""

    async def run() -> None:
        now = [1_700_000_000.0]
        async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db", clock=lambda: now[0]) as ledger:
            await receive(ledger, inbox_endpoint("acme"), "msg_1", "{}")
            now[0] -= 30
            assert await oldest_waiting(ledger, inbox_endpoint("acme"), by=now[0] - 30) is None  # clocks differ
            now[0] -= 86_400
            assert await oldest_waiting(ledger, inbox_endpoint("acme"), by=now[0] - 30) is not None

    asyncio.run(run())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.002)
