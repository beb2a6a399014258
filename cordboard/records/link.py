"""One link of the audit chain: how a record and the record before it make a hash.

An independent verifier needs this file's two facts only: the first record follows 64 zeros, and a record's hash is the
SHA-256 of the canonical JSON of its eight other columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from json.encoder import encode_basestring as _quoted  # what `json.dumps(…, ensure_ascii=False)` makes of a string
from typing import Any

GENESIS = "0" * 64
HASHED = ("at", "detail", "kind", "prev", "run_key", "seq", "subject", "tenant")  # in canonical, sorted order


def row_hash(row: Mapping[str, Any]) -> str:
    """The hash of an audit record, in hex; `detail` is hashed as the text that is stored.

    Raises:
        TypeError: a column holds no text, or `seq` no whole number.
        UnicodeEncodeError: a column holds text that is no Unicode, such as a lone surrogate.
    """
    return link_hash(*(row[name] for name in HASHED))


def link_hash(  # noqa: PLR0913, PLR0917  in the order of `HASHED`
    at: str, detail: str, kind: str, prev: str, run_key: str, seq: int, subject: str, tenant: str
) -> str:
    """The same of the columns alone: written out, because a verification of millions of records spends its time here.

    >>> link_hash("2026-01-01", "{}", "note", GENESIS, "r1", 1, "é", "acme")[:8]
    '9ca5989d'
    """
    text = (
        f'{{"at":{_quoted(at)},"detail":{_quoted(detail)},"kind":{_quoted(kind)},"prev":{_quoted(prev)},'
        f'"run_key":{_quoted(run_key)},"seq":{seq:d},"subject":{_quoted(subject)},"tenant":{_quoted(tenant)}}}'
    )
    return sha256(text.encode()).hexdigest()
