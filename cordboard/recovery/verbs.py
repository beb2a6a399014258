"""The verbs `cordboard status` and `cordboard resolve`; what they need is imported when one of them is called."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any

_STATUS = "show what is open, what waits and what nobody knows"
_RESOLVE = "settle an effect of which nobody knows, with evidence"


def add_verbs(verbs: Any) -> None:
    """Adds both to the command's verbs."""
    status = _verb(verbs, "status", _STATUS)
    status.add_argument(
        "--long-hours", type=float, default=24.0, metavar="N", help="name instances that run for longer"
    )
    resolve = _verb(verbs, "resolve", _RESOLVE)
    resolve.add_argument("effect", nargs="?", metavar="EFFECT", help="its key, the first characters of it, or its id")
    resolve.add_argument("--as", dest="verdict", choices=("done", "failed"), help="whether it came about")
    resolve.add_argument("--evidence", default="", metavar="TEXT", help="how you know; goes on the audit record")
    resolve.add_argument("--result", metavar="JSON", help="what came of it, for reruns")
    resolve.add_argument("--by", default="", metavar="NAME", help="who says so; default: the user of this process")
    resolve.add_argument("--list", action="store_true", help="list what can be resolved, and resolve nothing")
    for verb in (status, resolve):
        verb.add_argument("--tenant", default="", metavar="NAME", help="whose effects; default: everybody's")
        verb.add_argument("--limit", type=int, default=20, metavar="N", help="effects that are listed at the most")
        verb.add_argument("--ledger", default="", metavar="URL", help="default: what the environment names")
        verb.add_argument("--json", action="store_true", help="print one JSON document")


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(run=_runner(f"run_{name}"))
    return parser


def _runner(name: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        code: int = getattr(importlib.import_module("cordboard.recovery.command"), name)(options)
        return code

    return run
