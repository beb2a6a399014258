"""Simulated calls as Prefect tasks: a slice of a suite with the local engine, one call with the vendor's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from prefect import task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from cordboard.errors import BadCall, VendorFailed
from cordboard.ivr.canonical import content_hash, without_bookkeeping
from cordboard.ivr.diff.wording import visible
from cordboard.ivr.suite import (
    Case,
    CaseResult,
    Coverage,
    Status,
    Suite,
    coverage,
    judged,
    path_differences,
    run_case,
    same_value,
)
from cordboard.ivr.trace import Program, Trace, compile_flow, from_vendor
from cordboard.jsontext import dump_json
from cordboard.redaction import Redactor
from cordboard.registration.plan import hash_of
from cordboard.sending import evidence
from cordboard.vendors.cxone import read_flow
from cordboard.vendors.cxone_debug import debug_flow, why_forbidden
from cordboard.vendors.session import VendorSession
from cordboard.vendors.trace_context import traceparent
from cordboard.vendors.wire import Outcome, Verdict

SLICE = 1000
#: Answers that no further call of the same flow would change.
_ONCE_FOR_ALL = frozenset({"forbidden", "not_found", "unauthorized", "credentials", "redirected"})
CALL_SECONDS = 30.0
#: More rounds of a loop the vendor's debugger does not make.
MOST_LOOPS = 1000


class Simulation:
    """One run of one suite. Not a value: tasks of one process write results into it.

    Attributes:
        suite: the calls, and what must come of each.
        program: the flow, where its file is known.
        session: the vendor's client, where the vendor makes the calls.
        redactor: knows the client's secret and tokens, which a vendor's reply may repeat.
        trace_id: sent to the vendor as `traceparent`.
        deadline: monotonic time after which nothing is asked for.
        local, vendor: results by the number of the case; None where an engine has not made that call.
        only_here: why the vendor's debugger cannot make a call, by the number of the case.
        kinds: kinds of failure that the vendor answered with.
        refused: why the vendor makes no call of this flow at all, once it has said so.
        moved: why prompts at the vendor cannot be judged by our file; empty where they can.
    """

    def __init__(
        self,
        suite: Suite,
        trace_id: str,
        session: VendorSession | None = None,
        redactor: Redactor | None = None,
        allowed_seconds: float = 3600,
    ) -> None:
        self.suite, self.session, self.trace_id = suite, session, trace_id
        self.redactor, self.deadline = redactor or Redactor(), time.monotonic() + allowed_seconds
        self.program: Program | None = compile_flow(suite.flow) if suite.flow else None
        self.local: list[CaseResult | None] = [None] * len(suite.cases)
        self.vendor: list[CaseResult | None] = [None] * len(suite.cases)
        self.only_here: dict[int, str] = {}
        self.kinds: set[str] = set()
        self.refused: VendorFailed | None = None
        self.moved = ""

    def results(self, engine: str) -> tuple[CaseResult, ...]:
        """What came of each case. Where both engines made a call, it fails where they differ."""
        return tuple(self._result(number, engine) for number in range(len(self.suite.cases)))

    def _result(self, number: int, engine: str) -> CaseResult:
        case, local, vendor = self.suite.cases[number], self.local[number], self.vendor[number]
        missing = CaseResult(case.name, "error", None, ("the call was not made",), case.place)
        if engine == "local":
            return local or missing
        if engine == "vendor":
            return vendor or missing
        if local is None or number in self.only_here:
            return local or missing
        return of_both(local, vendor or missing)

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
    result = run.vendor[number] = await _at_vendor(run, number)
    return _state_of([result])


async def _at_vendor(run: Simulation, number: int) -> CaseResult:
    """Has the vendor make one call; whatever goes wrong is this case's own affair."""
    case = run.suite.cases[number]
    try:
        dtmf, speech = in_vendor_words(case)
    except BadCall as error:
        run.only_here[number] = str(error)
        return CaseResult(case.name, "error", None, (str(error),), case.place)
    try:
        trace = await _simulated(run, case, dtmf, speech)
    except VendorFailed as error:
        run.kinds.add(str(error.evidence.get("kind", "")))
        return CaseResult(case.name, "error", None, (visible(str(error)),), case.place)
    except Exception as error:  # a reply that nobody thought of must not take the other calls along
        reason = f"the reply could not be read: {type(error).__name__}: {visible(str(error))}"
        return CaseResult(case.name, "error", None, (reason,), case.place)
    result = judged(case, lambda: trace, run.program)
    if run.moved and case.expect.prompts:
        result = replace(result, status="failed", mismatches=(*result.mismatches, f"prompts: {run.moved}"))
    return result


