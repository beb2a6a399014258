"""Suites beside a small flow, written as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cordboard.documents import read_document
from cordboard.findings import Finding
from cordboard.ivr.suite import Suite, load_suite, read_suite

FLOW = """
kind: ivr-flow
id: ivr_small
start: node_start
terminals: [node_end]
nodes:
  node_menu: {type: menu, prompt: "For sales press one. For support press two.", max_visits: 3}
  node_sorry: {type: prompt, prompt: "Sorry, we did not understand that."}
  node_sales: {type: queue, set: {desk: sales, lines: 2}}
connections:
  - {from: node_start, to: node_menu, type: default}
  - {from: node_menu, to: node_sales, when: "dtmf == '1' or speech == 'sales'"}
  - {from: node_menu, to: node_support, when: "dtmf == '2'"}
  - {from: node_menu, to: node_sorry, type: default}
  - {from: node_menu, to: node_support, type: fallback}
  - {from: node_sorry, to: node_menu, type: default}
  - {from: node_sales, to: node_end, type: default}
  - {from: node_support, to: node_end, type: default}
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a suite's cases, and what else stands at its top, beside the flow."""

    def write(text: str) -> Path:
        (tmp_path / "small.yaml").write_text(FLOW)
        path = tmp_path / "suite.yaml"
        path.write_text(f"kind: ivr-suite\nflow: small.yaml\n{text}")
        return path

    return write


@pytest.fixture
def loaded(written: Callable[[str], Path]) -> Callable[[str], Suite]:
    return lambda text: load_suite(written(text))


@pytest.fixture
def faults(written: Callable[[str], Path]) -> Callable[[str], tuple[Finding, ...]]:
    return lambda text: read_suite(read_document(written(text)))[1]
