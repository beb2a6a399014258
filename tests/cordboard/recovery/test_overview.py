"""What stands open is shown, with why, at the cost of what is open and not of what is on record."""

from __future__ import annotations

import getpass
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from cordboard.cli import main
from cordboard.records.effects import EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from cordboard.records.schema import inbox, instances, outbox, pools, waiters
from cordboard.recovery.overview import overview
from cordboard.recovery.telling import told
from tests.cordboard.recovery.conftest import RUN, WithLedger, an_effect, leave, leave_in

READY, SENT, DONE, FAILED, UNKNOWN = EffectState


async def fill(ledger: Ledger, now: float) -> None:
    """One of everything that waits, and beside it what does not."""
    acme = {"tenant": "acme", "workflow_id": "wf"}
    pool = {"most": 5, "tick": 1, "counted": 5, "counted_tick": 1, "counted_at": now, "counting_until": 0, "pause": 1}
    waiter = {"holder": "h", "priority": 1, "served": 0, "wants": 7, "reason": "a place: up to 5 of 5 instances run"}
    mail = {"run_key": RUN, "endpoint": "erp", "kind": "k", "body": "{}", "attempts": 9, "next_at": now - 30}
    mail |= {"tenant": "acme", "last_error": "HTTP 500", "created_at": "", "updated_at": ""}
    came = {"endpoint": "completions", "body": "{}", "received_at": now - 50}
    started = {**acme, "run_key": RUN, "effect_key": ""}
    rows = [
        (pools, acme | pool),
        (waiters, acme | waiter | {"batch": "b1", "seen_at": now - 1}),
        (waiters, acme | waiter | {"batch": "gone", "seen_at": now - 999}),
        *((outbox, mail | {"id": state, "state": state}) for state in ("pending", "dead", "delivered")),
        *((inbox, came | {"id": state, "message_id": state, "state": state}) for state in ("new", "applied")),
        (inbox, came | {"id": "unfit", "message_id": "unfit", "state": "unfit", "detail": "no such instance"}),
        (instances, started | {"instance_id": "old", "status": "running", "started_at": now - 30 * 3600}),
        (instances, started | {"instance_id": "young", "status": "running", "started_at": now - 3600}),
        (instances, started | {"instance_id": "over", "status": "completed", "started_at": now - 40 * 3600}),
    ]
    for table, row in rows:
        await ledger.write(lambda connection, _, table=table, row=row: connection.execute(table.insert(), row))


def test_everything_that_stands_open_is_there(on_each: WithLedger, dead_owner: Owner) -> None:
    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect("orders/1"), UNKNOWN)
        for number, state in enumerate((DONE, FAILED, READY)):
            await leave(ledger, an_effect(f"orders/ended/{number}"), state)
        died = await ledger.claim_run("acme", "died", owner=dead_owner)
        await leave_in(died, an_effect("orders/2"), SENT)
        await fill(ledger, ledger.clock())
        async with await ledger.claim_run("acme", "alive", kind="ivr") as run:
            await leave_in(run, an_effect("orders/3"), SENT)
            found = await overview(ledger)
            assert (await overview(ledger, tenant="other")).effects.unknown == 0
        assert (found.effects.unknown, found.effects.interrupted, found.effects.in_flight) == (1, 1, 1)
        assert {effect.logical_id for effect in found.effects.shown} == {"orders/1", "orders/2"}
        assert [(run.run_key, run.is_alive) for run in found.held] == [("died", False), ("alive", True)]
        (waiter,) = found.waiting.waiters
        assert (waiter.batch, waiter.wants, waiter.counted, waiter.limit) == ("b1", 7, 5, 5)
        assert [(q.endpoint, q.waiting, q.stuck, q.trouble) for q in found.waiting.outbox] == [
            ("erp", 1, 1, "HTTP 500")
        ]
        (box,) = found.waiting.inbox
        assert (box.waiting, box.stuck, box.trouble) == (1, 1, "no such instance")
        (long,) = found.waiting.instances
        assert (long.count, long.oldest_id) == (1, "old")
        assert found.needs_somebody
        text = told(found)
        for words in ("1 unknown, 1 interrupted", "no answer within 30 s", "Died: died", "7 starts of wf", "30 h"):
            assert words in text

    on_each(work)


