"""`python -m flows` as its user meets it: a process, its exit code, what stands on which of its two outputs."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from cordboard.errors import Theirs
from tests.flows.conftest import CHECKOUT

pytestmark = [pytest.mark.prefect]

EXAMPLE = "examples/customer_sync.yaml"
CLOSED = "http://127.0.0.1:9"  # the discard port: nothing listens there
ECHO = "kind: chain\nname: echo\nactions: {a: {definition_id: def-echo, inputs: {n: 1}}}\n"


class Ended:
    """A process that has ended: its exit code, the JSON document on standard output, the text on standard error."""

    def __init__(self, process: Any) -> None:
        printed, self.said = process.communicate(timeout=60)
        self.code = process.returncode
        self.document: dict[str, Any] = json.loads(printed)


@pytest.fixture
def command(start: Any) -> Any:
    """Runs a chain with `--json` to its end."""
    return lambda box, *args, **variables: Ended(start(box, "run-chain", *args, "--json", **variables))


def test_a_run_prints_one_document_and_ends_with_0(vendor: Any, start_anew: Any) -> None:
    ended = Ended(start_anew(vendor(), "run-chain", EXAMPLE, "--param", "account_id=ACC-1001", "--json"))
    assert (ended.code, ended.document["status"]) == (0, "completed")
    assert {"run_key", "trace_id", "status", "actions", "failures", "latency"} <= ended.document.keys()
    keys = {"status", "cached", "output", "error", "attempts", "latency_ms"}
    assert all(keys <= action.keys() for action in ended.document["actions"].values())
    assert "update_crm completed" in ended.said  # progress goes to the other output


def test_people_get_a_table_and_what_to_do_next(vendor: Any, start: Any, chain_file: Any) -> None:
    box = vendor({"match": {}, "fault": {"status": 422, "body": {"message": "no such record"}}})
    process = start(box, "run-chain", chain_file(ECHO), "--run-key", "test")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a  failed" in printed and "no such record" in printed
    assert "with the run key test" in printed


def test_a_failed_action_ends_with_1_and_its_evidence_stands_in_the_document(
    vendor: Any, command: Any, chain_file: Any
) -> None:
    box = vendor(echo={"fail": {"status": 422, "code": "gone", "message": "no such record"}})
    ended = command(box, chain_file(ECHO))
    (failure,) = ended.document["failures"]
    assert (ended.code, ended.document["status"]) == (1, "failed")
    assert (failure["action"], failure["status"], failure["http_status"]) == ("a", "failed", 422)
    assert failure["code"] == "gone" and failure["request_id"].startswith("req-")


@pytest.mark.parametrize(
    ("file", "wrong"),
    [("examples/broken/cycle.yaml", "chain/cycle"), ("no/such/file.yaml", "document/unreadable")],
)
def test_a_bad_file_is_answered_before_prefect_is_asked(vendor: Any, start_anew: Any, file: str, wrong: str) -> None:
    """The Prefect server is not there, and it does not matter: nothing was loaded, connected or sent."""
    box = vendor()
    ended = Ended(start_anew(box, "run-chain", file, "--json", PREFECT_API_URL=f"{CLOSED}/api"))
    assert (ended.code, ended.document["status"]) == (2, "invalid")
    assert wrong in [finding["rule"] for finding in ended.document["findings"]]
    assert all(finding["file"] == file for finding in ended.document["findings"])
    assert box.truth.entries == ()


def test_parameters_are_checked_before_prefect_is_asked(vendor: Any, command: Any) -> None:
    ended = command(vendor(), EXAMPLE, "--param", "acount_id=ACC-1001", PREFECT_API_URL=f"{CLOSED}/api")
    (finding,) = ended.document["findings"]
    assert (ended.code, finding["path"]) == (2, "params.acount_id")
    assert "account_id" in finding["hint"]


def test_a_parameter_is_what_the_chain_declares(vendor: Any, command: Any, chain_file: Any) -> None:
    """Text stays text, also where it looks like a number; everything else is JSON."""
    box = vendor()
    chain = """
        kind: chain
        name: types
        params:
          account: {type: string}
          phone: {type: string}
          count: {type: integer}
          vip: {type: boolean}
          tags: {type: array}
        actions: {a: {definition_id: def-echo, inputs: {got: "{{ params }}"}}}
        """
    given = {"account": "00123", "phone": "+15551234567", "count": 7, "vip": True, "tags": ["a", "b=c"]}
    texts = ["account=00123", "phone=+15551234567", "count=7", "vip=true", 'tags=["a", "b=c"]']
    ended = command(box, chain_file(chain), *(word for text in texts for word in ("--param", text)))
    assert ended.code == 0, ended.said
    assert box.truth.requests[0].inputs == {"got": given}


def test_a_vendor_that_is_down_ends_with_3(vendor: Any, command: Any) -> None:
    down = {"CXONE_BASE_URL": CLOSED, "CORDBOARD_RETRY_ATTEMPTS": "1"}
    ended = command(vendor(), EXAMPLE, **down)
    assert (ended.code, ended.document["failure_kinds"]) == (3, {"not_sent": 1})


def test_a_prefect_server_that_is_down_ends_with_3_and_one_sentence(vendor: Any, command: Any) -> None:
    ended = command(vendor(), EXAMPLE, PREFECT_API_URL=f"{CLOSED}/api")
    assert (ended.code, ended.document["status"]) == (3, "error")
    assert ended.said.count("\n") == 1 and f"{CLOSED}/api" in ended.said


def test_a_prefect_server_that_refuses_the_sign_in_ends_with_2_and_says_what_to_load(vendor: Any, command: Any) -> None:
    """As that of `make up` does without its password; whether it lives, it tells everybody."""

    class Locked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path.endswith("/health") else 401)
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"true")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Locked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        ended = command(vendor(), EXAMPLE, PREFECT_API_URL=f"{url}/api", PREFECT_API_AUTH_STRING="admin:canary")
        server.shutdown()
    assert (ended.code, ended.document["status"]) == (2, "invalid")
    assert f"{url} refuses the sign-in: load the `prefect.env`" in ended.said
    assert ended.said.count("\n") == 1 and "canary" not in ended.said


@pytest.mark.parametrize("own", [True, False])
def test_prefect_has_the_project_s_settings_in_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """A repository that `cordboard init` wrote has no `prefect.toml`: its runs keep to that of the checkout."""
    from prefect.settings import Settings

    from flows.run_in_process import state_settings

    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    monkeypatch.chdir(tmp_path)
    if own:
        Path("prefect.toml").write_text("[results]\ndefault_serializer = 'compressed/json'\n")
    state_settings(CHECKOUT / "prefect.toml")
    found = Settings()
    assert found.results.default_serializer == ("compressed/json" if own else "json")
    assert found.server.analytics_enabled is own
    assert (found.server.ephemeral.startup_timeout_seconds == 180) is not own
    assert (found.flows.heartbeat_frequency == 30) is not own


def test_a_server_that_does_not_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.server.api.server import SubprocessASGIServer

    from flows.run_in_process import reach_server

    def late(_: Any, **__: Any) -> None:
        raise RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server.")

    monkeypatch.setattr(SubprocessASGIServer, "start", late)
    alone = temporary_settings({PREFECT_API_URL: None, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True})
    with alone, pytest.raises(Theirs, match="did not start: Timed out"):
        asyncio.run(reach_server())


def test_wrong_credentials_end_with_2(vendor: Any, command: Any) -> None:
    box = vendor()
    ended = command(box, EXAMPLE, CXONE_CLIENT_SECRET="another-secret")
    assert (ended.code, ended.document["failure_kinds"]) == (2, {"credentials": 1})
    assert "check client id, client secret" in ended.document["failures"][0]["message"]
    assert (len(box.truth.tokens), len(box.truth.requests)) == (1, 0)


@pytest.mark.parametrize(
    ("args", "variables", "named"),
    [
        ([], {"CXONE_CLIENT_ID": "", "CXONE_CLIENT_SECRET": ""}, "CXONE_CLIENT_ID and CXONE_CLIENT_SECRET"),
        ([], {"CXONE_REGION": "mars"}, "CXONE_REGION"),
        ([], {"CXONE_BASE_URL": "http://vendor.example"}, "must start with https://"),
        ([], {"CORDBOARD_IN_FLIGHT": "many"}, "CORDBOARD_IN_FLIGHT"),
        (["--run-key", "../../etc/passwd"], {}, "run_key"),
        (["--deadline", "0"], {}, "deadline_seconds"),
        (["--credentials", "nobody"], {}, "cxone-credentials/nobody"),
    ],
)
def test_a_wrong_call_ends_with_2_names_its_fault_and_sends_nothing(
    vendor: Any, command: Any, args: list[str], variables: dict[str, str], named: str
) -> None:
    box = vendor()
    ended = command(box, EXAMPLE, *args, **variables)
    assert (ended.code, ended.document["status"]) == (2, "invalid")
    assert named in ended.document["error"] and named in ended.said
    assert "Traceback" not in ended.said
    assert box.truth.entries == ()


def test_everything_it_writes_lies_under_one_folder_for_its_owner_only(
    vendor: Any, command: Any, home: Path, chain_file: Any
) -> None:
    """Ledger and documents hold what the vendor said about customers."""
    ended = command(vendor(), chain_file(ECHO), "--run-key", "test")
    kept = home / "runs" / ended.document["chain"] / "test.json"
    assert json.loads(kept.read_text()) == ended.document
    files = [path for path in home.rglob("*") if path.is_file() and "prefect" not in path.parts]
    assert {path.name for path in files} >= {"ledger.db", "test.json"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in [*files, home])


@pytest.mark.parametrize("key", ["my key", "-x", "k" * 129])
def test_a_key_that_cannot_be_one_is_told_in_words(key: str, vendor: Any, start: Any) -> None:
    process = start(vendor(), "run-chain", EXAMPLE, f"--run-key={key}")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.startswith("cannot run it so: run_key: takes up to 128 of a-z, A-Z, 0-9, '.', '_'")
