"""Which test process gets which test next, and in which order.

A Prefect server costs each process that needs one a dozen seconds: the last process does without.
What is long comes first, so that at the end no process works on alone.

Said here, because pytest-xdist 3.8.0 loses its own `xdist_group` without a word on pytest 9.2.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

CHECKOUT = Path(__file__).parent.parent
WHOLE_FILES = {  # those with a costly set-up
    "tests/architecture/test_layers.py",
    "tests/cordboard/ivr/reports/test_page_in_a_browser.py",
    "tests/cordboard/records/test_audit_mutations.py",
    "tests/deployments/test_every_deployment.py",
    "tests/flows/test_secrets.py",
}


def longest_first(items: list[pytest.Item]) -> None:
    """Sorts what was collected: tests on a Prefect server, then others; in each the slow ones first."""
    items.sort(key=lambda item: (not needs_prefect(item.nodeid), item.get_closest_marker("slow") is None))


@cache
def _marked(file: str) -> bool:
    return "mark.prefect" in (CHECKOUT / file).read_text()


def needs_prefect(scope: str) -> bool:
    """Whether a test, or some test of a whole file, needs a Prefect server: its file says so."""
    return _marked(scope.partition("::")[0])


class Scheduling(LoadScopeScheduling):
    """Every test goes to the process that is free, but a file with a costly set-up stays whole."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in WHOLE_FILES else nodeid

    def _assign_work_unit(self, node: Any) -> None:
        if node is self.nodes[-1] and len(self.nodes) > 1:
            plain = (scope for scope in self.workqueue if not needs_prefect(scope))
            self.workqueue.move_to_end(next(plain, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)
