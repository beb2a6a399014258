"""`make chaos-cluster`, in small. It takes minutes, so that it runs with `CORDBOARD_TEST_THOROUGH=1` only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.thorough import THOROUGH

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not THOROUGH, reason="starts a whole cluster: CORDBOARD_TEST_THOROUGH=1")
@pytest.mark.skipif(not shutil.which("redis-server"), reason="no Redis here")
def test_nothing_is_lost_or_doubled_whatever_of_a_cluster_dies() -> None:
    """A machine, Redis, one server, all of them, and another machine, one after another."""
    small = {"starts": 600, "chains": 4, "workers": 2, "outage": 20, "measured": 0, "runs": 8}
    command = [
        sys.executable,
        "-m",
        "bench.cluster",
        *(part for key, value in small.items() for part in (f"--{key}", str(value))),
    ]
    done = subprocess.run(command, check=False, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing lost, nothing doubled" in done.stdout
