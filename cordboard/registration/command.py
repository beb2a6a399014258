"""`cordboard plan`: what registering a call flow would change, against the live flow or one that was exported."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cordboard.documents import read_document
from cordboard.errors import BadCall, CordboardError
from cordboard.ivr.dialects.cxone import from_cxone
from cordboard.ivr.diff import in_words
from cordboard.ivr.reading import load_flow
from cordboard.registration.plan import Plan, make_plan, read_live, require_cxone
from cordboard.registration.saved import save_plan
from cordboard.settings import Settings
from cordboard.vendors.login import CXoneLogin
from cordboard.vendors.transport import quiet_http_logs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `plan`."""
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--live", type=Path, metavar="JSON", help="plan against an exported flow, not the vendor")
    parser.add_argument("--out", type=Path, metavar="PLAN", help="save the plan, for `register-ivr --plan PLAN`")
    parser.add_argument("--json", action="store_true", help="print the plan as one JSON document")
    parser.add_argument(
        "--detailed-exitcode", action="store_true", help="exit with 0 for no change, 1 for an error, 2 for changes"
    )


def run(options: argparse.Namespace) -> int:
    """Plans and prints; see the module `cordboard.cli` for exit codes."""
    try:
        return _run(options)
    except CordboardError as error:
        if not options.detailed_exitcode:
            raise
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    flow = load_flow(options.file)
    require_cxone(flow)
    live = _exported(options.live) if options.live else asyncio.run(_live(flow.id))
    plan = make_plan(flow, live, today=datetime.now(UTC).date())
    if options.out:
        save_plan(plan, options.out)
    print(f"{json.dumps(plan.as_json(), ensure_ascii=False, indent=2)}\n" if options.json else _text(plan), end="")
    if not plan.is_sound:
        return 1
    return 2 if options.detailed_exitcode and not plan.changes_nothing else 0


def _exported(path: Path) -> dict[str, Any]:
    value = read_document(path).value
    try:
        from_cxone(value)
    except (ValueError, TypeError) as error:
        raise BadCall(f"{path} is no exported call flow: {error}") from None
    return dict(value)


async def _live(flow_id: str) -> Mapping[str, Any] | None:
    quiet_http_logs()
    async with CXoneLogin.from_env(os.environ).session(Settings.from_env(os.environ), api="flows") as session:
        return await read_live(session, flow_id)


def _text(plan: Plan) -> str:
    findings = "".join(f"{finding}\n" for finding in plan.findings)
    if plan.changes_nothing:
        return f"{findings}{plan.flow.id}: the live flow means the same already; nothing would change\n"
    count = len(plan.differences)
    head = f"{plan.flow.id}: {count} change{'' if count == 1 else 's'}"
    end = "" if plan.is_sound else "It has faults: it would not be registered.\n"
    return f"{findings}{head}\n{in_words(plan.differences)}{end}"
