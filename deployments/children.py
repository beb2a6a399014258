"""The processes of `make up`: started in order, watched, and ended with it, however it ends itself.

Each is in a session of its own, so that Ctrl-C reaches `make up` first and it stops them in reverse order. Where it is
killed itself, Linux ends them; elsewhere they go on, and the next start says which they are: worker and server of one
place must not meet those of another in one home.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from cordboard.errors import BadCall, Theirs
from cordboard.records.owner import process_exists

CHECKOUT = Path(__file__).parent.parent
START_SECONDS, STOP_SECONDS, LEAVE_SECONDS = 180.0, 20.0, 30.0
_LOOK_SECONDS = 0.2
_USUAL_PORTS = {"CORDBOARD_PORT": 4200, "CORDBOARD_RECEIVER_PORT": 4290, "CORDBOARD_SANDBOX_PORT": 4280}
_PR_SET_PDEATHSIG = 1
_MAX_SAID = 500


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen.

    Attributes:
        server: Prefect's API and UI.
        receiver: of completions.
        sandbox: 0 where there is none.
    """

    server: int
    receiver: int
    sandbox: int = 0

    @classmethod
    def stated(cls, environ: Mapping[str, str], *, with_sandbox: bool = True) -> Ports:
        """Those of the environment, else the usual ones.

        Raises:
            BadCall: names each variable that states no port.
        """
        used = {name: usual for name, usual in _USUAL_PORTS.items() if with_sandbox or name != "CORDBOARD_SANDBOX_PORT"}
        said = {name: environ.get(name) or str(usual) for name, usual in used.items()}
        faults = [
            f"{name} is {text!r}, and a port is a number from 1 to 65535"
            for name, text in said.items()
            if not _is_port(text)
        ]
        if faults:
            raise BadCall("\n".join(faults))
        return cls(*map(int, said.values()))

    def variables(self) -> dict[str, int]:
        """Those that are used, by the variables that choose them."""
        chosen = zip(_USUAL_PORTS, (self.server, self.receiver, self.sandbox), strict=True)
        return {name: port for name, port in chosen if port}


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65_536


def end_in_order() -> None:
    """Makes this process unwind where it is told to end, also where its terminal goes away."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda *_: sys.exit(0))


class Children:
    """Processes that end with this one. Use it with `with`.

    Args:
        home: folder of everything that runs write; only one of these may have it.
        ports: that must be free, by the variables that choose them.

    Raises:
        BadCall: another one has the home, or a port is taken.
    """

    def __init__(self, home: Path, ports: Mapping[str, int]) -> None:
        self._home, self._ports = home, ports
        self._stack, self._running = contextlib.ExitStack(), dict[str, subprocess.Popen[bytes]]()

    def __enter__(self) -> Children:
        with contextlib.ExitStack() as stack:
            self._lock = stack.enter_context(_alone(self._home))
            _refuse_taken(self._ports)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self._home / "logs" / f"{name}.log"

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], url: str = "") -> None:
        """Starts a process, and waits until it answers.

        Args:
            name: of its log, for people.
            command: to run.
            environment: beside our own.
            url: answers once it is ready; empty for one that nobody waits for.

        Raises:
            Theirs: it ended, or does not answer.
        """
        self.log(name).parent.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as output:
            child = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[self._lock.fileno()],  # as long as it lives, nobody else has the home
                preexec_fn=_end_with_parent(),  # noqa: PLW1509  all that it does is one system call
            )
        self._stack.callback(_stop, child)
        self._running[name] = child
        self._lock.write(f"{child.pid}\n")
        self._lock.flush()
        if url:
            self._wait_for(name, url)

    def watch(self, wait: Callable[[float], object] = time.sleep) -> None:
        """Waits for as long as all of them run.

        Raises:
            Theirs: one ended.
        """
        while True:
            self._raise_where_one_ended()
            wait(1)

    def _wait_for(self, name: str, url: str) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            self._raise_where_one_ended()
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                urllib.request.urlopen(url, timeout=2).close()  # noqa: S310  loopback only
                return
            time.sleep(_LOOK_SECONDS)
        raise Theirs(f"the {name} did not answer at {url} within {START_SECONDS:.0f} s; see {self.log(name)}")

    def _raise_where_one_ended(self) -> None:
        for name, child in self._running.items():
            with _undisturbed():
                code = child.poll()
            if code is not None:
                how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
                raise Theirs(f"the {name} {how}, so all of it stops. {_last_words(self.log(name))}")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """`Popen` has a lock of its own: what a signal raises right there leaves it locked, and nobody could stop then."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
    finally:  # also where somebody presses Ctrl-C again, who does not want to wait
        child.kill()
        child.wait()


def _end_with_parent() -> Callable[[], object] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[IO[str]]:
    """The file that this process and its children hold; the ids of their processes stand in it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "up.lock").open("a+", encoding="ascii") as file:
        until = time.monotonic() + LEAVE_SECONDS
        while not _has_locked(file):
            file.seek(0)
            pids = [int(line) for line in file.read().split()]
            if time.monotonic() > until or (pids and process_exists(pids[0])):
                left = " ".join(str(pid) for pid in pids if process_exists(pid))
                raise BadCall(
                    f"another `make up` has {home}, or one that was killed left processes: stop it with Ctrl-C, or end "
                    f"them with `kill {left}`; for a second one beside it set CORDBOARD_HOME and ports of its own"
                )
            time.sleep(_LOOK_SECONDS)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file


def _has_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_taken(ports: Mapping[str, int]) -> None:
    """Else what listens there would be taken for ours, and be given our blocks and deployments."""
    faults = [f"port {port} cannot be had ({why})" for port in ports.values() if (why := _why_taken(port))]
    twice = [f"{name} is {port} as well" for name, port in ports.items() if list(ports.values()).count(port) > 1]
    faults += twice[1:]
    if faults:
        raise BadCall("\n".join([*faults, f"end what listens there, or choose others with {', '.join(ports)}"]))


def _why_taken(port: int) -> str:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or type(error).__name__
    return ""


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"See {log}" + (f": {lines[-1].strip()[:_MAX_SAID]}" if lines else "")
