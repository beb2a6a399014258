"""What `cordboard status` and `cordboard resolve` do."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from cordboard.errors import BadCall, InvalidJson
from cordboard.jsontext import parse_json
from cordboard.records.engine import ledger_url, sqlite_file
from cordboard.records.ledger import Ledger
from cordboard.recovery.holding import require_tenant
from cordboard.recovery.overview import Overview, overview
from cordboard.recovery.resolving import Resolution, Resolved, resolve
from cordboard.recovery.telling import effect_lines, shown, told
from cordboard.settings import Settings

T = TypeVar("T")


def run_status(options: argparse.Namespace) -> int:
    """Prints what is open, what waits and what nobody knows.

    Returns:
        0 where everything goes on by itself, 1 where something needs somebody.

    Raises:
        BadCall: there is no such ledger, or no such tenant in it: one that is spelled wrong is no reason for calm.
        LedgerUnavailable: it cannot be read.
    """
    if not 0 <= options.long_hours < float("inf") or options.limit < 0:
        raise BadCall("--long-hours and --limit must be zero or more")
    found = _overview(options)
    print(json.dumps(found.as_json()) if options.json else told(found), end="\n" if options.json else "")
    return 1 if found.needs_somebody else 0


def run_resolve(options: argparse.Namespace) -> int:
    """Settles an effect, or lists those that can be settled.

    Returns:
        0 settled, or listed.

    Raises:
        BadCall: no effect or several are called so, it is not open, or something is missing.
        RunBusy: a live process has the effect's run in hand.
        WrongState: somebody else has settled it meanwhile.
        LedgerUnavailable: the ledger cannot be read or written.
    """
    if options.list:
        return _list(options)
    asked = _resolution(options)
    done = _with_ledger(options.ledger, lambda ledger: resolve(ledger, asked))
    print(json.dumps(done.as_json()) if options.json else _said(done, asked))
    return 0


def _list(options: argparse.Namespace) -> int:
    options.long_hours = 0.0
    found = _overview(options).effects
    if options.json:
        print(json.dumps(found.as_json()))
        return 0
    lines = [shown(line) for effect in found.shown for line in effect_lines(effect)]
    left = found.unknown + found.interrupted - len(found.shown)
    print("\n".join(lines) or ("" if left else "There is nothing to resolve."), end="\n" if lines or not left else "")
    if left > 0:
        print(f"  … and {left} more: --limit N lists them")
    return 0


def _overview(options: argparse.Namespace) -> Overview:
    seconds, tenant, limit = options.long_hours * 3600, options.tenant, max(options.limit, 0)

    async def read(ledger: Ledger) -> Overview:
        await ledger.read(lambda connection: require_tenant(connection, tenant))
        return await overview(ledger, tenant, limit, seconds)

    return _with_ledger(options.ledger, read)


def _resolution(options: argparse.Namespace) -> Resolution:
    given = {"EFFECT": options.effect, "--as": options.verdict, "--evidence": options.evidence.strip()}
    if missing := [name for name, value in given.items() if not value]:
        raise BadCall(
            f"{', '.join(missing)} missing: cordboard resolve EFFECT --as done|failed --evidence TEXT; --list shows"
            " what can be resolved"
        )
    by = options.by or _user()
    return Resolution(options.effect, options.verdict, options.evidence, by, _result(options.result), options.tenant)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        raise BadCall("this process's user has no name: say with --by who settles it") from None


def _result(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return parse_json(text)
    except InvalidJson as error:
        raise BadCall(f'--result is {error}; quote it for the shell, as in --result \'{{"id": "7"}}\'') from None


def _said(done: Resolved, asked: Resolution) -> str:
    before = done.before
    instance = f", instance {done.instance_id}" if done.instance_id else ""
    more = f"{before.subject} ({before.key[:12]}) of {before.run_key}: {before.state} becomes {asked.verdict}{instance}"
    return shown(f"{more}, said {asked.by}. It is on the audit record; run {before.run_key} again to go on.")


def _with_ledger(url: str, work: Callable[[Ledger], Awaitable[T]]) -> T:
    url = url or Settings.from_env(os.environ).ledger
    file = sqlite_file(ledger_url(url))
    if file is not None and not file.is_file():
        raise BadCall(f"there is no ledger at {file}: name it with --ledger, CORDBOARD_LEDGER_URL or CORDBOARD_HOME")

    async def main() -> T:
        async with await Ledger.open(url) as ledger:
            return await work(ledger)

    return asyncio.run(main())