def test_where_nothing_is_open_it_says_so(with_ledger: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect(), DONE)
        found = await overview(ledger)
        assert not found.needs_somebody
        assert told(found) == "Nothing is open, nothing waits, nothing is unknown.\n"

    with_ledger(work)


def test_a_dead_worker_of_a_batch_counts_until_the_batch_has_ended_elsewhere(
    with_ledger: WithLedger, dead_owner: Owner
) -> None:
    """Nobody ever claims its run again."""

    async def work(ledger: Ledger) -> None:
        async with await ledger.claim_run("acme", "starts/b1/worker-6-ef") as earlier:
            await earlier.record("batch.ended", "b1")
        await ledger.claim_run("acme", "starts/b1/worker-7-ab", owner=dead_owner)
        assert (await overview(ledger)).needs_somebody
        async with await ledger.claim_run("acme", "starts/b1/worker-8-cd") as run:
            await run.record("batch.ended", "b2")
            assert [each.is_alive for each in (await overview(ledger)).held] == [False, True]
            await run.record("batch.ended", "b1")
        assert not (await overview(ledger)).needs_somebody

    with_ledger(work)


def test_a_run_that_died_long_ago_is_forgotten(with_ledger: WithLedger, dead_owner: Owner) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.claim_run("acme", "died", owner=dead_owner)
        began = ledger.clock()
        for days, is_there in ((6, True), (8, False)):
            ledger.clock = lambda days=days: began + days * 86400  # type: ignore[method-assign,misc]
            assert (await overview(ledger)).needs_somebody is is_there

    with_ledger(work)


def test_more_than_are_shown_are_counted(with_ledger: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        for number in range(5):
            await leave(ledger, an_effect(f"orders/{number}"), UNKNOWN)
        found = await overview(ledger, limit=2)
        assert (found.effects.unknown, len(found.effects.shown)) == (5, 2)
        assert "and 3 more; all of them: 5 of cxone.dataactions.execute" in told(found)

    with_ledger(work)


def test_text_from_others_cannot_move_the_cursor(with_ledger: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect("orders/\x1b[2J\u202e"), UNKNOWN)
        assert not {"\x1b", "\u202e"} & set(told(await overview(ledger)))

    with_ledger(work)


def test_no_query_reads_a_large_table_through(with_ledger: WithLedger, sqlite_url: str) -> None:
    """By SQLite's own plans: of effects, runs, audit, outbox, inbox and instances only what an index finds."""
    statements: list[tuple[str, Any]] = []

    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect(), UNKNOWN)
        await fill(ledger, ledger.clock())
        run = await ledger.claim_run("acme", "alive")
        await leave_in(run, an_effect("orders/3"), SENT)
        engine = ledger._database._engine  # type: ignore[attr-defined]
        event.listen(engine, "before_cursor_execute", lambda *given: statements.append((given[2], given[3])))
        await overview(ledger)
        await overview(ledger, tenant="acme")
        await run.release()

    with_ledger(work)
    large = {"effects", "runs", "audit", "outbox", "inbox", "instances"}
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        selects = [(text, given) for text, given in statements if text.startswith("SELECT")]
        plans = [row[3] for text, given in selects for row in database.execute(f"EXPLAIN QUERY PLAN {text}", given)]
    scans = [plan for plan in plans if plan.startswith("SCAN") and plan.split()[1] in large]
    # A partial index holds what is open only: to read it through is what is wanted.
    assert [plan for plan in scans if "effects_open" not in plan and "runs_held" not in plan] == []
    assert len(plans) > 10


def test_an_older_ledger_gets_the_indexes(with_ledger: WithLedger, sqlite_url: str) -> None:
    async def nothing(_: Ledger) -> None: ...

    names = "SELECT name FROM sqlite_master WHERE name IN ('effects_open', 'runs_held') ORDER BY name"
    with_ledger(nothing)
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        database.executescript("DROP INDEX effects_open; DROP INDEX runs_held; UPDATE schema_version SET version = 2")
    with_ledger(nothing)
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        assert [row[0] for row in database.execute(names)] == ["effects_open", "runs_held"]


