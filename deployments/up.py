"""`make up`: Prefect server, worker, receiver and sandbox on this machine, deployments registered, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv import load_dotenv

from cordboard.errors import CordboardError, Theirs
from deployments.hardening import hardened, watch_for_zombies

PORT = int(os.environ.get("CORDBOARD_PORT", "4200"))
SANDBOX_PORT = int(os.environ.get("CORDBOARD_SANDBOX_PORT", "4280"))
RECEIVER_PORT = int(os.environ.get("CORDBOARD_RECEIVER_PORT", "4290"))
POOL = "cordboard"
CHECKOUT = Path(__file__).parent.parent
WEBHOOK_SECRET = "whsec_ZGVtby1kZW1vLWRlbW8tZGVtby1kZW1vLWRlbW8="  # noqa: S105  the sandbox's, not anybody's


def main() -> int:
    """Starts everything, prints the addresses, waits, and stops everything in reverse order."""
    os.umask(0o077)  # what we and our children write holds what vendors returned
    load_dotenv(CHECKOUT / ".env")
    environment = _environment()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with contextlib.ExitStack() as stack:
            _start_all(stack, environment)
            print(f"\nPrefect UI   http://127.0.0.1:{PORT}\nSign in      {_how_to_sign_in(environment)}")
            print(f"Sandbox      http://127.0.0.1:{SANDBOX_PORT}")
            print(f"Receiver     http://127.0.0.1:{RECEIVER_PORT}/completions")
            print(f"Other shells set -a; . {shlex.quote(environment['CORDBOARD_HOME'])}/prefect.env; set +a")
            print("Run one      Deployments, run-chain, Run, Quick run")
            print("A run that chooses no credentials block talks to the sandbox. Ctrl-C stops it all.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("\nStopped.")
    except CordboardError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _how_to_sign_in(environment: Mapping[str, str]) -> str:
    """The password on a terminal; elsewhere, as in a log, only where it is."""
    if sys.stdout.isatty():
        return environment["PREFECT_API_AUTH_STRING"]
    return f"with PREFECT_API_AUTH_STRING of {environment['CORDBOARD_HOME']}/prefect.env"


def _start_all(stack: contextlib.ExitStack, environment: Mapping[str, str]) -> None:
    python = [sys.executable, "-m"]
    print("Starting the Prefect server …", flush=True)
    server = stack.enter_context(_child([*python, "prefect", "server", "start", "--port", str(PORT)], environment))
    _wait_for(f"http://127.0.0.1:{PORT}/api/health", server)
    print("Registering blocks and deployments …", flush=True)
    asyncio.run(_register(environment))
    subprocess.run(
        [*python, "prefect", "--no-prompt", "deploy", "--all"],
        check=True,
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    asyncio.run(_switch_on("apply completions when one is received"))
    print("Starting sandbox, receiver and worker …", flush=True)
    definition = ["--definition", str(_sandbox_file(environment))]
    command = [*python, "cordboard", "sandbox", "--port", str(SANDBOX_PORT), *definition]
    sandbox = stack.enter_context(_child(command, environment))
    _wait_for(f"http://127.0.0.1:{SANDBOX_PORT}/healthz", sandbox)
    receiver = [*python, "deployments.receiver", "--port", str(RECEIVER_PORT)]
    _wait_for(f"http://127.0.0.1:{RECEIVER_PORT}/healthz", stack.enter_context(_child(receiver, environment)))
    stack.enter_context(_child([*python, "prefect", "worker", "start", "--pool", POOL, "--name", "here"], environment))


async def _register(environment: Mapping[str, str]) -> None:
    """Registers block types, the sandbox's blocks, the work pool and the automation; again changes nothing."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415  reads the settings at import
    from prefect.client.schemas.actions import WorkPoolCreate  # noqa: PLC0415
    from prefect.exceptions import ObjectAlreadyExists  # noqa: PLC0415

    from blocks.cxone import CXoneCredentials  # noqa: PLC0415
    from blocks.genesys import GenesysCloudCredentials  # noqa: PLC0415
    from blocks.webhook import WebhookEndpoint  # noqa: PLC0415
    from deployments.register_blocks import register_blocks  # noqa: PLC0415

    await register_blocks()
    base = f"http://127.0.0.1:{SANDBOX_PORT}"
    for vendor in (CXoneCredentials, GenesysCloudCredentials):
        await vendor.from_env(environment).save("sandbox", overwrite=True)
    await WebhookEndpoint(url=f"{base}/webhooks/status", secret=WEBHOOK_SECRET).save("sandbox", overwrite=True)
    async with get_client() as client:
        with contextlib.suppress(ObjectAlreadyExists):
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        await watch_for_zombies(client)


def _sandbox_file(environment: Mapping[str, str]) -> Path:
    """The default sandbox, reporting the ends of its instances to our receiver."""
    import cordboard.sandbox  # noqa: PLC0415

    default = Path(cordboard.sandbox.__file__).with_name("default.yaml").read_text(encoding="utf-8")
    secret = environment["CORDBOARD_COMPLETION_SECRETS"].split()[0]
    url = f"http://127.0.0.1:{RECEIVER_PORT}/completions"
    file = Path(environment["CORDBOARD_HOME"]) / "sandbox.yaml"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    file.write_text(f"{default}\ncallbacks:\n  url: {url}\n  secret: {secret}\n", encoding="utf-8")
    return file


async def _switch_on(trigger: str) -> None:
    """Turns an event trigger on that prefect.yaml registers switched off."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415  reads the settings at import

    async with get_client() as client:
        for automation in await client.read_automations_by_name(trigger):
            await client.resume_automation(automation.id)


def _environment() -> dict[str, str]:
    from cordboard.sandbox.definition import default_definition  # noqa: PLC0415
    from cordboard.sandbox.server import environment  # noqa: PLC0415

    home = Path(os.environ.get("CORDBOARD_HOME", ".cordboard")).absolute()
    prefect_home = os.environ.get("PREFECT_HOME", str(home / "prefect"))
    sandbox = f"http://127.0.0.1:{SANDBOX_PORT}"
    erp = {"CORDBOARD_ERP_URL": f"{sandbox}/erp/records", "CORDBOARD_ERP_SECRET": WEBHOOK_SECRET}
    return {
        **({} if os.environ.get("CORDBOARD_ERP_URL") else erp),
        "CORDBOARD_COMPLETION_SECRETS": os.environ.get("CORDBOARD_COMPLETION_SECRETS") or WEBHOOK_SECRET,
        **environment(default_definition(), sandbox),
        "CORDBOARD_HOME": str(home),
        **hardened(os.environ, home, Path(prefect_home), PORT),
        "PREFECT_HOME": prefect_home,
        "PREFECT_API_URL": f"http://127.0.0.1:{PORT}/api",
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{PORT}/api",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(CHECKOUT),
    }


@contextlib.contextmanager
def _child(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A child process in a session of its own, so that Ctrl-C reaches us first and we stop children in order."""
    log = Path(environment["CORDBOARD_HOME"]) / "logs" / f"{command[2]}-{command[3]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_for(url: str, child: subprocess.Popen[bytes], seconds: float = 180) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if child.poll() is not None:
            raise Theirs(f"{' '.join(map(str, child.args[2:]))} ended at once; see .cordboard/logs")  # type: ignore[index]
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310  loopback only
            return
        time.sleep(0.2)
    raise Theirs(f"{url} did not answer within {seconds:.0f} s; see .cordboard/logs")


if __name__ == "__main__":
    sys.exit(main())
