"""The parts of a cluster on one machine, each a process of its own that can be killed and started again.

What belongs to one machine of a real cluster has a host name and a process table of its own here (Linux namespaces): it
looks at no process of another, and dies as a whole. The settings are those of `deployments/cluster/compose.yaml`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.limit import SERVER, on_server
from bench.vendor import wait_until

CHECKOUT = Path(__file__).parent.parent
COMPOSE = CHECKOUT / "deployments/cluster/compose.yaml"
PYTHON = (sys.executable, "-m")
START_SECONDS = 300.0
KNOWN_BY = b"PREFECT__FLOW_RUN_ID="  # in the environment of every process of a flow run


def apart() -> list[str]:
    """The command under which a process has a host name and a process table of its own.

    Raises:
        SystemExit: this system does not let us.
    """
    kinds = ["--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    for rights in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *rights, *kinds]
        with suppress(OSError):
            if subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0:
                return command
    raise SystemExit("each worker gets a host name of its own: this needs Linux, unshare and the right to use it")


@dataclass(eq=False)
class Part:
    """A process that can die and be started again.

    Attributes:
        name: also the host name, where it is a machine.
        kind: what it is, for the report.
        command: how it is started.
        environment: all of it.
        log: file to which its output is added.
        machine: whether it is alone on its machine.
        process: the one that runs, if any.
    """

    name: str
    kind: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    machine: bool = True
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it."""
        named = [*apart(), "sh", "-c", 'hostname "$0"; exec "$@"', self.name] if self.machine else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*named, *self.command], env=dict(self.environment), stdout=log, stderr=log, cwd=CHECKOUT
            )

    def kill(self) -> None:
        """`kill -9`, and with it everything that runs on its machine."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def is_dead(self) -> bool:
        """Whether it ended by itself."""
        return self.process is not None and self.process.poll() is not None

    def memory(self) -> Iterator[tuple[str, float]]:
        """Each of its processes, as what, and its resident memory in MB."""
        if self.process is None:
            return
        for pid in _family(self.process.pid):
            with suppress(OSError, StopIteration):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                size = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
                is_run = KNOWN_BY in Path(f"/proc/{pid}/environ").read_bytes()
                if size > 5:  # a shell and unshare itself are no part of ours
                    yield ("a run" if is_run else self.kind), size


def _family(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Cluster:
    """All of it.

    Attributes:
        folder: for logs, the home of the workers and everything else.
        ledger_url: of the workers.
        prefect_url: of the servers' database.
        parts: by name; `worker-1` and so on among them.
        client: environment of workers and of those who submit runs.
    """

    folder: Path
    ledger_url: str
    prefect_url: str
    parts: dict[str, Part] = field(default_factory=dict)
    client: dict[str, str] = field(default_factory=dict)

    def of(self, *kinds: str) -> list[Part]:
        """Every part of these kinds."""
        return [part for part in self.parts.values() if part.kind in kinds]

    def add(self, name: str, kind: str, command: Sequence[str], environment: Mapping[str, str], **more: Any) -> Part:
        """Starts another part."""
        part = self.parts[name] = Part(name, kind, command, environment, self.folder / f"{name}.log", **more)
        part.start()
        return part

    def databases(self) -> dict[str, str]:
        """What each database is for, by its name."""
        known = {"ledger": self.ledger_url, "prefect": self.prefect_url}
        return {url.rpartition("/")[2]: kind for kind, url in known.items()}

    def add_worker(self, number: int, vendor: Mapping[str, str], runs: int) -> Part:
        """A worker on a machine of its own.

        Args:
            number: from 1.
            vendor: how its runs reach the vendor.
            runs: how many it has at once.
        """
        name = f"worker-{number}"
        command = [*PYTHON, "prefect", "worker", "start", "--pool", "cordboard", "--name", name, "--limit", str(runs)]
        return self.add(name, "worker", command, {**self.client, **vendor, "PREFECT_WORKER_QUERY_SECONDS": "2"})

    def revive(self) -> list[str]:
        """Starts again what ended by itself, as Docker and Kubernetes do, and says what it was.

        Of two API servers that meet a new database at the same moment, one may end while both write what is built in.
        """
        ended = [part for part in self.parts.values() if part.is_dead()]
        for part in ended:
            part.start()
        return [part.name for part in ended]

    def memory(self) -> dict[str, list[float]]:
        """Resident memory of every process in MB, by kind."""
        found: dict[str, list[float]] = {}
        for part in self.parts.values():
            for kind, size in part.memory():
                found.setdefault(kind, []).append(size)
        return found


def shipped(section: str) -> dict[str, str]:
    """The environment that the Compose file gives to servers (`x-server`) or clients (`x-client`)."""
    found = yaml.safe_load(COMPOSE.read_text())[section]
    return {name: value for name, value in found.items() if "$" not in value}


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Databases, Redis, two API servers, the services and the balancer, on free ports; no worker yet."""
    ports = {name: free_port() for name in ("redis", "api-1", "api-2", "balancer")}
    with ExitStack() as stack:
        url = SERVER.rpartition("/")[0].replace("+asyncpg", "")
        prefect, ledger = (stack.enter_context(_database(name)) for name in ("prefect", "ledger"))
        made = Cluster(folder, f"{url}/{ledger}", f"{url}/{prefect}")
        stack.callback(_end, made)
        server = _server_environment(made, ports)
        made.client = _client_environment(made, ports, server)
        redis = ["redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--dir", str(folder)]
        redis += ["--appendonly", "yes", "--appendfsync", "everysec"]
        made.add("redis", "redis", redis, dict(os.environ), machine=False)
        upgrade = [*PYTHON, "prefect", "server", "database", "upgrade", "--yes"]
        subprocess.run(upgrade, env=server, check=True, stdout=subprocess.DEVNULL, cwd=CHECKOUT)
        for name in ("api-1", "api-2"):
            command = [*PYTHON, "prefect", "server", "start", "--no-services", "--port", str(ports[name])]
            made.add(name, "api", command, {**server, "PREFECT_HOME": str(folder / name)})
        services = [*PYTHON, "prefect", "server", "services", "start"]
        made.add("services", "services", services, {**server, "PREFECT_HOME": str(folder / "services")})
        balance = [*PYTHON, "bench.cluster_balancer", *(str(ports[name]) for name in ("balancer", "api-1", "api-2"))]
        made.add("balancer", "balancer", balance, made.client, machine=False)
        wait_until(lambda: not made.revive() and all(map(_answers, (ports["api-1"], ports["api-2"]))), START_SECONDS)
        yield made


