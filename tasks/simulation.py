"""Simulated calls as Prefect tasks: a slice of a suite with the local engine, one call with the vendor's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prefect import task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from cordboard.errors import BadCall, VendorFailed
from cordboard.ivr.suite import Case, CaseResult, Coverage, Suite, coverage, judged, run_case
from cordboard.ivr.trace import Program, Trace, compile_flow, from_vendor
from cordboard.sending import evidence
from cordboard.vendors.cxone import read_flow, traceparent
from cordboard.vendors.cxone_debug import debug_flow, why_forbidden
from cordboard.vendors.session import VendorSession
from cordboard.vendors.wire import Outcome, Verdict

SLICE = 1000
CALL_SECONDS = 30.0


class Simulation:
    """One run of one suite. Not a value: tasks of one process write results into it.

    Attributes:
        suite: the calls, and what must come of each.
        program: the flow, where its file is known.
        session: the vendor's client, where the vendor makes the calls.
        trace_id: sent to the vendor as `traceparent`.
        local, vendor: results by the number of the case; None where an engine has not made that call.
    """

    def __init__(self, suite: Suite, trace_id: str, session: VendorSession | None = None) -> None:
        self.suite, self.session, self.trace_id = suite, session, trace_id
        self.program: Program | None = compile_flow(suite.flow) if suite.flow else None
        self.local: list[CaseResult | None] = [None] * len(suite.cases)
        self.vendor: list[CaseResult | None] = [None] * len(suite.cases)
        self.started = time.monotonic()

    def results(self) -> tuple[CaseResult, ...]:
        """What came of each case. Where both engines made a call, it fails where they differ."""
        pairs = zip(self.suite.cases, self.local, self.vendor, strict=True)
        return tuple(_of_both(case, local, vendor) for case, local, vendor in pairs)

    def coverage(self, results: Sequence[CaseResult]) -> Coverage:
        """Which nodes and transitions the calls took; nothing where the flow's file is not known."""
        return coverage(self.program, results) if self.program else Coverage((), ())


@task(name="simulate-slice", task_run_name="{label}", persist_result=False)
async def simulate_slice(start: int, label: str, run: Simulation) -> State[Any]:
    """Makes the calls of a slice of the suite with the local engine, from `start` on."""
    assert run.program is not None
    last = min(start + SLICE, len(run.suite.cases))
    for number in range(start, last):
        run.local[number] = run_case(run.program, run.suite.cases[number])
    return _state_of([result for result in run.local[start:last] if result])


@task(name="simulate-call", task_run_name="{name}", persist_result=False)
async def simulate_call(name: str, number: int, run: Simulation) -> State[Any]:
    """Has the vendor make the call of one case."""
    result = run.vendor[number] = await _at_vendor(run, run.suite.cases[number])
    return _state_of([result])


async def _at_vendor(run: Simulation, case: Case) -> CaseResult:
    try:
        trace = await _simulated(run, case)
    except (BadCall, VendorFailed) as error:
        return CaseResult(case.name, "error", None, (str(error),), case.place)
    return judged(case, lambda: trace, run.program)


async def _simulated(run: Simulation, case: Case) -> Trace:
    assert run.session is not None
    dtmf, speech = in_vendor_words(case)
    request = debug_flow(
        run.suite.flow_id,
        dtmf,
        speech,
        dict(case.variables),
        case.max_loops,
        traceparent=traceparent(run.trace_id, case.name),
    )
    verdict = (await run.session.call(request, timeout_seconds=CALL_SECONDS)).verdict
    if verdict.outcome is Outcome.ACCEPTED:
        return from_vendor(verdict.value, run.program, case.inputs)
    if verdict.value is not None:  # 500: the flow does not compile, and the reply says how far it came
        return from_vendor(verdict.value, run.program, case.inputs, failed=True)
    raise VendorFailed("the vendor did not make the call", await _explained(run, verdict))


async def _explained(run: Simulation, verdict: Verdict) -> dict[str, Any]:
    if verdict.kind != "forbidden":
        return evidence(verdict)
    assert run.session is not None
    looked_up = (await run.session.call(read_flow(run.suite.flow_id), timeout_seconds=CALL_SECONDS)).verdict
    return {**evidence(verdict), "message": why_forbidden(run.suite.flow_id, looked_up)}


def in_vendor_words(case: Case) -> tuple[str, str]:
    """What a caller does, as the vendor's debugger takes it: all digits in a row, and one utterance.

    Raises:
        BadCall: it cannot be said so.
    """
    kinds = [given.kind for given in case.inputs]
    if case.mocks:
        raise BadCall("the vendor's debugger takes no outcomes of actions: run this case with the local engine")
    if set(kinds) <= {"digits", "keys"}:
        return "".join(given.text for given in case.inputs), ""
    if kinds == ["speech"]:
        return "", case.inputs[0].text
    raise BadCall("the vendor's debugger takes digits or one utterance: run this case with the local engine")


def _of_both(case: Case, local: CaseResult | None, vendor: CaseResult | None) -> CaseResult:
    if local is None or vendor is None:
        return local or vendor or CaseResult(case.name, "error", None, ("the call was not made",), case.place)
    if vendor.status == "error" or local.trace is None or vendor.trace is None:
        return vendor
    differ = _differences(local.trace, vendor.trace)
    if not differ:
        return local
    return replace(local, status="failed", mismatches=(*local.mismatches, *differ))


def _differences(local: Trace, vendor: Trace) -> tuple[str, ...]:
    found = []
    if local.path != vendor.path:
        found.append(f"the engines differ: here {' → '.join(local.path)}, at the vendor {' → '.join(vendor.path)}")
    elif local.exit != vendor.exit:
        found.append(f"the engines differ: here the call ends at {local.exit}, at the vendor at {vendor.exit}")
    return tuple(found)


def _state_of(results: Sequence[CaseResult]) -> State[Any]:
    bad = [result for result in results if result.status != "passed"]
    if not bad:
        return Completed(message=f"{len(results)} passed")
    first = f"{bad[0].name}: {bad[0].mismatches[0] if bad[0].mismatches else bad[0].status}"
    return Failed(message=f"{len(bad)} of {len(results)} did not pass; {first}"[:500])
