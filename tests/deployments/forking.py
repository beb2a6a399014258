"""Lets a worker start runs in processes forked from one that has imported Prefect, which else takes seconds each.

`forked_runs` serves; the script itself is what a work pool names as its command: it hands the server its environment,
and ends as the run's process ended.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
MODULES = ("prefect.engine", "prefect.workers.process", "prefect.deployments.steps", "flows.__main__")


@contextmanager
def forked_runs(place: Path) -> Iterator[str]:
    """Yields the command with which a process worker starts a run that way.

    Args:
        place: socket of the server; its log is beside it.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.listen(64)
    command = [sys.executable, "-m", "tests.deployments.forking", "serve", str(listener.fileno())]
    with listener, place.with_suffix(".log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=CHECKOUT, stdout=log, stderr=log, pass_fds=[listener.fileno()], start_new_session=True
        )
    try:
        yield f"{sys.executable} -S -E {__file__} {place}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # with every run that is left
        server.wait()


def ask(place: str) -> int:
    """Has a run made, and gives back what its process ended with."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(place)
        mask = os.umask(0o077)
        line.sendall(json.dumps([os.getcwd(), mask, dict(os.environ)]).encode())  # noqa: PTH109  pathlib takes a while
        line.shutdown(socket.SHUT_WR)
        return (line.recv(1) or b"\x89")[0]  # killed


def serve(number: int) -> None:
    """Forks a process for whoever asks."""
    import importlib

    for name in (*MODULES, *(f"flows.{path.stem}" for path in (CHECKOUT / "flows").glob("[a-z]*.py"))):
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=number) as listener:
        while True:
            line, _ = listener.accept()
            if os.fork() == 0:
                os._exit(_run(line))
            line.close()


def _run(line: socket.socket) -> int:
    import atexit
    import runpy
    import traceback

    from prefect.context import refresh_global_settings_context

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with line.makefile("rb") as asked:
        folder, mask, environment = json.loads(asked.read())
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["prefect.engine"]
    refresh_global_settings_context()  # read at import, and the environment was another one then
    code = 0
    try:
        runpy.run_module("prefect.engine", run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()  # a forked process leaves them out, and Prefect sends what is left there
    line.sendall(bytes([code]))
    return code


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        sys.exit(ask(sys.argv[1]))
