"""The jobs of `python -m flows` about workflow instances: start them, take in their ends, ask for the silent ones."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from flows.print_results import print_completions, print_reaped, print_starts, print_waiting
from flows.run_in_process import asked_of, document_of, run, show


def trigger_workflows(args: argparse.Namespace) -> int:
    """Starts instances and prints how many, or what a batch waits for."""
    from cordboard.starting.document import exit_code  # noqa: PLC0415
    from cordboard.triggers.reading import load_trigger  # noqa: PLC0415

    load_trigger(Path(args.file))
    from flows.trigger_workflows import TriggerWorkflows  # noqa: PLC0415
    from flows.trigger_workflows import explain_workflows as explain  # noqa: PLC0415
    from flows.trigger_workflows import trigger_workflows as flow  # noqa: PLC0415

    asked = asked_of(
        TriggerWorkflows,
        trigger=args.file,
        rows=args.rows,
        run_key=args.run_key,
        max_concurrent=args.max_concurrent,
        rate=args.rate,
        skip_faulty=args.skip_faulty,
        dry_run=args.dry_run,
        patience_minutes=args.patience,
        wait=args.wait,
        wait_minutes=args.wait_minutes,
    )
    if args.explain:
        facts = asyncio.run(explain(asked))
        show(facts, print_waiting, as_json=args.json)
        return 0
    document = document_of(asyncio.run(run(flow, asked, args.credentials, needs_login=not args.dry_run)))
    show(document, print_starts, as_json=args.json)
    return exit_code(document)


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
