"""What the ledger is asked while a batch runs costs the same whatever it holds: SQLite goes through no table for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.cordboard.starting.conftest import Place

GROWING = ("runs", "effects", "instances", "audit ", "outbox", "inbox", "slots")
LOOKED_UP = ("SELECT", "UPDATE", "DELETE")


@contextmanager
def plans() -> Iterator[dict[str, list[str]]]:
    """By each statement that runs meanwhile, how SQLite goes about it."""
    found: dict[str, list[str]] = {}

    def note(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.startswith(LOOKED_UP) and statement not in found:
            given = parameters[0] if many else parameters
            rows = connection.connection.dbapi_connection.execute(f"EXPLAIN QUERY PLAN {statement}", given)
            found[statement] = [row[3] for row in rows]

    event.listen(Engine, "after_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "after_cursor_execute", note)


def test_no_statement_of_a_batch_goes_through_a_table_that_grows(place: Place) -> None:
    batch = place.batch(30, limit=10)
    with plans() as found:
        assert place.start(batch).started == 30
        assert place.start(batch).already == 30
    assert any("SEARCH instances" in step for steps in found.values() for step in steps)
    scans = {
        statement: step
        for statement, steps in found.items()
        for step in steps
        if step.startswith(tuple(f"SCAN {name}" for name in GROWING))
    }
    assert scans == {}
