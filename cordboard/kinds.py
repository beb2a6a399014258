"""The kinds of files, and the part of the project that knows each; a part is imported only when such a file is met."""

from __future__ import annotations

import importlib
from typing import Any

from cordboard.documents import WHAT

KINDS = tuple(WHAT)
_PARTS = {
    "chain": "chains",
    "ivr-flow": "ivr",
    "ivr-suite": "ivr",
    "ivr-properties": "ivr.paths",
    "ivr-patch": "ivr.merge",
    "trigger": "triggers",
    "sandbox": "sandbox",
    "faults": "sandbox",
}


def part_of(kind: str) -> Any:
    """The module of commands that knows a kind of file.

    Args:
        kind: one of `KINDS`.
    """
    return command_of(_PARTS[kind])


def command_of(part: str) -> Any:
    """The module of commands of a part of the project, such as `ivr.merge`."""
    return importlib.import_module(f"cordboard.{part}.command")
