"""A terminal that gives the commands of a page one by one, in this process: each imports Prefect for seconds."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from cordboard import cli


@dataclass(frozen=True)
class Given:
    """A command that was given: its exit code, and what it printed."""

    line: str
    code: int
    printed: str


class Terminal(Protocol):
    """Gives one line."""

    def __call__(self, line: str) -> Given: ...


def commands_of(page: Path) -> list[str]:
    """The lines of a page's bash blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """`terminal("cordboard check flows/*.yaml > out")`, as a shell takes it; `~` is a folder of this test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    quiet, logger = logging.NullHandler(), logging.getLogger("cordboard")
    logger.addHandler(quiet)  # else the first job adds one that writes to this test's terminal for good
    yield _give
    logger.removeHandler(quiet)


def _give(line: str) -> Given:
    words, _, target = line.partition(" > ")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = _run([word for part in shlex.split(words) for word in _expanded(part)])
    if target:
        Path(target).expanduser().write_text(printed.getvalue())
    return Given(line, code, printed.getvalue())


def _expanded(word: str) -> list[str]:
    if "*" in word:
        return sorted(map(str, Path().glob(word)))
    return [str(Path(word).expanduser()) if word.startswith("~") else word]


def _run(words: list[str]) -> int:
    match words:
        case ["cordboard", *rest]:
            return cli.main(rest)
        case ["python", "-m", "flows", *rest]:
            from flows.__main__ import main

            return main(rest)
        case ["cd", folder]:
            os.chdir(folder)
        case ["mkdir", "-p", folder]:
            Path(folder).mkdir(parents=True, exist_ok=True)
        case _:
            raise AssertionError(f"a command that this test does not know: {words}")
    return 0
