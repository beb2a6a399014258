"""`make up`: Prefect server, worker and sandbox on this machine, blocks and deployments registered, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
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

PORT = int(os.environ.get("CORDBOARD_PORT", "4200"))
SANDBOX_PORT = int(os.environ.get("CORDBOARD_SANDBOX_PORT", "4280"))
POOL = "cordboard"
CHECKOUT = Path(__file__).parent.parent
WEBHOOK_SECRET = "whsec_ZGVtby1kZW1vLWRlbW8tZGVtby1kZW1vLWRlbW8="  # noqa: S105  the sandbox's, not anybody's


def main() -> int:
    """Starts everything, prints the addresses, waits, and stops everything in reverse order."""
    load_dotenv(CHECKOUT / ".env")
    environment = _environment()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with contextlib.ExitStack() as stack:
            _start_all(stack, environment)
            print(f"\nPrefect UI   http://127.0.0.1:{PORT}\nSandbox      http://127.0.0.1:{SANDBOX_PORT}")
            print("Run one      Deployments, run-chain, Run, Quick run")
            print("A run that chooses no credentials block talks to the sandbox. Ctrl-C stops it all.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("\nStopped.")
    except CordboardError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


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
    print("Starting sandbox and worker …", flush=True)
    sandbox = stack.enter_context(_child([*python, "cordboard", "sandbox", "--port", str(SANDBOX_PORT)], environment))
    _wait_for(f"http://127.0.0.1:{SANDBOX_PORT}/healthz", sandbox)
    stack.enter_context(_child([*python, "prefect", "worker", "start", "--pool", POOL, "--name", "here"], environment))


async def _register(environment: Mapping[str, str]) -> None:
    """Registers block types, the sandbox's block documents and the work pool; again changes nothing."""
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


def _environment() -> dict[str, str]:
    from cordboard.sandbox.definition import default_definition  # noqa: PLC0415
    from cordboard.sandbox.server import environment  # noqa: PLC0415

    home = Path(os.environ.get("CORDBOARD_HOME", ".cordboard")).absolute()
    return {
        **environment(default_definition(), f"http://127.0.0.1:{SANDBOX_PORT}"),
        "CORDBOARD_HOME": str(home),
        "PREFECT_HOME": os.environ.get("PREFECT_HOME", str(home / "prefect")),
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
