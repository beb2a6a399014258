"""Runs a job by hand: `python -m flows JOB FILE …`. The same flow is a deployment; here it runs in this process.

Everything that can be checked offline is checked before Prefect is even imported, so a bad file is answered at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dotenv import load_dotenv

from cordboard.errors import CordboardError, InvalidDocument, Ours
from cordboard.settings import LogFormat, Settings
from cordboard.telemetry.logs import set_up_logs
from flows.run_by_hand import deliver_webhooks, detect_drift, register_ivr, run_chain, simulate_ivr, update_ivr
from flows.run_in_process import state_settings
from flows.start_by_hand import reap_instances, sync_completion, trigger_workflows

_AGAIN = "give the same command again (a chain, and a start without rows, go on only with the same --run-key)"
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
        return _fail(f"interrupted; {_AGAIN}", INTERRUPTED)
    except asyncio.CancelledError:
        return _fail(f"terminated; {_AGAIN}", TERMINATED)


def prepare_environment(*, verbose: bool) -> None:
    """Defaults for a run by hand: everything under one folder, an embedded server, our own lines on the terminal."""
    load_dotenv(Path(".env"))  # what is set already wins
    home = Path(os.environ.get("CORDBOARD_HOME") or ".cordboard").absolute()
    os.environ["CORDBOARD_HOME"] = str(home)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    state_settings(Path(__file__).parents[1] / "prefect.toml")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)  # Prefect makes its own folder, but not the one above it
    if not os.environ.get("PREFECT_API_URL"):
        os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
        _keep_private(Path(os.environ["PREFECT_HOME"]) / "prefect.db")
        os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    if not verbose:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    log_format = Settings.from_env(os.environ).log_format
    if log_format is LogFormat.JSON:
        os.environ.setdefault("PREFECT_LOGGING_SETTINGS_PATH", str(Path(__file__).with_name("logging.yml")))
    set_up_logs(log_format)


def _keep_private(database: Path) -> None:
    """Prefect's own server would make its database readable by others; what SQLite writes beside it is as it is."""
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not database.exists():
        database.touch(mode=0o600)


