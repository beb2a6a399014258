"""One link of the audit chain: how a record and the record before it make a hash.

An independent verifier needs this file's two facts only: the first record follows 64 zeros, and a record's hash is the
SHA-256 of the canonical JSON of its eight other columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

GENESIS = "0" * 64
HASHED = ("at", "detail", "kind", "prev", "run_key", "seq", "subject", "tenant")  # in canonical, sorted order

_canonical = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def row_hash(row: Mapping[str, Any]) -> str:
    """The hash of an audit record, in hex; `detail` is hashed as the text that is stored."""
    return hashlib.sha256(_canonical({name: row[name] for name in HASHED}).encode()).hexdigest()
