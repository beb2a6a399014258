"""A command on a terminal of its own, as a person has it: what it asks, what it shows, and Ctrl-C."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class Terminal:
    """What a person sees and types.

    Attributes:
        process: the command.
        shown: everything that was shown so far.
    """

    def __init__(self, process: subprocess.Popen[bytes], master: int, wait_until: Callable[..., None]) -> None:
        self.process, self.shown = process, ""
        self._master, self._wait_until, self._seen = master, wait_until, 0
        threading.Thread(target=self._read, daemon=True).start()

    def sees(self, text: str, seconds: float = 240) -> None:
        """Waits until it is shown, after what was waited for before."""
        self._wait_until(lambda: text in self.shown[self._seen :] or self.process.poll() is not None, seconds)
        at = self.shown.find(text, self._seen)
        assert at >= 0, f"{text!r} is not shown: {self.shown[self._seen :]}"
        self._seen = at + len(text)

    def answers(self, question: str, text: str) -> None:
        """Waits for a question, and types the answer and Enter."""
        self.sees(question)
        os.write(self._master, f"{text}\n".encode())

    def interrupts(self) -> None:
        """Types Ctrl-C."""
        os.write(self._master, b"\x03")

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # at its end
            while some := os.read(self._master, 4096):
                self.shown += some.decode(errors="replace")


@contextmanager
def on_a_terminal(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, wait_until: Callable[..., None]
) -> Iterator[Terminal]:
    """Runs a command there; at the end Ctrl-C is typed, and it must end."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command,
        env=dict(environment),
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  else it asks for no password there
    )
    os.close(slave)
    terminal = Terminal(process, master, wait_until)
    try:
        yield terminal
        terminal.interrupts()
        process.wait(90)
    finally:
        process.terminate()
        process.wait(90)
        os.close(master)