async def _simulated(run: Simulation, case: Case, dtmf: str, speech: str) -> Trace:
    assert run.session is not None
    if run.refused is not None:
        raise run.refused
    request = debug_flow(
        run.suite.flow_id,
        dtmf,
        speech,
        dict(case.variables),
        case.max_loops,
        traceparent=traceparent(run.trace_id, case.name),
    )
    verdict = (await run.session.call(request, timeout_seconds=CALL_SECONDS, deadline=run.deadline)).verdict
    value = run.redactor.value(verdict.value)
    if verdict.outcome is Outcome.ACCEPTED:
        return from_vendor(value, run.program, case.inputs, case.variables)
    if value is not None:  # 500: the flow does not compile, and the reply says how far it came
        return from_vendor(value, run.program, case.inputs, case.variables, failed=True)
    if run.refused is not None:
        raise run.refused
    failed = VendorFailed("the vendor did not make the call", await _explained(run, verdict))
    if verdict.kind in _ONCE_FOR_ALL:
        run.refused = failed
    raise failed


async def _explained(run: Simulation, verdict: Verdict) -> dict[str, Any]:
    if verdict.kind != "forbidden":
        return evidence(verdict)
    assert run.session is not None
    looked_up = (await run.session.call(read_flow(run.suite.flow_id), timeout_seconds=CALL_SECONDS)).verdict
    return {**evidence(verdict), "message": why_forbidden(run.suite.flow_id, looked_up)}


async def look_at_live(run: Simulation) -> None:
    """Finds out whether the live flow is what the file says: only then do its prompts tell what callers hear there."""
    if run.suite.flow is None or run.session is None or not any(case.expect.prompts for case in run.suite.cases):
        return
    verdict = (await run.session.call(read_flow(run.suite.flow_id), timeout_seconds=CALL_SECONDS)).verdict
    if verdict.outcome is not Outcome.ACCEPTED:
        run.moved = "the live flow cannot be read, so that nobody can say what is heard there"
    elif hash_of(verdict.value) != content_hash(without_bookkeeping(run.suite.flow)):
        run.moved = "the live flow is not as the file says, so that nobody can say what is heard there"


def in_vendor_words(case: Case) -> tuple[str, str]:
    """What a caller does, as the vendor's debugger takes it: keys in a row, or one utterance; then silence.

    Raises:
        BadCall: it cannot be said so.
    """
    kinds = [given.kind for given in case.inputs]
    if case.max_loops > MOST_LOOPS:
        limit = f"the vendor's debugger takes no `max_loops` above {MOST_LOOPS}"
        raise BadCall(f"{limit}: run this case with the local engine")
    if case.mocks:
        raise BadCall("the vendor's debugger takes no outcomes of actions: run this case with the local engine")
    if case.then != "silence":
        raise BadCall("the vendor's debugger knows no caller who hangs up: run this case with the local engine")
    if set(kinds) <= {"digits", "keys"} and all(
        given.kind == "digits" or len(given.text) == 1 for given in case.inputs
    ):
        return "".join(given.text for given in case.inputs), ""
    if kinds == ["speech"]:
        return "", case.inputs[0].text
    raise BadCall("the vendor's debugger takes keys in a row or one utterance: run this case with the local engine")


def of_both(local: CaseResult, vendor: CaseResult) -> CaseResult:
    """One result of two engines: what each found wrong, and where they part. Nothing that failed is left out."""
    said = tuple(f"at the vendor: {sentence}" for sentence in vendor.mismatches)
    if local.trace is None or vendor.trace is None:
        status: Status = "failed" if "failed" in {local.status, vendor.status} else "error"
        return replace(local, status=status, mismatches=(*local.mismatches, *said))
    found = (*local.mismatches, *said, *_differences(local.trace, vendor.trace))
    return replace(local, status="failed" if found else "passed", mismatches=found)


def _differences(local: Trace, vendor: Trace) -> Iterator[str]:
    if local.path != vendor.path:
        parts = path_differences(local.path, vendor.path)
        yield from (f"the engines differ; the vendor's call compared with ours: {part}" for part in parts)
    elif local.exit != vendor.exit or local.end.kind != vendor.end.kind:
        ours, theirs = f"{local.end.kind} at {local.exit}", f"{vendor.end.kind} at {vendor.exit}"
        yield f"the engines differ: our call ends {ours}, the vendor's {visible(theirs)}"
    for name in sorted(local.variables.keys() & vendor.variables.keys()):
        if not same_value(local.variables[name], vendor.variables[name]):
            ours, theirs = (visible(dump_json(each.variables[name])[:200]) for each in (local, vendor))
            yield f"the engines differ: {visible(name)} is {ours} here, {theirs} at the vendor"


def _state_of(results: Sequence[CaseResult]) -> State[Any]:
    bad = [result for result in results if result.status != "passed"]
    if not bad:
        return Completed(message=f"{len(results)} passed")
    first = f"{bad[0].name}: {bad[0].mismatches[0] if bad[0].mismatches else bad[0].status}"
    return Failed(message=f"{len(bad)} of {len(results)} did not pass; {first}"[:500])
