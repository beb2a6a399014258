"""Runs cases through the local engine, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from cordboard.errors import CordboardError
from cordboard.ivr.model import NOWHERE, Place
from cordboard.ivr.suite.judging import judge
from cordboard.ivr.suite.model import Case, Suite
from cordboard.ivr.trace import Program, Trace, simulate

Status = Literal["passed", "failed", "error"]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case.

    Attributes:
        name: the case's name.
        status: `passed`, `failed` where the call was not as expected, `error` where no call could be made.
        trace: what happened; None where no call could be made.
        mismatches: in sentences, what was not as expected; of an error, why.
        place: where the case stands.
    """

    name: str
    status: Status
    trace: Trace | None = None
    mismatches: tuple[str, ...] = ()
    place: Place = field(default=NOWHERE, compare=False)

    def as_json(self) -> dict[str, Any]:
        """As a JSON object, without the steps of the call."""
        trace = self.trace
        return {
            "name": self.name,
            "status": self.status,
            "path": list(trace.path) if trace else [],
            "exit": trace.exit if trace else None,
            "mismatches": list(self.mismatches),
            "loops": [loop.as_json() for loop in trace.loops] if trace else [],
        }


def run_suite(program: Program, suite: Suite) -> tuple[CaseResult, ...]:
    """Makes the calls of a suite, one after another."""
    return tuple(run_cases(program, suite.cases))


def run_cases(program: Program, cases: Iterable[Case]) -> Iterable[CaseResult]:
    """Makes calls, one when the next result is asked for."""
    return (run_case(program, case) for case in cases)


def run_case(program: Program, case: Case) -> CaseResult:
    """Makes the call of one case; whatever goes wrong is the case's own affair."""

    def call() -> Trace:
        return simulate(program, case.inputs, case.variables, case.mocks, max_loops=case.max_loops, then=case.then)

    return judged(case, call, program)


def judged(case: Case, call: Callable[[], Trace], program: Program | None = None) -> CaseResult:
    """The result of a case whose call is made by any engine."""
    try:
        trace = call()
        mismatches = judge(case.expect, trace, program)
    except CordboardError as error:
        return CaseResult(case.name, "error", None, (str(error),), case.place)
    except Exception as error:  # one broken case must not take the others with it
        reason = f"the call could not be made: {type(error).__name__}: {error}"
        return CaseResult(case.name, "error", None, (reason,), case.place)
    return CaseResult(case.name, "failed" if mismatches else "passed", trace, mismatches, case.place)
