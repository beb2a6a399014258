"""Judges a batch of starts by what the vendor says and what the ledger says, and by nothing else.

    python -m bench.chaos_checker --truth FILE --ledger FILE --rows FILE --safety CLASS [--least N]

It reads the sandbox's log of what really happened (JSON lines), the ledger (SQLite) and the rows (CSV: `id`,
`customer`), with the standard library alone, and shares no code with what it judges: an error there cannot hide here.
Prints what it counted as JSON and every complaint in a line; exits with 1 where there is any.
"""

from __future__ import annotations

import argparse
import csv
import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any

STARTS = "/api/v2/workflows/instances"
MIN_KINDS = 10
HASHED = ("at", "detail", "kind", "prev", "run_key", "seq", "subject", "tenant")
Row = dict[str, Any]


@dataclass(frozen=True)
class Vendor:
    """What happened there.

    Attributes:
        instances: starts that took effect, by our reference.
        sends: when each request to start something was decided on, by our reference, in order.
        faults: how often each kind of fault befell a request.
        posts: requests to start something.
        faulted: those of them that a fault befell.
    """

    instances: dict[str, list[Row]]
    sends: dict[str, list[float]]
    faults: Counter[str]
    posts: int
    faulted: int


@dataclass(frozen=True)
class Books:
    """What the ledger says.

    Attributes:
        effects: rows of starts, by key.
        intents: when each send was put on record, by key, in order.
        held: runs that nobody gave back.
        known: instances on record.
        chain: what is wrong with the audit record.
        records: how many it has.
    """

    effects: dict[str, Row]
    intents: dict[str, list[float]]
    held: list[str]
    known: dict[str, str]
    chain: list[str]
    records: int


@dataclass
class Verdict:
    """What was found.

    Attributes:
        complaints: everything that is wrong; empty where all is well.
        figures: what was counted.
    """

    complaints: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def demand(self, fine: bool, complaint: str) -> None:
        """Complains unless it is fine."""
        if not fine:
            self.complaints.append(complaint)

    def demand_none(self, wrong: Any, what: str) -> None:
        """Complains where there is any, and names the first few."""
        found = list(wrong)
        self.demand(not found, f"{len(found)} {what}: {', '.join(map(str, found[:3]))}")


def check(truth: Path, ledger: Path, rows: Path, safety: str, least: int = 1) -> Verdict:
    """Judges a run that has ended.

    Args:
        truth: the vendor's log.
        ledger: the SQLite file.
        rows: the batch.
        safety: `keyed`, `lookup` or `neither`.
        least: how often each kind of fault must have occurred for the run to count.
    """
    return judge(read_truth(truth), read_ledger(ledger), rows, safety, least)


def judge(vendor: Vendor, books: Books, rows: Path, safety: str, least: int = 1) -> Verdict:
    """Compares what the vendor says with what the ledger says; the rest as for `check`."""
    verdict = Verdict()
    with rows.open(newline="") as stream:
        wanted = {row["id"]: row["customer"] for row in csv.DictReader(stream)}
    _check_starts(vendor, books, wanted, verdict)
    _check_ends(vendor, books, len(wanted), safety, verdict)
    _check_order(vendor, books, verdict)
    _check_books(books, verdict)
    _check_faults(vendor, safety, least, verdict)
    states = Counter(row["state"] for row in books.effects.values())
    verdict.figures = {
        "starts": len(wanted),
        "instances": sum(map(len, vendor.instances.values())),
        "states": dict(sorted(states.items())),
        "posts": vendor.posts,
        "faulted": round(vendor.faulted / max(vendor.posts, 1), 4),
        "faults": dict(sorted(vendor.faults.items())),
        "audit_records": books.records,
    }
    return verdict


# Reading ------------------------------------------------------------------------------------------------------------


