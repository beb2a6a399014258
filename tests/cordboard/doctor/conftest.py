"""Surroundings to look at: a sandbox as the vendor, a folder of their own, and whatever a test plants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cordboard.doctor.examination import examine
from cordboard.doctor.model import Check, Surroundings
from cordboard.sandbox.server import RunningSandbox, running_sandbox
from cordboard.settings import Settings
from tests.cordboard.records.conftest import ledger_url

__all__ = ["ledger_url"]

Examine = Callable[..., dict[str, Check]]
LOCAL_DISK = "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def look(tmp_path: Path) -> Examine:
    """`look(variables, **surroundings)`: every check that the doctor makes, by its name."""

    def look_at(variables: Mapping[str, str] | None = None, **given: Any) -> dict[str, Check]:
        home = tmp_path / "home"
        environ = {"CORDBOARD_HOME": str(home), **(variables or {})}
        settings = Settings.from_env(environ)
        given = {"now": time.time, "mounts": LOCAL_DISK, "timeout_seconds": 3.0, **given}
        checks = asyncio.run(examine(Surroundings(environ, settings, **given)))
        return {check.name: check for check in checks}

    return look_at
