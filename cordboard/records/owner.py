"""Who holds a run: a process on a host, told apart from a later process that got the same id."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from cordboard.errors import BadCall


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that can hold runs.

    Attributes:
        host: its host's name.
        pid: its process id.
        started: its start time as the kernel counts it; empty where the system does not tell.
        table: the process table in which the id counts; empty where the system does not tell.
    """

    host: str
    pid: int
    started: str
    table: str = ""

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _start_of(pid) or "", _own_table())

    @classmethod
    def parse(cls, text: str) -> Owner:
        """Reads what `str(owner)` wrote.

        Raises:
            BadCall: the text is no owner.
        """
        place, _, rest = text.partition(":")
        pid, _, started = rest.partition(":")
        if not pid.isdigit():
            raise BadCall(f"{text!r} is not an owner of the form host:pid:start")
        host, _, table = place.partition("@")
        return cls(host, int(pid), started, table)

    def is_here(self) -> bool:
        """Whether it is a process that can be seen from here, so that its life can be checked.

        Containers may share a host name, as all do that use their host's network, and see no process of each other.
        """
        return self.host == socket.gethostname() and self.table in {"", _own_table()}

    def is_alive(self) -> bool:
        """Whether the process still runs; only meaningful where `is_here()`."""
        if self.started:
            return _start_of(self.pid) == self.started
        return process_exists(self.pid)

    def __str__(self) -> str:
        # With the host: a release that knows of no tables takes it for another host's, and waits for the lease.
        place = f"{self.host}@{self.table}" if self.table else self.host
        return f"{place}:{self.pid}:{self.started}"


def _own_table() -> str:
    """The boot of this machine, as a namespace has the same number on each, and the namespace of process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:8]}-{''.join(filter(str.isdigit, str(Path('/proc/self/ns/pid').readlink())))}"
    except OSError:
        return ""


def _start_of(pid: int) -> str | None:
    """Start time from /proc, None for a process that is gone or only waits to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in "ZX" else fields[19]


def process_exists(pid: int) -> bool:
    """Whether there is a process of this id, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
