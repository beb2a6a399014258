"""Each misconfiguration that is planted is found, and its mend is named."""

from __future__ import annotations

import asyncio
import base64
import socket
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import asyncpg
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from cordboard.doctor.ledger import judge_disk, judge_mount
from cordboard.doctor.model import Check, Standing
from cordboard.doctor.versions import judge_packages, judge_python
from cordboard.records.ledger import Ledger
from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.server import RunningSandbox, running_sandbox
from tests.cordboard.doctor.conftest import Examine
from tests.cordboard.records.conftest import POSTGRES
from tests.cordboard.records.conftest import _on_server as on_server

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
KEY = base64.b64encode(b"c" * 32).decode()
CLOSED = "http://127.0.0.1:9"


def is_found(check: Check, mend: str, standing: Standing = Standing.ERROR) -> bool:
    assert check.standing is standing, check
    assert mend in check.mend, check
    return True


# --- vendors ----------------------------------------------------------------------------------------------------------


def test_a_wrong_client_secret(look: Examine, sandbox: RunningSandbox) -> None:
    found = look({**sandbox.env(), "CXONE_CLIENT_SECRET": "not the secret"})
    assert is_found(found["credentials CXONE"], "CXONE_CLIENT_SECRET")
    assert found["credentials GENESYS"].standing is Standing.OK


def test_half_of_the_credentials(look: Examine) -> None:
    assert is_found(look({"CXONE_CLIENT_ID": "me"})["credentials CXONE"], "CXONE_CLIENT_SECRET")


def test_a_region_that_does_not_exist(look: Examine) -> None:
    found = look({"CXONE_CLIENT_ID": "me", "CXONE_CLIENT_SECRET": "mine", "CXONE_REGION": "na9"})
    assert is_found(found["credentials CXONE"], "where the tenant is")
    assert "na1" in found["credentials CXONE"].message


def test_a_token_endpoint_that_nobody_serves(look: Examine, sandbox: RunningSandbox) -> None:
    found = look({**sandbox.env(), "GENESYS_TOKEN_URL": f"{CLOSED}/oauth/token"})
    assert is_found(found["credentials GENESYS"], "GENESYS_TOKEN_URL")


