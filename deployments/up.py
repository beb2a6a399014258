"""`make up`: Prefect server, worker, receiver and sandbox on this machine, deployments registered, until Ctrl-C.

`make up TENANT=1` leaves the sandbox out: runs then talk to the tenant whose credentials stand in blocks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import load_dotenv

from cordboard.errors import CordboardError
from deployments import tenant
from deployments.children import CHECKOUT, Children, Ports, end_in_order
from deployments.deploying import deploy
from deployments.hardening import hardened, watch_for_zombies

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

POOL = "cordboard"
COMPLETION_TRIGGER = "apply completions when one is received"
PYTHON = [sys.executable, "-m"]
PREFECT = [*PYTHON, "prefect"]
WEBHOOK_SECRET = "whsec_ZGVtby1kZW1vLWRlbW8tZGVtby1kZW1vLWRlbW8="  # noqa: S105  the sandbox's, not anybody's


def main(argv: Sequence[str] | None = None) -> int:
    """Starts everything, prints the addresses, waits, and stops everything in reverse order."""
    asked = _parser().parse_args(argv)
    os.umask(0o077)  # what we and our children write holds what vendors returned
    load_dotenv(CHECKOUT / ".env")
    stated = _take_out_logins()
    end_in_order()
    try:
        ports = Ports.stated(os.environ, with_sandbox=not asked.tenant)
        with Children(_home(), ports.variables()) as children:
            environment = _environment(ports)
            os.environ.update(environment)
            _start_server(children, environment, ports)
            found = asyncio.run(register(environment, stated if asked.tenant else None, renew=asked.renew))
            _start_others(children, environment, ports, found)
            _say(environment, ports, found)
            children.watch()
    except KeyboardInterrupt:
        print("\nStopped.")
    except CordboardError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.up", description=__doc__.splitlines()[0])
    parser.add_argument("--tenant", action="store_true", help="no sandbox: runs talk to a tenant")
    parser.add_argument("--renew", action="store_true", help="ask for the tenant's credentials again")
    return parser


def _say(environment: Mapping[str, str], ports: Ports, found: tenant.Tenant | None) -> None:
    print(f"\nPrefect UI   http://127.0.0.1:{ports.server}\nSign in      {_how_to_sign_in(environment)}")
    if found is None:
        print(f"Sandbox      http://127.0.0.1:{ports.sandbox}")
    for block in found.credentials if found else ():
        print(f"Tenant       {block.tenant()} (block {block.get_block_type_slug()}/{tenant.NAME})")
    if found is None or found.receiver:
        print(f"Receiver     http://127.0.0.1:{ports.receiver}/completions")
    if found and found.is_secret_new and sys.stdout.isatty():
        print(f"Senders sign with {found.receiver['CORDBOARD_COMPLETION_SECRETS']} (shown only now)")
    print(f"Other shells set -a; . {shlex.quote(environment['CORDBOARD_HOME'])}/prefect.env; set +a")
    if found is None:
        print("Run one      Deployments, run-chain, Run, Quick run")
        print("Runs talk to the sandbox. Ctrl-C stops it all.", flush=True)
    else:
        print("Begin with   Deployments, register-ivr, Run, Custom run: it plans, and sends nothing")
        print("Runs talk to the tenant, for real. Ctrl-C stops it all.", flush=True)


def _how_to_sign_in(environment: Mapping[str, str]) -> str:
    """The password on a terminal; elsewhere, as in a log, only where it is."""
    if sys.stdout.isatty():
        return environment["PREFECT_API_AUTH_STRING"]
    return f"with PREFECT_API_AUTH_STRING of {environment['CORDBOARD_HOME']}/prefect.env"


def _start_server(children: Children, environment: Mapping[str, str], ports: Ports) -> None:
    print("Starting the Prefect server …", flush=True)
    command = [*PREFECT, "server", "start", "--port", str(ports.server)]
    children.start("server", command, environment, f"http://127.0.0.1:{ports.server}/api/health")


def _start_others(
    children: Children, environment: Mapping[str, str], ports: Ports, found: tenant.Tenant | None
) -> None:
    """Sandbox, receiver and worker; with a tenant no sandbox, and a receiver where its workflows report."""
    print("Starting " + ("sandbox, receiver and worker …" if found is None else "the worker …"), flush=True)
    if found is None:
        definition = ["--definition", str(_sandbox_file(environment, ports))]
        command = [*PYTHON, "cordboard", "sandbox", "--port", str(ports.sandbox), *definition]
        children.start("sandbox", command, environment, f"http://127.0.0.1:{ports.sandbox}/healthz")
    if found is None or found.receiver:
        command = [*PYTHON, "deployments.receiver", "--port", str(ports.receiver)]
        receiving = {**environment, **(found.receiver if found else {})}
        children.start("receiver", command, receiving, f"http://127.0.0.1:{ports.receiver}/healthz")
    children.start("worker", [*PREFECT, "worker", "start", "--pool", POOL, "--name", "here"], environment)


async def register(
    environment: Mapping[str, str], stated: Mapping[str, str] | None, *, renew: bool
) -> tenant.Tenant | None:
    """Registers block types, blocks, work pool, automation and deployments; again changes nothing.

    Args:
        environment: of our children.
        stated: the environment as it was, which may state a tenant's credentials; None for the sandbox.
        renew: ask for the tenant's credentials again.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415  reads the settings at import
    from prefect.client.schemas.actions import WorkPoolCreate  # noqa: PLC0415
    from prefect.exceptions import ObjectAlreadyExists  # noqa: PLC0415

    from deployments.register_blocks import register_blocks  # noqa: PLC0415

    known = await register_blocks()
    found = None if stated is None else await tenant.find_tenant(stated, renew=renew)
    if found is None:
        await _save_sandbox(environment)
    print("Registering blocks and deployments …", flush=True)
    async with get_client() as client:
        with contextlib.suppress(ObjectAlreadyExists):
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        await watch_for_zombies(client)
        place = "sandbox" if found is None else tenant.NAME
        slugs = [slug for slug in known if await _is_there(client, slug, place)]
    on = [COMPLETION_TRIGGER] if found is None or found.receiver else []
    await deploy(POOL, place, slugs, on, environment)
    return found


