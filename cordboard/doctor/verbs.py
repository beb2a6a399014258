"""The verb `cordboard doctor`; what it needs is imported when it is called."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

_TEXT = "check everything that a run depends on, and say how to mend it"


def add_verbs(verbs: Any) -> None:
    """Adds it to the command's verbs."""
    doctor = verbs.add_parser("doctor", help=_TEXT, description=f"{_TEXT[0].upper()}{_TEXT[1:]}.")
    doctor.add_argument("--send-test", action="store_true", help="send a signed test message to the webhook endpoint")
    doctor.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help="for one question (default 5)")
    doctor.add_argument("--json", action="store_true", help="print one JSON document")
    doctor.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    code: int = importlib.import_module("cordboard.doctor.command").run(options)
    return code
