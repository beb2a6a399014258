"""The judge of a cluster sees what was lost and what came about twice, and the balancer passes on what it is given."""

from __future__ import annotations

import asyncio
import csv
import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.chaos_checker import Verdict
from bench.cluster_balancer import Balancer
from bench.cluster_checker import _check_chains, check_cluster, written

RUN, N = "11111111-2222-3333-4444-555555555555", "n7"
STEPS = ("first", "one", "two", "three", "last")


def a_write(step: str, n: str = N) -> dict[str, Any]:
    return {"kind": "effect", "definition_id": "def-write", "inputs": {"n": n, "step": step}}


def an_effect(step: str, state: str = "done", evidence: str | None = None) -> dict[str, Any]:
    return {
        "run_key": f"cluster/{RUN}",
        "logical_id": f"{RUN}/{step}/1",
        "subject": step,
        "state": state,
        "evidence": evidence,
    }


def judged(tmp_path: Path, steps: list[str], effects: list[dict[str, Any]], state: str = "COMPLETED") -> str:
    truth = tmp_path / "truth.jsonl"
    truth.write_text("".join(f"{json.dumps(a_write(step))}\n" for step in steps))
    verdict = Verdict()
    _check_chains(written(truth), effects, {RUN: N}, {RUN: state}, verdict)
    return "; ".join(verdict.complaints)


DONE = [an_effect(step) for step in STEPS]


def test_a_chain_that_did_everything_once_is_fine(tmp_path: Path) -> None:
    assert judged(tmp_path, list(STEPS), DONE) == ""


def test_a_doubt_that_is_on_record_is_fine_whether_it_came_about_or_not(tmp_path: Path) -> None:
    doubt = [an_effect("first"), an_effect("one", "unknown", '{"kind": "interrupted"}')]
    assert judged(tmp_path, ["first"], doubt, "FAILED") == ""
    assert judged(tmp_path, ["first", "one"], doubt, "FAILED") == ""


@pytest.mark.parametrize(
    ("steps", "effects", "state", "complaint"),
    [
        ([*STEPS, "one"], DONE, "COMPLETED", "came about twice"),
        (STEPS[:-1], DONE, "COMPLETED", "completed with"),
        (STEPS[:-1], DONE[:-1], "COMPLETED", "completed with"),
        (STEPS[:2], DONE[:1], "FAILED", "2 steps at the vendor"),
        (STEPS[:1], DONE[:1], "FAILED", "knows of no doubt"),
        (STEPS[:1], [DONE[0], an_effect("one", "unknown")], "FAILED", "without evidence"),
    ],
)
def test_what_is_wrong_with_a_chain_is_said(
    tmp_path: Path, steps: list[str], effects: list[dict[str, Any]], state: str, complaint: str
) -> None:
    assert complaint in judged(tmp_path, list(steps), effects, state)


def test_a_run_that_never_ended_and_one_that_is_still_held_are_found(tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_text("")
    with (tmp_path / "rows.csv").open("w", newline="") as stream:
        csv.writer(stream).writerow(["id", "customer"])
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger, ledger:
        ledger.execute("CREATE TABLE effects (key, tenant, run_key, operation, logical_id, subject, state, evidence)")
        ledger.execute("CREATE TABLE instances (effect_key, instance_id)")
        ledger.execute("CREATE TABLE audit (seq, at, tenant, run_key, kind, subject, detail, prev, hash)")
        ledger.execute("CREATE TABLE audit_head (id, seq, hash)")
        ledger.execute("INSERT INTO audit_head VALUES (1, 0, ?)", ("0" * 64,))
        ledger.execute("CREATE TABLE runs (run_key, state, lease_until)")
        ledger.executemany("INSERT INTO runs VALUES (?, 'held', ?)", [("dead", 90.0), ("alive", 110.0)])
    found = check_cluster(tmp_path, "b", "lookup", {}, {RUN: "PENDING"}, ended_at=100.0).complaints
    assert f"1 runs that did not end: {RUN} PENDING" in found
    assert "1 runs that are still held: alive" in found


# --- the balancer -----------------------------------------------------------------------------------------------------


def test_clients_go_to_whoever_lives_and_are_told_to_come_again_where_nobody_does() -> None:
    async def reply_of(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read(1000)
        writer.close()
        return answer

    async def answer_with(word: bytes) -> tuple[asyncio.Server, int]:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(word)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        return server, server.sockets[0].getsockname()[1]

    async def run_it() -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            (one, first), (two, second) = await answer_with(b"one"), await answer_with(b"two")
            servers = [nobody.getsockname()[1], first, second]
            async with await asyncio.start_server(Balancer(servers).take, "127.0.0.1", 0) as balancer:
                port = balancer.sockets[0].getsockname()[1]
                assert {await reply_of(port) for _ in range(6)} == {b"one", b"two"}
                one.close()
                assert {await reply_of(port) for _ in range(6)} == {b"two"}
                two.close()
                refusal = await reply_of(port)
        assert refusal.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 5\r\n" in refusal

    asyncio.run(run_it())
