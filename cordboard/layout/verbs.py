"""The verbs `cordboard init` and `cordboard completion`; what they need is imported when one of them is called."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

_INIT = "write an example repository: call flows, suites, chains, patches, starts, CI, schemas for editors"
_COMPLETION = "print the script that completes commands in a shell"


def add_verbs(verbs: Any, whole_parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Adds both to the command's verbs.

    Args:
        verbs: where verbs are added.
        whole_parser: makes the parser of the command with the arguments of all verbs, also those that are added late.
    """
    init = verbs.add_parser("init", help=_INIT, description=f"{_INIT[0].upper() + _INIT[1:]}.")
    init.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="FOLDER", help="default: this one")
    init.add_argument("--json", action="store_true", help="print one JSON document")
    init.set_defaults(run=lambda options: int(_module("command").run_init(options.folder, options.json)))
    completion = verbs.add_parser("completion", help=_COMPLETION, description=f"{_COMPLETION.capitalize()}.")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(run=lambda options: int(_module("shell").run_completion(whole_parser(), options.shell)))


def _module(name: str) -> Any:
    return importlib.import_module(f"cordboard.layout.{name}")
