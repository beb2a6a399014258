"""`make demo`: a chain is run and taken up again, call flows are tried, registered and updated, a batch is started."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from cordboard.cli import main as cordboard
from cordboard.sandbox.faults import Faults
from cordboard.sandbox.server import RunningSandbox, running_sandbox

CHAIN = "examples/customer_sync.yaml"
MENU = "examples/hospital_menu.yaml"
CALLS = "examples/hospital_suite.yaml"
PATCH = "examples/clinic_holiday.yaml"
REMINDERS, ROWS = "examples/reminders.yaml", "examples/reminders.csv"
LOCKED = {
    "match": {"definition_id": "def-update-crm", "nth": [1]},
    "fault": {"status": 422, "body": {"code": "record_locked", "message": "the record is locked by another user"}},
}

LOST = {
    "match": {"method": "POST", "path": "/api/v2/workflows/instances", "nth": [1]},
    "fault": {"lost_reply": "after_commit"},
}


def main() -> int:
    """Runs the demo; 0 when every step ended as it must."""
    home = Path(os.environ.get("CORDBOARD_HOME", ".cordboard")).absolute()
    os.environ["CORDBOARD_HOME"] = str(home)
    os.environ["CORDBOARD_TENANT"] = f"demo-{os.urandom(3).hex()}"  # a new vendor each time: it was sent nothing yet
    logging.getLogger("cordboard").addHandler(logging.NullHandler())  # the tables say it
    with running_sandbox(faults=Faults.of(LOCKED, LOST)) as box:
        os.environ.update(box.env())
        os.environ["CORDBOARD_WEBHOOK_URL"] = f"{box.base_url}/webhooks/demo"
        os.environ["CORDBOARD_WEBHOOK_SECRET"] = "whsec_ZGVtby1kZW1vLWRlbW8tZGVtby1kZW1vLWRlbW8="  # noqa: S105  the demo's, not anybody's
        return _walk(box, home)


def _walk(box: RunningSandbox, home: Path) -> int:
    say(f"1. Check {CHAIN} offline")
    cordboard(["check", CHAIN])

    say("2. Run it. The sandbox refuses the first write to the CRM: what does not depend on it goes on")
    first, code = run_chain()
    show(first)

    say("3. Run it again under the same run key: only what must run runs")
    second, again = run_chain(first["run_key"])
    show(second)

    say(f"4. Make the calls of {CALLS}, before anybody dials")
    simulated = by_hand("simulate-ivr", CALLS)

    say("5. Register the call flow: planned against what is live, sent once, read back; again, and nothing is sent")
    registered = by_hand("register-ivr", MENU) or by_hand("register-ivr", MENU)

    say(f"6. Change a live flow with {PATCH}, while another team has saved its own edit")
    flow = box.flows["clinic-menu"]
    box.flows["clinic-menu"] = {
        **flow,
        "nodes": {**flow["nodes"], "agent": {**flow["nodes"]["agent"], "prompt": "Please hold."}},
    }
    updated = by_hand("update-ivr", PATCH)
    kept = box.flows["clinic-menu"]["nodes"]["agent"]["prompt"] == "Please hold."
    print(f"The other team's edit is {'there still' if kept else 'lost'}")

    say(f"7. Start a reminder for every row of {ROWS}; its first answer is lost. Again, and nothing is started")
    batch = ("trigger-workflows", REMINDERS, "--rows", ROWS)
    started = by_hand(*batch) or by_hand(*batch)

    say("What the vendor really saw")
    sends = Counter(request.definition_id for request in box.truth.requests if request.definition_id)
    sends["registrations"] = len(box.truth.posts("/api/v2/flows"))
    sends["updates"] = len(box.truth.saves_of("clinic-menu"))
    sends["instances"] = len(box.truth.instances)
    print("Requests:", ", ".join(f"{what} {count}" for what, count in sorted(sends.items())))
    place = home.relative_to(Path.cwd()) if home.is_relative_to(Path.cwd()) else home
    print(f"\nEverything is under {place}: the ledger, the documents of the runs, Prefect's database")
    print("See it in a browser: make up", flush=True)
    chain_ended = (code, again) == (1, 0) and second["status"] == "completed"
    flows_ended = (simulated, registered, updated, started, kept) == (0, 0, 0, 0, True)
    sent_once = (sends["registrations"], sends["updates"], sends["instances"]) == (1, 1, 3)
    return 0 if chain_ended and flows_ended and sent_once else 1


def run_chain(run_key: str | None = None) -> tuple[dict[str, Any], int]:
    """Runs the example chain in this process, as `python -m flows run-chain … --json` does."""
    printed = StringIO()
    key = ["--run-key", run_key] if run_key else []
    with redirect_stdout(printed):
        code = by_hand("run-chain", CHAIN, "--param", "account_id=ACC-1001", *key, "--json")
    return json.loads(printed.getvalue()), code


def by_hand(*words: str) -> int:
    """Runs a job in this process, as `python -m flows` does, and returns its exit code."""
    from flows.__main__ import main as flows  # noqa: PLC0415  needs the environment set above

    return flows(list(words))


def show(document: dict[str, Any]) -> None:
    """Prints how each action ended."""
    from flows.print_results import print_table  # noqa: PLC0415

    print_table(document)


def say(text: str) -> None:
    """A heading."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
