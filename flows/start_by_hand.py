"""The jobs of `python -m flows` about workflow instances: start them, take in their ends, ask for the silent ones."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from cordboard.errors import Ours
from cordboard.starting.model import single_run_key
from flows.print_results import print_completions, print_reaped, print_starts, print_waiting
from flows.run_in_process import asked_of, document_of, login_of, run, show


def trigger_workflows(args: argparse.Namespace) -> int:
    """Starts instances and prints how many, or what a batch waits for."""
    from cordboard.starting.document import exit_code  # noqa: PLC0415
    from cordboard.starting.source import check_source  # noqa: PLC0415
    from cordboard.triggers.reading import load_trigger  # noqa: PLC0415

    trigger = load_trigger(Path(args.file))
    check_source(trigger, args.rows, datetime.now(UTC).date())
    if args.explain:
        return _explain(args)
    from flows.trigger_workflows import trigger_workflows as flow  # noqa: PLC0415

    made = "" if args.rows or args.run_key or trigger.key else single_run_key(str(uuid4()))
    asked = _starts_of(args, args.run_key or made or None)
    with _named(made):
        document = document_of(asyncio.run(run(flow, asked, args.credentials, needs_login=not args.dry_run)))
    show(document, print_starts, as_json=args.json)
    return exit_code(document)


def _explain(args: argparse.Namespace) -> int:
    from flows.trigger_workflows import explain_workflows  # noqa: PLC0415

    async def explained() -> dict[str, Any]:
        login = await login_of(args.credentials) if args.credentials else None
        return dict(await explain_workflows(_starts_of(args, args.run_key), login))

    show(asyncio.run(explained()), print_waiting, as_json=args.json)
    return 0


def _starts_of(args: argparse.Namespace, run_key: str | None) -> Any:
    from flows.trigger_workflows import TriggerWorkflows  # noqa: PLC0415

    return asked_of(
        TriggerWorkflows,
        trigger=args.file,
        rows=args.rows,
        run_key=run_key,
        max_concurrent=args.max_concurrent,
        rate=args.rate,
        skip_faulty=args.skip_faulty,
        dry_run=args.dry_run,
        patience_minutes=args.patience,
        wait=args.wait,
        wait_minutes=args.wait_minutes,
    )


@contextmanager
def _named(run_key: str) -> Iterator[None]:
    """Tells the run key that was made for a single start, where it may have been sent and no document says so."""
    try:
        yield
    except Ours:
        raise
    except BaseException:
        if run_key:
            said = f"to go on with this start: --run-key {run_key}; without it another one is made"
            print(said, file=sys.stderr)
        raise


def sync_completion(args: argparse.Namespace) -> int:
    """Applies the completions that wait, and delivers the ERP's records."""
    from flows.sync_completion import sync_completion as flow  # noqa: PLC0415

    document = document_of(asyncio.run(run(flow, None, args.credentials, needs_login=bool(args.credentials))))
    show(document, print_completions, as_json=args.json)
    if document["status"] == "busy":
        return 0
    return 1 if document["unfit"] or (document["erp"] or {}).get("dead") else 0


def reap_instances(args: argparse.Namespace) -> int:
    """Asks the vendor for instances that have not reported, and closes what has ended or is gone."""
    from flows.reap_instances import ReapInstances  # noqa: PLC0415
    from flows.reap_instances import reap_instances as flow  # noqa: PLC0415

    wanted = asked_of(ReapInstances, report_within_minutes=args.report_within_minutes, limit=args.limit)
    document = document_of(asyncio.run(run(flow, wanted, args.credentials)))
    show(document, print_reaped, as_json=args.json)
    return 3 if document["status"] == "unanswered" else 0
