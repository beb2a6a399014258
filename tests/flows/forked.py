"""Jobs of `python -m flows`, each a process forked from one that has imported Prefect, which takes three seconds."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
FORKING = multiprocessing.get_context("forkserver")
_FLOWS = ("run_chain", "register_ivr", "update_ivr", "detect_drift", "simulate_ivr", "trigger_workflows")
FORKING.set_forkserver_preload([f"flows.{name}" for name in _FLOWS])


class Forked:
    """A job in a process of its own, with what tests use of `subprocess.Popen`."""

    def __init__(self, args: list[str], environment: dict[str, str], folder: Path) -> None:
        self._printed, self._said = folder / "stdout", folder / "stderr"
        self._process = FORKING.Process(target=_job, args=(args, environment, self._printed, self._said))
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """What it ended with: its exit code, or less than zero for a signal; None as long as it lives."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Its exit code, or None."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end.

        Raises:
            TimeoutExpired: it lives on.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("python -m flows", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for its end; gives back its standard output and standard error."""
        self.wait(timeout)
        return self._printed.read_text(), self._said.read_text()

    def send_signal(self, number: int) -> None:
        """Sends it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once, where it still lives."""
        if self.returncode is None:
            self.send_signal(signal.SIGKILL)


def _job(args: list[str], environment: dict[str, str], *outputs: Path) -> None:
    from prefect.context import refresh_global_settings_context

    from cordboard.errors import Ours
    from flows.__main__ import main, prepare_environment

    for number, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(CHECKOUT)
    with contextlib.suppress(Ours):  # which `main` tells
        prepare_environment(verbose=True)
    refresh_global_settings_context()  # read at import, and the environment was another one then
    try:
        sys.exit(main(args))
    finally:
        atexit._run_exitfuncs()  # a forked process leaves them out, and Prefect stops its threads there
