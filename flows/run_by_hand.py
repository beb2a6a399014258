"""The jobs of `python -m flows`: each reads its arguments, runs its flow in this process and prints what came of it.

What can be checked offline is checked before Prefect is imported, which takes seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cordboard.chains.model import load_chain
from cordboard.chains.params import bind_params, read_params, secrets_from_env
from cordboard.chains.results import exit_code
from cordboard.documents import read_document
from cordboard.errors import NO_ACCESS, NOT_NOW, BadCall, InvalidDocument
from cordboard.findings import errors_in
from cordboard.ivr.reading import load_flow
from cordboard.ivr.suite import load_suite
from cordboard.ivr.topology import check_flow
from flows.print_results import print_drift, print_registration, print_simulation, print_table, print_update
from flows.run_in_process import asked_of, document_of, load_webhook, reach_server, run, show


def run_chain(args: argparse.Namespace) -> int:
    """Runs a chain and prints its document or a table."""
    chain = load_chain(Path(args.file))
    given = read_params(chain, args.param)
    bind_params(chain, given, secrets_from_env(chain, os.environ))
    from flows.run_chain import run_chain as flow  # noqa: PLC0415  Prefect takes seconds to import
    from tasks.opening import RunChain  # noqa: PLC0415

    asked = asked_of(RunChain, file=args.file, params=given, run_key=args.run_key, deadline_seconds=args.deadline)
    document = document_of(asyncio.run(run(flow, asked, args.credentials, args.webhook)))
    show(document, print_table, as_json=args.json)
    return exit_code(document)


def register_ivr(args: argparse.Namespace) -> int:
    """Registers a call flow and prints its plan and verdict. A flow with faults is answered without Prefect."""
    from tasks.registration_document import exit_code, invalid_document  # noqa: PLC0415

    if args.file:
        call_flow = load_flow(Path(args.file))
        findings = check_flow(call_flow, today=datetime.now(UTC).date())
        if errors_in(findings) and call_flow.existing == "replace":
            document = invalid_document(call_flow.id, call_flow.file, findings)
            show(document, print_registration, as_json=args.json)
            return exit_code(document)
    from flows.register_ivr import RegisterIvr  # noqa: PLC0415
    from flows.register_ivr import register_ivr as flow  # noqa: PLC0415

    asked = asked_of(
        RegisterIvr,
        file=args.file,
        dry_run=args.dry_run,
        plan=args.plan,
        restore=args.restore,
        deadline_seconds=args.deadline,
    )
    document = document_of(asyncio.run(run(flow, asked, args.credentials, args.webhook)))
    show(document, print_registration, as_json=args.json)
    return exit_code(document)


def detect_drift(args: argparse.Namespace) -> int:
    """Compares live call flows with their files and prints what moved."""
    from cordboard.registration.drift import exit_code  # noqa: PLC0415
    from flows.detect_drift import DetectDrift  # noqa: PLC0415
    from flows.detect_drift import detect_drift as flow  # noqa: PLC0415

    document = document_of(asyncio.run(run(flow, asked_of(DetectDrift, files=args.files), args.credentials)))
    show(document, print_drift, as_json=args.json)
    return exit_code(document)


def simulate_ivr(args: argparse.Namespace) -> int:
    """Simulates the calls of a suite and prints what was not as it must be."""
    load_suite(Path(args.suite))
    from flows.simulate_ivr import SimulateIvr  # noqa: PLC0415
    from flows.simulate_ivr import simulate_ivr as flow  # noqa: PLC0415

    asked = asked_of(
        SimulateIvr, suite=args.suite, engine=args.engine, report_dir=args.report_dir, deadline_seconds=args.deadline
    )
    document = document_of(asyncio.run(run(flow, asked, args.credentials, needs_login=args.engine != "local")))
    show(document, print_simulation, as_json=args.json)
    if document["status"] == "passed":
        return 0
    kinds = set(document["vendor_failures"])
    if not kinds or any(case["status"] == "failed" for case in document["cases"]):
        return 1
    return 2 if kinds <= NO_ACCESS else 3 if kinds <= NOT_NOW | {"timeout", "lost_reply", "gateway_timeout"} else 1


def update_ivr(args: argparse.Namespace) -> int:
    """Updates a live call flow and prints what changes and how it ended."""
    from cordboard.ivr.merge import load_patch  # noqa: PLC0415
    from cordboard.updating.document import exit_code, invalid_document  # noqa: PLC0415

    if args.approval and not os.environ.get("PREFECT_API_URL"):
        raise BadCall(
            "--approval asks in the Prefect UI, and there is none: start a server (`make up`), set PREFECT_API_URL"
        )
    if args.patch:
        try:
            load_patch(Path(args.patch))
        except InvalidDocument as error:
            if not args.json:
                raise
            print(json.dumps(invalid_document("", args.patch, error.findings), ensure_ascii=False))
            return 2
    for suite in args.suite:
        read_document(Path(suite), "ivr-suite")
    from flows.update_ivr import UpdateIvr  # noqa: PLC0415
    from flows.update_ivr import update_ivr as flow  # noqa: PLC0415

    asked = asked_of(
        UpdateIvr,
        patch=args.patch,
        suites=args.suite,
        dry_run=args.dry_run,
        approval=args.approval,
        approval_minutes=args.approval_minutes,
        undo=args.undo,
        base=args.base,
        attempts=args.attempts,
        deadline_seconds=args.deadline,
    )
    document = document_of(asyncio.run(run(flow, asked, args.credentials, args.webhook, vendor="genesys")))
    show(document, print_update, as_json=args.json)
    return exit_code(document)


def deliver_webhooks(args: argparse.Namespace) -> int:
    """Delivers what earlier runs left in the outbox."""
    from flows.deliver_webhooks import deliver_webhooks as flow  # noqa: PLC0415

    report = asyncio.run(_deliver(flow, args.webhook))
    print(
        json.dumps(report)
        if args.json
        else f"{report['delivered']} delivered, {report['pending']} waiting, {report['dead']} given up"
    )
    return 1 if report["dead"] else 0


async def _deliver(flow: Any, webhook: str | None) -> dict[str, Any]:
    await reach_server()
    return dict(await flow(await load_webhook(webhook)))
