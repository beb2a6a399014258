"""The sandbox as a server: it repeats, stops at once, works in process, and its truth survives a kill."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from cordboard.sandbox import ConnectionCut, Definition, Faults, Sandbox, default_definition, running_sandbox, serving

EXECUTIONS = "/api/v2/dataactions/executions"
NOTIFY = {"definition_id": "def-notify", "inputs": {"contact": "CON-1"}}


def sign_in(http: httpx.Client, env: dict[str, str]) -> None:
    form = {"client_id": env["CXONE_CLIENT_ID"], "client_secret": env["CXONE_CLIENT_SECRET"]}
    token = http.post(env["CXONE_TOKEN_URL"], data={"grant_type": "client_credentials", **form}).json()
    http.headers["authorization"] = f"Bearer {token['access_token']}"


def slow(milliseconds: float) -> Definition:
    action = {"output": {}, "delay_ms": milliseconds}
    return default_definition().changed(data_actions={"def-notify": action})


@asynccontextmanager
async def in_process(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks to the app without a socket, signed in."""
    client = sandbox.definition.clients[0]
    form = {"client_id": client.id, "client_secret": client.secret.get_secret_value()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox), base_url="http://sandbox") as http:
        token = await http.post("/oauth/token", data={"grant_type": "client_credentials", **form})
        http.headers["authorization"] = f"Bearer {token.json()['access_token']}"
        yield http
    await sandbox.aclose()


async def effect_of(sandbox: Sandbox) -> None:
    while not sandbox.truth.effects:
        await asyncio.sleep(0.005)


def test_the_same_seed_and_requests_give_the_same_replies(start):
    """Tokens, ids and drawn faults repeat; another seed gives another run."""

    def run(seed: int) -> list[tuple[int, str]]:
        api = start({"match": {"probability": 0.4}, "fault": {"status": 503}}, seed=seed)
        token = api.http.headers["authorization"]
        replies = [api.notify(f"CON-{number}") for number in range(20)]
        return [(0, token)] + [(reply.status_code, reply.text) for reply in replies]

    first = run(7)
    assert first == run(7)
    assert {status for status, _ in first} == {0, 200, 503}
    assert first != run(8)


def test_the_truth_counts_the_requests_that_were_open_at_once():
    """A test of a concurrency limit asks the vendor, not the client."""
    sandbox = Sandbox(slow(milliseconds=50))

    async def five_at_once() -> None:
        async with in_process(sandbox) as http:
            await asyncio.gather(*(http.post(EXECUTIONS, json=NOTIFY) for _ in range(5)))

    asyncio.run(five_at_once())
    assert (sandbox.truth.max_in_flight, sandbox.truth.in_flight) == (5, 0)


def test_an_execution_goes_on_in_process_too_when_its_caller_is_cancelled():
    """The vendor does not know that nobody is listening any more."""
    sandbox = Sandbox(slow(milliseconds=50))

    async def cancel_early() -> None:
        async with in_process(sandbox) as http:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await http.post(EXECUTIONS, json=NOTIFY)
            assert not sandbox.truth.effects
            await asyncio.wait_for(effect_of(sandbox), 5)

    asyncio.run(cancel_early())


def test_an_execution_goes_on_when_its_client_leaves(start, eventually):
    """A timeout at the client ends the wait, not the work."""
    api = start(data_actions={"def-slow": {"output": {}, "delay_ms": 200}}, timeout=0.05)
    with pytest.raises(httpx.ReadTimeout):
        api.execute("def-slow", {})
    assert not api.box.truth.effects
    eventually(lambda: len(api.box.truth.effects) == 1)


def test_the_same_key_at_the_same_time_has_one_effect(start):
    """The second request waits for the first one's reply."""
    api = start(data_actions={"def-slow": {"output": {}, "delay_ms": 100}})
    replies: list[str] = []
    work = lambda: replies.append(api.execute("def-slow", {}, idempotency_key="k").json()["id"])  # noqa: E731
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 3
    assert len(set(replies)) == 1
    assert len(api.box.truth.effects) == 1


@pytest.mark.parametrize(
    "fault", [{"hang": {}}, {"hang": {"at": "after_commit"}}, {"drip": {"bytes_per_second": 0.1}}, None]
)
def test_a_sandbox_stops_within_a_second_whatever_hangs(fault, caplog):
    """A test that failed half-way must not hold up the next one, nor clutter its output."""
    definition = slow(milliseconds=0 if fault else 60_000)
    with running_sandbox(definition, Faults.of({"fault": fault}) if fault else None) as box:
        http = httpx.Client(base_url=box.base_url, timeout=30)
        sign_in(http, box.env())
        ended = threading.Event()

        def hang() -> None:
            with pytest.raises(httpx.HTTPError):
                http.post(EXECUTIONS, json=NOTIFY)
            ended.set()

        threading.Thread(target=hang).start()
        while not box.truth.in_flight:
            time.sleep(0.005)
        begun = time.monotonic()
    assert time.monotonic() - begun < 1
    assert ended.wait(5)
    assert not caplog.records
    http.close()


def test_the_truth_cannot_be_reached_over_http(start):
    """Only the process that runs the sandbox, or the file it writes, knows what happened."""
    api = start()
    api.notify()
    for path in ("/truth", "/api/v2/truth", "/requests", "/effects", "/debug", "/docs", "/openapi.json"):
        assert api.http.get(path).status_code == 404


def test_in_process_it_is_a_plain_asgi_app():
    """No socket: httpx speaks to the app directly, and a cut connection is a typed exception."""
    rules = [
        {"match": {"nth": [2]}, "fault": {"lost_reply": "after_commit"}},
        {"match": {"nth": [3]}, "fault": {"truncate": {}}},
    ]
    sandbox = Sandbox(faults=Faults.of(*rules))

    async def scenario() -> None:
        async with in_process(sandbox) as http:
            assert (await http.post(EXECUTIONS, json=NOTIFY)).status_code == 200
            for _ in range(2):
                with pytest.raises(ConnectionCut):
                    await http.post(EXECUTIONS, json=NOTIFY)

    asyncio.run(scenario())
    assert len(sandbox.truth.effects) == 3


def test_serving_inside_a_running_loop():
    """A test that is async itself needs no thread."""

    async def scenario() -> int:
        sandbox = Sandbox(default_definition())
        async with serving(sandbox) as base_url, httpx.AsyncClient() as http:
            return (await http.get(f"{base_url}/healthz")).status_code

    assert asyncio.run(scenario()) == 200


def test_a_port_in_use_is_an_error_and_not_a_hang():
    """Both ways of serving say so."""

    async def scenario() -> None:
        async with serving(Sandbox()) as base_url:
            with pytest.raises(OSError, match="address already in use"):
                async with serving(Sandbox(), port=int(base_url.rpartition(":")[2])):
                    pass

    asyncio.run(scenario())