def _server_environment(made: Cluster, ports: Mapping[str, int]) -> dict[str, str]:
    redis = f"redis://127.0.0.1:{ports['redis']}"
    return {
        **_clean(),
        **shipped("x-server"),
        "PREFECT_HOME": str(made.folder / "prefect"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": made.prefect_url.replace("postgresql:", "postgresql+asyncpg:"),
        "PREFECT_REDIS_MESSAGING_URL": f"{redis}/0",
        "PREFECT_SERVER_DOCKET_URL": f"{redis}/1",
        "PREFECT_SERVER_API_AUTH_STRING": f"cordboard:{secrets.token_hex(8)}",
        "PREFECT_SERVER_ENCRYPTION_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "PREFECT_SERVER_UI_ENABLED": "false",
    }


def _client_environment(made: Cluster, ports: Mapping[str, int], server: Mapping[str, str]) -> dict[str, str]:
    return {
        **_clean(),
        **shipped("x-client"),
        "PREFECT_HOME": str(made.folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{ports['balancer']}/api",
        "PREFECT_API_AUTH_STRING": server["PREFECT_SERVER_API_AUTH_STRING"],
        "CORDBOARD_HOME": str(made.folder / "home"),
        "CORDBOARD_LEDGER_URL": made.ledger_url,
    }


def _clean() -> dict[str, str]:
    """Our environment without what would lead elsewhere."""
    ours = ("PREFECT_", "CORDBOARD_", "CXONE_", "GENESYS_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "PYTHONPATH": str(CHECKOUT),
    }


def _answers(port: int) -> bool:
    with suppress(OSError):
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2).status == 200)
    return False


def _end(made: Cluster) -> None:
    for part in reversed(list(made.parts.values())):
        part.kill()


@contextmanager
def _database(kind: str) -> Iterator[str]:
    name = f"cordboard_{kind}_{uuid.uuid4().hex[:8]}"
    asyncio.run(on_server(SERVER, f'CREATE DATABASE "{name}"'))
    try:
        yield name
    finally:
        asyncio.run(on_server(SERVER, f'DROP DATABASE "{name}" WITH (FORCE)'))
