"""A verifier of the audit record and its checkpoints that shares no line with ours: the standard library alone.

    python independent.py LEDGER.db [CHECKPOINTS.jsonl]      # keys in CORDBOARD_CHECKPOINT_KEY

It says the first thing that is wrong and exits with 1, or says nothing and exits with 0.
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import sys
from pathlib import Path

COLUMNS = ("seq", "at", "tenant", "run_key", "kind", "subject", "detail", "prev")


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def chain_fault(database):
    """What is wrong with the chain, or None."""
    number, prev = 0, "0" * 64
    database.text_factory = lambda raw: raw.decode(errors="replace")
    for *values, found in database.execute(f"SELECT {', '.join(COLUMNS)}, hash FROM audit ORDER BY seq"):
        record, number = dict(zip(COLUMNS, values, strict=True)), number + 1
        if record["seq"] != number or record["prev"] != prev:
            return f"record {number} is missing or moved"
        if any(isinstance(value, bytes) for value in values) or digest(record) != found:
            return f"record {number} was changed"
        prev = found
    if database.execute("SELECT seq, hash FROM audit_head").fetchall() != [(number, prev)]:
        return f"the head is not record {number}"
    return None


def digest(record):
    return hashlib.sha256(canonical(record)).hexdigest()


def checkpoint_fault(database, lines, keys):
    """What is wrong with a checkpoint, or None."""
    first, before = hash_of(database, 1), 0
    for number, line in enumerate(lines, start=1):
        try:
            said = json.loads(line)
            signature = said.pop("signature")
        except (ValueError, KeyError):
            return f"line {number} is no checkpoint"
        if not any(hmac.new(key, canonical(said), "sha256").hexdigest() == signature for key in keys):
            return f"line {number} is forged"
        if said["seq"] <= before:
            return f"line {number} was moved"
        if (said["ledger"], said["hash"]) != (first, hash_of(database, said["seq"])):
            return f"record {said['seq']} is not that of the checkpoint of {said['at']}"
        before = said["seq"]
    return None


def hash_of(database, seq):
    return next((found for (found,) in database.execute("SELECT hash FROM audit WHERE seq = ?", (seq,))), None)


def fault(ledger, checkpoints=None, keys=()):
    """What is wrong with ledger or checkpoints, or None."""
    with sqlite3.connect(ledger) as database:
        found = chain_fault(database)
        if found or checkpoints is None:
            return found
        with Path(checkpoints).open(encoding="utf-8", newline="\n") as lines:
            return checkpoint_fault(database, lines, keys)


if __name__ == "__main__":
    words = filter(None, os.environ.get("CORDBOARD_CHECKPOINT_KEY", "").split(","))
    sys.exit(fault(*sys.argv[1:3], keys=[base64.b64decode(word) for word in words]))
