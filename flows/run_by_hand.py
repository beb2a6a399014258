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
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from cordboard.chains.model import load_chain
from cordboard.chains.params import bind_params, read_params, secrets_from_env
from cordboard.chains.results import exit_code
from cordboard.documents import read_document
from cordboard.errors import NO_ACCESS, NOT_NOW, BadCall, InvalidDocument, Theirs
from cordboard.findings import errors_in
from cordboard.ivr.reading import load_flow
from cordboard.ivr.suite import load_suite
from cordboard.ivr.topology import check_flow
from flows.print_results import (
    print_drift,
    print_registration,
    print_simulation,
    print_starts,
    print_table,
    print_update,
    print_waiting,
)

if TYPE_CHECKING:
    from blocks.webhook import WebhookEndpoint

Asked = TypeVar("Asked", bound=BaseModel)


def run_chain(args: argparse.Namespace) -> int:
    """Runs a chain and prints its document or a table."""
    chain = load_chain(Path(args.file))
    given = read_params(chain, args.param)
    bind_params(chain, given, secrets_from_env(chain, os.environ))
    from flows.run_chain import run_chain as flow  # noqa: PLC0415  Prefect takes seconds to import
    from tasks.opening import RunChain  # noqa: PLC0415

    asked = _asked(RunChain, file=args.file, params=given, run_key=args.run_key, deadline_seconds=args.deadline)
    document = _document_of(asyncio.run(_run(flow, asked, args.credentials, args.webhook)))
    _show(document, print_table, as_json=args.json)
    return exit_code(document)


def register_ivr(args: argparse.Namespace) -> int:
    """Registers a call flow and prints its plan and verdict. A flow with faults is answered without Prefect."""
    from tasks.registration_document import exit_code, invalid_document  # noqa: PLC0415

    if args.file:
        call_flow = load_flow(Path(args.file))
        findings = check_flow(call_flow, today=datetime.now(UTC).date())
        if errors_in(findings) and call_flow.existing == "replace":
            document = invalid_document(call_flow.id, call_flow.file, findings)
            _show(document, print_registration, as_json=args.json)
            return exit_code(document)
    from flows.register_ivr import RegisterIvr  # noqa: PLC0415
    from flows.register_ivr import register_ivr as flow  # noqa: PLC0415

    asked = _asked(
        RegisterIvr,
        file=args.file,
        dry_run=args.dry_run,
        plan=args.plan,
        restore=args.restore,
        deadline_seconds=args.deadline,
    )
    document = _document_of(asyncio.run(_run(flow, asked, args.credentials, args.webhook)))
    _show(document, print_registration, as_json=args.json)
    return exit_code(document)


def detect_drift(args: argparse.Namespace) -> int:
    """Compares live call flows with their files and prints what moved."""
    from cordboard.registration.drift import exit_code  # noqa: PLC0415
    from flows.detect_drift import DetectDrift  # noqa: PLC0415
    from flows.detect_drift import detect_drift as flow  # noqa: PLC0415

    document = _document_of(asyncio.run(_run(flow, _asked(DetectDrift, files=args.files), args.credentials)))
    _show(document, print_drift, as_json=args.json)
    return exit_code(document)


def simulate_ivr(args: argparse.Namespace) -> int:
    """Simulates the calls of a suite and prints what was not as it must be."""
    load_suite(Path(args.suite))
    from flows.simulate_ivr import SimulateIvr  # noqa: PLC0415
    from flows.simulate_ivr import simulate_ivr as flow  # noqa: PLC0415

    asked = _asked(
        SimulateIvr, suite=args.suite, engine=args.engine, report_dir=args.report_dir, deadline_seconds=args.deadline
    )
    document = _document_of(asyncio.run(_run(flow, asked, args.credentials, needs_login=args.engine != "local")))
    _show(document, print_simulation, as_json=args.json)
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
        read_document(Path(suite))
    from flows.update_ivr import UpdateIvr  # noqa: PLC0415
    from flows.update_ivr import update_ivr as flow  # noqa: PLC0415

    asked = _asked(
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
    document = _document_of(asyncio.run(_run(flow, asked, args.credentials, args.webhook, vendor="genesys")))
    _show(document, print_update, as_json=args.json)
    return exit_code(document)


def trigger_workflows(args: argparse.Namespace) -> int:
    """Starts instances and prints how many, or what a batch waits for."""
    from cordboard.starting.document import exit_code  # noqa: PLC0415
    from cordboard.triggers.reading import load_trigger  # noqa: PLC0415

    load_trigger(Path(args.file))
    from flows.trigger_workflows import TriggerWorkflows  # noqa: PLC0415
    from flows.trigger_workflows import explain_workflows as explain  # noqa: PLC0415
    from flows.trigger_workflows import trigger_workflows as flow  # noqa: PLC0415

    asked = _asked(
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
        _show(facts, print_waiting, as_json=args.json)
        return 0
    document = _document_of(asyncio.run(_run(flow, asked, args.credentials, needs_login=not args.dry_run)))
    _show(document, print_starts, as_json=args.json)
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


def _asked(model: type[Asked], **options: Any) -> Asked:
    """What a flow is asked for; an option that was not given takes the flow's own default.

    Raises:
        BadCall: an option holds what it cannot hold.
    """
    try:
        return model(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        said = [(fault["loc"][-1:], fault["msg"].removeprefix("Value error, ")) for fault in error.errors()]
        faults = "; ".join(": ".join([*map(str, where), what]) for where, what in said)
        raise BadCall(f"cannot run it so: {faults}") from None


def _show(document: dict[str, Any], in_words: Any, *, as_json: bool) -> None:
    print(json.dumps(document, ensure_ascii=False, allow_nan=False)) if as_json else in_words(document)


async def _run(
    flow: Any,
    asked: Any,
    credentials: str | None,
    *webhook: str | None,
    vendor: Literal["cxone", "genesys"] = "cxone",
    needs_login: bool = True,
) -> Any:
    block = _credentials_block(vendor)
    login = block.from_env(os.environ) if needs_login and not credentials else None  # what is missing is told at once
    await _reach_server()
    endpoint = [await _webhook(name) for name in webhook]
    if needs_login and credentials:
        login = await _load(block, credentials)
    return await flow(asked, login, *endpoint, return_state=True)


async def _deliver(flow: Any, webhook: str | None) -> dict[str, Any]:
    await _reach_server()
    return dict(await flow(await _webhook(webhook)))


async def _reach_server() -> None:
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    async with get_client() as client:
        if trouble := await client.api_healthcheck():
            raise Theirs(f"the Prefect server at {client.api_url} cannot be reached: {trouble}")


def _credentials_block(vendor: Literal["cxone", "genesys"]) -> Any:
    from blocks.cxone import CXoneCredentials  # noqa: PLC0415
    from blocks.genesys import GenesysCloudCredentials  # noqa: PLC0415

    return GenesysCloudCredentials if vendor == "genesys" else CXoneCredentials


async def _webhook(name: str | None) -> WebhookEndpoint | None:
    from blocks.webhook import WebhookEndpoint  # noqa: PLC0415

    return await _load(WebhookEndpoint, name) if name else None


async def _load(block: Any, name: str) -> Any:
    try:
        return await block.aload(name)
    except ValueError as error:
        raise BadCall(f"no block {block.get_block_type_slug()}/{name} on this Prefect server: {error}") from None


def _document_of(state: Any) -> dict[str, Any]:
    found = asyncio.run(state.aresult(raise_on_failure=False))
    if isinstance(found, BaseException):
        raise found
    return dict(found)