@pytest.fixture
def command(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `cordboard` on the ledger; gives back exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--ledger", sqlite_url])
        return (code, *capsys.readouterr())

    return run


def test_a_tenant_that_is_spelled_wrong_does_not_look_like_nothing_to_do(with_ledger: WithLedger, command: Any) -> None:
    async def nothing(_: Ledger) -> None: ...

    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect(), UNKNOWN)

    with_ledger(nothing)
    assert command("status", "--tenant", "acme")[0] == 0  # nobody was ever there
    with_ledger(work)
    assert command("status", "--tenant", "acme")[0] == 1
    code, shown, said = command("status", "--tenant", "acmee")
    assert (code, shown, said) == (2, "", "the ledger knows no tenant 'acmee'. Did you mean acme?\n")
    assert "It knows acme." in command("resolve", "--list", "--tenant", "other")[2]


def test_a_list_that_shows_none_does_not_say_that_there_are_none(with_ledger: WithLedger, command: Any) -> None:
    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect("orders/\x1b[2J"), UNKNOWN)

    with_ledger(work)
    assert command("resolve", "--list", "--limit", "0")[1] == "  … and 1 more: --limit N lists them\n"
    assert "\x1b" not in command("resolve", "--list")[1]


def test_a_user_without_a_name_is_asked_for_one(
    with_ledger: WithLedger, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose user stands in no list."""

    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect(), UNKNOWN)

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1000710000")

    with_ledger(work)
    monkeypatch.setattr(getpass, "getuser", nameless)
    code, _, said = command("resolve", an_effect().key, "--as", "failed", "--evidence", "log")
    assert (code, "--by" in said) == (2, True)


def test_the_commands_look_at_the_ledger_that_jobs_use(
    with_ledger: WithLedger, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m flows` reads `.env`: a command that did not would look at a ledger that no job has used."""

    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect(), UNKNOWN)

    with_ledger(work)
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / ".env").write_text(f"CORDBOARD_LEDGER_URL={sqlite_url}\n")
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setenv("CORDBOARD_LEDGER_URL", "taken back when the test ends")
    monkeypatch.delenv("CORDBOARD_LEDGER_URL")
    assert main(["status"]) == 1


def test_the_commands_as_a_person_uses_them(with_ledger: WithLedger, command: Any) -> None:
    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect(), UNKNOWN)

    with_ledger(work)
    code, shown, _ = command("status")
    assert code == 1 and "cordboard resolve KEY" in shown
    key = json.loads(command("status", "--json")[1])["effects"]["shown"][0]["key"]
    assert key[:12] in command("resolve", "--list")[1]
    assert json.loads(command("resolve", "--list", "--json")[1])["unknown"] == 1
    settled = ("--as", "done", "--evidence", "ticket 4711", "--result", '{"id": 7}')
    code, said, _ = command("resolve", key[:8], *settled, "--by", "kim")
    assert (code, "unknown becomes done" in said, "said kim" in said) == (0, True, True)
    assert command("status")[:2] == (0, "Nothing is open, nothing waits, nothing is unknown.\n")
    assert command("resolve", "--list")[1] == "There is nothing to resolve.\n"
    code, _, wrong = command("resolve", key[:8], *settled)
    assert code == 2 and "nothing to resolve" in wrong


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("resolve",), "EFFECT, --as, --evidence missing"),
        (("resolve", "abcd", "--as", "done"), "--evidence missing"),
        (("resolve", "abcd", "--as", "done", "--evidence", "x", "--result", "{"), "--result is not JSON"),
        (("resolve", "abcd", "--as", "done", "--evidence", "x"), "there is no ledger at"),
        (("status",), "there is no ledger at"),
        (("status", "--limit", "-1"), "zero or more"),
        (("status", "--long-hours", "nan"), "zero or more"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_makes_no_ledger(
    command: Any, sqlite_url: str, words: tuple[str, ...], said: str
) -> None:
    code, _, wrong = command(*words)
    assert code == 2 and said in wrong
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()