def test_a_token_endpoint_that_hangs_hides_nothing_of_the_other_vendor(look: Examine, sandbox: RunningSandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/token"
        found = look({**sandbox.env(), "GENESYS_TOKEN_URL": url}, timeout_seconds=1.5)
    assert is_found(found["credentials GENESYS"], "GENESYS_TOKEN_URL")
    assert found["credentials CXONE"].standing is Standing.OK


@pytest.mark.parametrize(
    ("scopes", "standing", "missing"),
    [
        (("dataactions:execute", "dataactions:read"), Standing.WARNING, "starting workflows: workflow:read"),
        (("flow:read",), Standing.ERROR, "chains: dataactions:execute dataactions:read"),
    ],
    ids=["for some jobs", "for all"],
)
def test_scopes_that_the_client_lacks(look: Examine, scopes: tuple[str, ...], standing: Standing, missing: str) -> None:
    whole = default_definition()
    client = whole.clients[0].model_copy(update={"scopes": scopes})
    with running_sandbox(whole.model_copy(update={"clients": (client,)})) as few:
        found = look(few.env())
    assert found["credentials CXONE"].standing is Standing.OK
    assert is_found(found["scopes CXONE"], "Give the client these scopes", standing)
    assert missing in found["scopes CXONE"].message


def test_scopes_that_were_asked_for_too_sparingly(look: Examine, sandbox: RunningSandbox) -> None:
    found = look({**sandbox.env(), "CXONE_SCOPES": "dataactions:execute dataactions:read"})
    assert is_found(found["scopes CXONE"], "CXONE_SCOPES", Standing.WARNING)


class Vendor(BaseHTTPRequestHandler):
    """A token endpoint whose clock stands at 1,700,000,000."""

    def do_POST(self) -> None:
        body = b'{"access_token": "t0ken", "expires_in": 60}'
        self.send_response_only(200)
        self.send_header("date", formatdate(1_700_000_000, usegmt=True))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], host: str = "127.0.0.1") -> Iterator[int]:
    server = HTTPServer((host, 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("ahead", "standing"), [(-900, Standing.ERROR), (45, Standing.WARNING), (2, Standing.OK)], ids=str
)
def test_a_clock_that_is_wrong(look: Examine, ahead: int, standing: Standing) -> None:
    with serving(Vendor) as port:
        url = f"http://127.0.0.1:{port}"
        login = {"CXONE_CLIENT_ID": "me", "CXONE_CLIENT_SECRET": "mine", "CXONE_BASE_URL": url, "CXONE_TOKEN_URL": url}
        found = look(login, now=lambda: 1_700_000_000.0 + ahead)
    assert is_found(found["clock"], "" if standing is Standing.OK else "timedatectl set-ntp true", standing)
    assert f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the vendor's" in found["clock"].message


# --- ledger -----------------------------------------------------------------------------------------------------------


def ledger_in(folder: Path) -> Path:
    async def make() -> None:
        async with await Ledger.open(f"sqlite:///{folder / 'home' / 'ledger.db'}"):
            pass

    asyncio.run(make())
    return folder / "home" / "ledger.db"


def test_a_file_that_is_no_ledger(look: Examine, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Buy milk.\n" * 100)
    found = look({"CORDBOARD_LEDGER_URL": f"sqlite:///{tmp_path / 'notes.txt'}"})
    assert is_found(found["ledger"], "set CORDBOARD_LEDGER_URL to another place")


def test_a_ledger_of_a_newer_cordboard(look: Examine, tmp_path: Path) -> None:
    file = ledger_in(tmp_path)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE schema_version SET version = 99")
    assert is_found(look()["ledger"], "Upgrade Cordboard")


def test_a_ledger_that_another_process_keeps_locked(look: Examine, tmp_path: Path) -> None:
    with sqlite3.connect(ledger_in(tmp_path)) as database:
        database.execute("BEGIN IMMEDIATE")
        assert is_found(look(timeout_seconds=0.2)["ledger"], "Another process keeps it locked")


def test_a_database_server_that_is_not_there(look: Examine) -> None:
    found = look({"CORDBOARD_LEDGER_URL": "postgresql://me:s3cret-word@127.0.0.1:9/ledger"})
    assert is_found(found["ledger"], "CORDBOARD_LEDGER_URL")
    assert "s3cret-word" not in repr(found)


def test_a_ledger_is_looked_at_on_each_database(look: Examine, ledger_url: str) -> None:
    async def make() -> None:
        async with await Ledger.open(ledger_url):
            pass

    variables = {"CORDBOARD_LEDGER_URL": ledger_url, "CORDBOARD_CHECKPOINT_KEY": KEY}
    if ledger_url.startswith("postgresql"):
        assert "the first run makes its tables" in look(variables)["ledger"].message
    asyncio.run(make())
    found = look(variables)
    assert found["ledger"].message.startswith("opens and writes, schema version ")
    assert found["audit checkpoints"].standing is Standing.OK


def test_the_ledger_is_as_it_was_afterwards(look: Examine, tmp_path: Path) -> None:
    with sqlite3.connect(ledger_in(tmp_path)) as database:
        before = list(database.iterdump())
        assert look()["ledger"].standing is Standing.OK
        assert list(database.iterdump()) == before


def test_files_that_others_may_read(look: Examine, tmp_path: Path) -> None:
    ledger_in(tmp_path).chmod(0o644)
    assert is_found(look()["file modes"], f"chmod -R go-rwx {tmp_path / 'home'}")


def test_a_ledger_elsewhere_that_others_may_read(look: Examine, tmp_path: Path) -> None:
    """To mend the home would mend nothing."""
    file = ledger_in(tmp_path / "else where")
    file.chmod(0o644)
    assert is_found(look({"CORDBOARD_LEDGER_URL": f"sqlite:///{file}"})["file modes"], f"chmod -R go-rwx '{file}'")


def test_a_database_in_which_the_first_run_could_make_no_tables(look: Examine) -> None:
    """Who may connect to PostgreSQL may not make tables in it."""
    name = f"cordboard_{uuid.uuid4().hex[:12]}"
    try:
        on_server(f'CREATE DATABASE "{name}"')
    except (OSError, asyncpg.PostgresError) as fault:
        pytest.skip(f"no PostgreSQL for tests ({type(fault).__name__}); set CORDBOARD_TEST_POSTGRES")
    try:
        on_server(f"CREATE ROLE {name} LOGIN PASSWORD 'reads'")
        server = POSTGRES.partition("@")[2].rpartition("/")[0]
        found = look({"CORDBOARD_LEDGER_URL": f"postgresql://{name}:reads@{server}/{name}"})
    finally:
        on_server(f'DROP DATABASE "{name}" WITH (FORCE)')
        on_server(f"DROP ROLE IF EXISTS {name}")
    assert is_found(found["ledger"], "USAGE and CREATE on the schema")


def test_sqlite_on_a_network_file_system(tmp_path: Path) -> None:
    mounts = f"24 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 24 0:50 / {tmp_path} rw - nfs4 nas:/share rw\n"
    assert is_found(judge_mount(tmp_path / "home" / "ledger.db", mounts), "PostgreSQL")
    assert judge_mount(Path("/elsewhere/ledger.db"), mounts).standing is Standing.OK


@pytest.mark.parametrize(("free", "standing"), [(10**6, Standing.ERROR), (5 * 10**8, Standing.WARNING)])
def test_a_disk_that_is_nearly_full(tmp_path: Path, free: int, standing: Standing) -> None:
    assert is_found(judge_disk(tmp_path, free), "Free some space", standing)


# --- audit record, messages, versions ---------------------------------------------------------------------------------


def test_a_checkpoint_key_that_is_too_short(look: Examine) -> None:
    found = look({"CORDBOARD_CHECKPOINT_KEY": "c2hvcnQ="})
    assert is_found(found["audit checkpoints"], "CORDBOARD_CHECKPOINT_KEY")
    assert "c2hvcnQ=" not in repr(found)


def test_records_that_no_checkpoint_vouches_for(look: Examine, tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            await Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}", clock=lambda: 1_700_000_000.0) as ledger,
            await ledger.claim_run("acme", "orders"),
        ):
            pass

    asyncio.run(run())
    variables = {"CORDBOARD_CHECKPOINT_KEY": KEY}
    late = look(variables, now=lambda: 1_700_003_600.0)["audit checkpoints"]
    assert is_found(late, "cordboard audit checkpoint", Standing.WARNING)
    assert "60 minutes" in late.message
    assert look(variables, now=lambda: 1_700_000_060.0)["audit checkpoints"].standing is Standing.OK


@pytest.mark.parametrize("name", ["webhook", "erp"])
def test_an_endpoint_that_nobody_serves(look: Examine, name: str) -> None:
    variable = f"CORDBOARD_{name.upper()}"
    assert is_found(look({f"{variable}_URL": CLOSED, f"{variable}_SECRET": SECRET})[name], f"{variable}_URL")


def test_a_webhook_without_its_secret(look: Examine, sandbox: RunningSandbox) -> None:
    found = look({"CORDBOARD_WEBHOOK_URL": f"{sandbox.base_url}/webhooks/status"})
    assert is_found(found["webhook"], "CORDBOARD_WEBHOOK_SECRET")


class Receiver(BaseHTTPRequestHandler):
    """Takes what is signed with `SECRET` and refuses the rest, as the standard's own library has it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        try:
            Webhook(SECRET).verify(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response_only(204)
        except WebhookVerificationError:
            self.send_response_only(401)
        self.end_headers()


@pytest.mark.parametrize("theirs", [True, False], ids=["their secret", "another secret"])
def test_a_webhook_whose_receiver_holds_another_secret(look: Examine, theirs: bool) -> None:
    """Only a signed message shows it, so it is sent when it is asked for and not before."""
    secret = SECRET if theirs else "whsec_" + base64.b64encode(b"o" * 32).decode()
    with serving(Receiver) as port:
        variables = {"CORDBOARD_WEBHOOK_URL": f"http://127.0.0.1:{port}/", "CORDBOARD_WEBHOOK_SECRET": secret}
        assert look(variables)["webhook"].standing is Standing.OK
        tested = look(variables, send_test=True)["webhook"]
    assert is_found(tested, "" if theirs else "the same secret", Standing.OK if theirs else Standing.ERROR)


def test_secrets_with_which_no_sender_can_be_known(look: Examine) -> None:
    bad = look({"CORDBOARD_COMPLETION_SECRETS": "letmein"})
    assert is_found(bad["receiver secrets"], "openssl rand -base64 32")
    assert "letmein" not in repr(bad)
    plain = look({"CORDBOARD_COMPLETION_SHARED_SECRETS": "sixteen-letters!"})
    assert is_found(plain["receiver secrets"], "CORDBOARD_COMPLETION_SECRETS", Standing.WARNING)


def test_packages_that_are_not_as_pinned() -> None:
    declared = ["fastapi>=0.139,<0.151", "sqlalchemy[asyncio]>=2.0.45,<2.1", "tenacity>=9"]
    wrong = judge_packages(declared, {"fastapi": "0.165.0", "sqlalchemy": "2.0.58"}.__getitem__)
    assert is_found(wrong, "requirements.lock")
    assert "fastapi 0.165.0 (needs <0.151,>=0.139)" in wrong.message and "sqlalchemy" not in wrong.message
    assert is_found(judge_python("3.10.4", ">=3.11"), "Python that fits")
