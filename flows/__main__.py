"""Runs a job by hand: `python -m flows JOB FILE …`. The same flow is a deployment; here it runs in this process.

Everything that can be checked offline is checked before Prefect is even imported, so a bad file is answered at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import load_dotenv
from pydantic import ValidationError

from cordboard.chains.model import load_chain
from cordboard.chains.params import bind_params, read_params, secrets_from_env
from cordboard.chains.results import exit_code
from cordboard.errors import BadCall, CordboardError, InvalidDocument, Ours, Theirs

if TYPE_CHECKING:
    from blocks.cxone import CXoneCredentials
    from blocks.webhook import WebhookEndpoint

INTERRUPTED, TERMINATED = 130, 143  # 128 and the signal's number, as a shell has it


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one job and returns its exit code: 0 done, 1 bad verdict, 2 wrong input, 3 a vendor or service failed."""
    args = _parser().parse_args(argv)
    try:
        prepare_environment(verbose=args.verbose)
        return int(args.job(args))
    except InvalidDocument as error:
        if args.json:
            print(json.dumps({"status": "invalid", "findings": [finding.as_json() for finding in error.findings]}))
        return _fail(error, error.exit_code)
    except CordboardError as error:
        if args.json:
            print(json.dumps({"status": "invalid" if isinstance(error, Ours) else "error", "error": str(error)}))
        return _fail(error, error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; run it again with the same --run-key to go on", INTERRUPTED)
    except asyncio.CancelledError:
        return _fail("terminated; run it again with the same --run-key to go on", TERMINATED)


def run_chain(args: argparse.Namespace) -> int:
    """Runs a chain and prints its document or a table."""
    chain = load_chain(Path(args.file))
    given = read_params(chain, args.param)
    bind_params(chain, given, secrets_from_env(chain, os.environ))
    from flows.run_chain import run_chain as flow  # noqa: PLC0415  Prefect takes seconds to import
    from tasks.opening import RunChain  # noqa: PLC0415

    options = {"run_key": args.run_key, "deadline_seconds": args.deadline}
    try:
        asked = RunChain(
            file=args.file, params=given, **{key: value for key, value in options.items() if value is not None}
        )
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
        raise BadCall(f"cannot run it so: {faults}") from None
    state = asyncio.run(_run(flow, asked, args.credentials, args.webhook))
    document = _document_of(state)
    if args.json:
        print(json.dumps(document, ensure_ascii=False, allow_nan=False))
    else:
        print_table(document)
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


async def _run(flow: Any, asked: Any, credentials: str | None, webhook: str | None) -> Any:
    await _reach_server()
    login, endpoint = await _credentials(credentials), await _webhook(webhook)
    return await flow(asked, login, endpoint, return_state=True)


async def _deliver(flow: Any, webhook: str | None) -> dict[str, Any]:
    await _reach_server()
    return dict(await flow(await _webhook(webhook)))


async def _reach_server() -> None:
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    async with get_client() as client:
        if trouble := await client.api_healthcheck():
            raise Theirs(f"the Prefect server at {client.api_url} cannot be reached: {trouble}")


async def _credentials(name: str | None) -> CXoneCredentials:
    from blocks.cxone import CXoneCredentials  # noqa: PLC0415

    return await _load(CXoneCredentials, name) if name else CXoneCredentials.from_env(os.environ)


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


def print_table(document: dict[str, Any]) -> None:
    """Prints how each action ended, and how to go on where something is left to do."""
    from tasks.artifacts import action_rows, what_next  # noqa: PLC0415

    rows = action_rows(document)
    width = max(len(row["action"]) for row in rows)
    print(f"{document['chain']}: {document['status']} in {document['duration_ms'] / 1000:.1f} s")
    for row in rows:
        requests = f"{row['requests']} request{'' if row['requests'] == 1 else 's'}"
        print(f"  {row['action']:<{width}}  {row['status']:<9}  {requests:<11} {row['note']}".rstrip())
    if document["status"] != "completed":
        print(what_next(document))


def prepare_environment(*, verbose: bool) -> None:
    """Defaults for a run by hand: everything under one folder, an embedded server, our own lines on the terminal."""
    load_dotenv(Path(".env"))  # what is set already wins
    home = Path(os.environ.get("CORDBOARD_HOME") or ".cordboard").absolute()
    os.environ["CORDBOARD_HOME"] = str(home)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)  # Prefect makes its own folder, but not the one above it
    if not os.environ.get("PREFECT_API_URL"):
        os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
        os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    if not verbose:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    logger = logging.getLogger("cordboard")
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


def _fail(error: object, code: int) -> int:
    print(error, file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flows", description="Run a Cordboard job in this process.")
    jobs = parser.add_subparsers(title="jobs", required=True, metavar="JOB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    common.add_argument("--webhook", metavar="BLOCK", help="webhook block; else CORDBOARD_WEBHOOK_URL")
    common.add_argument("--verbose", action="store_true", help="show Prefect's own log too")

    chain = jobs.add_parser("run-chain", parents=[common], help="run a chain of data actions")
    chain.add_argument("file", metavar="FILE", help="the chain file")
    chain.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the chain")
    chain.add_argument("--run-key", metavar="KEY", help="go on with an earlier run: what completed is reused")
    chain.add_argument("--credentials", metavar="BLOCK", help="credentials block; else CXONE_* of the environment")
    chain.add_argument("--deadline", type=float, metavar="SECONDS", help="nothing starts after this long")
    chain.set_defaults(job=run_chain)

    deliver = jobs.add_parser("deliver-webhooks", parents=[common], help="deliver webhooks that are still waiting")
    deliver.set_defaults(job=deliver_webhooks)
    return parser


if __name__ == "__main__":
    sys.exit(main())
