"""Reports of real runs of a small suite, and names that nobody would choose in good faith."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from cordboard.documents import parse_document
from cordboard.ivr.model import Flow
from cordboard.ivr.reading import read_flow
from cordboard.ivr.reports import Report
from cordboard.ivr.suite import Case, CaseResult, Coverage, Expectation, coverage, run_cases
from cordboard.ivr.trace import compile_flow, digits

FLOW = """\
kind: ivr-flow
id: menu
name: Main menu
start: node_start
terminals: [node_end]
nodes:
  node_menu: {type: menu, prompt: "For sales press one.", max_visits: 2}
  node_sales: {type: queue, name: Sales, set: {tries: 1, queue: "<b>sales</b>"}}
connections:
  - {from: node_start, to: node_menu, type: default}
  - {from: node_menu, to: node_sales, when: "dtmf == '1'"}
  - {from: node_menu, to: node_menu, type: default}
  - {from: node_menu, to: node_end, type: fallback}
  - {from: node_sales, to: node_end, type: default}
"""
MARKUP = "</script><img src=x onerror=alert(1)>&\"'`]]>--><!--"
CONTROLS = "\x00\x1b[31mred\x9b\u202eright\u2028to\u2029left\x7f\ufeff\r\n\t\ud800"
HOSTILE = (MARKUP, CONTROLS, "```\n# no heading @everyone #1 [x](javascript:x)", "|a|`b``c`|", " ", "é" * 300)
BASIC = (
    Case("sales", (digits("1"),), {"who": "Ann"}, expect=Expectation(exit="node_end", visited=("node_sales",))),
    Case("nine", (digits("9"),), expect=Expectation(path=("node_start", "node_menu", "node_sales"))),
    Case("broken", mocks={"node_none": [{"x": 1}]}),
)


@pytest.fixture
def flow() -> Flow:
    """A menu with a queue; its transitions stand on lines 10 to 14."""
    found, findings = read_flow(parse_document(FLOW, "flows/menu.yaml"))
    assert found is not None, findings
    return found


@pytest.fixture
def run(flow: Flow) -> Callable[..., Report]:
    """`run(cases)` makes the calls and gives back the report; without cases one passes, one fails, one breaks."""

    def make(cases: Sequence[Case] = BASIC, *, extra: Sequence[CaseResult] = (), **changes: object) -> Report:
        program = compile_flow(flow)
        results = (*run_cases(program, cases), *extra)
        report = Report("nightly", flow, "local", "2025-11-21T06:40:00+00:00", results, coverage(program, results))
        return replace(report, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def unknown(run: Callable[..., Report]) -> Report:
    """A report of a flow that only the vendor has."""
    return run((), flow=Flow("f", "", (), ()), coverage=Coverage((), ()))


@pytest.fixture
def hostile(run: Callable[..., Report], flow: Flow) -> Report:
    """A report in which every name is hostile."""
    nodes = tuple(
        replace(node, name=MARKUP, prompt=CONTROLS, set={MARKUP: CONTROLS, CONTROLS: MARKUP})
        if node.id == "node_sales"
        else node
        for node in flow.nodes
    )
    program = compile_flow(replace(flow, name=MARKUP, nodes=nodes))
    results = list(run_cases(program, [Case(f"{name}{number}", (digits("1"),)) for number, name in enumerate(HOSTILE)]))
    results += [CaseResult(name, "failed", results[0].trace, HOSTILE) for name in HOSTILE]
    results += [CaseResult(name, "error", None, (name,)) for name in HOSTILE]
    return Report(MARKUP + CONTROLS, program.flow, MARKUP, CONTROLS, results, coverage(program, results))
