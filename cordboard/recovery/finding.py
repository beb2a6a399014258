"""Finds the one effect that a person means: by its key, by the beginning of it, by its logical id, or by what people
call it where it is open.

All of these are looked for at once: a customer's number may be the beginning of some other effect's key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, and_, select, true

from cordboard.errors import BadCall
from cordboard.records.effects import require_text
from cordboard.records.schema import OPEN_EFFECTS, effects
from cordboard.records.tenants import tenants

SHOWN = 5  # effects that a message names
_KEY = re.compile(r"[0-9a-f]{4,64}")


def find_effect(connection: Connection, name: str, tenant: str = "") -> Any:
    """The row of one effect.

    Args:
        connection: of the ledger.
        name: the key, the beginning of it (four characters or more), the logical id, or the subject of an open one.
        tenant: whose; empty means everybody's.

    Raises:
        BadCall: there is none, or there are several; those are named.
    """
    require_text(effect=name)
    ways = (_by_key, _by_id, _by_subject)
    found = {row.key: row for way in ways for row in way(connection, name, tenant)}
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        whose = f" of tenant {tenant!r}" if tenant else ""
        raise BadCall(
            f"the ledger knows no effect {name!r}{whose}: give its key, the first four or more characters of it, its"
            " logical id, or what `cordboard resolve --list` calls it."
        )
    raise BadCall(_several(name, list(found.values())))


def _several(name: str, rows: Sequence[Any]) -> str:
    lines = "\n".join(f"  {row.key}  {row.state:<8} {row.subject} of {row.tenant}" for row in rows[:SHOWN])
    more = "\n  …" if len(rows) > SHOWN else ""
    return f"several effects are called {name!r}: give more of the key, or the tenant.\n{lines}{more}"


def _by_key(connection: Connection, name: str, tenant: str) -> Sequence[Any]:
    if not _KEY.fullmatch(name):
        return ()
    whose = effects.c.tenant == tenant if tenant else true()
    # Keys are hexadecimal, so every one that begins so stands before the same followed by a g, in any collation.
    begins = and_(effects.c.key >= name, effects.c.key < f"{name}g")
    return connection.execute(select(effects).where(begins, whose).order_by(effects.c.key).limit(SHOWN + 1)).all()


def _by_subject(connection: Connection, name: str, tenant: str) -> Sequence[Any]:
    called = and_(OPEN_EFFECTS, effects.c.subject == name, effects.c.tenant == tenant if tenant else true())
    return connection.execute(select(effects).where(called).limit(SHOWN + 1)).all()


def _by_id(connection: Connection, name: str, tenant: str) -> Iterator[Any]:
    for each in [tenant] if tenant else tenants(connection):
        same = and_(effects.c.tenant == each, effects.c.logical_id == name)
        yield from connection.execute(select(effects).where(same).limit(SHOWN + 1))
