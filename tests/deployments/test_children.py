"""The processes of `make up`: alone in their home, noticed where one ends, and gone however `make up` itself ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cordboard.errors import BadCall, Theirs
from deployments.children import Children, Ports
from tests.deployments.upping import CHECKOUT, free_port

STAYS = "import time; time.sleep(600)"
# Takes some time to end, as a worker does.
LINGERS = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: time.sleep(0.5) or exit()); time.sleep(600)"
STARTS = """
import sys
from pathlib import Path
from deployments.children import Children, end_in_order
end_in_order()
with Children(Path(sys.argv[1]), {}) as children:
    children.start("worker", [sys.executable, "-c", sys.argv[2]], {})
    print(children._running["worker"].pid, flush=True)
    children.watch()
"""


@contextmanager
def started(home: Path, child: str = STAYS) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that does what `make up` does, and the process that it started."""
    command = [sys.executable, "-c", STARTS, str(home), child]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    assert process.stdout
    with process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_nothing_outlives_it(ends: signal.Signals, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    """Ctrl-C, a service manager, a terminal that was closed, and a kill that nobody can prepare for."""
    with started(tmp_path) as (process, child):
        process.send_signal(ends)
        process.wait(10)
        wait_until(lambda: not lives(child), 10)


def test_a_home_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    """Two workers on one database, of the sandbox and of a tenant, would take each other's runs."""
    with started(tmp_path) as (process, child):
        with pytest.raises(BadCall, match="another `make up` has") as refused, Children(tmp_path, {}):
            pass
        assert f"`kill {process.pid} {child}`" in str(refused.value)
    with Children(tmp_path, {}):
        pass


def test_after_a_kill_the_next_one_waits_for_what_is_left(tmp_path: Path) -> None:
    with started(tmp_path, LINGERS) as (process, child):
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        with Children(tmp_path, {}):
            assert not lives(child)


def test_a_port_that_somebody_has_is_told_before_anything_starts(tmp_path: Path) -> None:
    """What answers there would be taken for our server, and be given our blocks."""
    free = free_port()
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]
        ports = {"CORDBOARD_PORT": port, "CORDBOARD_RECEIVER_PORT": free}
        with pytest.raises(BadCall, match=rf"port {port} cannot be had .*\n.*CORDBOARD_PORT") as refused:
            Children(tmp_path, ports).__enter__()
        assert str(free) not in str(refused.value)
    with Children(tmp_path, ports):
        pass


def test_two_of_ours_cannot_have_one_port(tmp_path: Path) -> None:
    free = free_port()
    with pytest.raises(BadCall, match=f"CORDBOARD_RECEIVER_PORT is {free} as well"):
        Children(tmp_path, {"CORDBOARD_PORT": free, "CORDBOARD_RECEIVER_PORT": free}).__enter__()


@pytest.mark.parametrize("said", ["47x", "0", "65536", "-1"])
def test_every_port_that_is_none_is_named(said: str) -> None:
    with pytest.raises(BadCall) as refused:
        Ports.stated({"CORDBOARD_PORT": said, "CORDBOARD_RECEIVER_PORT": said})
    assert [line.split(" is ")[0] for line in str(refused.value).splitlines()] == [
        "CORDBOARD_PORT",
        "CORDBOARD_RECEIVER_PORT",
    ]
    assert f"CORDBOARD_PORT is '{said}'" in str(refused.value)


def test_a_tenant_needs_no_port_for_a_sandbox() -> None:
    ports = Ports.stated({"CORDBOARD_PORT": "4300", "CORDBOARD_SANDBOX_PORT": "none"}, with_sandbox=False)
    assert ports.variables() == {"CORDBOARD_PORT": 4300, "CORDBOARD_RECEIVER_PORT": 4290}
    assert Ports.stated({}).variables()["CORDBOARD_SANDBOX_PORT"] == 4280


def test_one_that_ends_ends_all_with_its_last_words(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    with Children(tmp_path, {}) as children, pytest.raises(Theirs) as ended:
        children.start("server", [sys.executable, "-c", STAYS], {})
        children.start("worker", [sys.executable, "-c", "print('no', flush=True); exit('newer database')"], {})
        other = children._running["server"]
        wait_until(lambda: children._running["worker"].poll() is not None, 10)
        children.watch()
    log = tmp_path / "logs" / "worker.log"
    assert str(ended.value) == f"the worker ended with 1, so all of it stops. See {log}: newer database"
    assert not lives(other.pid)
    with Children(tmp_path, {}) as children, pytest.raises(Theirs, match=r"server was ended by signal 9.*server\.log"):
        children.start("server", [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], {}, "http://127.0.0.1:9")
