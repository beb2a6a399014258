"""The receiver keeps to its own document, whatever is sent: schemathesis asks, over real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployments.receiving import CHECKOUT, receiver
from tests.thorough import THOROUGH, count

ASCII = ("--generation-codec", "ascii")
#: The document cannot say which characters of Unicode are printable; so of all of them some are rightly refused.
UNICODE = ("--generation-codec", "utf-8", "--exclude-checks", "positive_data_acceptance")


@pytest.mark.timeout(900 if THOROUGH else 120)
@pytest.mark.parametrize("text", [ASCII, *([UNICODE] if THOROUGH else [])], ids=lambda text: text[1])
def test_every_answer_is_one_of_the_documented_ones(text: tuple[str, ...], tmp_path: Path) -> None:
    """No 5xx, no status and no shape that the document lacks; what it allows is taken, what it forbids is not.

    What is sent is signed, or comes with a secret, or from a stranger (`proving`); it fits the document or breaks it.
    """
    hooks = {"SCHEMATHESIS_HOOKS": "tests.deployments.proving", "PYTHONPATH": str(CHECKOUT)}
    with receiver(f"sqlite:///{tmp_path}/ledger.db") as (process, url):
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--max-examples", str(count(60, 3000)), "--generation-allow-x00", "false", "--no-color", *text),
            *("--generation-deterministic", "--no-shrink", "--continue-on-failure"),
        ]
        environment = {**os.environ, **hooks}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Tested: 3" in done.stdout, done.stdout
        assert process.poll() is None
