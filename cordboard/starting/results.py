"""How each start of a batch stands, by the ledger: a file with a line for every row, and the sums."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO

from sqlalchemy import select

from cordboard.files import whole_file
from cordboard.jsontext import parse_json
from cordboard.records.changes import WITHOUT_EFFECT
from cordboard.records.effects import EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.page import chunks
from cordboard.records.schema import effects
from cordboard.starting.model import Batch
from cordboard.starting.orders import effect_of
from cordboard.triggers.model import Start

COLUMNS = ("line", "key", "status", "instance_id", "kind", "error")
SHOWN = 1000  # starts in the document itself; more stand in the file alone
_CHUNK = 500
_FORMULA = re.compile(r"^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # full-width signs too
Status = Literal["started", "already_started", "failed", "unknown"]
_NOT_SENT = ("failed", "not_sent_yet", "the run ended before it was sent; run it again")


@dataclass(slots=True)
class Results:
    """How the starts of a batch stand.

    Attributes:
        path: the file with a line for each.
        counts: starts by status.
        kinds: of failures and unknown ends.
        instances: the first of them, as the document has them.
    """

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    instances: list[dict[str, Any]] = field(default_factory=list)


async def write_results(batch: Batch, ledger: Ledger, path: Path, since: str) -> Results:
    """Writes the file, readable by its owner only, whole or not at all.

    Args:
        batch: what was started.
        ledger: the truth.
        path: where to; a CSV file.
        since: what was done before, in ISO 8601 UTC, is `already_started`.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
    """
    found = Results(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with whole_file(path) as out, io.TextIOWrapper(out, encoding="utf-8", newline="") as text:
        await _write(text, _rows(batch, ledger, since), found)
    return found


async def _write(out: TextIO, rows: AsyncIterator[dict[str, Any]], found: Results) -> None:
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    async for row in rows:
        writer.writerow([_cell(row[name]) for name in COLUMNS])
        found.counts[row["status"]] += 1
        if row["kind"]:
            found.kinds[row["kind"]] += 1
        if len(found.instances) < SHOWN:
            found.instances.append(_shown(row))


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    error = {"kind": row["kind"], "message": row["error"]} if row["kind"] else None
    return {"key": row["key"], "instance_id": row["instance_id"] or None, "status": row["status"], "error": error}


async def _rows(batch: Batch, ledger: Ledger, since: str) -> AsyncIterator[dict[str, Any]]:
    for some in _by(batch.spool.starts(), _CHUNK):
        keyed = [(start, effect_of(batch, start)) for start in some]
        known = await _known(ledger, [effect.key for _, effect in keyed])
        for start, effect in keyed:
            status, kind, message, instance_id = _standing(known.get(effect.key), effect.body_hash, since)
            yield {
                "line": start.line, "key": start.key, "status": status, "instance_id": instance_id, "kind": kind,
                "error": message,
            }  # fmt: skip


async def _known(ledger: Ledger, keys: list[str]) -> dict[str, Any]:
    wanted = list(chunks(keys))
    columns = [effects.c[name] for name in ("key", "state", "body_hash", "result", "evidence", "updated_at")]

    def fetch(connection: Any) -> dict[str, Any]:
        rows = (row for some in wanted for row in connection.execute(select(*columns).where(effects.c.key.in_(some))))
        return {row.key: row for row in rows}

    return await ledger.read(fetch)


def _standing(row: Any, body_hash: str, since: str) -> tuple[str, str, str, str]:
    """Status, kind and message of what is wrong, and the instance's id."""
    if row is None or row.state == EffectState.READY:
        return (*_NOT_SENT, "")
    if row.body_hash != body_hash:
        if row.state in WITHOUT_EFFECT:  # it was mended, and this run did not come to it
            return (*_NOT_SENT, "")
        return "failed", "other_content", "its key was used before with other content", ""
    said = parse_json(row.evidence) if row.evidence else {}
    said = said if isinstance(said, dict) else {}
    if row.state == EffectState.DONE:
        result = parse_json(row.result) if row.result else {}
        return ("started" if row.updated_at >= since else "already_started"), "", "", str(result.get("instance_id", ""))
    if row.state == EffectState.FAILED:
        return "failed", str(said.get("kind", "failed")), str(said.get("message", "")), ""
    message = said.get("message") or "it was sent, and no answer is on record"
    return "unknown", str(said.get("kind", "interrupted")), str(message), ""


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _by(starts: Iterable[Start], size: int) -> Iterator[list[Start]]:
    rest = iter(starts)
    while some := list(islice(rest, size)):
        yield some
