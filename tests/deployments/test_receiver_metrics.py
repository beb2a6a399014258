"""What Prometheus reads off the receiver: the numbers move with what happens, and a sick ledger hides no others."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from cordboard.completion.applying import drain
from cordboard.completion.receiving import Reception
from cordboard.completion.verification import Keys
from cordboard.records.ledger import Ledger
from deployments.receiver import Receiver
from deployments.receiver_metrics import REASONS, Metrics
from tests.cordboard.records.conftest import ledger_url
from tests.deployments.receiving import CHECKOUT, SECRET, SHARED, completion, plain, receiver, signed

__all__ = ["ledger_url"]
Scraped = dict[tuple[str, str], float]


def parsed(answer: httpx.Response) -> Scraped:
    """Each sample under its name and the value of its label."""
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, ",".join(value for name, value in sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_numbers_move_and_a_ledger_that_fails_hides_no_others(tmp_path: Path) -> None:
    ledger, secrets = tmp_path / "ledger.db", (SECRET, SECRET.removeprefix("whsec_"), SHARED)
    with (
        receiver(f"sqlite:///{ledger}") as (_, url),
        httpx.Client(base_url=url, trust_env=False, timeout=20) as client,
    ):
        fresh = parsed(client.get("/metrics"))
        assert {label for name, label in fresh if name == "cordboard_completions_refused_total"} == set(REASONS)
        assert not any(value for (name, _), value in fresh.items() if name.endswith("_total") and "process" not in name)
        assert (fresh["cordboard_ledger_up", ""], fresh["cordboard_receiver_connections", ""]) == (1, 1)
        sent = [(signed(completion(1), "msg_1"), 202), (signed(completion(1), "msg_1"), 200), (plain(), 202)]
        refused = [
            (signed(completion(1), "msg_2", time.time() - 900), "clock"),
            (signed(completion(2), "msg_2"), "signature"),
            (plain() | {"x-cordboard-secret": "x" * 20}, "secret"),
            ({"content-type": "application/json"}, "no_proof"),
            (signed(completion(1), "a b"), "malformed"),
            (plain() | {"content-type": "text/plain"}, "content_type"),
        ]
        for headers, status in sent:
            assert client.post("/completions", content=completion(1), headers=headers).status_code == status
        for headers, _ in refused:
            assert client.post("/completions", content=completion(1), headers=headers).status_code >= 400
        assert client.post("/completions", content=b"{}", headers=plain()).status_code == 422
        assert client.get("/nowhere").status_code == 404
        now = parsed(answer := client.get("/metrics"))
        assert (now["cordboard_completions_taken_total", ""], now["cordboard_completions_repeated_total", ""]) == (2, 1)
        for reason in (*(reason for _, reason in refused), "no_completion", "no_such_path"):
            assert now["cordboard_completions_refused_total", reason] == 1, reason
        seconds = "cordboard_completions_answer_seconds_count"
        assert [now[seconds, outcome] for outcome in ("accepted", "repeated", "refused")] == [2, 1, 7]
        assert now["cordboard_inbox_messages", "new"] == 2 and now["cordboard_inbox_oldest_seconds", ""] > 0
        assert not any(secret in answer.text for secret in secrets)

        async def apply() -> None:
            async with await Ledger.open(f"sqlite:///{ledger}") as here:
                await drain(here, "acme", None)

        asyncio.run(apply())
        applied = parsed(client.get("/metrics"))
        assert (applied["cordboard_inbox_messages", "new"], applied["cordboard_inbox_oldest_seconds", ""]) == (0, 0)
        with closing(sqlite3.connect(ledger)) as other:
            other.execute("DROP TABLE outbox")
        sick = parsed(client.get("/metrics"))
        assert (sick["cordboard_ledger_up", ""], sick["cordboard_completions_taken_total", ""]) == (0, 2)
        assert ("cordboard_inbox_messages", "new") not in sick
        for accept in ("application/openmetrics-text; version=1.0.0", "text/plain; version=x", ";=,"):
            assert parsed(client.get("/metrics", headers={"accept": accept}))["cordboard_ledger_up", ""] == 0


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_a_ledger_that_hangs_is_asked_once_and_the_rest_is_told_in_time(ledger_url: str) -> None:
    """However often it is scraped meanwhile; as soon as it answers, all is there again."""

    async def run() -> None:
        async with await Ledger.open(ledger_url) as ledger, await Ledger.open(ledger_url) as other:
            desk = Reception(ledger, "acme", Keys(shared=(SHARED.encode(),)))
            app = Receiver(desk, lambda _: None, Metrics(ledger, "acme", scrape_seconds=0.1)).app()
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:

                async def up() -> float:
                    return parsed(await client.get("/metrics"))["cordboard_ledger_up", ""]

                async def answers() -> None:
                    async with asyncio.timeout(20):
                        while not await up():
                            await asyncio.sleep(0.01)

                await answers()
                locked, free = asyncio.Event(), asyncio.Event()
                locking = asyncio.create_task(hold(other, locked, free))
                await locked.wait()
                assert [await up() for _ in range(5)] == [0] * 5
                assert await asking(other) == 1
                several = asyncio.gather(*(up() for _ in range(5)))  # that wait for one and the same answer
                free.set()
                await locking
                assert set(await several) <= {0, 1}
                await answers()

    async def hold(other: Ledger, locked: asyncio.Event, free: asyncio.Event) -> None:
        async with other._database._engine.begin() as connection:  # type: ignore[attr-defined]
            await connection.execute(text("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE"))
            locked.set()
            await free.wait()

    async def asking(other: Ledger) -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return int(await other.read(lambda connection: connection.scalar(text(query))) or 0)

    asyncio.run(run())


def test_every_metric_is_documented_and_none_that_there_is_not(tmp_path: Path) -> None:
    """Also every word that a refusal is counted under, and those that the alerts ask for."""

    async def families() -> set[str]:
        async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
            metrics = Metrics(ledger, "acme")
            metrics.watch(lambda: 0)
            content = await metrics.scrape()
        found = text_string_to_metric_families(content.decode())
        return {f"{each.name}{'_total' if each.type == 'counter' else ''}" for each in found}

    page = (CHECKOUT / "docs" / "completions.md").read_text()
    named = set(re.findall(r"\bcordboard_[a-z_]+", page))
    assert named == {
        each for each in asyncio.run(families()) if not each.startswith("process_") and not each.endswith("_created")
    }
    assert set(REASONS) <= set(re.findall(r"`([a-z_]+)`", page))
    asked = {word for words in re.findall(r'reason=~?"([a-z_|]+)"', page) for word in words.split("|")}
    assert asked and asked <= set(REASONS)