def read_truth(file: Path) -> Vendor:
    """The vendor's log. A line that a kill cut short is the last one, and tells of nothing that was answered."""
    requests: list[Row] = []
    instances, sends = defaultdict(list), defaultdict(list)
    for entry in _lines(file):
        if entry["kind"] == "effect" and "instance_id" in entry:
            instances[str(entry.get("reference"))].append(entry)
        elif entry["kind"] == "request" and entry["path"] == STARTS:
            requests.append(entry)
            if entry["method"] == "POST":
                sends[str(entry["inputs"]["metadata"].get("cordboardReference"))].append(entry["at"])
    committed = {entry["request_id"] for some in instances.values() for entry in some}
    faults = Counter(_kind_of(entry, entry["request_id"] in committed) for entry in requests if "fault" in entry)
    posts = [entry for entry in requests if entry["method"] == "POST"]
    return Vendor(dict(instances), dict(sends), faults, len(posts), sum("fault" in entry for entry in posts))


def _lines(file: Path) -> Iterator[Row]:
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            if line.endswith("\n"):
                yield json.loads(line)


def _kind_of(request: Row, committed: bool) -> str:
    """A name for what befell a request.

    An error and a lost reply may hide an effect. A repeat under a key that the vendor knows has none of its own.
    """
    status = int(request.get("status", 0))
    parts = ["look-up:" if request["method"] == "GET" else "start:", request["fault"], str(status or "no reply")]
    if request["fault"] == "lost_reply" or (request["fault"] == "status" and status >= 500):
        parts.append("with effect" if committed else "without effect")
    return " ".join(parts)


