"""What an editor needs to complete and check our files: a JSON Schema of each kind, and which files it is for."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cordboard.kinds import KINDS, part_of

#: Patterns of the files of a kind, from the root of a customer's repository. No file fits two kinds.
PATTERNS: Mapping[str, tuple[str, ...]] = {
    "chain": ("chains/*.yaml",),
    "ivr-flow": ("flows/*.yaml",),
    "ivr-suite": ("suites/*.yaml", "patches/*/*_suite.yaml"),
    "ivr-properties": ("properties/*.yaml",),
    "ivr-patch": ("patches/*/20*.yaml",),  # names that begin with a date
    "trigger": ("starts/*.yaml",),
    "sandbox": ("sandbox.yaml",),
    "faults": ("faults.yaml",),
}


def editor_files() -> dict[str, str]:
    """The schemas and the settings of Visual Studio Code, by path; the schemas are those that the code checks with."""
    schemas = {f".schemas/{kind}.json": _text(part_of(kind).schema(kind)) for kind in KINDS}
    settings = {"yaml.schemas": {f"./.schemas/{kind}.json": list(PATTERNS[kind]) for kind in KINDS}}
    return {**schemas, ".vscode/settings.json": _text(settings)}


def _text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
