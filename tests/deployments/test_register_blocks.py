"""One command makes the forms of our blocks known to the Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.prefect]


def test_block_types_are_registered_with_the_server_that_is_named(
    prefect_server: str, checkout: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "PREFECT_API_URL": prefect_server, "CORDBOARD_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "deployments.register_blocks"]
    for _ in range(2):  # again changes nothing
        done = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=False)
        slugs = "cxone-credentials, genesys-cloud-credentials, cordboard-webhook"
        assert (done.returncode, done.stdout) == (0, f"Registered: {slugs}\n"), done.stderr
    found = httpx.get(f"{prefect_server}/block_types/slug/cxone-credentials").raise_for_status().json()
    assert found["description"].startswith("OAuth client credentials of one NICE CXone tenant")