def _fail(error: object, code: int) -> int:
    print(error, file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flows", description="Run a Cordboard job in this process.")
    jobs = parser.add_subparsers(title="jobs", required=True, metavar="JOB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    common.add_argument("--verbose", action="store_true", help="show Prefect's own log too")
    webhook = argparse.ArgumentParser(add_help=False)
    webhook.add_argument("--webhook", metavar="BLOCK", help="webhook block; else CORDBOARD_WEBHOOK_URL")
    vendor = argparse.ArgumentParser(add_help=False)
    vendor.add_argument("--credentials", metavar="BLOCK", help="credentials block; else CXONE_* of the environment")
    genesys = argparse.ArgumentParser(add_help=False)
    genesys.add_argument("--credentials", metavar="BLOCK", help="credentials block; else GENESYS_* of the environment")
    limits = argparse.ArgumentParser(add_help=False)
    limits.add_argument("--deadline", type=float, metavar="SECONDS", help="nothing starts after this long")

    chain = jobs.add_parser("run-chain", parents=[common, webhook, vendor, limits], help="run a chain of data actions")
    chain.add_argument("file", metavar="FILE", help="the chain file")
    chain.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the chain")
    chain.add_argument("--run-key", metavar="KEY", help="go on with an earlier run: what completed is reused")
    chain.set_defaults(job=run_chain)

    registration = jobs.add_parser(
        "register-ivr", parents=[common, webhook, vendor, limits], help="register a call flow, once, and read it back"
    )
    registration.add_argument("file", metavar="FILE", nargs="?", help="the call flow file")
    registration.add_argument("--dry-run", action="store_true", help="stop after the plan: nothing is sent")
    registration.add_argument("--plan", metavar="PLAN", help="refuse if the live flow moved since this plan was saved")
    registration.add_argument("--restore", metavar="FLOW_ID", help="take the last registration of a flow back")
    registration.set_defaults(job=register_ivr)

    _add_workflow_jobs(jobs, [common, vendor])

    drift = jobs.add_parser("detect-drift", parents=[common, vendor], help="compare live call flows with their files")
    drift.add_argument("files", metavar="FILE", nargs="+", help="call flow files, or patterns of them")
    drift.set_defaults(job=detect_drift)

    simulation = jobs.add_parser("simulate-ivr", parents=[common, vendor, limits], help="simulate the calls of a suite")
    simulation.add_argument("suite", metavar="SUITE", help="the suite's file")
    simulation.add_argument(
        "--engine", choices=("local", "vendor", "both"), default="local", help="who makes the calls"
    )
    simulation.add_argument("--report-dir", metavar="DIR", help="where reports are written")
    simulation.set_defaults(job=simulate_ivr)

    _add_update(jobs, [common, webhook, genesys, limits])
    deliver = jobs.add_parser("deliver-webhooks", parents=[common, webhook], help="deliver webhooks that still wait")
    deliver.set_defaults(job=deliver_webhooks)
    return parser


def _add_update(jobs: Any, parents: list[argparse.ArgumentParser]) -> None:
    update = jobs.add_parser(
        "update-ivr",
        parents=parents,
        help="change nodes of a live call flow that others edit",
    )
    update.add_argument("patch", metavar="PATCH", nargs="?", help="the patch file")
    update.add_argument("--suite", action="append", default=[], metavar="SUITE", help="rehearse it on the merged flow")
    update.add_argument("--dry-run", action="store_true", help="stop before anybody is asked and anything is sent")
    update.add_argument("--approval", action="store_true", help="pause until a person agrees in the Prefect UI")
    update.add_argument("--approval-minutes", type=float, metavar="MINUTES", help="no answer in this time is a no")
    update.add_argument("--undo", metavar="RUN", help="take back what an update saved, by its run key")
    update.add_argument("--base", metavar="FILE", help="the version that was edited, where nobody else has it")
    update.add_argument("--attempts", type=int, metavar="N", help="saves at the most where others save in between")
    update.set_defaults(job=update_ivr)


def _add_workflow_jobs(jobs: Any, parents: list[argparse.ArgumentParser]) -> None:
    starts = jobs.add_parser(
        "trigger-workflows", parents=parents, help="start instances of a workflow, one or one for each row"
    )
    starts.add_argument("file", metavar="FILE", help="the trigger file")
    starts.add_argument("--rows", default="", metavar="FILE|URL", help="CSV or JSONL file of a batch; may hold {today}")
    starts.add_argument("--run-key", metavar="KEY", help="go on with an earlier run; a batch goes on by its content")
    starts.add_argument("--max-concurrent", type=int, metavar="N", help="instances that may run at once")
    starts.add_argument("--rate", type=float, metavar="PER_SECOND", help="calls a second at the most")
    starts.add_argument("--skip-faulty", action="store_true", help="start the rows that fit, leave the others out")
    starts.add_argument("--dry-run", action="store_true", help="check every row, send nothing")
    starts.add_argument("--wait", action="store_true", help="wait until every instance has ended")
    starts.add_argument("--wait-minutes", type=float, metavar="MINUTES", help="wait for so long at the most")
    starts.add_argument("--explain", action="store_true", help="say what a batch that runs elsewhere waits for")
    starts.add_argument(
        "--patience", type=float, metavar="MINUTES", help="give up where nothing was started for so long"
    )
    starts.set_defaults(job=trigger_workflows)

    sync = jobs.add_parser("sync-completion", parents=parents, help="apply the completions that wait, and tell the ERP")
    sync.set_defaults(job=sync_completion)

    reaping = jobs.add_parser(
        "reap-instances", parents=parents, help="ask the vendor for instances that never reported their end"
    )
    reaping.add_argument("--report-within-minutes", type=float, metavar="MINUTES", help="ask for older ones (1440)")
    reaping.add_argument("--limit", type=int, metavar="N", help="how many at the most, the oldest first")
    reaping.set_defaults(job=reap_instances)


if __name__ == "__main__":
    sys.exit(main())