def read_ledger(file: Path) -> Books:
    """The ledger, read only."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        effects = {row["key"]: dict(row) for row in database.execute("SELECT * FROM effects")}
        held = [row["run_key"] for row in database.execute("SELECT run_key FROM runs WHERE state <> 'released'")]
        known = {row["effect_key"]: row["instance_id"] for row in database.execute("SELECT * FROM instances")}
        names = {(row["tenant"], row["operation"], row["logical_id"]): key for key, row in effects.items()}
        intents, chain, prev, seq = defaultdict(list), list[str](), "0" * 64, 0
        for record in database.execute("SELECT * FROM audit ORDER BY seq"):
            seq += 1
            chain += [] if (record["seq"], record["prev"], record["hash"]) == (seq, prev, _hash(record)) else [
                f"audit record {record['seq']} does not follow from the one before"
            ]  # fmt: skip
            prev = record["hash"]
            if record["kind"] == "effect.intended":
                facts = json.loads(record["detail"])
                key = names.get((record["tenant"], facts["operation"], facts["logical_id"]), "?")
                intents[key].append(datetime.fromisoformat(record["at"]).timestamp())
        head = tuple(database.execute("SELECT seq, hash FROM audit_head").fetchone())
    chain += [] if head == (seq, prev) else [f"the audit record ends with {seq}, its head is {head[0]}"]
    return Books(effects, dict(intents), held, known, chain, seq)


def _hash(record: sqlite3.Row) -> str:
    row = {name: record[name] for name in HASHED}
    return sha256(json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


# Judging ------------------------------------------------------------------------------------------------------------


def _check_starts(vendor: Vendor, books: Books, wanted: dict[str, str], verdict: Verdict) -> None:
    """Every instance belongs to one row and was started with what stands there; no row has two."""
    instances, effects = vendor.instances, books.effects
    of_row = {row["subject"]: key for key, row in effects.items()}
    verdict.demand_none((key for key in wanted if key not in of_row), "rows that the ledger does not know")
    verdict.demand_none((key for key in of_row if key not in wanted), "effects of no row")
    verdict.demand_none((key for key, some in instances.items() if len(some) > 1), "references with two instances")
    verdict.demand_none((key for key in instances if key not in effects), "instances that nobody asked for")
    known = ((key, some[0]["inputs"]["context"]["customer"]) for key, some in instances.items() if key in effects)
    other = (key for key, customer in known if customer != wanted.get(effects[key]["subject"]))
    verdict.demand_none(other, "instances with the content of another row")


def _check_ends(vendor: Vendor, books: Books, starts: int, safety: str, verdict: Verdict) -> None:
    """Nothing is open, nothing is lost, and what cannot be known says why."""
    ends = {"done", "unknown"} if safety == "neither" else {"done"}
    effects, instances = books.effects, vendor.instances
    done = {key for key, row in effects.items() if row["state"] == "done"}
    unknown = {key for key, row in effects.items() if row["state"] == "unknown"}
    left = (f"{key} {row['state']}" for key, row in effects.items() if row["state"] not in ends)
    verdict.demand_none(left, "left open")
    verdict.demand(len(effects) == starts, f"{len(effects)} effects for {starts} starts")
    verdict.demand_none(done - instances.keys(), "done without an instance")
    verdict.demand_none(instances.keys() - done - unknown, "instances that are neither done nor unknown")
    if safety != "neither":
        verdict.demand(len(instances) == starts, f"{len(instances)} references at the vendor for {starts} starts")
    both = [(key, str(instances[key][0]["instance_id"])) for key in done & instances.keys()]
    other = (key for key, there in both if _said(effects[key], "result", "instance_id") != there)
    verdict.demand_none(other, "done with the id of another instance")
    verdict.demand_none((key for key, there in both if books.known.get(key) != there), "instances not on record")
    bare = (key for key in unknown if not _said(effects[key], "evidence", "kind") or key not in books.intents)
    verdict.demand_none(bare, "unknown without evidence")


def _check_order(vendor: Vendor, books: Books, verdict: Verdict) -> None:
    """The n-th send of a start has n intents before it, and its effect has one."""
    never = float("inf")
    late = (
        key
        for key, sends in vendor.sends.items()
        if any(sent < at for sent, at in zip_longest(sends, books.intents.get(key, [])[: len(sends)], fillvalue=never))
    )
    verdict.demand_none(late, "sent without an intent before it")
    early = (key for key, some in vendor.instances.items() if some[0]["at"] < books.intents.get(key, [never])[0])
    verdict.demand_none(early, "effects before their intent")


def _check_books(books: Books, verdict: Verdict) -> None:
    verdict.demand_none(books.chain, "breaks of the audit record")
    verdict.demand_none(books.held, "runs that are still held")


def _check_faults(vendor: Vendor, safety: str, least: int, verdict: Verdict) -> None:
    """A run without its faults proves nothing."""
    starts = {kind: count for kind, count in vendor.faults.items() if kind.startswith("start:")}
    verdict.demand(len(starts) >= MIN_KINDS, f"{len(starts)} kinds of faults, not {MIN_KINDS}: the run is void")
    rare = (f"{kind} ({count})" for kind, count in starts.items() if count < least)
    verdict.demand_none(rare, f"kinds of faults occurred fewer than {least} times, so that the run is void")
    looked_up = sum(vendor.faults.values()) - sum(starts.values())
    verdict.demand(
        safety != "lookup" or looked_up >= least, f"{looked_up} look-ups failed, not {least}: the run is void"
    )
    share = vendor.faulted / max(vendor.posts, 1)
    verdict.demand(0.15 <= share <= 0.3, f"{share:.0%} of the starts met a fault: the run is void")


def _said(row: Row, column: str, name: str) -> Any:
    value = json.loads(row[column]) if row[column] else None
    return value.get(name) if isinstance(value, dict) else None


def main() -> int:
    """Judges the run that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("truth", "ledger", "rows"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--safety", choices=("keyed", "lookup", "neither"), required=True)
    parser.add_argument("--least", type=int, default=1)
    verdict = check(**vars(parser.parse_args()))
    print(json.dumps(verdict.figures, indent=1))
    for complaint in verdict.complaints:
        print(f"complaint: {complaint}")
    return 1 if verdict.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
