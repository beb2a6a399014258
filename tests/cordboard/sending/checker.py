"""Says what is wrong with a history. It knows the log and nothing of the code: the standard library alone.

The log holds, in the order in which they happened:

    ("audit", record)                            a record of the ledger's chain, as it became durable
    ("request", number, process)                 the vendor got a request to start; processes are named run#epoch
    ("commit", number, instance)                 the vendor started an instance for that request
    ("end", process, state, instance or None)    what a process said in the end
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

Log = list[tuple[Any, ...]]
CERTAIN = {"ready", "failed"}  # that there is no effect
SETTLED, CUT_SHORT = {"done", "failed", "unknown"}, {"killed", "cancelled", "StaleOwner"}  # how processes end
COLUMNS = ("at", "detail", "kind", "prev", "run_key", "seq", "subject", "tenant")


def faults(safety: str, log: Log, final: str) -> list[str]:
    """All that is wrong, in sentences.

    Args:
        safety: `natural`, `keyed`, `lookup` or `neither`.
        log: what happened.
        final: where the ledger has the effect in the end; empty where it never heard of it.
    """
    return [*_chain(log), *_steps(safety, log), *_intents(log), *_claims(log), *_ends(safety, log, final)]


def _audit(log: Log) -> list[dict[str, Any]]:
    return [event[1] for event in log if event[0] == "audit"]


def _chain(log: Log) -> Iterator[str]:
    """Every record follows the one before it."""
    prev = "0" * 64
    for number, row in enumerate(_audit(log), start=1):
        text = json.dumps(
            {name: row[name] for name in COLUMNS}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        if row["seq"] != number or row["prev"] != prev or hashlib.sha256(text.encode()).hexdigest() != row["hash"]:
            yield f"audit record {number} does not follow the one before it"
        prev = row["hash"]


def _steps(safety: str, log: Log) -> Iterator[str]:
    """Every state follows from the one before, and is written by who holds the run."""
    stands, epochs = "ready", Counter[str]()
    for row in _audit(log):
        detail = json.loads(row["detail"])
        if row["kind"] == "run.claimed":
            epochs[row["run_key"]] += 1
        if "to" not in detail:
            continue
        before, after = detail["from"], detail["to"]
        if before != stands:
            yield f"record {row['seq']} goes from {before}, the effect was {stands}"
        if not _may(safety, before, after):
            yield f"record {row['seq']} goes from {before} to {after}"
        if detail["epoch"] != epochs[row["run_key"]]:
            yield f"record {row['seq']} was written in epoch {detail['epoch']} of {epochs[row['run_key']]}"
        stands = after


def _may(safety: str, before: str, after: str) -> bool:
    if before == "done":
        return False
    if before in CERTAIN:
        return after in {"ready", "sent", "failed"}
    return after != "sent" or safety in {"natural", "keyed"}


def _intents(log: Log) -> Iterator[str]:
    """No request without an intent of its own, of the same process, on record before it."""
    open_intents = Counter[str]()
    for event in log:
        if event[0] == "audit" and event[1]["kind"] == "effect.intended":
            open_intents[f"{event[1]['run_key']}#{json.loads(event[1]['detail'])['epoch']}"] += 1
        elif event[0] == "request":
            open_intents[event[2]] -= 1
            if open_intents[event[2]] < 0:
                yield f"request {event[1]} of {event[2]} has no intent on record before it"


def _claims(log: Log) -> Iterator[str]:
    """Nobody says "no effect" of a request that has one or gets one, nor "done" where there is none."""
    fruitful = {event[1] for event in log if event[0] == "commit"}
    asked, made = set[int](), set[str]()
    for event in log:
        if event[0] == "request":
            asked.add(event[1])
        elif event[0] == "commit":
            made.add(event[2])
        elif event[0] == "audit":
            after = json.loads(event[1]["detail"]).get("to")
            if after in CERTAIN and asked & fruitful:
                yield f"record {event[1]['seq']} says {after}, though request {min(asked & fruitful)} has an effect"
            if after == "done" and not made:
                yield f"record {event[1]['seq']} says done, and nothing was started"
        elif event[0] == "end" and event[2] == "done" and event[3] not in made:
            yield f"{event[1]} names instance {event[3]}, which does not exist"


def _ends(safety: str, log: Log, final: str) -> Iterator[str]:
    """One effect or none, as the class promises, and nothing is lost."""
    effects = sum(event[0] == "commit" for event in log)
    told = [event[2] for event in log if event[0] == "end"]
    if effects > 1:
        yield f"{effects} effects"
    if final == "done" and not effects:
        yield "lost: done without an effect"
    if final in CERTAIN | {""} and effects:
        yield f"lost: an effect, and the ledger says {final or 'nothing'}"
    if final not in ({"done", "failed", "unknown"} if safety == "neither" else {"done", "failed"}):
        yield f"lost: it ended {final or 'unheard of'}"
    if "done" not in told and (not told or told[-1] not in SETTLED):
        yield f"lost: the last process ended {told[-1] if told else 'never'}"
    yield from (f"a process ended with {end}" for end in told if end not in SETTLED | CUT_SHORT)