async def _is_there(client: PrefectClient, slug: str, name: str) -> bool:
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415  as above

    try:
        await client.read_block_document_by_name(name, slug)
    except ObjectNotFound:
        return False
    return True


async def _save_sandbox(environment: Mapping[str, str]) -> None:
    from blocks.cxone import CXoneCredentials  # noqa: PLC0415  as above
    from blocks.genesys import GenesysCloudCredentials  # noqa: PLC0415
    from blocks.webhook import WebhookEndpoint  # noqa: PLC0415

    for vendor in (CXoneCredentials, GenesysCloudCredentials):
        await vendor.from_env(environment).save("sandbox", overwrite=True)
    await WebhookEndpoint(url=environment["CORDBOARD_WEBHOOK_URL"], secret=WEBHOOK_SECRET).save(
        "sandbox", overwrite=True
    )


def _sandbox_file(environment: Mapping[str, str], ports: Ports) -> Path:
    """The default sandbox, reporting the ends of its instances to our receiver."""
    import cordboard.sandbox  # noqa: PLC0415

    default = Path(cordboard.sandbox.__file__).with_name("default.yaml").read_text(encoding="utf-8")
    secret = environment["CORDBOARD_COMPLETION_SECRETS"].split()[0]
    url = f"http://127.0.0.1:{ports.receiver}/completions"
    file = Path(environment["CORDBOARD_HOME"]) / "sandbox.yaml"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    file.write_text(f"{default}\ncallbacks:\n  url: {url}\n  secret: {secret}\n", encoding="utf-8")
    return file


def _home() -> Path:
    return Path(os.environ.get("CORDBOARD_HOME") or ".cordboard").absolute()


def _take_out_logins() -> dict[str, str]:
    """The environment as it was; no run takes a tenant's credentials from anything but a block."""
    stated = dict(os.environ)
    for name in [name for name in stated if name.startswith(tenant.PREFIXES)]:
        del os.environ[name]
    return stated


def _environment(ports: Ports) -> dict[str, str]:
    """Of every child: what the environment states stays, but what is a tenant's never gets into the sandbox's runs."""
    home = _home()
    prefect_home = os.environ.get("PREFECT_HOME", str(home / "prefect"))
    as_json = {"PREFECT_LOGGING_SETTINGS_PATH": str(CHECKOUT / "flows" / "logging.yml")}
    return {
        **(as_json if os.environ.get("CORDBOARD_LOG_FORMAT") == "json" else {}),
        **(_of_the_sandbox(ports.sandbox) if ports.sandbox else {}),
        "CORDBOARD_HOME": str(home),
        **hardened(os.environ, home, Path(prefect_home), ports.server),
        "PREFECT_HOME": prefect_home,
        "PREFECT_API_URL": f"http://127.0.0.1:{ports.server}/api",
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{ports.server}/api",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(CHECKOUT),
    }


def _of_the_sandbox(port: int) -> dict[str, str]:
    from cordboard.sandbox.definition import default_definition  # noqa: PLC0415
    from cordboard.sandbox.server import environment  # noqa: PLC0415

    sandbox = f"http://127.0.0.1:{port}"
    return {
        "CORDBOARD_TENANT": "",  # else a row that was tried here counts as started there, and never is
        "CORDBOARD_ERP_URL": f"{sandbox}/erp/records",
        "CORDBOARD_ERP_SECRET": WEBHOOK_SECRET,
        "CORDBOARD_WEBHOOK_URL": f"{sandbox}/webhooks/status",
        "CORDBOARD_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "CORDBOARD_COMPLETION_SECRETS": WEBHOOK_SECRET,
        "CORDBOARD_COMPLETION_SHARED_SECRETS": "",
        **environment(default_definition(), sandbox),
    }


if __name__ == "__main__":
    sys.exit(main())
