"""The report that quality assurance reads and keeps: every call with all that is known about it, as YAML.

Each case has five sections:

    report_metadata           which flow was simulated, by whom, when, and how long the call took
    execution_summary         how the call ended and what is not as expected
    state_machine_analysis    loops
    variable_states           variables at the end, and step by step where they changed
    raw_trace                 each step as the vendor writes it
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cordboard.ivr.reports.report import Report, Share
from cordboard.ivr.reports.yaml_text import Block, Lines, block, item
from cordboard.ivr.suite import CaseResult, Covered
from cordboard.ivr.trace import End, Trace

_API = "v2"


def yaml_parts(report: Report) -> Iterator[str]:
    """The report, piece by piece."""
    yield from block(_head(report))
    yield "cases:\n" if report.cases else "cases: []\n"
    for case in report.cases:
        yield from item(_case(report, case))


def to_yaml(report: Report) -> str:
    """The report as one text."""
    return "".join(yaml_parts(report))


def _head(report: Report) -> Block:
    totals, coverage = report.totals, report.coverage
    return Block(
        suite=report.suite,
        flow=Block(id=report.flow.id, name=report.flow.name, file=report.flow.file),
        engine=report.engine,
        started_at=report.started_at,
        status=totals.status,
        totals=Block(totals.as_json()),
        coverage=Block(nodes=_share(coverage.nodes), transitions=_share(coverage.transitions)),
    )


def _share(parts: Sequence[Covered]) -> Block:
    share = Share.of(parts)
    return Block(taken=share.taken, total=share.total)


def _case(report: Report, case: CaseResult) -> Block:
    reason = case.mismatches[0] if case.mismatches else "no call was made"
    trace = case.trace or Trace((), {}, End("error", "", reason))
    return Block(
        name=case.name,
        status=case.status,
        report_metadata=Block(
            generated_at=report.started_at,
            flow_id=report.flow.id,
            api_version=_API,
            engine=report.engine,
            simulation_duration_ms=trace.duration_ms,
        ),
        execution_summary=_summary(case, trace),
        state_machine_analysis=Block(
            has_loops=bool(trace.loops),
            loop_details=Lines(loop.as_json() for loop in trace.loops),
            total_nodes_executed=len(trace.path),
            unique_nodes=len(set(trace.path)),
        ),
        **_steps(trace),
    )


def _summary(case: CaseResult, trace: Trace) -> Block:
    return Block(
        exit_node=trace.exit,
        end=trace.end.kind,
        reason=trace.end.message,
        total_nodes=len(trace.path),
        path=Lines(trace.path),
        inputs_used=trace.inputs_used,
        inputs_unused=[given.as_json() for given in trace.unused],
        routing_valid=case.status == "passed",
        routing_mismatches=Lines(case.mismatches),
    )


def _steps(trace: Trace) -> Block:
    entries = trace.entries
    history = Lines(
        {"step": number, "nodeId": entry.node, "variables": entry.after}
        for number, entry in enumerate(entries, start=1)
        if entry.changes
    )
    return Block(
        variable_states=Block(final_state=trace.variables, node_history=history),
        raw_trace=Lines(entry.as_json() for entry in entries),
    )
